"""Replays of early-stopping policies on recorded sweeps, see `benchmarks/policies.py`."""
