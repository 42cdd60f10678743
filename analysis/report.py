"""Report of sweeps as one HTML page: `python analysis/report.py --out report.html`."""

if __name__ == "__main__":
    import foldsweep.early  # noqa: F401

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from mlflow.exceptions import MlflowException

from analysis import words
from analysis.compare import TEST_HEADS, best_cells, test_cells
from analysis.comparison import Comparison, compare
from analysis.configurations import choice_sentences
from analysis.load import Store, json_artifact, open_store
from analysis.plots.figure import as_base64
from analysis.plots.gallery import sweep_figures
from analysis.results import Trial
from analysis.rows import Row
from analysis.selection import Selection, check_rope, selected
from foldsweep import names
from foldsweep.artifacts import attach
from foldsweep.errors import UserError, first_line
from foldsweep.files import write_whole
from foldsweep.numbers import shown_seconds, shown_spread
from foldsweep.programs import console, parse, run_program
from foldsweep.texts import text
from foldsweep.tracking import shown as without_password
from foldsweep.tracking import tracking_uri

ARTIFACT_FOLDER = "report"
CSS_DPI = 96
"""Pixels per inch on a page."""
TEMPLATE = "report.html.j2"
MOST_LISTED = 12
"""Largest number of configurations that are listed."""
MEANINGS = {
    "complete": "trials trained to the end; the rest were paused, stopped early or failed",
    "cross-validated": text("words.cross-validated"),
    "finals": "trained again on fresh seeds and folds",
    "test": "mean ± standard deviation over rounds on test rows never used for selection",
    "ensemble": "the test score of the averaged predictions of all folds' models",
    "params": "trainable parameters of networks",
    "train s": "seconds of training for all folds of one trial",
    "published": "the report's score for the baseline's configuration",
    "given": "how the budgets of the rows differ",
}
"""What the columns of the table of best configurations mean, by heading."""
_SETTINGS = "sampler scheduler trials folds repeats epochs objective seed".split()
"""Settings of a sweep that the page shows."""


@dataclass(frozen=True, kw_only=True)
class ReportSettings(Selection):
    """Write one self-contained HTML page about one sweep, or comparing several.

    The page is also logged as an artifact to the run of each sweep, where the MLflow UI shows it.
    """

    out: Path = Path("report.html")
    """File to write."""
    rope: float | None = None
    """Scores closer than this are equivalent [the task's value for the metric]."""
    local: bool = False
    """Write only the file; log nothing to MLflow."""


def main() -> int:
    """Run the program; return its exit code."""
    settings = parse(ReportSettings, sys.argv[1:], prog="analysis/report.py")
    check_rope(settings.rope)
    check_out(settings.out)
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    store = open_store(tracking_uri(settings.tracking_uri), settings.experiment)
    comparison = compare(selected(settings), rope=settings.rope)
    console.print(words.headline(comparison))
    page = render(store, comparison)
    write_whole(settings.out, page)
    console.print(f"{settings.out}: {len(page) / 1e6:.1f} MB")
    if not settings.local:
        _log(store, comparison, page)
    return 0


def check_out(out: Path) -> None:
    """Refuse a file that a page cannot be written to.

    Raises:
        UserError: If the name does not end in .html or .htm, or its folder does not exist.
    """
    if out.suffix not in (".html", ".htm"):
        raise UserError.of("analysis-report.out-not-html", path=out)
    if not out.parent.is_dir():
        raise UserError.of("analysis-report.out-folder-missing", path=out, folder=out.parent)


def render(store: Store, comparison: Comparison) -> str:
    """The page as HTML, which loads nothing from elsewhere."""
    sweeps = [row.sweep for row in comparison.rows]
    figures = sweep_figures(store, sweeps)
    heads, rows = best_cells(comparison)
    listed = comparison.choice.undistinguished[:MOST_LISTED]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(TEMPLATE).render(
        comparison=comparison,
        headline=words.headline(comparison),
        subject=subject(store, comparison.rows),
        belief=words.belief(comparison),
        sentences=words.sentences(comparison),
        advice=words.advice(comparison),
        level=words.level(comparison),
        test_heads=TEST_HEADS,
        tests=[
            (test_cells(test, places=comparison.places), test.verdict.split()[0])
            for test in comparison.tests
        ],
        direction=words.direction(comparison),
        heads=heads,
        rows=rows,
        meanings=MEANINGS | {"expected": words.expected(comparison)},
        shown=shown_spread,
        seconds=shown_seconds,
        choice_sentences=choice_sentences(comparison),
        listed=[(trial, own_setting(trial, listed)) for trial in listed],
        figures=[
            {
                "name": name.replace("_", " "),
                "caption": drawn.caption,
                "png": as_base64(drawn.figure),
                "width": round(CSS_DPI * drawn.figure.get_figwidth()),
            }
            for name, drawn in figures.items()
        ],
        fields=config_fields(comparison.rows),
        provenance=[provenance(store, row) for row in comparison.rows],
        store=without_password(store.tracking_uri),
        experiment=store.experiment,
        written=datetime.now(UTC).isoformat(sep=" ", timespec="minutes").removesuffix("+00:00"),
    )


