"""Analysis of sweeps: comparisons, figures, reports and exports. Reads MLflow only."""
