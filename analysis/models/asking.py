"""Predictions of a kept model for the rows of a file, as a table."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from foldsweep.errors import UserError
from foldsweep.files import write_whole
from trainables.keep.labels import as_columns, labelled
from trainables.keep.model import KeptModel
from trainables.tasks.table.columns import Frame
from trainables.tasks.table.reading import Arrays, read_file
from trainables.tasks.tables import new_rows

ENDINGS = (".csv", ".parquet")


@dataclass(frozen=True, kw_only=True, eq=False)
class Asked:
    """Predictions of the rows of a file."""

    frame: Frame
    """Identifier-like columns of the file and all predictions, one row per row of the file."""
    said: tuple[str, ...]
    """Notices about the file, one line each, such as ignored columns and unseen categories."""

    def write(self, path: Path) -> None:
        """Write the table as Parquet or CSV, by the file's suffix.

        Raises:
            UserError: If the file cannot be written.
        """
        if path.suffix.lower() == ".parquet":
            content: str | bytes = self.frame.to_parquet(index=False)
        else:
            content = self.frame.to_csv(index=False)
        write_whole(path, content)


def asked(model: KeptModel, path: Path) -> Asked:
    """Predict the rows of a file of the same kind as the training data.

    Args:
        model: The model.
        path: CSV, Parquet or NPZ file; needs no target.

    Raises:
        UserError: If the file cannot be read, or its rows do not suit the model.
    """
    import pandas as pd

    inputs, kept, said = _rows(model, path)
    predictions = as_columns(labelled(model, model.predict(inputs)))
    columns = {_free(name, predictions): values for name, values in kept.items()}
    return Asked(frame=pd.DataFrame(columns | predictions), said=said)


def check_output(path: Path, new: Path) -> None:
    """Refuse a file that predictions cannot be written to.

    Args:
        path: File to write.
        new: File of the rows.

    Raises:
        UserError: If the file has another suffix, its folder does not exist, or it is `new`.
    """
    if path.suffix.lower() not in ENDINGS:
        raise UserError.of("asking.out-ending-unknown", path=path, known=" or ".join(ENDINGS))
    if not path.parent.is_dir():
        raise UserError.of("asking.out-folder-missing", path=path, folder=path.parent)
    if path.resolve() == new.resolve():
        raise UserError.of("asking.out-is-input", path=path)


def _rows(
    model: KeptModel, path: Path
) -> tuple[Mapping[str, np.ndarray], Mapping[str, Any], tuple[str, ...]]:
    """Inputs of a file's rows, its identifier-like columns, and notices about the file."""
    if model.schema is not None and model.schema.layout != "own":
        new = new_rows(path, model.schema)
        if new.frame is None:
            return new.inputs, {}, new.said
        named = [n for n in model.schema.named("identifier") if n in new.frame.columns]
        return new.inputs, {n: new.frame[n].to_numpy() for n in named}, new.said
    read = read_file(path)
    if not isinstance(read, Arrays):
        raise UserError.of("asking.table-for-arrays", path=path)
    if len(model.raw) > 1:
        raise UserError.of("asking.several-inputs", inputs=", ".join(model.raw))
    return {next(iter(model.raw)): read.x}, {}, ()


def _free(name: str, taken: Mapping[str, object]) -> str:
    """The name of a column, changed if a column of predictions has the same name."""
    return f"{name}_" if name in taken else name
