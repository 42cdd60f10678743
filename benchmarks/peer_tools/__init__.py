"""Programs that `benchmarks/peers.py` runs, one short one per tool, and their common parts.

The programs have `benchmarks/` on PYTHONPATH and the path of the job's file in the environment, so
that the processes that a tool starts find both.
"""
