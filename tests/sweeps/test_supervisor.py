"""However a driver ends, the user gets one line; the user's signals reach the driver once."""

import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sweeps.supervisor import Supervisor, apart
from tests.refusals import text

pytestmark = pytest.mark.integration

DRIVEN = "driven"
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _driven_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{Path(__file__).parent}")


def lost(why: str, log: str = "") -> str:
    """The whole output on stderr after the end of a driver that can be continued."""
    return f"error: {text('commands.service-lost', why=why, resume='again')}{log}\n"


@pytest.mark.parametrize("code", [0, 1, 2])
def test_what_a_driver_returns_is_the_exit_code(
    code: int, capfd: pytest.CaptureFixture[str]
) -> None:
    assert apart(f"{DRIVEN}.returns", code) == code
    # by default, Ray would send the current folder to its workers under `uv run`
    assert capfd.readouterr() == ("said 0\n", "")


def test_what_a_driver_writes_and_tells_arrives_whole_in_streams_of_a_program(
    capfd: pytest.CaptureFixture[str],
) -> None:
    output, errors = io.StringIO(), io.StringIO()
    supervisor = Supervisor((output, errors))
    assert supervisor.run(f"{DRIVEN}.writes_and_tells") == 0
    assert output.getvalue() == "é" * 100_000 + "\n"
    assert errors.getvalue() == "wrong\n"
    assert supervisor.known["error"] == "x" * 200_000
    assert supervisor.what_happened == ""
    assert capfd.readouterr() == ("", "")


def test_outputs_that_a_driver_tells_are_shown_as_they_are_at_last() -> None:
    output, shown = io.StringIO(), []

    def show(number: int, what: object) -> None:
        assert output.getvalue().startswith("before\n")
        shown.append((number, what))

    assert Supervisor((output, io.StringIO()), show).run(f"{DRIVEN}.shows") == 0
    assert output.getvalue() == "before\nafter\n"
    assert dict(shown) == {0: 99, 1: "last"}


def test_a_thread_that_is_not_the_main_one_may_have_a_driver(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with ThreadPoolExecutor() as threads:
        assert threads.submit(apart, f"{DRIVEN}.returns", 1).result() == 1
    assert capfd.readouterr().out == "said 0\n"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_driver_that_is_killed_is_one_line_with_the_resume_command(
    number: int, capfd: pytest.CaptureFixture[str]
) -> None:
    assert apart(f"{DRIVEN}.is_killed", number) == 1
    err = capfd.readouterr().err
    why = text("supervisor.killed", signal=number.name)
    if number == signal.SIGKILL:
        why += text("supervisor.as-without-memory")
    assert err == lost(why)


def test_what_ray_says_below_python_is_in_a_file_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ray.log").write_text("of an earlier one\n")
    assert apart(f"{DRIVEN}.is_ended_below_python", "ray.log") == 1
    log = text("supervisor.log", file="ray.log")
    assert capfd.readouterr().err == lost(text("supervisor.ended-by-ray"), log)
    assert (tmp_path / "ray.log").read_text() == "of an earlier one\npages\n"


def test_what_threads_of_ray_print_is_not_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert apart(f"{DRIVEN}.has_a_thread_of_ray") == 1
    shown = capfd.readouterr()
    assert shown.out == "progress\n"
    assert "pages" not in shown.err


def test_what_ray_says_before_there_is_a_folder_is_kept_too(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert apart(f"{DRIVEN}.is_ended_below_python", None) == 1
    (name,) = re.findall(r"\S*foldsweep-ray-\w+", err := capfd.readouterr().err)
    kept = Path(name)
    assert err == lost(text("supervisor.ended-by-ray"), text("supervisor.log", file=kept))
    assert kept.read_text() == "pages\n"
    kept.unlink()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (signal.SIGKILL, "supervisor.process-ended"),
        (signal.SIGSTOP, "supervisor.process-stopped"),
    ],
)
def test_a_raylet_that_is_gone_ends_a_driver_that_waits_for_it(
    number: int,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sweeps.supervisor.STOPPED_S", 0.0)
    assert apart(f"{DRIVEN}.loses_ray", number) == 1
    assert capfd.readouterr().err == lost(text(kind, process="raylet"))


def test_a_head_node_that_has_gone_is_one_line_at_once(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The driver waits in a call of Ray that takes a minute."""
    assert apart(f"{DRIVEN}.loses_its_head_node") == 1
    assert capfd.readouterr().err == lost("its head node has gone")


@pytest.fixture
def started() -> Iterator[list["subprocess.Popen[str]"]]:
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def start(started: list["subprocess.Popen[str]"], call: str) -> "subprocess.Popen[str]":
    """Start a program with a driver, in its own process group, as a terminal does."""
    program = f"import sys; from sweeps.supervisor import apart; sys.exit(apart('{call}'))"
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    started.append(process)
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("group", [True, False])
def test_a_signal_reaches_the_driver_once(
    group: bool, number: int, started: list["subprocess.Popen[str]"]
) -> None:
    process = start(started, f"{DRIVEN}.counts")
    assert process.stdout is not None
    driver = int(process.stdout.readline())
    (os.killpg if group else os.kill)(process.pid, number)
    assert process.stdout.readline() == "heard\n"
    os.kill(driver, signal.SIGUSR1)
    assert process.communicate() == ("", "")
    assert process.returncode == 11


def test_a_third_ctrl_c_ends_a_driver_that_does_not_end(
    started: list["subprocess.Popen[str]"],
) -> None:
    process = start(started, f"{DRIVEN}.counts")
    assert process.stdout is not None
    process.stdout.readline()
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "heard\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate()[1] == f"error: {text('supervisor.ended-at-once')}\n"
    assert process.returncode == 130


def test_a_driver_whose_program_is_killed_ends_as_by_ctrl_c(
    started: list["subprocess.Popen[str]"],
) -> None:
    process = start(started, f"{DRIVEN}.outlives")
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    assert process.communicate() == ("asked to end\n", "")  # the driver holds the pipe
