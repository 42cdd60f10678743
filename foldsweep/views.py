"""Saved views of sweeps and trials in the MLflow UI, and the addresses of these views.

The default table of the UI shows neither the mean over folds nor the standard deviation. A saved
view shows both. The UI reads saved views from tags of the experiment and lists them under "Views"
for all users.
"""

import json
from typing import Any, Final
from urllib.parse import quote

from foldsweep import names
from foldsweep.objective import Better

SWEEPS: Final = "foldsweep-sweeps"
"""The view of sweeps, newest first, with their trials nested below."""
TRIALS: Final = "foldsweep-trials"
"""The view of complete trials of all sweeps, best first."""

TAG: Final = "mlflow.sharedViewState."
"""Prefix of the tags in which the UI stores saved views."""

_CHOSEN = {"params.`lr`": 105, "params.`batch_size`": 95}
"""Columns of hyperparameters that every network has, and their widths in pixels."""
_OF_SWEEPS = {f"tags.`{names.TAG_STATE}`": 120, f"tags.`{names.TAG_ORIGIN}`": 150}
_OF_TRIALS = {
    f"tags.`{names.TAG_SWEEP}`": 170,
    f"tags.`{names.TAG_TASK}`": 110,
    f"tags.`{names.TAG_DATASET}`": 85,
}
_FIXED_MS = 1_795_000_000_000
"""Creation time of the views in ms since 1970; constant, so that the tags never differ."""


def view_tags(objective: str = "val_accuracy", *, better: Better = "higher") -> dict[str, str]:
    """Return the tags of an experiment that contain its saved views.

    Args:
        objective: Key of the metric to show, with its mean and standard deviation, and to sort
            trials by.
        better: Direction of the metric.
    """
    measured = _measured(objective)
    return {
        f"{TAG}{SWEEPS}": _view(
            "Sweeps and their trials",
            measured | _OF_SWEEPS | _CHOSEN,
            # the UI nests runs only in this order, and only without a filter
            orderByKey="attributes.start_time",
        ),
        f"{TAG}{TRIALS}": _view(
            "Complete trials, best first",
            measured | _OF_TRIALS | _CHOSEN,
            orderByKey=f"metrics.`{objective}`",
            orderByAsc=better == "lower",
            searchFilter=f"tags.`{names.TAG_STATE}` = 'COMPLETE'",
        ),
    }


def _measured(objective: str) -> dict[str, int]:
    """Return the first columns of both views, and their widths in pixels."""
    columns = {"attributes.`Run Name`": 220, f"metrics.`{objective}`": 120}
    if objective.startswith("val_"):  # a mean over folds, which has a standard deviation
        columns[f"metrics.`{names.std_key(objective)}`"] = 135
    return columns | {f"metrics.`{names.NUM_PARAMS}`": 105}


def address(server: str, experiment_id: str, view: str | None = SWEEPS) -> str:
    """Return the address of an experiment's runs in a view of `view_tags`; None: default view."""
    page = f"{server.rstrip('/')}/#/experiments/{experiment_id}/runs?workflowType=machine_learning"
    return page if view is None else f"{page}&viewStateShareKey={quote(view)}"


def _view(name: str, widths: dict[str, int], **state: Any) -> str:
    columns = list(widths)
    state = {
        "orderByAsc": False,
        **state,
        "selectedColumns": columns[1:],
        "columnOrder": columns,
    }
    return json.dumps(
        {
            "name": name,
            "createdAt": _FIXED_MS,
            "state": json.dumps({**state, "columnWidths": widths}),
        }
    )
