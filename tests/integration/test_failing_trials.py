"""Trials that cannot be built, fail again in the same way, or never end."""

from pathlib import Path

import pytest

from tests.integration.user import TINY, User
from tests.refusals import said_as, text

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,  # killed processes are restarted, and a trial hangs for 20 s
    pytest.mark.timeout(240),
]

FILE = """
import ctypes, os
from dataclasses import dataclass
from pathlib import Path
from torch import nn
from foldsweep import Point, SearchSpace, TrialConfig, UserError, tune, variant
from trainables.tasks.larger_digit import TASK

LOG = Path({log!r})

@dataclass(frozen=True, kw_only=True)
class SickConfig(TrialConfig):
    how: str = "sound"

class SickNet(nn.Module):
    def __init__(self, config, shapes):
        super().__init__()
        self.how = config.how
        note(self.how, "made")
        if self.how == "refuses":
            raise UserError("the kernel is larger than the image")
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(392, shapes.outputs))

    def forward(self, pair):
        if self.training and self.how != "sound":
            note(self.how, "trained")
            if self.how == "hangs":
                ctypes.PyDLL(None).sleep(1000)  # and holds the interpreter
            raise RuntimeError("no luck")
        return self.layers(pair)

def note(*words):
    with LOG.open("a") as log:
        log.write(f"{{' '.join(words)}} {{os.getpid()}}\\n")

def space():
    return SearchSpace(
        name="sick",
        variant=variant("sick", TASK, SickNet, SickConfig),
        domains={{"lr": tune.loguniform(1e-4, 1e-2)}},
        points=[
            Point(name=f"{{i}}", config={{"lr": 1e-3, "how": how}})
            for i, how in enumerate(["sound", "refuses", "crashes", "hangs", "sound", "sound"])
        ],
    )
"""


def test_what_would_fail_again_is_not_tried_again(user: User) -> None:
    log = user.folder / "log"
    (user.folder / "sick.py").write_text(FILE.format(log=str(log)))
    said = user.run(
        *("sweeps/run.py", "--space", "sick.py", "--name", "sick", *TINY, "--trials", 6),
        *("--epochs", 2, "--concurrency", 1, "--trial-timeout", 20, "--max-failures", 5),
    ).stdout
    # the refused trial is replaced by a sampled one
    failed = text("progress.failed", trials=3, kinds=" (1 refused, 1 timed out)")
    counts = (
        text("progress.tried", space="sick", tried=7, budget=7),
        text("progress.running", trials=0),
        text("progress.paused", trials=0),
        failed,
    )
    assert " · ".join(counts) in said
    refused = text(
        "messages.untrainable",
        space="sick",
        configurations="1 configuration",
        instead=text("messages.tried-instead", more=1),
        trial=1,
        error="the kernel is larger than the image",
    )
    assert refused in said
    late = said_as("messages.timed-out", space="sick", trials="1 trial", trial=3).search(said)
    assert late is not None
    timed_out = text("attempts.timed-out", seconds=20)
    assert timed_out in late[0]
    file = "runs/sick/sick/errors/trial_00002.txt"
    error = text("attempts.traceback", error="RuntimeError: no luck", file=file)
    assert f"\n      {text('attempts.of-trial', trial=2, error=error)}\n" in said
    notes = [line.split() for line in log.read_text().splitlines()]
    assert len({pid for how, _, pid in notes if how == "crashes"}) == 2  # one retry, not 5
    hung = {pid for how, what, pid in notes if (how, what) == ("hangs", "trained")}
    assert len(hung) == 1
    assert not Path(f"/proc/{hung.pop()}").exists()
    # a later trial runs in place of the hung one, in another process
    states = [t.state.name for t in user.study("sick/sick")]
    assert states == ["COMPLETE", "FAIL", "FAIL", "FAIL", "COMPLETE", "COMPLETE", "COMPLETE"]
    runs = user.mlflow("sick/sick")
    kinds = [runs[str(n)].tags["foldsweep.failure"] for n in (1, 2, 3)]
    assert kinds == ["refused", "crashed", "timed out"]
    assert runs["3"].tags["foldsweep.error"] == timed_out
    assert runs[""].last("trials_timed_out") == runs[""].last("trials_refused") == 1

    # a resumed sweep keeps the limit, and does not repeat the failed trials
    said = user.run("sweeps/run.py", "--resume", "sick", "--trials", 7).stdout
    assert failed in said
    assert [t.state.name for t in user.study("sick/sick")] == [*states, "COMPLETE"]
    assert '"trial_timeout": 20.0' in (user.folder / "runs/sick/settings.json").read_text()
    user.is_gone()
