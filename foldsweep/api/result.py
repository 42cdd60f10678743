"""The result of a sweep, loaded from MLflow."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.comparison import compare
from analysis.load import Store, json_tag, open_store, sweep_runs, sweep_uuid
from analysis.results import Sweep, Trial, load_sweeps
from analysis.selection import Rule, alike, check_rope
from foldsweep import names
from foldsweep.api.process_state import undisturbed
from foldsweep.api.sweeping import Space, What, given_of
from foldsweep.errors import UserError
from foldsweep.files import write_whole
from foldsweep.numbers import shown_score
from foldsweep.tracking import default_experiment, tracking_uri
from sweeps.handover import Given
from sweeps.settings import SweepSettings
from sweeps.settings_file import recorded_identity

if TYPE_CHECKING:
    import pandas as pd

    from foldsweep.api.comparison import Compared, Figures
    from foldsweep.api.model import Model


@dataclass(frozen=True, kw_only=True, repr=False)
class Result:
    """The result of a sweep that has ended or still runs: its trials at the time of loading."""

    name: str
    sweeps: tuple[Sweep, ...]
    """One sweep per space, in the order in which they were run."""
    store: Store
    given: Given = field(default_factory=Given)
    """Task and spaces that this program has made."""
    data: Path | None = None
    """Data file of the sweep, if it had one [the file of that name in this folder]."""
    data_dir: Path | None = None
    """Folder of the data files of a task that ships."""

    @property
    def best(self) -> Trial:
        """The best trial; of several spaces, the best trial of the first row of a comparison.

        Raises:
            UserError: If no trial is complete.
        """
        return compare(self._complete()).rows[0].best

    @property
    def trials(self) -> "pd.DataFrame":
        """All trials, one per row: searched parameters, state, score, score by fold, seconds.

        The score is that of the trial's last report. Only scores of trials with state COMPLETE are
        comparable.
        """
        import pandas as pd  # takes a second to import, and a comparison does not need it

        rows = [_row(sweep, trial) for sweep in self.sweeps for trial in sweep.trials]
        return pd.DataFrame(rows)

    def compare(
        self, *others: "Result", objective: str | None = None, rope: float | None = None
    ) -> "Compared":
        """Compare the spaces of this and other sweeps on the same task and data, with tests.

        Args:
            others: Results of other sweeps.
            objective: Metric to compare by [the objective of the sweep].
            rope: Region of practical equivalence: scores closer than this are equivalent [the
                value that the task has for the metric].

        Raises:
            UserError: If no sweep has a complete trial, or none has measured the metric.
        """
        from foldsweep.api.comparison import Compared  # imports jinja2 and matplotlib

        check_rope(rope)
        sweeps = [sweep for result in (self, *others) for sweep in result._complete()]
        return Compared(compare(alike(sweeps, objective), rope=rope))

    def plot(self) -> "Figures":
        """Draw figures of the sweep's progress, its results, and the errors of its best trial.

        Raises:
            UserError: If there is no complete trial.
        """
        with undisturbed():
            from analysis.plots.gallery import sweep_figures
            from foldsweep.api.comparison import Figures

            missing: list[str] = []
            drawn = sweep_figures(self.store, self._complete(), notice=missing.append)
            return Figures(drawn, missing)

    def report(self, path: str | Path) -> None:
        """Write an HTML report of the whole sweep, see `foldsweep report`.

        Raises:
            UserError: If there is no complete trial, or the file cannot be written.
        """
        with undisturbed():
            from analysis.report import check_out, render

            check_out(Path(path))
            page = render(self.store, compare(alike(self._complete())))
            write_whole(Path(path), page)

    def fit(
        self, trial: Trial | None = None, *, choose: Rule = "best", ensemble: bool = False
    ) -> "Model":
        """Train a configuration on all training rows, without the test rows.

        Args:
            trial: The trial with the configuration [chosen by `choose` from the sweep with the
                best trial].
            choose: Rule `best`, `one-se` or `equivalent-smallest`, see `foldsweep export
                --choose`.
            ensemble: Whether to train the models of the trial's folds instead, and to average
                their predictions.

        Raises:
            UserError: If there is no complete trial, or its data or variant is not available.
        """
        with undisturbed():
            from analysis.choice import choose as chosen
            from analysis.export import recipe_of
            from analysis.models.trained import Places  # imports torch, which takes seconds
            from foldsweep.api.model import fitted

            if trial is None:
                trial, _ = chosen(compare(self._complete()).rows[0].sweep, choose)
            recipe = recipe_of(self.store, self.store.client.get_run(trial.run_id))
            places = Places(data_dir=self.data_dir, path=self.data, beside=Path())
            return fitted(recipe, places, self.given, ensemble=ensemble)

    def register(self, name: str) -> str:
        """Train the best model and register it in MLflow, see `foldsweep export --register`.

        Args:
            name: Name in the registry. The model becomes the champion of this name if it is
                significantly better than the present champion on the same test rows.

        Returns:
            What was done and why, in a sentence.

        Raises:
            UserError: If the model cannot be trained, or MLflow rejects it.
        """
        with undisturbed():
            from analysis.models import registry

            registry.check(self.store, name)
            champion = registry.open_champion(self.store, name)
            model = self.fit()
            model.require_file()
            return registry.register(self.store, name, model.trained, champion)

    def __repr__(self) -> str:
        return f"<Result of sweep {self.name}: {self._said()}>"

    def _repr_html_(self) -> str:
        """Return the best trial of each space as HTML; see `compare` for the tests."""
        complete = any(sweep.complete for sweep in self.sweeps)
        table = self.compare().table_html() if complete else ""
        return f"<p>Sweep <b>{escape(self.name)}</b>: {escape(self._said())}</p>{table}"

    def _said(self) -> str:
        spaces = ", ".join(sweep.space for sweep in self.sweeps)
        complete = [trial for sweep in self.sweeps for trial in sweep.complete]
        if not complete:
            return f"{spaces}; no complete trial yet"
        best = self.best
        score = f"{names.bare(best.metric)} {shown_score(best.metric, best.score, best.std)}"
        return f"{spaces}; best {score} in trial {best.number} of {best.sweep}"

    def _complete(self) -> list[Sweep]:
        complete = [sweep for sweep in self.sweeps if sweep.complete]
        if not complete:
            raise UserError.of("api-result.no-complete-trial", sweep=self.name)
        return complete


def _row(sweep: Sweep, trial: Trial) -> dict[str, Any]:
    """Return a trial as a row of the data frame."""
    row: dict[str, Any] = {
        "space": sweep.space,
        "trial": trial.number,
        "state": trial.state,
        "origin": trial.origin or "sampled",
        "score": trial.score,
        "std": trial.std,
    }
    row |= {f"fold_{i}": score for i, score in enumerate(trial.folds)}
    row |= {"num_params": trial.num_params, names.TRAIN_TIME: trial.train_time_s}
    searched = json_tag(sweep.tags, names.TAG_DISTRIBUTIONS) or {}
    varied = {key: trial.config[key] for key in searched if key in trial.config}
    return row | {f"{key}_" if key in row else key: value for key, value in varied.items()}


def result_of(settings: SweepSettings, name: str, given: Given) -> Result:
    """Load the result of a sweep that has just been run, by its name and identifier.

    Raises:
        UserError: If MLflow has no run of the sweep.
    """
    identity = recorded_identity(settings.local_root / name)
    uuid = "" if identity is None else identity.uuid
    try:
        store = open_store(tracking_uri(settings.tracking_uri), settings.experiment)
        known = [
            named
            for named, run in sweep_runs(store).items()
            if sweep_uuid(run) == uuid and run.data.tags[names.TAG_SWEEP].startswith(f"{name}/")
        ]
        if not known:
            raise UserError.of("api-result.sweep-not-in-mlflow", sweep=name)
    except UserError as error:
        folder = settings.local_root / name
        raise UserError.of(
            "api-result.result-not-loaded", reason=error, folder=folder, sweep=name
        ) from None
    data = Path(settings.data) if settings.data and Path(settings.data).is_file() else None
    return _result(store, known, given, data, settings.data_dir)


def load(
    name: str,
    what: What = (),
    *,
    spaces: Space | Sequence[Space] = (),
    data: str | Path | None = None,
    data_dir: str | Path | None = None,
    experiment: str | None = None,
    tracking_uri: str | None = None,
) -> Result:
    """Load the result of an earlier sweep.

    Args:
        name: Name of the sweep, or NAME/SPACE for one of its spaces.
        what: Task or spaces of the sweep, if a program made them; `fit` needs them.
        spaces: Further spaces.
        data: Data file, if the sweep had one [the file of that name in this folder].
        data_dir: Folder of the data files of a task that ships.
        experiment: MLflow experiment [MLFLOW_EXPERIMENT_NAME, else foldsweep].
        tracking_uri: MLflow server or store [MLFLOW_TRACKING_URI, else mlflow.db in this folder].

    Raises:
        UserError: If there is no such sweep.
    """
    with undisturbed():
        store = open_store(_uri(tracking_uri), experiment or default_experiment())
        given, _ = given_of(what, spaces)
        places = (None if place is None else Path(place) for place in (data, data_dir))
        return _result(store, [name], given, *places)


_uri = tracking_uri


def _result(
    store: Store,
    sweeps: Sequence[str],
    given: Given,
    data: Path | None,
    data_dir: Path | None,
) -> Result:
    loaded = load_sweeps(store, sweeps=sweeps)
    in_order = tuple(sorted(loaded, key=lambda sweep: sweep.started))
    return Result(
        name=in_order[0].group,
        sweeps=in_order,
        store=store,
        given=given,
        data=data,
        data_dir=data_dir,
    )
