"""Kept models: trained models as data, with recipe and weights, and their predictions."""
