"""Settings of a sweep: its command-line options, and the rules for resuming with others."""

import re
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from foldsweep.checks import MOST, MOST_FOLDS, MOST_THREADS, brief
from foldsweep.errors import UserError
from foldsweep.files import joined
from foldsweep.names import NUM_PARAMS, TRAIN_TIME, val_key
from foldsweep.programs import require_at_least
from foldsweep.recipe import Mode
from foldsweep.retrying import PATIENCE_S
from foldsweep.tracking import default_experiment
from sweeps.limits import Limit, parsed_limit
from sweeps.passwords import masked_url
from trainables.config import Precision
from trainables.tasks.options import ShippedOptions, TableOptions

if TYPE_CHECKING:
    from trainables.tasks.task import Task  # imports torch, which would delay the start of Ray

Sampler = Literal["tpe", "gp", "cmaes", "qmc", "random", "nsga2", "grid"]
Scheduler = Literal["asha", "asha-stop", "hyperband", "median", "none"]
Order = Literal["trial", "arrival"]

WARM: tuple[Sampler, ...] = ("tpe", "gp")
"""Samplers that can learn from trials that they have not sampled themselves."""
OWN_DATA = tuple(field.name for field in fields(TableOptions))
SHIPPED_DATA = tuple(field.name for field in fields(ShippedOptions))
COMPARABLE = (
    "space",
    *(name for name in OWN_DATA if name not in ("data", "test")),  # compared by their digests
    *(name for name in SHIPPED_DATA if name != "data_dir"),
    "folds",
    "epochs",
    "precision",
    "warm_start",
    "objective",
    "limit",
    "seed",
    "study",
    "select_on_test",
)
"""Settings that a resumed sweep may not change, since its scores would not be comparable."""


