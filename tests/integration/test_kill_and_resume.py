"""A driver that is killed repeatedly with SIGKILL gives the results of an undisturbed one."""

import random
import subprocess
from pathlib import Path

import pytest
import torch

from tests.integration.user import User, check_mlflow, repeatable_points, scores, until
from tests.refusals import text

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(600)]

SWEEP = "killed/mlp"


def checkpoints(user: User) -> dict[str, list[dict[str, float]]]:
    """Return the history of epochs in the checkpoint of each trial in training."""
    folder = user.folder / "runs" / SWEEP / "checkpoints"
    found = {}
    for path in folder.glob("trial_*.pt"):
        try:
            found[str(int(path.stem[-5:]))] = torch.load(path, weights_only=True)["history"]
        except FileNotFoundError:  # the trial has just ended
            continue
    return found


def last_step(user: User, run: str) -> int:
    """Return the last epoch of a trial that is in the spool; 0 if there is none."""
    records = [r for r in user.records(SWEEP, "metrics") if r["run"] == run]
    return max((step for r in records for _, _, step, _ in r["points"]), default=0)


@pytest.mark.parametrize(
    "when",
    [
        ["between results"],
        pytest.param(
            ["before the first result", "between results", "near the end"], marks=pytest.mark.slow
        ),
    ],
    ids=len,
)
def test_a_driver_killed_at_any_moment_is_resumed_as_if_nothing_had_been(
    when: list[str], user: User, reference: User, reference_args: tuple[object, ...]
) -> None:
    draw = random.Random(20)
    args: tuple[object, ...] = ("--space", "mlp", "--name", "killed", "--checkpoint-every-s", 0)
    args += reference_args
    num_points = draw.randint(1, 4)

    def is_ahead_of_spool() -> bool:
        """Whether enough is reported, and a checkpoint has epochs that are not in the spool."""
        if len(user.records(SWEEP, "metrics")) < num_points:
            return False
        ahead = [len(history) - last_step(user, run) for run, history in checkpoints(user).items()]
        return any(epochs >= 1 for epochs in ahead)

    moments = {
        "before the first result": lambda: user.records(SWEEP, "start"),
        "between results": is_ahead_of_spool,
        "near the end": lambda: len(user.records(SWEEP, "end")) >= draw.choice((4, 5)),
    }
    kept: dict[str, list[dict[str, float]]] = {}
    for moment in when:
        process: subprocess.Popen[str] = user.start("sweeps/run.py", *args)
        until(moments[moment], process)
        user.kill(process)
        if moment == "between results":
            kept = {
                run: history
                for run, history in checkpoints(user).items()
                if len(history) > last_step(user, run)
            }
        args = ("--resume", "killed")
    assert kept, "no trial was killed after a checkpoint that its report had not reached"
    ended = len([t for t in user.study(SWEEP) if t.state.is_finished()])
    said = user.run("sweeps/run.py", *args).stdout
    tried = (ended + 1, ended + 2)
    lines = [text("progress.tried", space="mlp", tried=number, budget=6) for number in tried]
    assert any(line in said for line in lines)
    assert text("messages.ended-pausing", space="mlp", complete=6, paused=0, failed=0) in said

    trials = user.study(SWEEP)
    wanted = reference.study("reference/mlp")
    assert scores(trials) == scores(wanted)
    runs = user.mlflow(SWEEP)
    check_mlflow(runs, trials)
    wanted_runs = reference.mlflow("reference/mlp")
    for number in map(str, range(6)):
        assert repeatable_points(runs[number]) == repeatable_points(wanted_runs[number])

    files = user.held_out(SWEEP)
    assert set(files) == set(range(6))
    assert files == reference.held_out("reference/mlp")
    for number, content in files.items():
        assert user.artifacts(runs[str(number)], "held_out") == [content]
    for end in ("", "_low", "_high", "_trials"):
        key = f"bootstrap_val_accuracy{end}"
        assert runs[""].last(key) == wanted_runs[""].last(key)

    # epochs in a checkpoint were not trained again: each has the time of its first training
    for run, history in kept.items():
        times = {
            step: time_ms
            for record in user.records(SWEEP, "metrics")
            for key, _, step, time_ms in record["points"]
            if record["run"] == run and key == "val_accuracy"
        }
        assert [times[int(row["epoch"])] for row in history] == [row["time"] for row in history]
    assert not checkpoints(user), "checkpoints of ended trials are left"
    assert not list(Path(user.folder / "runs" / SWEEP).glob("ray")), "Ray's folder is left"
    user.is_gone()
