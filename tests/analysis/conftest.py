"""MLflow store with sweeps, as the uploader writes them."""

import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from analysis import reproductions
from analysis.load import Store, open_store
from foldsweep import names

EXPERIMENT = "foldsweep"
WRONG = {"wrong": np.eye(10, dtype=int).tolist(), "count": np.ones((10, 10), dtype=int).tolist()}
LOWER = {"better": "lower", "equal": 0.0}
"""Entry of each objective that every task has besides its metrics."""
METRICS = {
    "val_accuracy": {"better": "higher", "equal": 0.01},
    "val_roc_auc": {"better": "higher", "equal": 0.01},
    "val_rmse": {"better": "lower", "equal": 0.5},
}


@dataclass(frozen=True)
class DataOf:
    """Dataset of a sweep."""

    name: str
    digest: str
    train_rows: int = 30
    test_rows: int = 20


@dataclass
class Filled:
    """Store, and the ids of the runs that were added to it."""

    uri: str
    client: MlflowClient
    data: dict[str, DataOf]
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
        *scores: float | str | tuple[float, ...],
        folds: int = 2,
        repeats: int = 1,
        origin: str | None = None,
        objective: str = "val_accuracy",
        measured: str = "val_accuracy",
        task: str = "larger_digit",
        dataset: str = "digits",
        seed: int = 0,
        experiment: str = EXPERIMENT,
        space_file: str | None = None,
        select_on_test: bool = False,
        num_params: float = 321.0,
        config: Mapping[str, Any] | None = None,
        without: tuple[str, ...] = (),
        uuid: str = "",
    ) -> None:
        """Add a sweep with one trial for each entry of `scores`.

        An entry is one score, a tuple of fold scores, or the state of a trial without a score.
        `origin` is the origin of trial 0, `measured` the metric of the scores, and `without` the
        tags that the runs lack.
        """
        space = sweep.rpartition("/")[2]
        data = self.data[dataset]
        optimisable = {measured: METRICS[measured]} | dict.fromkeys(
            ("val_loss", "num_params", "train_time_s"), LOWER
        )
        tags = {
            names.TAG_SWEEP: sweep,
            names.TAG_SPACE: space,
            names.TAG_TASK: task,
            names.TAG_METRICS: json.dumps(optimisable),
            names.TAG_VARIANT: f"{task}/{space}",
            "weight_sharing": "false",
            names.TAG_DATASET: data.name,
            names.TAG_DATA_DIGEST: data.digest,
            names.TAG_FOLDS: str(folds),
            names.TAG_REPEATS: str(repeats),
            names.TAG_SEED: str(seed),
            names.TAG_GIT_COMMIT: "c0ffee",
            names.TAG_TRAIN_ROWS: str(data.train_rows),
            names.TAG_TEST_ROWS: str(data.test_rows),
            names.TAG_THREADS: "1",
            names.TAG_DEVICE: "cpu",
            names.TAG_MODE: "auto",
            names.TAG_MACHINE: "a machine",
            **{f"{names.TAG_VERSION}{library}": "1" for library in ("python", "torch", "numpy")},
        }
        if space_file is not None:
            tags[names.TAG_SPACE_FILE] = space_file
        if select_on_test:
            tags[names.TAG_SELECTED_ON] = "test"
        if uuid:
            tags[names.TAG_UUID] = uuid
        tags = {key: value for key, value in tags.items() if key not in without}
        params = {"objective": objective, "folds": folds, "seed": seed, "trials": len(scores)}
        parent = self._run(experiment, sweep, {**tags, names.TAG_KIND: "sweep"}, params, {})
        self.parents[sweep] = parent
        for number, score in enumerate(scores):
            own = {
                names.TAG_KIND: "trial",
                names.TAG_TRIAL: str(number),
                names.TAG_STATE: score if isinstance(score, str) else "COMPLETE",
                "mlflow.parentRunId": parent,
            }
            known = {**_config(task, space, config), "lr": 0.001 * (number + 1)}
            own[names.TAG_CONFIG] = json.dumps(known)
            values = {} if score == "RUNNING" else self._values(score, measured, num_params)
            if score == "RUNNING":
                del own[names.TAG_STATE]
            if origin is not None and number == 0:
                own[names.TAG_ORIGIN] = origin
            self.trials[sweep, number] = self._run(
                experiment, f"{sweep}-{number}", {**tags, **own}, known, values, earlier=measured
            )

    def measure(
        self,
        sweep: str,
        trial: int,
        kind: str,
        scores: tuple[float, ...],
        protocol: str = "",
        measured: str = "val_accuracy",
        uuid: str = "",
    ) -> str:
        """Add an evaluation or finals of a trial, as `sweeps` logs them, and return the run id."""
        tags = {
            names.TAG_KIND: kind,
            names.TAG_SWEEP: sweep,
            names.TAG_TRIAL: str(trial),
            names.TAG_PROTOCOL: protocol,
            **({names.TAG_UUID: uuid} if uuid else {}),
        }
        finals = kind == "finals"
        name = measured if finals else names.test_key(names.bare(measured))
        key = names.fold_key if finals else names.round_key
        values = {key(i, name): value for i, value in enumerate(scores)}
        run_id = self._run(EXPERIMENT, f"{kind} {sweep}/{trial}", tags, {}, values)
        self.client.set_terminated(run_id)
        return run_id

    def _values(
        self, score: float | str | tuple[float, ...], measured: str, num_params: float
    ) -> dict[str, float]:
        values = {"num_params": num_params, "train_time_s": 1.5}
        if isinstance(score, tuple):
            for name, folds in (
                (measured, score),
                ("val_loss", tuple(1 - value for value in score)),
            ):
                values |= {name: fmean(folds), f"{name}_std": stdev(folds)}
                values |= {f"fold_{i}/{name}": value for i, value in enumerate(folds)}
            return values
        mean = 0.999 if isinstance(score, str) else score
        values[f"best_{measured}"] = mean + 0.001
        for name, value in ((measured, mean), ("val_loss", 1 - mean)):
            values |= {name: value, f"{name}_std": 0.0125}
            values |= {f"fold_0/{name}": value - 0.01, f"fold_1/{name}": value + 0.01}
        return values

    def _run(
        self,
        experiment: str,
        name: str,
        tags: Mapping[str, str],
        params: Mapping[str, Any],
        values: Mapping[str, float],
        earlier: str | None = None,
    ) -> str:
        self.start_time += 1000
        run_id = self.client.create_run(
            self.experiment(experiment), start_time=self.start_time, run_name=name
        ).info.run_id
        points = [Metric(key, value, self.start_time, 4) for key, value in values.items()]
        # an earlier epoch was better
        better = 0.9999 if earlier != "val_rmse" else 0.0001
        points += [Metric(key, better, self.start_time, 2) for key in values if key == earlier]
        self.client.log_batch(
            run_id,
            points,
            [Param(key, str(value)) for key, value in params.items()],
            [RunTag(key, value) for key, value in tags.items()],
        )
        return str(run_id)


def _config(task: str, space: str, config: Mapping[str, Any] | None) -> dict[str, Any]:
    """`config` if given, else the complete one of a shipped network, else a short one."""
    from search_spaces.loading import SPACES

    if config is not None:
        return dict(config)
    if task != "larger_digit" or space not in SPACES:
        return {"epochs": 4}
    made: dict[str, Any] = SPACES[space]().variant.config(epochs=4).to_dict()
    return made


@pytest.fixture(scope="session")
def make_store(
    empty_mlflow: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], Filled]:
    data = {name: DataOf(name, f"digest of {name}") for name in ("digits", "mnist", "houses")}

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
    """Store, and a function that logs a row to it; the result of a row contains its run id."""
    filled = make_store()
    experiment = filled.experiment("foldsweep")
    monkeypatch.setattr(
        reproductions, "_result", lambda store, run: {"run": run.info.run_id, **WRONG}
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