def config_fields(rows: Sequence[Row]) -> list[tuple[str, list[str]]]:
    """Every field of the best configurations with a value for each row, empty if it has none."""
    fields = dict.fromkeys(name for row in rows for name in row.best.config)
    return [(name, [_value(row.best.config.get(name)) for row in rows]) for name in fields]


def own_setting(trial: Trial, others: Sequence[Trial]) -> str:
    """The name of an initial point, or the values that distinguish a trial from others."""
    if trial.origin:
        return trial.origin
    varied = [
        name
        for name, value in trial.config.items()
        if any(other.config.get(name) != value for other in others)
    ]
    return " ".join(f"{name}={_value(trial.config[name])}" for name in varied)


def _value(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def task_in_words(store: Store, row: Row) -> tuple[str, str]:
    """The task in words and the name of its rows, as far as they were recorded."""
    record = _entry(json_artifact(store, row.sweep.run_id, names.TASK_FILE), "record")
    said = [row.sweep.task]
    if target := _entry(_entry(record, "schema"), "target"):
        said.append(f"target {target}")
    if (kind := _entry(record, "kind")) in ("classification", "regression"):
        said.append(kind)
    if isinstance(classes := _entry(record, "classes"), list) and classes:
        said.append(f"{len(classes)} classes")
    if split := _entry(_entry(record, "split"), "kind"):
        said.append(f"{split} split")
    return ", ".join(said), str(_entry(record, "unit") or "rows")


def _entry(of: Any, key: str) -> Any:
    """Value of recorded JSON at a key; None if this is no mapping with the key."""
    return of.get(key) if isinstance(of, dict) else None


def subject(store: Store, rows: Sequence[Row]) -> str:
    """The sweeps of a page, their task, and the number of training rows, in words."""
    sweeps = list(dict.fromkeys(row.sweep.group for row in rows))
    task, unit = task_in_words(store, rows[0])
    trained = rows[0].sweep.tags.get(names.TAG_TRAIN_ROWS, "?")
    return (
        f"sweep{'s' * (len(sweeps) > 1)} {', '.join(sweeps)} · {task} · {trained} training {unit}"
    )


def provenance(store: Store, row: Row) -> list[tuple[str, str]]:
    """Provenance of a row's numbers: runs, settings, data, code and machine, by label."""
    sweep, tags = row.sweep, row.sweep.tags
    task, unit = task_in_words(store, row)
    measured = [("cross-validated, expected", f"trial {row.best.number}, run {row.best.run_id}")]
    if row.finals:
        measured.append(("finals", f"{row.finals.protocol}; run {row.finals.run_id}"))
    for name, tested in (("test", row.test), ("ensemble", row.ensemble)):
        if tested is not None:
            rounds = f"{len(tested.scores)} rounds on test {unit}"
            measured.append((name, f"{rounds}; run {tested.run_id}"))
    # MLflow never changes parameters, so for an extended sweep tags hold the latest values
    latest = {"trials": names.TAG_TRIALS, "scheduler": names.TAG_SCHEDULER}
    known = sweep.params | {key: tags[tag] for key, tag in latest.items() if tag in tags}
    settings = " ".join(f"{key}={known[key]}" for key in _SETTINGS if key in known)
    versions = " ".join(
        f"{key.removeprefix(names.TAG_VERSION)} {value}"
        for key, value in sorted(tags.items())
        if key.startswith(names.TAG_VERSION)
    )
    return [
        ("sweep", f"{sweep.name}, run {sweep.run_id}"),
        *measured,
        *([("published", sweep.reported[0])] if sweep.reported else []),
        ("settings", settings),
        ("task", task),
        (
            "data",
            f"{sweep.dataset}, {tags.get(names.TAG_TRAIN_ROWS, '?')} training and"
            f" {tags.get(names.TAG_TEST_ROWS, '?')} test {unit},"
            f" digest {tags[names.TAG_DATA_DIGEST]}",
        ),
        ("code", f"commit {tags.get(names.TAG_GIT_COMMIT) or 'unknown'}; {versions}"),
        ("machine", tags.get(names.TAG_MACHINE, "unknown")),
        ("started", f"{datetime.fromtimestamp(sweep.started / 1000, UTC):%Y-%m-%d %H:%M} UTC"),
    ]


def _log(store: Store, comparison: Comparison, page: str) -> None:
    """Attach the page to the run of every sweep in it."""
    logged = []
    with TemporaryDirectory() as folder:
        path = Path(folder) / "report.html"
        write_whole(path, page)
        for row in comparison.rows:
            try:
                attach(
                    store.client,
                    store.tracking_uri,
                    store.client.get_run(row.sweep.run_id).info,
                    path,
                    ARTIFACT_FOLDER,
                )
            except (MlflowException, OSError) as error:
                reason = first_line(error)
                why = without_password(reason)
                console.print(text("analysis-report.not-logged", sweep=row.sweep.name, why=why))
                continue
            logged.append(row.sweep.name)
    if logged:
        file = f"{ARTIFACT_FOLDER}/report.html"
        console.print(text("analysis-report.logged", file=file, sweeps=", ".join(logged)))


if __name__ == "__main__":
    run_program(main)
