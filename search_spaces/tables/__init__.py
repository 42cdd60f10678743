"""Spaces of tables: a perceptron, and estimators of classification or regression."""
