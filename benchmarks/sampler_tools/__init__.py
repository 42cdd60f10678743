"""Replays of samplers on problems with known scores, see `benchmarks/samplers.py`."""