@dataclass(frozen=True, kw_only=True)
class SweepSettings(ShippedOptions, TableOptions):
    """Search for the best configuration of one or more search spaces.

    Each trial trains one configuration on all cross-validation folds in lockstep. The mean over
    folds is its score, and decides on early stopping. Results are logged to MLflow. An interrupted
    sweep is continued with --resume.
    """

    # a new setting raises `FORMAT` in settings_file.py

    space: tuple[str, ...] = ()
    """Search spaces to sweep, by name (see --list-spaces) or as paths of your own .py files.
    Several are swept one after another with the same folds and budget, each in its own study."""
    list_spaces: bool = False
    """List the search spaces, and exit."""

    trials: int | None = None
    """Number of configurations to try for each space [30; with --sampler grid the whole grid]."""
    patience: int | None = None
    """End the sweep of a space after this many sampled trials in a row without an improvement
    beyond the noise of the folds [as many as --trials]."""
    time_budget: float | None = None
    """Seconds after which the sweep of a space stops; its running trials are kept for --resume."""
    epochs: int | None = None
    """Epochs of a network's trial that is not stopped early [the space's own]; not for estimators,
    which have other resources."""
    precision: Precision | None = None
    """Precision of matrix products and convolutions [float32, unless the space has another].
    bfloat16 has three significant figures; it is faster for larger convolutions on processors that
    support it."""
    folds: int = 5
    """Number of cross-validation folds."""
    warm_start: tuple[str, ...] = ()
    """Earlier sweeps, as NAME or NAME/SPACE, whose trials the sampler sees from the start; they do
    not count as trials of this sweep. They must be in --storage or in the database of --study."""
    sampler: Sampler = "tpe"
    """Sampler of configurations; nsga2 is for several objectives, grid for spaces with a grid."""
    scheduler: Scheduler = "asha"
    """Early stopping on the mean over folds, in sweeps of nine or more sampled trials: asha pauses
    trials and promotes the better ones, also later; asha-stop, hyperband and median end trials."""
    order: Order = "trial"
    """Order in which the sampler and early stopping use results: by number of the trial, so that
    the sweep is the same at any --concurrency, or by arrival. asha-stop, hyperband, median and
    several objectives imply arrival."""
    lag: tuple[int, ...] = ()
    """With --order trial: the sampler of trial n sees the results of trials up to n - LAG. One
    number for each rung and one for the last epoch, or one for all [4 to 16, more for later
    rungs]."""
    objective: tuple[str, ...] = ()
    """Metric to optimise, such as roc_auc, f1_macro, r2 or rmse [the task's own]; several (such as
    accuracy num_params) give a Pareto front."""
    limit: tuple[str, ...] = ()
    """Limit that configurations must meet, such as "num_params <= 100000" [nothing]; others are
    redrawn and do not count as trials."""
    seed: int = 0
    """Seed of all random numbers."""
    select_on_test: bool = False
    """Score on the test rows, --folds times with different initialisations, instead of by
    cross-validation. Optimistic: only for reproducing results of others. All results say so."""

    name: str | None = None
    """Name of the sweep [made from the time]."""
    resume: str | None = None
    """Name of a sweep to resume, with its earlier settings except for those given here."""
    storage: str = "runs"
    """Folder of sweeps, or a URI such as s3://bucket/path for checkpoints that all nodes reach."""
    study: str | None = None
    """Database URL of the Optuna study [a journal file in the sweep's folder]."""
    experiment: str = field(default_factory=default_experiment)
    """MLflow experiment [MLFLOW_EXPERIMENT_NAME, else foldsweep]."""
    tracking_uri: str | None = None
    """MLflow server or store [MLFLOW_TRACKING_URI, else mlflow.db in this folder]."""

    address: str | None = None
    """Ray cluster to join, such as auto or head:6379 [a new local one]."""
    concurrency: int | None = None
    """Trials at a time [as many as CPUs or GPUs allow]."""
    cpus_per_trial: float | None = None
    """CPUs, and torch threads, of a trial [1]."""
    gpus_per_trial: float | None = None
    """GPUs of a trial, also a fraction [several trials share a GPU if there is one]."""
    mode: Mode = "auto"
    """How folds are trained: fused in one call, looped one after another, graphed in one call by
    CUDA graphs (needs a GPU); auto chooses by the device."""
    max_failures: int = 2
    """Retries of a crashed trial before it counts as failed; none if it would fail in the same
    way."""
    trial_timeout: float | None = None
    """Seconds after which an attempt at a trial is killed and the trial counts as failed, even if
    it hangs in native code [none]."""
    checkpoint_every_s: float = 20.0
    """Least seconds between two checkpoints of a trial; a killed trial loses no more than that."""
    outage_patience: float = PATIENCE_S
    """Seconds that the study or the storage may be unreachable before the sweep ends, to be
    resumed later; trials continue meanwhile up to their next report."""
    trust: bool = False
    """With --resume: if a space file is missing here, or differs, run the code that is stored in
    the study. Others may have written that code."""

    def validate(self) -> None:
        """Check all settings.

        Raises:
            UserError: At the first invalid value.
        """
        require_at_least(1, self, "trials", "patience", "epochs", "concurrency")
        require_at_least(2, self, "folds", most=MOST_FOLDS)
        require_at_least(0, self, "max_failures", "checkpoint_every_s", "outage_patience")
        if not 0 <= self.seed < 2**32:
            rule = "at least 0" if self.seed < 0 else "below 2**32"
            raise _out_of_range("--seed", rule, brief(self.seed))
        _above_zero(self, "time_budget")
        _above_zero(self, "trial_timeout")
        _above_zero(self, "cpus_per_trial", most=MOST_THREADS)
        require_at_least(0, self, "gpus_per_trial", most=MOST_THREADS)
        if self.name is not None:
            check_name(self.name)
        if self.trust and self.resume is None:
            raise UserError.of("settings.trust-without-resume")
        if not self.space:
            raise UserError.of("settings.no-space")
        if len(set(self.space)) < len(self.space):
            raise UserError.of("settings.space-named-twice", spaces=" ".join(self.space))
        self._check_data()
        if len({*map(_objective_key, self.objective)}) < len(self.objective):
            raise UserError.of("settings.objective-named-twice", metrics=" ".join(self.objective))
        self._check_warm_start()
        for text in self.limit:
            parsed_limit(text)
        if any(not 1 <= lag <= MOST for lag in self.lag):
            raise _out_of_range("--lag", "at least 1", " ".join(map(str, self.lag)))
        if self.lag and not self.by_trial:
            raise UserError.of("settings.lag-without-order")
        if len(self.objective) > 1 and self.sampler == "cmaes":
            raise UserError.of("settings.cmaes-with-objectives")
        if len(self.objective) > 1 and self.patience is not None:
            raise UserError.of("settings.patience-with-objectives")
        if len(self.objective) <= 1 and self.sampler == "nsga2":
            raise UserError.of("settings.nsga2-with-one-objective")

    def _check_data(self) -> None:
        """Refuse options of the user's own data together with those of shipped tasks."""
        defaults = SweepSettings()
        given = {n for n in (*OWN_DATA, *SHIPPED_DATA) if getattr(self, n) != getattr(defaults, n)}
        shipped = sorted(given & set(SHIPPED_DATA))
        if self.data is not None and shipped:
            raise UserError.of("settings.data-of-two-kinds", option=_option(shipped[0]))
        own = sorted(given & set(OWN_DATA))
        if self.data is None and own:
            raise UserError.of("settings.option-without-data", option=_option(own[0]))

    def _check_warm_start(self) -> None:
        for given in self.warm_start:
            parts = given.split("/")
            if len(parts) > 2:
                raise UserError.of("settings.warm-start-not-a-name", given=given)
            for part in parts:
                check_name(part, option="--warm-start")
            if parts[0] == self.name:
                raise UserError.of("settings.warm-start-is-this-sweep", given=given)
        if len(set(self.warm_start)) < len(self.warm_start):
            raise UserError.of("settings.warm-start-named-twice", sweeps=" ".join(self.warm_start))
        if self.warm_start and (self.sampler not in WARM or len(self.objective) > 1):
            raise UserError.of("settings.warm-start-not-learnt", samplers=" or ".join(WARM))

    def for_task(self, task: "Task") -> Self:
        """The settings with objectives as keys of metrics; without any, the task's own objective.

        Raises:
            UserError: If the task does not measure an objective.
        """
        asked = self.objective or (task.objective,)
        keys = tuple(map(_objective_key, asked))
        unknown = [key for key in keys if key not in task.better]
        if unknown:
            raise UserError.of(
                "settings.objective-unknown",
                unknown=" ".join(unknown),
                task=task.name,
                known=", ".join(task.better),
            )
        return replace(self, objective=keys)

    def options_of(self, task: "Task") -> Any:
        """The task's own options; None if it has none."""
        if task.options is None:
            return None
        names = [field.name for field in fields(task.options)]
        return task.options(**{name: getattr(self, name) for name in names})

    @property
    def table_options(self) -> TableOptions:
        """The options of the user's own data."""
        return TableOptions(**{name: getattr(self, name) for name in OWN_DATA})

    @property
    def by_trial(self) -> bool:
        """Whether results are used by trial number: the sweep is the same at any concurrency."""
        measured = TRAIN_TIME not in map(_objective_key, self.objective)
        return (
            self.order == "trial"
            and self.scheduler in ("asha", "none")
            and len(self.objective) <= 1
            and measured
        )

    @property
    def limits(self) -> list[Limit]:
        """The parsed limits, which configurations must meet besides the space's constraint."""
        return [parsed_limit(text) for text in self.limit]

    @property
    def space_files(self) -> list[str]:
        """Absolute paths of the spaces that are the user's files."""
        return [str(Path(space).resolve()) for space in self.space if space.endswith(".py")]

    @property
    def local_root(self) -> Path:
        """Local folder of sweeps, also if `storage` is a URI: studies and spools are local."""
        return Path("runs" if "://" in self.storage else self.storage)

    def checkpoint_root(self, name: str) -> str:
        """Folder of a sweep on `storage`, for checkpoints: a URI or an absolute path."""
        if "://" in self.storage:
            return joined(self.storage, name)
        return str((self.local_root / name).resolve())

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {k: str(v) if isinstance(v, Path) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The settings of a result of `to_dict`, also after a round trip through JSON."""
        known = {f.name for f in fields(cls)}
        plain: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k in known
        }
        for name in ("data_dir", "test"):
            if plain.get(name) is not None:
                plain[name] = Path(plain[name])
        return cls(**plain)


def check_resumable(stored: SweepSettings, wanted: SweepSettings) -> None:
    """Refuse settings that would make a resumed sweep's results incomparable.

    Raises:
        UserError: With each changed setting, its old and new value.
    """
    changed = [
        f"{_option(key)} {old} -> {new}"
        for key in COMPARABLE
        # without passwords, which may change
        if (old := _shown(key, getattr(stored, key))) != (new := _shown(key, getattr(wanted, key)))
    ]
    if changed:
        raise UserError.of(
            "settings.changed-on-resume", sweep=wanted.resume, changed="; ".join(changed)
        )


def new_name(folder: Path) -> str:
    """A name from the current time that no sweep in `folder` has."""
    base = f"sweep-{datetime.now():%Y%m%d-%H%M%S}"
    name, n = base, 1
    while (folder / name).exists():
        n += 1
        name = f"{base}-{n}"
    return name


def check_name(name: str, *, option: str = "") -> None:
    """Refuse names that are not safe as the name of a folder.

    Args:
        name: The name to check.
        option: Option with the name, for the message [the name of the sweep].

    Raises:
        UserError: If `name` has other characters or is too long.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", name):
        raise UserError.of("settings.name-invalid", option=option or "sweep name", name=name)


def _shown(key: str, value: Any) -> str:
    if key == "study" and value is not None:
        return masked_url(value)
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _objective_key(name: str) -> str:
    return name if name in (NUM_PARAMS, TRAIN_TIME) else val_key(name)


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _above_zero(settings: SweepSettings, name: str, *, most: int = MOST) -> None:
    value = getattr(settings, name)
    if value is not None and not 0 < value <= most:
        rule = f"at most {most:,}" if value > most else "above 0"
        raise _out_of_range(_option(name), rule, value)


def _out_of_range(option: str, rule: str, value: object) -> UserError:
    return UserError.of("settings.option-out-of-range", option=option, rule=rule, value=value)
