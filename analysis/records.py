"""Comparisons as plain values: JSON with all values, CSV with a line for each row."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from analysis import words
from analysis.comparison import Comparison
from analysis.results import Trial
from analysis.rows import Row, spread
from analysis.significance import ALPHA
from foldsweep import names


def as_csv(comparison: Comparison) -> str:
    """The rows as CSV, with a column for each key of `row_dict`."""
    rows = [row_dict(row) for row in comparison.rows]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def as_json(comparison: Comparison) -> str:
    """The whole comparison as JSON."""
    return json.dumps(as_dict(comparison), indent=1) + "\n"


def as_dict(comparison: Comparison) -> dict[str, Any]:
    """The whole comparison as plain values, for JSON."""
    first, objective, choice = comparison.rows[0].sweep, comparison.objective, comparison.choice
    return {
        "task": first.task,
        "dataset": first.dataset,
        "objective": objective.name,
        "better": objective.better,
        "rope": comparison.rope,
        "alpha": ALPHA,
        "rows": [row_dict(row) for row in comparison.rows],
        "tests": [asdict(test) | {"basis": words.basis(test)} for test in comparison.tests],
        "choice": {
            "basis": choice.basis,
            "compared": len(choice.trials),
            "detectable": choice.detectable,
            "equivalent": _trials(choice.equivalent),
            "undistinguished": _trials(choice.undistinguished),
        },
    }


def _trials(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    return [
        {
            "sweep": t.sweep,
            "trial": t.number,
            "run_id": t.run_id,
            "score": t.score,
            "num_params": t.num_params,
        }
        for t in trials
    ]


def row_dict(row: Row) -> dict[str, Any]:
    """One row as plain values, by column."""
    states = [t.state for t in row.sweep.trials]
    test, ensemble, finals, reported = row.test, row.ensemble, row.finals, row.sweep.reported
    bootstrap = row.bootstrap
    return {
        "name": row.name,
        "task": row.sweep.task,
        "variant": row.sweep.variant,
        "sweep": row.sweep.name,
        "dataset": row.sweep.dataset,
        "trials": len(states),
        "asked": row.sweep.asked,
        "resource": row.sweep.resource,
        "complete": states.count("COMPLETE"),
        "pruned": states.count("PRUNED"),
        "paused": states.count(names.PAUSED),
        "failed": states.count("FAIL"),
        "best_trial": row.best.number,
        "run_id": row.best.run_id,
        "objective": row.sweep.measure.name,
        "score": row.best.score,
        "score_std": row.best.std,
        "expected_score": row.expected,
        "fresh_score": bootstrap.value if bootstrap else None,
        "fresh_low": bootstrap.low if bootstrap else None,
        "fresh_high": bootstrap.high if bootstrap else None,
        "finals_score": finals.mean if finals else None,
        "finals_expected": row.finals_score if finals else None,
        "finals_score_std": spread(finals),
        "finals_scores": len(finals.scores) if finals else None,
        "test_score": test.mean if test else None,
        "test_score_std": spread(test),
        "test_rounds": len(test.scores) if test else None,
        "ensemble_score": ensemble.mean if ensemble else None,
        "ensemble_score_std": spread(ensemble),
        "ensemble_rounds": len(ensemble.scores) if ensemble else None,
        "num_params": row.best.num_params,
        "train_time_s": row.best.train_time_s,
        "sweep_time_s": sum(t.train_time_s for t in row.sweep.trials if t.train_time_s > 0),
        "reported": reported[0] if reported else None,
        "reported_score": reported[1] if reported else None,
        "reported_score_std": reported[2] if reported else None,
    }
