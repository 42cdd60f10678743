"""Settings of a reproduction: the command line of `sweeps/reproduce.py`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from foldsweep.checks import MOST_FOLDS, require_local
from foldsweep.errors import UserError
from foldsweep.programs import require_at_least
from foldsweep.tracking import check_store, default_experiment, tracking_uri
from sweeps.reproduction.data import dataset_of
from sweeps.reproduction.grids import is_started
from sweeps.reproduction.rows import QUICK_PAIRS
from sweeps.settings import SweepSettings
from trainables.presets.preset import Grid
from trainables.presets.registry import PRESETS
from trainables.variants import VARIANTS


@dataclass(frozen=True, kw_only=True)
class ReproduceSettings:
    """Train rows of the reports' tables under the reports' protocols, and compare the results.

    Rows that have a result are not trained again. The same command resumes after an interruption.
    """

    what: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """Reports, tables or rows, such as kong, kong/table3 or kong/a_w_net."""
    all: bool = False
    """Every table of every report."""
    list: bool = False
    """List all tables and rows, and exit."""
    rounds: int | None = None
    """Number of rounds of each row [as in its report]."""
    quick: bool = False
    """Smoke size: two rounds of two epochs on 60 pairs, two points of each grid."""
    select_on_test: bool = False
    """Select the best points of grids on the test pairs, as one report did; all results say so."""
    write: Path | None = None
    """Document to write the tables into, between its marks."""
    seed: int = 0
    """Seed of all random numbers."""
    dataset: Literal["auto", "mnist", "digits"] = "auto"
    """Images of handwritten digits; the reports use mnist."""
    data_dir: Path | None = None
    """Folder of the MNIST files [FOLDSWEEP_DATA, else the user's cache folder]."""
    storage: Path = Path("runs")
    """Folder to store results in."""
    experiment: str = field(default_factory=default_experiment)
    """MLflow experiment [MLFLOW_EXPERIMENT_NAME, else foldsweep]."""
    tracking_uri: str | None = None
    """MLflow server or store [MLFLOW_TRACKING_URI, else mlflow.db in this folder]."""
    address: str | None = None
    """Ray cluster to join, such as auto or head:6379 [a new local one]."""
    concurrency: int | None = None
    """Rows or trials at a time [as many as CPUs or GPUs allow]."""
    cpus_per_trial: float | None = None
    """CPUs, and torch threads, of a row or trial [1]."""
    gpus_per_trial: float | None = None
    """GPUs of a row or trial, also a fraction [several share a GPU if there is one]."""

    def validate(self) -> None:
        """Check the settings that `SweepSettings` does not check.

        Raises:
            UserError: At the first invalid value.
        """
        require_at_least(1, self, "rounds", most=MOST_FOLDS)
        require_local(self.storage)
        if self.all and self.what:
            raise UserError.of("reproduction-settings.all-and-more", what=" ".join(self.what))
        if not (self.all or self.what):
            raise UserError.of("reproduction-settings.nothing-chosen")
        if self.write is not None and not self.write.is_file():
            raise UserError.of("reproduction-settings.write-missing", path=self.write)
        check_store(tracking_uri(self.tracking_uri))

    @property
    def name(self) -> str:
        """Name of the folder of results, different for results that are not comparable."""
        parts = ["reproduce"]
        parts += ["digits"] * (self.dataset == "digits")
        parts += ["quick"] * self.quick
        parts += ["on_test"] * self.select_on_test
        parts += [f"seed{self.seed}"] * (self.seed != 0)
        return "-".join(parts)

    @property
    def root(self) -> Path:
        """Folder of the results."""
        return self.storage / self.name

    def sweep(self, grid: Grid | None = None) -> SweepSettings:
        """Settings of the sweep of a grid; without a grid, those of the Ray cluster."""
        small = self.quick
        dataset = dataset_of(PRESETS[grid.base], self.dataset) if grid else self.dataset
        settings = SweepSettings(
            space=(grid.space if grid else "rows",),
            sampler="grid",
            scheduler="asha" if grid and grid.prunes else "none",
            folds=2 if small or grid is None else grid.folds,
            trials=2 if small else None,
            epochs=2 if small else None,
            train_pairs=QUICK_PAIRS if small else None,
            test_pairs=QUICK_PAIRS if small else None,
            select_on_test=self.select_on_test,
            seed=self.seed,
            dataset=dataset,  # type: ignore[arg-type]
            resume=self.name if grid and is_started(grid, self.root) else None,
            storage=str(self.storage),
            experiment=self.experiment,
            tracking_uri=tracking_uri(self.tracking_uri),
            address=self.address,
            concurrency=self.concurrency,
            cpus_per_trial=self.cpus_per_trial,
            gpus_per_trial=self.gpus_per_trial,
        )
        if grid is None:
            return settings
        return settings.for_task(VARIANTS[PRESETS[grid.base].variant].task)
