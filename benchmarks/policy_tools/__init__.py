"""What replays policies on recorded sweeps, see `benchmarks/policies.py`."""
