"""Reproduce the reports: `python sweeps/reproduce.py kong/table3`; `--list` shows all."""

if __name__ == "__main__":
    import foldsweep.early  # noqa: F401

import sys

from foldsweep.programs import called, run_program
from sweeps.supervisor import apart


def main() -> int:
    """Run the reproduction that the command line names; return the exit code."""
    return apart("sweeps.reproduction.program.main", sys.argv[1:], called("sweeps/reproduce.py"))


if __name__ == "__main__":
    run_program(main)
