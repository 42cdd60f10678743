"""Public API for scripts and notebooks: thin wrappers of `sweeps` and `analysis`."""
