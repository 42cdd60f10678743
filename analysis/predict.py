"""Predict new rows with a kept model: `python analysis/predict.py MODEL NEW.csv`."""

if __name__ == "__main__":
    import foldsweep.early  # noqa: F401

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from foldsweep.programs import console, parse, run_program
from foldsweep.texts import text
from foldsweep.tracking import tracking_uri


@dataclass(frozen=True, kw_only=True)
class PredictSettings:
    """Predict class or value for each row of a file, and the probability of each class."""

    model: Annotated[str, tyro.conf.Positional]
    """Folder that `analysis/export.py --keep` wrote, name of a registered model (its champion), or
    models:/NAME@ALIAS, models:/NAME/VERSION."""
    new: Annotated[Path, tyro.conf.Positional]
    """CSV, Parquet or NPZ file of rows, as for --data of a sweep; needs no target."""
    out: Path = Path("predictions.csv")
    """CSV or Parquet file to write: identifier-like columns, predictions, probabilities."""
    tracking_uri: str | None = None
    """MLflow server or store [MLFLOW_TRACKING_URI, else mlflow.db in this folder]."""


def main() -> int:
    """Run the program; return its exit code."""
    settings = parse(PredictSettings, sys.argv[1:], prog="analysis/predict.py")
    from analysis.models.asking import asked, check_output  # slow: imports torch and MLflow
    from analysis.models.fetch import opened

    check_output(settings.out, settings.new)
    model = opened(settings.model, tracking_uri(settings.tracking_uri))
    predictions = asked(model, settings.new)
    for line in predictions.said:
        console.print(line)
    predictions.write(settings.out)
    recipe = model.recipe
    source = text("predict.trial", trial=recipe.trial)
    if recipe.sweep:
        source = text("predict.trial-of-sweep", trial=recipe.trial, sweep=recipe.sweep)
    console.print(
        text(
            "predict.written",
            path=settings.out,
            rows=len(predictions.frame),
            variant=recipe.variant,
            source=source,
        )
    )
    return 0


if __name__ == "__main__":
    run_program(main)
