"""Sweeps whose Ray processes are killed, and sweeps beside files named like libraries."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.integration.user import REPOSITORY, TINY, User, until
from tests.refusals import text

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(180)]

SWEEP = "cut/slow_mlp"
SPACE = """
import time
from dataclasses import replace
from search_spaces.larger_digit import mlp

def space():
    known = mlp.space()

    def slow(config, shapes):
        time.sleep(0.2)
        return known.variant.model(config, shapes)

    return replace(known, name="slow_mlp", variant=replace(known.variant, model=slow))
"""
ARGS = (*TINY, "--trials", 200, "--epochs", 2, "--sampler", "random", "--scheduler", "none")


@pytest.fixture
def sessions() -> Iterator[Path]:
    """A folder with a short path for the temporary files of Ray, for one test."""
    with TemporaryDirectory(prefix="fs-", dir="/tmp") as folder:
        yield Path(folder)


@pytest.mark.parametrize("name", ["raylet", "gcs_server", "sweeps.driver"])
def test_a_process_of_ray_that_is_killed_is_one_line_and_leaves_nothing(
    name: str, user: User, tmp_path: Path, sessions: Path
) -> None:
    (tmp_path / "slow.py").write_text(SPACE)
    process = user.start(
        *("sweeps/run.py", "--space", "slow.py", "--name", "cut", *ARGS),
        RAY_TMPDIR=str(sessions),
    )
    until(lambda: user.records(SWEEP, "end"), process)
    killed = [
        pid for pid, line in user.left_running().items() if name in " ".join(line.split()[:4])
    ]
    os.kill(killed[0], signal.SIGKILL)
    out, err = process.communicate()
    assert process.returncode == 1
    # if the driver takes all others with it, the first one to end cannot always be identified
    ends = (
        text("supervisor.killed", signal="SIGKILL") + text("supervisor.as-without-memory"),
        text("supervisor.ended-by-ray"),
        *(text("supervisor.process-ended", process=each) for each in ("raylet", "gcs_server")),
    )
    resume = f"{User.shown('sweeps/run.py')} --resume cut"
    log = text("supervisor.log", file="runs/cut/ray.log")
    assert err in {
        f"error: {text('commands.service-lost', why=why, resume=resume)}{log}\n" for why in ends
    }
    assert name == "sweeps.driver" or text("supervisor.process-ended", process=name) in err
    assert "raylet)" not in out
    assert "raylet.out" in (tmp_path / "runs" / "cut" / "ray.log").read_text()
    # only the uploader may still run, to send the remaining records
    until(lambda: all("sweeps.replay" in line for line in user.left_running().values()))
    assert not list(sessions.iterdir())


NOTING = """
from dataclasses import replace
from ray.tune.experiment import Trial
from search_spaces.larger_digit import mlp

state = Trial.get_json_state

def noted(trial):
    open("records", "a").write("one\\n")
    return state(trial)

def space():
    Trial.get_json_state = noted
    return replace(mlp.space(), name="noting_mlp")
"""


def test_tune_writes_no_records_of_trials_when_a_sweep_ends(user: User, tmp_path: Path) -> None:
    """Each record costs 80 KB and 3 ms. Ray Tune still writes those of its first step."""
    (tmp_path / "noting.py").write_text(NOTING)
    args = (*TINY, "--trials", 6, "--epochs", 1, "--concurrency", 1, "--scheduler", "none")
    done = user.run("sweeps/run.py", "--space", "noting.py", *args)
    ended = text("messages.ended-pausing", space="noting_mlp", complete=6, paused=0, failed=0)
    assert ended in done.stdout
    assert len((tmp_path / "records").read_text().splitlines()) <= 1


HELPED = """
import fs_helper
from dataclasses import replace
from search_spaces.larger_digit import mlp

def space():
    known = mlp.space()

    def model(config, shapes):
        import fs_late
        assert fs_late.x + fs_helper.cached() == 3
        return known.variant.model(config, shapes)

    return replace(known, name="helped_mlp", variant=replace(known.variant, model=model))
"""
HELPER = """
import threading
from functools import lru_cache

LOCK = threading.Lock()

@lru_cache
def cached():
    return 2
"""
LIBRARIES = ("cuda", "numpy", "torch", "optuna", "ray", "json", "pandas", "tensorboardX")
AS_UV = "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))"


def test_a_sweep_runs_under_uv_on_one_processor_beside_files_named_like_libraries(
    user: User, tmp_path: Path
) -> None:
    for name in LIBRARIES:
        (tmp_path / f"{name}.py").write_text(f"open('executed_{name}', 'w')\nraise ImportError")
    for name, source in {"space": HELPED, "fs_helper": HELPER, "fs_late": "x = 1"}.items():
        (tmp_path / f"{name}.py").write_text(source)
    (tmp_path / "run").write_text(AS_UV)  # an ancestor whose command line is `uv run ...`
    long = tmp_path / ("x" * 110)
    long.mkdir()
    args = ["--space", "space.py", "--name", "amid", *TINY, "--trials", 3, "--epochs", 2]
    done = user.end(
        user.start_command(
            *("taskset", "-c", min(os.sched_getaffinity(0))),
            *("bash", "-c", 'exec -a uv "$0" "$@"', sys.executable, "run"),
            *(sys.executable, REPOSITORY / "sweeps" / "run.py", *args),
            TMPDIR=str(long),
        )
    )
    assert (
        text("messages.ended-pausing", space="helped_mlp", complete=3, paused=0, failed=0)
        in done.stdout
    )
    assert text("progress.running", trials=2) not in done.stdout
    assert done.stderr == ""
    assert not list(tmp_path.glob("executed_*"))
    assert not list(long.iterdir())
    assert not (tmp_path / "runs" / "amid" / "ray.log").exists()
