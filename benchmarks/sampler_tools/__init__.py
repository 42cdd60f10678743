"""What replays samplers on known problems, see `benchmarks/samplers.py`."""
