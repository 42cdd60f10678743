"""Reproduction of the reports: their rows, grids and tables."""
