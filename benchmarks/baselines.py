"""Gain of sweeps over the baselines of their spaces: `python benchmarks/baselines.py --help`.

Each space is swept as a user would do it. Then its best configuration and its baseline are
measured on the same test rows; with MNIST, each round has new test rows. No choice was based on
these rows, so selection does not bias the difference.
"""

import json
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run

from foldsweep import names
from foldsweep.errors import UserError
from foldsweep.files import parsed, write_whole
from foldsweep.numbers import shown_spread
from foldsweep.programs import console, parse, require_at_least, run_program
from foldsweep.tracking import sqlite_uri
from peer_tools.checks import require_document
from peer_tools.report import here, publish
from search_spaces.loading import load_space
from sweeps.reproduction.tables import Cells

ROOT = Path(__file__).resolve().parents[1]
MARK = "baselines"
EXPERIMENT = "baselines"
FIRST_ROUND_SEED = 1000
"""Offset from the seed of a sweep to that of its rounds, which so draw other rows."""
SPACES = (
    *("mlp", "mlp_split", "mlp_ws", "mlp_aux", "mlp_ws_aux"),
    *("cnn", "cnn_split", "cnn_ws", "cnn_aux", "cnn_ws_aux"),
    *("cnn_transfer", "cnn_digit", "cnn_distance"),
)
"""Spaces on pairs of digits that have a baseline and take minutes."""


@dataclass(frozen=True, kw_only=True)
class BaselineSettings:
    """Sweep spaces, and measure the best configuration and the baseline on the same test rows."""

    folder: Path
    """Working folder; results that it contains are not measured again."""
    space: tuple[str, ...] = SPACES
    """Spaces that have a baseline."""
    dataset: str = "mnist"
    trials: int = 30
    """Trials of each sweep."""
    seeds: tuple[int, ...] = (0,)
    """Seeds of the sweeps; each space is swept once per seed."""
    rounds: int = 10
    """Trainings of each configuration, each on rows of its own."""
    write: Path | None = None
    """Document whose table is replaced, such as docs/case-study.md."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The test scores of a sweep's best configuration and of its baseline, by round."""

    space: str
    seed: int
    trial: int
    """Number of the best trial; 0 is the baseline."""
    best: tuple[float, ...]
    baseline: tuple[float, ...]

    @property
    def difference(self) -> tuple[float, float]:
        """Mean of best minus baseline over rounds, and its standard error."""
        pairs = [a - b for a, b in zip(self.best, self.baseline, strict=True)]
        return statistics.fmean(pairs), statistics.stdev(pairs) / math.sqrt(len(pairs))

    def row(self) -> tuple[str, ...]:
        """Return the row of the table."""
        cells = (self.space, str(self.seed), _shown(self.baseline))
        if self.trial == 0:
            return (*cells, "the baseline", "", "")
        mean, error = self.difference
        found = f"{mean / error:+.1f}" if error else ""
        return (*cells, _shown(self.best), f"{mean:+.4f} ± {error:.4f}", found)


def main() -> int:
    """Sweep, measure and print the table; returns the exit code."""
    settings = parse(BaselineSettings, sys.argv[1:], prog="benchmarks/baselines.py")
    require_at_least(1, settings, "trials")
    require_at_least(2, settings, "rounds")
    for space in settings.space:
        if not load_space(space).points:
            raise UserError.of("baselines.space-without-baseline", space=space)
    require_document(settings.write, [MARK])
    settings.folder.mkdir(parents=True, exist_ok=True)
    found = [*_measured(settings)]
    head = ("space", "seed", "baseline", "best of the sweep", "difference", "standard errors")
    title = (
        f"Test accuracy on {settings.dataset} over {settings.rounds} rounds, the same rows for"
        f" both; sweeps of {settings.trials} trials; {here()}"
    )
    cells = Cells(title=title, head=head, rows=tuple(one.row() for one in found))
    publish({MARK: cells}, settings.write)
    return 0


def _measured(settings: BaselineSettings) -> Iterator[Measured]:
    for seed in settings.seeds:
        for space in settings.space:
            key = f"{space}-{seed}-{settings.dataset}-{settings.trials}-{settings.rounds}"
            file = settings.folder / f"{key}.json"
            if not file.exists():
                console.print(f"{space}, seed {seed}")
                values = vars(_measure(settings, space, seed, key))
                write_whole(file, json.dumps(values) + "\n")
            values = parsed(file.read_bytes())
            yield Measured(
                **{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
            )


def _measure(settings: BaselineSettings, space: str, seed: int, name: str) -> Measured:
    """Sweep a space, and measure its best trial and its first one, the baseline."""
    started = (settings.folder / "runs" / name).exists()
    wanted = ("--space", space, "--dataset", settings.dataset, "--seed", seed, "--name", name)
    sweep = ("--resume", name) if started else wanted
    _run(settings, "sweeps/run.py", *sweep, "--trials", settings.trials)
    client = MlflowClient(sqlite_uri(settings.folder / "mlflow.db"))
    trials = {run.data.tags[names.TAG_TRIAL]: run for run in _runs(client, name, "trial")}
    (own,) = _runs(client, name, "sweep")
    best = own.data.tags["best_trial"]
    scores = {}
    for trial in dict.fromkeys(("0", best)):
        folder = settings.folder / "recipes" / name / trial
        folder.mkdir(parents=True, exist_ok=True)
        _run(settings, "analysis/export.py", "--run", trials[trial].info.run_id, "--out", folder)
        (recipe,) = folder.glob("*.yaml")
        rounds = ("--rounds", settings.rounds, "--seed", FIRST_ROUND_SEED + seed)
        _run(settings, "sweeps/evaluate.py", recipe, *rounds)
        (run, *_) = [r for r in _runs(client, name, "evaluation") if _trial(r) == trial]
        key = names.test_key(str(own.data.tags[names.TAG_OBJECTIVE]).removeprefix("val_"))
        scores[trial] = tuple(
            run.data.metrics[names.round_key(i, key)] for i in range(settings.rounds)
        )
    return Measured(
        space=space, seed=seed, trial=int(best), best=scores[best], baseline=scores["0"]
    )


def _runs(client: MlflowClient, name: str, kind: str) -> list[Run]:
    """Return the runs of one kind of the sweep `name`, latest first."""
    experiment = client.get_experiment_by_name(EXPERIMENT)
    found = client.search_runs([experiment.experiment_id], max_results=10_000)
    own = [run for run in found if run.data.tags.get(names.TAG_SWEEP, "").startswith(f"{name}/")]
    return [run for run in own if run.data.tags.get(names.TAG_KIND, "trial") == kind]


def _trial(run: Run) -> str | None:
    return run.data.tags.get(names.TAG_TRIAL)


def _run(settings: BaselineSettings, program: str, *args: object) -> None:
    """Run a program of foldsweep in the folder, with its output in a log there."""
    own = ("--tracking-uri", sqlite_uri(settings.folder / "mlflow.db"), "--experiment", EXPERIMENT)
    with (settings.folder / "log.txt").open("ab") as log:
        done = subprocess.run(
            [sys.executable, str(ROOT / program), *map(str, (*args, *own))],
            cwd=settings.folder,
            env=dict(os.environ),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    if done.returncode != 0:
        log_path = settings.folder / "log.txt"
        raise UserError.of("baselines.program-failed", program=program, log=log_path)


def _shown(scores: tuple[float, ...]) -> str:
    return shown_spread(statistics.fmean(scores), statistics.stdev(scores))


if __name__ == "__main__":
    run_program(main)
