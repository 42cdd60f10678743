"""Figures of sweeps, for any task."""
