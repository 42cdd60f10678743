"""Estimators of scikit-learn as models: configurations, and the pipelines built from them."""
