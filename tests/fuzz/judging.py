"""Rules that must hold for every case."""

import random
from dataclasses import dataclass

from tests.fuzz import cases
from tests.fuzz.box import Box, Listing, changed, stray
from tests.fuzz.sealed import Ended, run

COMMANDS = "commands"
"""Kind of the cases that are command lines; other kinds are names of `cases.TARGETS`."""
REFUSED = 2
TRACEBACK = "Traceback (most recent call last)"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Result of a case, with its faults."""

    kind: str
    number: int
    program: str
    args: list[str]
    damage: str
    """Description of the damage to a file; empty for command lines."""
    ended: Ended
    faults: tuple[str, ...]

    @property
    def refused(self) -> bool:
        """Whether the program refused the input before it did anything."""
        return self.ended.code == REFUSED


def judge(
    kind: str,
    number: int,
    *,
    seed: int,
    box: Box,
    options: dict[str, list[cases.Option]],
) -> Verdict:
    """Run one case in a restored box.

    Args:
        kind: `COMMANDS` or a name of `cases.TARGETS`.
        number: Number of the case among those of its kind.
        seed: Seed of all cases.
        box: Sandbox to run it in.
        options: Options by program.
    """
    rng = random.Random(f"{seed}/{kind}/{number}")
    box.restore()
    damage = ""
    if kind == COMMANDS:
        program = cases.PROGRAMS[number % len(cases.PROGRAMS)]
        args = cases.command(rng, options[program], program)
    else:
        (program, *args), damage = cases.damaged(kind, rng, box)
    return tried(kind, number, program, args, damage, box)


def tried(kind: str, number: int, program: str, args: list[str], damage: str, box: Box) -> Verdict:
    """Run a program in the box as it is, and check the rules."""
    before = box.listing()
    ended = run(box, program, args)
    return Verdict(
        kind=kind,
        number=number,
        program=program,
        args=args,
        damage=damage,
        ended=ended,
        faults=tuple(_faults(ended, args, box, before, box.listing())),
    )


def _faults(ended: Ended, args: list[str], box: Box, before: Listing, after: Listing) -> list[str]:
    faults = []
    if box.executed.exists():
        faults.append("EXECUTED what the file holds")
    if ended.hung:
        faults.append(f"hangs: ended after {ended.seconds:.0f} s of waiting")
    elif ended.code is None and not ended.cut_off:
        faults.append(f"ended by signal {ended.signal}")
    elif ended.code is not None and ended.code not in (0, 1, REFUSED):
        faults.append(f"exit code {ended.code}")
    if TRACEBACK in ended.out + ended.err:
        last = (ended.err.strip().splitlines() or ["?"])[-1]
        faults.append(f"traceback: {last[:200]}")
    touched = changed(before, after)
    if ended.code == REFUSED:
        lines = ended.err.splitlines()
        if not lines or not lines[-1].startswith("error: "):
            faults.append("refused, but the last line on stderr is no error")
        if touched:
            faults.append(f"refused, but has changed {', '.join(touched[:3])}")
    elif ended.code is not None and TRACEBACK not in ended.err:
        said = [line for line in ended.err.splitlines() if line.startswith("error: ")]
        if said:
            faults.append(f"exit code {ended.code} with {said[-1][:200]}")
    elsewhere = stray(touched, args, box.root)
    if elsewhere and ended.code != REFUSED:
        faults.append(f"writes what nobody named: {', '.join(elsewhere[:3])}")
    return faults


def smallest(verdict: Verdict, box: Box) -> Verdict:
    """Reduce a command line to the fewest arguments that show the same fault."""
    kind = verdict.faults[0].partition(":")[0]
    args, i = list(verdict.args), 0
    while i < len(args):
        fewer = [*args[:i], *args[i + 1 :]]
        box.restore()
        found = tried(COMMANDS, verdict.number, verdict.program, fewer, "", box)
        if any(fault.partition(":")[0] == kind for fault in found.faults):
            args, verdict = fewer, found
        else:
            i += 1
    return verdict
