"""Fuzzer: absurd command lines and damaged files for every program.

Run as `python -m tests.fuzz`. Each case has its own random generator, seeded by its kind and
number, so it can be repeated alone. Exit codes: 0 no faults, 1 faults, 2 a mistake in the command
line.
"""

import shlex
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from foldsweep.errors import UserError
from foldsweep.programs import console, parse, require_at_least, run_program
from tests.fuzz import cases, preloaded, world
from tests.fuzz.box import Box
from tests.fuzz.judging import COMMANDS, Verdict, judge, smallest

MOST_ARGUMENT = 80


@dataclass(frozen=True, kw_only=True)
class FuzzSettings:
    """Try absurd command lines and damaged files; each fault is shown with its command."""

    seed: int = 0
    """Seed of all cases."""
    cases: int = 500
    """Number of cases: half are command lines, the others damaged files."""
    only: tuple[str, ...] = ()
    """Cases to repeat, as KIND:NUMBER (the form in which faults are printed), or kinds to try."""


def main() -> int:
    """Run the cases that the command line requests; return the exit code."""
    settings = parse(FuzzSettings, sys.argv[1:], prog="tests/fuzz")
    require_at_least(1, settings, "cases")
    chosen = list(_chosen(settings))
    preloaded.load()
    started = time.monotonic()
    box = Box(Path(tempfile.mkdtemp(prefix="foldsweep-fuzz-")))
    try:
        world.build(box)
        options = {program: cases.options_of(program) for program in cases.PROGRAMS}
        verdicts = []
        for kind, number in chosen:
            verdict = judge(kind, number, seed=settings.seed, box=box, options=options)
            verdicts.append(verdict)
            if verdict.faults:
                if kind == COMMANDS and not verdict.ended.hung:
                    verdict = smallest(verdict, box)
                show(verdict, settings.seed)
            if settings.only and len(chosen) == 1:
                console.print(verdict.ended.out + verdict.ended.err)
    finally:
        shutil.rmtree(box.root)
    summarise(verdicts, time.monotonic() - started)
    return int(any(verdict.faults for verdict in verdicts))


def _chosen(settings: FuzzSettings) -> Iterator[tuple[str, int]]:
    """Yield the kind and number of each case."""
    kinds, numbered = [], []
    for what in settings.only:
        kind, _, number = what.partition(":")
        if kind not in (COMMANDS, *cases.TARGETS) or (number and not number.isdecimal()):
            known = ", ".join((COMMANDS, *cases.TARGETS))
            raise UserError(f"--only {what}: no such case; kinds are {known}")
        numbered += [(kind, int(number))] if number else []
        kinds += [] if number else [kind]
    yield from numbered
    if numbered and not kinds:
        return
    if not kinds:
        files = list(cases.TARGETS)
        kinds = [kind for file in files for kind in (COMMANDS, file)]
    counts: Counter[str] = Counter()
    for kind in islice(cycle(kinds), settings.cases):
        yield kind, counts[kind]
        counts[kind] += 1


def show(verdict: Verdict, seed: int) -> None:
    """Print the faults of a case and the command that repeats it."""
    args = [a if len(a) <= MOST_ARGUMENT else f"{a[:20]}...{len(a)}" for a in verdict.args]
    typed = shlex.join([verdict.program, *args]).encode(errors="backslashreplace").decode()
    for fault in verdict.faults:
        console.print(fault.encode(errors="backslashreplace").decode())
    if verdict.damage:
        console.print(f"  {verdict.damage}".encode(errors="backslashreplace").decode())
    console.print(f"  {typed}")
    console.print(f"  python -m tests.fuzz --seed {seed} --only {verdict.kind}:{verdict.number}")


def summarise(verdicts: list[Verdict], seconds: float) -> None:
    """Print the number of cases of each kind, and how they ended."""
    for kind in dict.fromkeys(verdict.kind for verdict in verdicts):
        of = [verdict for verdict in verdicts if verdict.kind == kind]
        console.print(f"{kind}: {_counted(of)}")
    console.print(f"all: {_counted(verdicts)}; {seconds:.0f} s")


def _counted(verdicts: list[Verdict]) -> str:
    refused = sum(verdict.refused for verdict in verdicts)
    cut_off = sum(verdict.ended.cut_off for verdict in verdicts)
    faulty = sum(bool(verdict.faults) for verdict in verdicts)
    return f"{len(verdicts)} cases, {refused} refused, {cut_off} cut off, {faulty} with faults"


if __name__ == "__main__":
    run_program(main)
