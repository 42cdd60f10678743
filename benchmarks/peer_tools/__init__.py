"""What `benchmarks/peers.py` runs: one short program for each tool, and what they share.

The programs run with `benchmarks/` on PYTHONPATH and a job's file in the environment, so that the
processes which a tool starts find both.
"""
