"""A store with sweeps in it, as the uploader leaves them."""

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from analysis import reproduced
from analysis.load import Store, open_store
from foldsweep import names as metrics
from search_spaces.loading import SPACES
from sweeps.resources import Allotment
from sweeps.settings import SweepSettings
from sweeps.sweep import run_tags
from trainables.data.digits import digits_source
from trainables.data.pairs import PairData, draw_pairs

EXPERIMENT = "foldsweep"
WRONG = {"wrong": np.eye(10, dtype=int).tolist(), "count": np.ones((10, 10), dtype=int).tolist()}
ALLOTMENT = Allotment(cpus=1.0, gpus=0.0, concurrency=1)


@dataclass
class Filled:
    """A store and the run ids of what was put into it."""

    uri: str
    client: MlflowClient
    data: dict[str, PairData]
    start_time: int = field(default_factory=lambda: int(time.time() * 1000))
    parents: dict[str, str] = field(default_factory=dict)
    trials: dict[tuple[str, int], str] = field(default_factory=dict)

    def experiment(self, name: str) -> str:
        found = self.client.get_experiment_by_name(name)
        if found is not None:
            return found.experiment_id
        folder = Path(self.uri.removeprefix("sqlite:///")).parent / "artifacts"
        return self.client.create_experiment(name, artifact_location=folder.as_uri())

    def add(
        self,
        sweep: str,
        *accuracies: float | str | tuple[float, ...],
        folds: int = 2,
        origin: str | None = None,
        objective: str = "val_accuracy",
        dataset: str = "digits",
        seed: int = 0,
        experiment: str = EXPERIMENT,
        space_file: str | None = None,
        select_on_test: bool = False,
    ) -> None:
        """A sweep with one trial for each accuracy.

        A tuple has that of each fold; a word is the state of a trial that has none. `origin` is
        that of trial 0.
        """
        space_name = sweep.rpartition("/")[2]
        space = SPACES.get(space_name, SPACES["mlp"])()
        settings = SweepSettings(
            space=(space_name,),
            folds=folds,
            seed=seed,
            objective=(objective,),
            dataset="digits",
            select_on_test=select_on_test,
        )
        tags = run_tags(settings, space, self.data[dataset], sweep, ALLOTMENT)
        tags |= {metrics.TAG_SPACE: space_name, metrics.TAG_DATASET: dataset}
        if space_file is not None:
            tags[metrics.TAG_SPACE_FILE] = space_file
        parent = self._run(
            experiment, sweep, {**tags, metrics.TAG_KIND: "sweep"}, {"objective": objective}, {}
        )
        self.parents[sweep] = parent
        for number, accuracy in enumerate(accuracies):
            config = space.trainable.variant.config(lr=0.001 * (number + 1), epochs=4).to_dict()
            own = {
                metrics.TAG_KIND: "trial",
                metrics.TAG_TRIAL: str(number),
                metrics.TAG_STATE: accuracy if isinstance(accuracy, str) else "COMPLETE",
                metrics.TAG_CONFIG: json.dumps(config),
                "mlflow.parentRunId": parent,
            }
            values = {} if accuracy == "RUNNING" else self._values(accuracy)
            if accuracy == "RUNNING":
                del own[metrics.TAG_STATE]
            if origin is not None and number == 0:
                own[metrics.TAG_ORIGIN] = origin
            self.trials[sweep, number] = self._run(
                experiment, f"{sweep}-{number}", {**tags, **own}, config, values
            )

    def measure(
        self, sweep: str, trial: int, kind: str, scores: tuple[float, ...], protocol: str = ""
    ) -> str:
        """An evaluation or finals of a trial, as `sweeps` logs them."""
        tags = {
            metrics.TAG_KIND: kind,
            metrics.TAG_SWEEP: sweep,
            metrics.TAG_TRIAL: str(trial),
            metrics.TAG_PROTOCOL: protocol,
        }
        finals = kind == "finals"
        name = metrics.VAL_ACCURACY if finals else metrics.TEST_ACCURACY
        key = metrics.fold_key if finals else metrics.round_key
        values = {key(i, name): value for i, value in enumerate(scores)}
        run_id = self._run(EXPERIMENT, f"{kind} {sweep}/{trial}", tags, {}, values)
        self.client.set_terminated(run_id)
        return run_id

    def _values(self, accuracy: float | str | tuple[float, ...]) -> dict[str, float]:
        if isinstance(accuracy, tuple):
            values = {"num_params": 321.0, "train_time_s": 1.5}
            for name, folds in (
                ("val_accuracy", accuracy),
                ("val_loss", tuple(1 - value for value in accuracy)),
            ):
                values |= {name: fmean(folds), f"{name}_std": stdev(folds)}
                values |= {f"fold_{i}/{name}": value for i, value in enumerate(folds)}
            return values
        mean = 0.999 if isinstance(accuracy, str) else accuracy
        loss = 1 - mean
        values = {"num_params": 321.0, "train_time_s": 1.5, "best_val_accuracy": mean + 0.001}
        for name, value in (("val_accuracy", mean), ("val_loss", loss)):
            values |= {name: value, f"{name}_std": 0.0125}
            values |= {f"fold_0/{name}": value - 0.01, f"fold_1/{name}": value + 0.01}
        return values

    def _run(
        self,
        experiment: str,
        name: str,
        tags: dict[str, str],
        params: dict[str, Any],
        values: dict[str, float],
    ) -> str:
        self.start_time += 1000
        run_id = self.client.create_run(
            self.experiment(experiment), start_time=self.start_time, run_name=name
        ).info.run_id
        points = [Metric(key, value, self.start_time, 4) for key, value in values.items()]
        # an earlier epoch was better
        points += [
            Metric(key, 0.9999, self.start_time, 2) for key in values if key == "val_accuracy"
        ]
        self.client.log_batch(
            run_id,
            points,
            [Param(key, str(value)) for key, value in params.items()],
            [RunTag(key, value) for key, value in tags.items()],
        )
        return str(run_id)


