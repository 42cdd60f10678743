"""Estimators of scikit-learn as models: configurations, and whole pipelines made of them."""
