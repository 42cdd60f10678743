"""Reading of runs from MLflow; the only module that knows their schema."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from foldsweep import names
from foldsweep.artifacts import moved_place
from foldsweep.errors import UserError, first_line
from foldsweep.files import parsed
from foldsweep.objective import Objective, objectives_of
from foldsweep.texts import text
from foldsweep.tracking import check_uri, shown, sqlite_path

PAGE = 500
ELSEWHERE = (
    "the store's folder before it was moved; to create a store here, run"
    " `foldsweep replay NAME --tracking-uri sqlite:///new.db`"
)


@dataclass(frozen=True, kw_only=True)
class Store:
    """An experiment of a tracking store."""

    client: MlflowClient
    tracking_uri: str
    experiment: str
    experiment_id: str

    def moved_from(self) -> str | None:
        """Recorded place of the experiment's artifacts if the store has moved since, else None."""
        recorded = str(self.client.get_experiment(self.experiment_id).artifact_location)
        return None if moved_place(self.tracking_uri, recorded) is None else recorded


def open_store(tracking_uri: str, experiment: str) -> Store:
    """Connect to an existing store; never creates one.

    Raises:
        UserError: If the URI is invalid, or the store does not answer or has no such experiment.
    """
    check_uri(tracking_uri)
    path = sqlite_path(tracking_uri)
    if path is not None and not path.is_file():
        raise UserError.of("load.store-missing", path=path)
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")  # the default takes minutes
    try:
        client = MlflowClient(tracking_uri=tracking_uri)
        found = client.get_experiment_by_name(experiment)
    except Exception as error:  # of MLflow, SQLAlchemy or requests
        raise UserError.of(
            "load.store-silent", uri=shown(tracking_uri), reason=shown(first_line(error))
        ) from None
    if found is None:
        raise UserError.of("load.experiment-unknown", uri=shown(tracking_uri), name=experiment)
    return Store(
        client=client,
        tracking_uri=tracking_uri,
        experiment=experiment,
        experiment_id=found.experiment_id,
    )


def find_runs(
    store: Store, *, order_by: str = "attributes.start_time DESC", **tags: str
) -> Iterator[Run]:
    """Yield runs that have all of `tags`, in whose names `__` stands for `.`; pages as needed."""
    clauses = [f"tags.`{key.replace('__', '.')}` = '{value}'" for key, value in tags.items()]
    token = None
    while True:
        page = store.client.search_runs(
            [store.experiment_id],
            " and ".join(clauses),
            max_results=PAGE,
            order_by=[order_by],
            page_token=token,
        )
        yield from page
        token = page.token
        if not token:
            return


@contextmanager
def readable(run: Run) -> Iterator[None]:
    """Context for reading a run: if the run is damaged, skip it and print a line on stderr.

    A damaged run does not keep others from being read.
    """
    try:
        yield
    except (LookupError, ValueError, TypeError, ArithmeticError, RecursionError) as error:
        why = what_is_wrong(error)
        _say(text("load.left-out", run=run.info.run_id, name=_named(run), why=why))


@cache
def _say(line: str) -> None:
    """Print a line on stderr, only once: a program may read the same run several times."""
    print(line, file=sys.stderr)


def what_is_wrong(error: Exception) -> str:
    """Why a run cannot be read."""
    if isinstance(error, KeyError):
        return text("load.lacks", name=error.args[0])
    return first_line(error)


def _named(run: Run) -> str:
    known = (names.TAG_KIND, names.TAG_TRIAL, names.TAG_SWEEP)
    parts = [run.data.tags[tag] for tag in known if tag in run.data.tags]
    return " ".join(parts) or str(run.info.run_name)


def config_of(run: Run) -> dict[str, Any]:
    """The complete configuration of a trial; empty if it has none yet.

    Raises:
        ValueError: If the configuration is damaged or truncated.
    """
    return json_tag(run.data.tags, names.TAG_CONFIG) or {}


def json_tag(tags: Mapping[str, str], key: str) -> dict[str, Any] | None:
    """The mapping that a tag holds as JSON; None if there is no such tag.

    Raises:
        ValueError: If the tag is damaged or truncated.
    """
    try:
        text = names.whole_tag(tags, key)
        found = None if text is None else parsed(text)
    except ValueError as error:
        raise ValueError(f"its {key} is damaged: {error}") from None
    if not isinstance(found, dict | None):
        raise ValueError(f"its {key} is not a mapping")
    return found