@pytest.fixture(scope="session")
def make_store(
    empty_mlflow: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], Filled]:
    source = digits_source()
    data = {
        name: draw_pairs(source, seed=seed, train_pairs=30, test_pairs=20)
        for seed, name in enumerate(("digits", "mnist"))
    }

    def make() -> Filled:
        path = tmp_path_factory.mktemp("store") / "mlflow.db"
        shutil.copy(empty_mlflow, path)
        uri = f"sqlite:///{path}"
        return Filled(uri=uri, client=MlflowClient(tracking_uri=uri), data=data)

    return make


@pytest.fixture(scope="session")
def filled(make_store: Callable[[], Filled]) -> Filled:
    """Sweeps of several spaces, objectives and datasets, oldest first."""
    filled = make_store()
    filled.add("on_test/mlp", 0.995, select_on_test=True)
    filled.add("old/mlp", 0.99, 0.5)
    filled.add("loss/mlp", 0.6, 0.9, 0.7, objective="val_loss")
    filled.add("other/mlp", 0.95, dataset="mnist")
    filled.add("elsewhere/mlp", 0.98, experiment="theirs")
    filled.add("both/cnn", 0.8, 0.7)
    filled.add("both/mlp", 0.5, "PRUNED", 0.75, "FAIL", 0.625, "RUNNING", 0.75)
    filled.add("failed/cnn_ws", "FAIL", "PRUNED")
    filled.add("own/mine", 0.5, space_file="/spaces/mine.py")
    return filled


@pytest.fixture
def filled_rows(
    make_store: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> tuple[Store, Callable[..., str]]:
    """A store, and a way to log a row to it; a row's result is its run."""
    filled = make_store()
    experiment = filled.experiment("foldsweep")
    monkeypatch.setattr(
        reproduced, "_result", lambda store, run: {"run": run.info.run_id, **WRONG}
    )

    def add(
        preset: str,
        *,
        row: int = 0,
        table: str = "report/table",
        sweep: str = "reproduce",
        status: str = "FINISHED",
    ) -> str:
        tags = {
            "foldsweep.kind": "reproduction",
            "foldsweep.table": table,
            "foldsweep.preset": preset,
            "foldsweep.sweep": f"{sweep}/rows",
            "foldsweep.row": str(row),
        }
        filled.start_time += 1000
        run = filled.client.create_run(experiment, start_time=filled.start_time, tags=tags)
        filled.client.set_terminated(run.info.run_id, status)
        return str(run.info.run_id)

    return open_store(filled.uri, "foldsweep"), add
