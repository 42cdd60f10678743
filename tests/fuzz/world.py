"""A user's work of some days: complete, interrupted and paused sweeps, exports and kept models."""

import random

from tests.fuzz.box import Box
from tests.fuzz.sealed import run

SWEEP = (
    "--data rows.csv --target kind --folds 2 --trials 3 --epochs 3 --checkpoint-every-s 0"
).split()
PAUSING = "--trials 10 --epochs 9 --scheduler asha"
"""Options with which some trials are paused at a rung."""
STEPS: tuple[tuple[str, str, bool], ...] = (
    ("sweeps/run.py", "--space mlp logistic --name first", False),
    ("sweeps/run.py", "--space mlp --name cut", True),
    ("sweeps/run.py", f"--space mlp --name paused {PAUSING}", False),
    ("sweeps/replay.py", "first", False),
    ("sweeps/replay.py", "cut", False),
    ("sweeps/replay.py", "paused", False),
    ("analysis/export.py", "--sweep first", False),
    ("analysis/export.py", "--sweep first/mlp --keep kept", False),
    ("analysis/export.py", "--sweep first/logistic --keep kept_estimator", False),
    ("sweeps/evaluate.py", "best-first-mlp.yaml --rounds 2", False),
    ("sweeps/replay.py", "first", False),
)


def build(box: Box) -> None:
    """Create the work in an empty box by running the programs themselves, and save the box."""
    box.make()
    (box.work / "rows.csv").write_text(_table())
    for program, text, cut in STEPS:
        args = [*(SWEEP if program == "sweeps/run.py" else ()), *text.split()]
        ended = run(box, program, args, cut=cut)
        wanted = 130 if cut else 0
        if ended.code != wanted:
            raise RuntimeError(f"{program} {text}: {ended.code}, {ended.out}{ended.err}")
    box.keep()


def _table() -> str:
    rng = random.Random(0)
    lines = ["size,weight,colour,kind"]
    for i in range(40):
        kind = "ab"[i % 2]
        size = rng.gauss(i % 2, 0.5)
        lines.append(f"{size:.3f},{rng.random():.3f},{rng.choice(['red', 'blue'])},{kind}")
    return "\n".join(lines) + "\n"