def objective_keys(sweep: Run) -> list[str]:
    """Keys of a sweep's objectives, from its tag, or its parameter if an earlier version made it.

    Raises:
        ValueError: If a part of the tag is missing.
    """
    tag = names.whole_tag(sweep.data.tags, names.TAG_OBJECTIVE)
    return (tag or sweep.data.params.get("objective", "")).split()


def sweep_runs(store: Store) -> dict[str, Run]:
    """The run of each sweep itself, newest first, by the sweep's name, `NAME/SPACE`.

    If several sweeps have one `NAME`, each is called `NAME@UUID/SPACE`, with the first eight
    characters of its UUID; zeros stand for a sweep without UUID. Sweeps that cannot be read are
    left out.
    """
    runs = []
    for run in find_runs(store, foldsweep__kind="sweep"):
        with readable(run):
            _group(run)
            runs.append(run)
    uuids: dict[str, set[str]] = {}
    for run in runs:
        uuids.setdefault(_group(run), set()).add(sweep_uuid(run))
    named: dict[str, Run] = {}
    for run in runs:
        name = str(run.data.tags[names.TAG_SWEEP])
        if len(uuids[_group(run)]) > 1:
            name = f"{_group(run)}@{sweep_uuid(run)[:8] or '0' * 8}/{name.rpartition('/')[2]}"
        named.setdefault(name, run)
    return named


def called(name: str, run: Run) -> set[str]:
    """All names that select a sweep: with and without its UUID, with and without its space.

    Args:
        name: Name of the sweep from `sweep_runs`.
        run: The run of the sweep itself.
    """
    return {name, name.rpartition("/")[0], str(run.data.tags[names.TAG_SWEEP]), _group(run)}


def require_one(word: str, runs: Mapping[str, Run]) -> None:
    """Refuse a name that several sweeps have.

    Raises:
        UserError: Listing the unique name of each.
    """
    groups = {
        name.rpartition("/")[0]: run for name, run in runs.items() if word in called(name, run)
    }
    if len({sweep_uuid(run) for run in groups.values()}) > 1:
        known = ", ".join(sorted(groups))
        raise UserError.of("load.name-ambiguous", count=len(groups), name=word, known=known)


def runs_of(store: Store, sweep: Run, **tags: str) -> Iterator[Run]:
    """Yield runs of one sweep that have all of `tags`, and no runs of others of the same name."""
    uuid = sweep_uuid(sweep)
    own = {"foldsweep__uuid": uuid} if uuid else {}
    for run in find_runs(store, foldsweep__sweep=sweep.data.tags[names.TAG_SWEEP], **own, **tags):
        if sweep_uuid(run) == uuid:
            yield run


def sweep_uuid(run: Run) -> str:
    """UUID of a run's sweep; empty if an earlier version made the sweep without one."""
    return str(run.data.tags.get(names.TAG_UUID, ""))


def _group(run: Run) -> str:
    return str(run.data.tags[names.TAG_SWEEP]).rpartition("/")[0]


def metric_history(store: Store, run_id: str, metric: str) -> dict[int, float]:
    """Values of a run's metric by step, which is the epoch."""
    points = store.client.get_metric_history(run_id, metric)
    return {p.step: p.value for p in sorted(points, key=lambda p: (p.step, p.timestamp))}


def json_artifact(store: Store, run_id: str, name: str | None = None) -> Any:
    """Content of a run's JSON artifact, the first unless `name` is given; None if there is none.

    Raises:
        UserError: If the artifact exists but cannot be read.
    """
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    try:
        recorded = store.client.get_run(run_id).info.artifact_uri
        here = moved_place(store.tracking_uri, recorded)
        if here is not None and here.is_dir():
            files = sorted(file.name for file in here.iterdir())
        else:
            here, files = None, [file.path for file in store.client.list_artifacts(run_id)]
        found = [f for f in files if f == name or (name is None and f.endswith(".json"))]
        if not found:
            return None
        if here is not None:
            return parsed((here / found[0]).read_bytes())
        with TemporaryDirectory() as folder:
            path = store.client.download_artifacts(run_id, found[0], folder)
            return parsed(Path(path).read_bytes())
    except (MlflowException, OSError, ValueError) as error:
        reason = shown(first_line(error))
        raise UserError.of(
            "load.artifact-unreadable", name=name or "*.json", run=run_id, reason=reason
        ) from None


