"""Jobs in this process and in helpers: order, crashes, interrupts and progress."""

import os
import pickle
import select
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from foldsweep import programs
from foldsweep.errors import CodeError, UserError
from sweeps import spread
from sweeps.spread import Spread, places
from tests.refusals import text
from tests.sweeps.jobs import Dies, Job, Meets, MeetsTwice, NeverEnds, Refuses

HERE = os.getpid()


@pytest.fixture(autouse=True)
def _helpers_come_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spread, "HELP_AFTER_S", 0.0)


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


def done(*jobs: Job) -> list[Any]:
    with closing(Spread(jobs, [{}], "step").results()) as results:
        return list(results)


def test_results_come_in_order_from_two_processes(pipe: Path) -> None:
    found = done(*(Meets(i, HERE, pipe=pipe) for i in range(5)))
    assert [number for number, _ in found] == [0, 1, 2, 3, 4]
    processes = {process for _, process in found}
    assert len(processes) == 2
    assert HERE in processes


def test_short_work_starts_no_helper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spread, "HELP_AFTER_S", 3600.0)
    assert done(*(Job(i, HERE) for i in range(3))) == [(i, HERE) for i in range(3)]


@pytest.mark.parametrize(
    ("how", "why"),
    [
        (
            "killed",
            text("spread.helper-killed", signal="SIGKILL") + text("supervisor.as-without-memory"),
        ),
        ("ends", text("spread.helper-ended", code=3)),
        ("fails", text("spread.helper-failed", error="MemoryError: no room")),
        (
            "is not understood",
            text(
                "spread.helper-failed",
                error="TypeError: Unreadable.__init__() missing 1 required positional argument:"
                " 'other'",
            ),
        ),
    ],
)
def test_what_a_helper_that_dies_has_not_done_is_done_here(
    how: str, why: str, pipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = [Dies(i, HERE, pipe=pipe, how=how) for i in range(3)]
    assert done(*jobs) == [(0, HERE), (1, HERE), (2, HERE)]
    said = capsys.readouterr().out
    assert f"{text('spread.repeated', why=why)}\n" in said


@pytest.mark.parametrize("number", [0, 1])
def test_an_error_is_raised_in_its_turn(number: int, pipe: Path) -> None:
    jobs: list[Job] = [Meets(i, HERE, pipe=pipe) for i in range(3)]
    jobs[number] = Refuses(number, HERE, pipe=pipe)
    results = Spread(jobs, [{}], "step").results()
    assert [next(results)[0] for _ in range(number)] == [*range(number)]
    with pytest.raises(UserError, match=f"job {number} is wrong"):
        next(results)


def test_an_interrupt_ends_the_helper(pipe: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        done(*(NeverEnds(i, HERE, pipe=pipe) for i in range(2)))
    with pytest.raises(ProcessLookupError):
        os.kill(int(pipe.with_name("helper").read_text()), 0)


PROGRAM = """
import os, sys
from pathlib import Path
from sweeps import spread
from tests.sweeps.jobs import NeverEnds

class KilledMeanwhile(NeverEnds):
    def run(self, after_step):
        try:
            super().run(after_step)
        except KeyboardInterrupt:
            print("the helper is at work", flush=True)
            sys.stdin.read()

spread.HELP_AFTER_S = 0.0
jobs = [KilledMeanwhile(i, os.getpid(), pipe=Path(sys.argv[1])) for i in range(2)]
list(spread.Spread(jobs, [{}], "step").results())
"""


@pytest.mark.slow
def test_a_helper_ends_with_a_program_that_is_killed(pipe: Path) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(pipe)],
        env=programs.able_to_import(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with program:
        assert program.stdout is not None
        assert program.stdout.readline() == b"the helper is at work\n"
        helper = os.pidfd_open(int(pipe.with_name("helper").read_text()))
        program.kill()
    select.select([helper], [], [])
    os.close(helper)


def test_the_line_on_progress_counts_the_steps_of_all_processes(
    pipe: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "PLAIN_EVERY_S", 0.0)
    second = pipe.with_name("second")
    os.mkfifo(second)
    done(*(MeetsTwice(i, HERE, pipe=pipe, second=second) for i in range(3)))
    lines = capsys.readouterr().out.splitlines()
    where = text("spread.in-processes", processes=2)
    assert any(f"/12{where}, about " in line for line in lines)
    assert lines[-1].startswith("step 12/12")
    assert lines[-1].endswith(", about 0 s left")


def test_an_error_in_a_user_s_code_keeps_its_traceback_between_processes() -> None:
    error = pickle.loads(pickle.dumps(CodeError("in mine.py, line 3", "Traceback ...")))
    assert (type(error), str(error)) == (CodeError, "in mine.py, line 3")
    assert error.traceback == "Traceback ..."


def test_what_cannot_be_sent_is_done_here(capsys: pytest.CaptureFixture[str]) -> None:
    class Unsendable(Job):
        def __reduce__(self) -> Any:
            raise TypeError("cannot be pickled")

        def run(self, after_step: Any) -> Any:
            tried.acquire(timeout=30)
            return super().run(after_step)

    tried = threading.Semaphore(0)
    jobs = Unsendable(0, HERE), Job(1, HERE)
    own = Spread(jobs, [{}], "step")
    call = own._call_helpers
    own._call_helpers = lambda: (call(), tried.release())  # type: ignore[method-assign]
    assert list(own.results()) == [(0, HERE), (1, HERE)]
    said = text("spread.no-helpers", why="cannot be pickled")
    assert said in capsys.readouterr().out


# Places -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("threads", "concurrency", "helpers"),
    [(1, None, 7), (3, None, 1), (16, None, 0), (1, 3, 2), (1, 1, 0), (1, 100, 7)],
)
def test_there_is_a_process_for_each_share_of_the_processors(
    threads: int, concurrency: int | None, helpers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spread, "available_cpus", lambda: 8)
    found = places(device="cpu", threads=threads, concurrency=concurrency)
    assert found == [{}] * helpers


@pytest.mark.parametrize(
    ("visible", "cpus", "others"),
    [(None, 8, ["1", "2"]), ("5,GPU-a", 8, ["GPU-a"]), (None, 2, ["1"])],
)
def test_each_gpu_has_one_process(
    visible: str | None, cpus: int, others: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spread, "available_cpus", lambda: cpus)
    monkeypatch.setattr(spread.torch.cuda, "device_count", lambda: 3)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    found = places(device="cuda", threads=1)
    assert found == [{"CUDA_VISIBLE_DEVICES": gpu} for gpu in others]
