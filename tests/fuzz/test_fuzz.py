"""A sample of the fuzzer's cases, and tests that the fuzzer detects faults."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz import cases
from tests.fuzz.box import Box, changed, stray
from tests.fuzz.judging import COMMANDS, _faults
from tests.fuzz.sealed import Ended

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.timeout(180)


def fuzz(*args: object) -> subprocess.CompletedProcess[str]:
    """Run the fuzzer in a separate process: forking is safe only in a process without threads."""
    return subprocess.run(
        [sys.executable, "-m", "tests.fuzz", *map(str, args)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.integration
def test_absurd_command_lines_and_damaged_files_break_no_program() -> None:
    done = fuzz("--seed", 0, "--cases", 26)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"all: 26 cases, \d+ refused, \d+ cut off, 0 with faults", done.stdout)


def test_a_case_that_is_not_there_is_refused() -> None:
    done = fuzz("--only", "nothing:1")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("error: --only nothing:1: no such case; kinds are commands, ")


@pytest.mark.parametrize("program", cases.PROGRAMS)
def test_options_are_those_of_the_program(program: str) -> None:
    found = {option.name for option in cases.options_of(program)}
    text = (ROOT / program).read_text()
    assert found & {"--tracking-uri", "--storage", "--task"}
    assert ("" in found) == (
        "Positional" in text
        or 'add_argument("name"' in text
        or (
            program == "sweeps/reproduce.py"  # its settings are in another file
        )
    )


def test_every_program_is_tried() -> None:
    programs = [
        path.relative_to(ROOT).as_posix()
        for folder in ("sweeps", "analysis")
        for path in (ROOT / folder).glob("*.py")
        if "import foldsweep.early" in path.read_text()
    ]
    assert sorted(programs) == sorted(cases.PROGRAMS)


@pytest.fixture
def box(tmp_path: Path) -> Box:
    box = Box(tmp_path)
    box.make()
    return box


def ended(code: int | None, err: str = "", **changes: object) -> Ended:
    values: dict[str, object] = {"signal": None, "seconds": 1.0, "cpu_s": 1.0, "out": ""}
    return Ended(code=code, err=err, **(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (ended(2, "error: no\n"), ""),
        (ended(0), ""),
        (ended(1, "not sent\n"), ""),
        (ended(2, "no\n"), "refused, but the last line on stderr is no error"),
        (ended(1, "error: no\n"), "exit code 1 with error: no"),
        (ended(70), "exit code 70"),
        (ended(1, "Traceback (most recent call last)\nKeyError: 1\n"), "traceback: KeyError: 1"),
        (ended(None, signal=11), "ended by signal 11"),
        (ended(None, signal=9, seconds=100.0), "hangs: ended after 100 s of waiting"),
        (ended(None, signal=9, seconds=100.0, cpu_s=7.0), ""),
        (ended(None, signal=24), ""),
    ],
)
def test_how_a_program_ends_is_judged(box: Box, how: Ended, said: str) -> None:
    listing = box.listing()
    assert "".join(_faults(how, [], box, listing, listing)) == said


def test_what_is_written_and_executed_is_judged(box: Box) -> None:
    before = box.listing()
    for path in ("work/runs/new/lock", "work/runs/new/x", "outside/y", "work/z", "home/.cache/a"):
        (box.root / "box" / path).parent.mkdir(parents=True, exist_ok=True)
        (box.root / "box" / path).write_text("")
    after = box.listing()
    touched = changed(before, after)
    runs = ["work/runs", "work/runs/new", "work/runs/new/x"]
    assert touched == ["outside/y", *runs, "work/z"]
    assert stray(touched, [], box.root) == ["outside/y", "work/z"]
    assert stray(touched, ["--out=z", "../outside/y"], box.root) == []
    assert (
        "refused, but has changed outside/y"
        in _faults(ended(2, "error: no\n"), [], box, before, after)[0]
    )
    box.executed.touch()
    assert _faults(ended(0), ["z", "../outside"], box, before, after) == [
        "EXECUTED what the file holds"
    ]


def test_payloads_would_execute(box: Box) -> None:
    """Trusted payloads execute; otherwise the fuzzer's check for execution would prove nothing."""
    import pickle

    import yaml

    from tests.fuzz.damage import Payload

    pickle.loads(pickle.dumps(Payload(box.executed)))
    assert box.executed.exists()
    box.executed.unlink()
    yaml.unsafe_load(f"!!python/object/apply:os.system ['touch {box.executed}']")
    assert box.executed.exists()


def test_a_case_is_the_same_again() -> None:
    import random

    options = cases.options_of("sweeps/run.py")
    lines = [cases.command(random.Random(f"0/{COMMANDS}/7"), options, "sweeps/run.py")] * 2
    assert lines[0] == lines[1]
