"""What it meant: reads MLflow only."""
