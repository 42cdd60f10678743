"""Command-line options for data: of the built-in tasks, and of the user's own data."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from foldsweep.checks import MOST_FOLDS, brief
from foldsweep.errors import UserError
from foldsweep.texts import text

Dataset = Literal["auto", "mnist", "digits", "disc"]


@dataclass(frozen=True, kw_only=True)
class ShippedOptions:
    """Data of the built-in tasks."""

    dataset: Dataset = "auto"
    """Dataset: mnist, or digits, which scikit-learn embeds; auto is mnist if available, else
    digits. Spaces of the task disc take disc."""
    data_dir: Path | None = None
    """Folder of the MNIST files [FOLDSWEEP_DATA, else the user's cache folder]."""
    train_pairs: int | None = None
    """Training pairs [1000 for mnist, all for digits]."""
    test_pairs: int | None = None
    """Test pairs [1000 for mnist, all for digits]."""


@dataclass(frozen=True, kw_only=True)
class TableOptions:
    """The user's own data, and how it is split.

    Raises:
        UserError: If options exclude each other or are out of range.
    """

    data: str | None = None
    """Data file, .csv, .tsv, .parquet or .npz, or the name of a dataset that scikit-learn embeds:
    breast_cancer, wine, diabetes, iris, digit_images."""
    target: str | None = None
    """Column to predict."""
    task: Literal["classification", "regression"] | None = None
    """Kind of task [inferred from the target; the choice is printed]."""
    holdout: float = 0.2
    """Share of rows to set aside as test rows: stratified by class, whole groups with --group, the
    latest rows with --time. With 0 the error on new data cannot be estimated."""
    test: Path | None = None
    """File of test rows, in place of --holdout."""
    group: str | None = None
    """Column of groups, such as a patient's number; rows of a group stay together in every
    split."""
    time: str | None = None
    """Column of times to sort rows by; each fold trains on earlier rows only."""
    fold: str | None = None
    """Column with the fold in which a row is held out; -1 for rows that are always trained on."""
    repeats: int = 1
    """Number of times the rows are split into folds, each time differently."""
    drop: tuple[str, ...] = ()
    """Columns to leave out."""

    def __post_init__(self) -> None:
        if not 0 <= self.holdout < 1:
            raise UserError.of("options.holdout-out-of-range", holdout=self.holdout)
        if not 1 <= self.repeats <= MOST_FOLDS:
            rule = (
                text("rules.at-least", least=1)
                if self.repeats < 1
                else text("rules.at-most", most=MOST_FOLDS)
            )
            raise UserError.of("options.repeats-invalid", rule=rule, repeats=brief(self.repeats))
        chosen = {option: name for option, name in self.roles.items() if name is not None}
        others = [option for option in chosen if option != "target"]
        splitting = [f"--{option}" for option in others]
        if len(splitting) > 1:
            raise UserError.of("options.several-splits", options=" and ".join(splitting))
        if self.repeats > 1 and (self.time is not None or self.fold is not None):
            raise UserError.of("options.fixed-folds-repeated")
        if self.target in [chosen[option] for option in others]:
            raise UserError.of("options.column-used-twice", column=self.target, other=splitting[0])
        for option, name in chosen.items():
            if name in self.drop:
                raise UserError.of("options.used-column-dropped", column=name, option=option)

    @property
    def roles(self) -> dict[str, str | None]:
        """Columns that are not inputs, by option."""
        return {
            "target": self.target,
            "group": self.group,
            "time": self.time,
            "fold": self.fold,
        }
