"""foldsweep: hyperparameter sweeps whose comparisons can be trusted."""