def objectives(sweep: Run) -> dict[str, Objective]:
    """All metrics that a sweep can optimise, by key, with direction and region of equivalence.

    Args:
        sweep: The run of the sweep itself.

    Raises:
        UserError: If an earlier version made the sweep, or its record is damaged.
    """
    tags = sweep.data.tags
    if names.TAG_TASK not in tags or names.TAG_METRICS not in tags:
        raise UserError.of("load.sweep-of-earlier-version")
    try:
        known = objectives_of(names.whole_tag(tags, names.TAG_METRICS) or "")
        keys = objective_keys(sweep)
    except (ValueError, RecursionError) as error:
        raise UserError.of("load.metrics-damaged", reason=error) from None
    unknown = [key for key in keys if key not in known]
    if unknown or not keys or not any(objective.by_fold for objective in known.values()):
        missing = " ".join(unknown or keys) or "(none)"
        raise UserError.of("load.metrics-without-objective", objective=missing)
    return known


def complete_trials(store: Store, sweep: str | Run) -> list[Run]:
    """Trials of a sweep that trained all their epochs, best first by the sweep's first objective.

    Trials that cannot be read are left out.

    Args:
        store: Store of the sweep.
        sweep: Name of the sweep, or the run of the sweep itself.

    Raises:
        UserError: If there are no such trials.
    """
    if isinstance(sweep, str):
        parent = _parent(store, sweep)
    else:
        parent, sweep = sweep, str(sweep.data.tags[names.TAG_SWEEP])
    objective = _objective(sweep, parent)
    ranked = []
    for run in runs_of(store, parent, foldsweep__kind="trial", foldsweep__state="COMPLETE"):
        with readable(run):
            config_of(run)
            score, number = run.data.metrics[objective.key], int(run.data.tags[names.TAG_TRIAL])
            ranked.append((-objective.sign * score, number, run))
    if not ranked:
        raise UserError.of("load.no-complete-trial", sweep=sweep)
    return [run for *_, run in sorted(ranked, key=lambda of: of[:2])]


def sweep_objective(store: Store, sweep: str) -> Objective:
    """First objective of a sweep.

    Raises:
        UserError: If there is no such sweep, or an earlier version made it.
    """
    return _objective(sweep, _parent(store, sweep))


def _parent(store: Store, sweep: str) -> Run:
    """The run of a sweep itself, by its name, `NAME/SPACE` or `NAME@UUID/SPACE`."""
    known = sweep_runs(store)
    require_one(sweep, known)
    for name, run in known.items():
        if sweep in (name, run.data.tags[names.TAG_SWEEP]):
            return run
    raise UserError.of("load.sweep-unknown", uri=shown(store.tracking_uri), sweep=sweep)


def _objective(sweep: str, parent: Run) -> Objective:
    try:
        return objectives(parent)[objective_keys(parent)[0]]
    except UserError as error:
        raise UserError.of("load.sweep-unreadable", sweep=sweep, reason=error) from None


def sweeps_named(store: Store, *, name: str | None, space: str | None) -> list[str]:
    """Names of sweeps, `NAME/SPACE`, newest first, that match a name, a space, or both.

    Raises:
        UserError: If no sweep matches; the message lists the sweeps of the experiment.
    """
    known = sweep_runs(store)
    if name is not None:
        require_one(name, known)
    chosen = [
        sweep
        for sweep, run in known.items()
        if name in (None, *called(sweep, run)) and space in (None, sweep.rpartition("/")[2])
    ]
    if not chosen:
        asked = " ".join(
            filter(None, [f"sweep {name}" if name else "", f"space {space}" if space else ""])
        )
        there = ", ".join(list(known)[:8]) or "none"
        raise UserError.of(
            "load.no-such-sweeps", experiment=store.experiment, asked=asked, known=there
        )
    return chosen
