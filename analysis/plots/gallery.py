"""All figures of sweeps with captions, in reading order."""

import re
from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from analysis.load import Store, json_artifact
from analysis.plots.boxes import box_info, plot_boxes
from analysis.plots.classes import (
    MOST_CLASSES,
    MOST_SHARED,
    calibration_info,
    confusion_info,
    plot_calibrations,
    plot_confusions,
)
from analysis.plots.curves import CurvesInfo, learning_curves, plot_all, plot_one
from analysis.plots.figure import Drawn, Notice, common, slug
from analysis.plots.history import history_info, plot_histories
from analysis.plots.interactive import interactive_tradeoff
from analysis.plots.residuals import plot_predicted, plot_residuals, predicted_info
from analysis.plots.study import (
    Rebuilt,
    interactive_figures,
    plot_importances,
    rebuild,
)
from analysis.plots.tradeoffs import COSTS, Cost, plot_tradeoff, tradeoff_info
from analysis.results import Sweep, Trial
from analysis.rows import best_trial
from analysis.tasks import pictures_of
from foldsweep import names as keys
from foldsweep.errors import UserError
from foldsweep.objective import Objective
from foldsweep.programs import console
from foldsweep.texts import text

COST_NAMES: dict[Cost, str] = {"num_params": "parameters", "train_time_s": "training-time"}


def sweep_figures(
    store: Store,
    sweeps: Sequence[Sweep],
    *,
    beside: Sequence[str] = (),
    studies: Mapping[str, Rebuilt] | None = None,
    notice: Notice = console.print,
) -> dict[str, Drawn]:
    """Static figures, by a name that is suitable for a file.

    Names of figures of several sweeps begin with `all`, those of others with the sweep's name.

    Args:
        store: Store of the sweeps.
        sweeps: Sweeps of one task that each have a complete trial.
        beside: Rows of reports that the task's own figures show beside the sweeps.
        studies: The sweeps' studies by name, if they have been rebuilt already.
        notice: Called with one line for each figure that cannot be drawn, with the reason.

    Raises:
        UserError: If a row of `beside` does not exist, the task has no figures that can show it,
            or a file in MLflow cannot be read.
    """
    studies = rebuilt_studies(store, sweeps, notice=notice) if studies is None else studies
    shown = shown_names(sweeps)
    pictures = pictures_of(sweeps[0].task)
    if beside and pictures is None:
        raise UserError.of("gallery.row-without-figures", row=beside[0], task=sweeps[0].task)
    return {
        **_curves(store, sweeps, shown, notice),
        **_boxes(sweeps, shown),
        **_errors(store, sweeps, shown, notice),
        **({} if pictures is None else pictures(store, sweeps, shown, beside, notice)),
        **_tradeoffs(sweeps),
        **_histories(sweeps, shown),
        **_studies(sweeps, studies, notice),
    }


def interactive(sweeps: Sequence[Sweep], studies: Mapping[str, Rebuilt]) -> dict[str, go.Figure]:
    """Interactive figures for a browser, by a name that is suitable for a file."""
    figures = {
        f"{common(sweeps)}-{COST_NAMES[cost]}": interactive_tradeoff(info)
        for cost in COSTS
        if (info := tradeoff_info(sweeps, cost)).trials
    }
    for sweep in sweeps:
        if sweep.name in studies:
            for name, figure in interactive_figures(studies[sweep.name]).items():
                figures[f"{slug(sweep)}-{name}"] = figure
    return figures


def rebuilt_studies(
    store: Store, sweeps: Sequence[Sweep], *, notice: Notice = console.print
) -> dict[str, Rebuilt]:
    """The Optuna study of each sweep for which MLflow has a record, by the sweep's name."""
    studies = {}
    for sweep in sweeps:
        rebuilt = rebuild(store, sweep)
        if rebuilt is None:
            notice(text("gallery.space-not-recorded", sweep=sweep.name))
            continue
        for reason in rebuilt.left_out:
            notice(reason)
        studies[sweep.name] = rebuilt
    return studies


def shown_names(sweeps: Sequence[Sweep]) -> dict[str, str]:
    """Name of each sweep in figures: its variant, or its own name if two have the same variant."""
    variants = [sweep.variant for sweep in sweeps]
    alone = len(set(variants)) == len(variants)
    return {s.name: s.variant if alone else s.name for s in sweeps}


def _curves(
    store: Store, sweeps: Sequence[Sweep], shown: Mapping[str, str], notice: Notice
) -> dict[str, Drawn]:
    """Learning curves of the best trial of each sweep and of its baseline."""
    chosen: list[tuple[Trial, str]] = []
    for sweep in sweeps:
        if sweep.selected_on_test:
            notice(text("gallery.selected-on-test-rows", sweep=sweep.name))
        best = best_trial(sweep)
        own = f"{shown[sweep.name]}, trial {best.number}"
        chosen.append((best, f"{own}, the baseline" if best.origin else own))
        baseline = sweep.baseline
        if baseline is not None and baseline.number != best.number:
            chosen.append((baseline, f"{shown[sweep.name]}, baseline"))
    measure = sweeps[0].measure
    figures, curved = {}, set()
    for metric in dict.fromkeys((measure.name, keys.bare(keys.VAL_LOSS))):
        infos: list[CurvesInfo] = []
        for trial, name in chosen:
            info = learning_curves(store, trial, metric, name=name)
            if info is not None:
                infos.append(info)
                curved.add(trial.label)
        if infos:
            label = _curve_label(metric, measure)
            plot = plot_one(infos[0], metric, label) if len(infos) == 1 else None
            part = re.sub(r"\W+", "-", metric)
            figures[f"{common(sweeps)}-curves-{part}"] = Drawn(
                figure=plot or plot_all(infos, metric, label),
                caption=_curve_caption(metric, measure),
            )
    without = [trial.label for trial, _ in chosen if trial.label not in curved]
    if without:
        notice(text("gallery.no-curve", trials=", ".join(without)))
    return figures


def _curve_label(metric: str, measure: Objective) -> str:
    return metric if metric != measure.name else f"{metric} ({measure.better} is better)"


def _curve_caption(metric: str, measure: Objective) -> str:
    if metric == keys.bare(keys.VAL_LOSS):
        return text("gallery.loss-curves")
    return text("gallery.curves", metric=metric)


def _boxes(sweeps: Sequence[Sweep], shown: Mapping[str, str]) -> dict[str, Drawn]:
    infos = [box_info(s, best_trial(s), name=shown[s.name]) for s in sweeps]
    over, measure = {info.over for info in infos}, sweeps[0].measure
    caption = text(
        "gallery.rounds" if "rounds" in over else "gallery.folds",
        metric=measure.name,
        better=measure.better,
    )
    if len(over) > 1:
        caption += " " + text("gallery.some-by-folds")
    return {f"{common(sweeps)}-boxes": Drawn(figure=plot_boxes(infos, measure), caption=caption)}


def _errors(
    store: Store, sweeps: Sequence[Sweep], shown: Mapping[str, str], notice: Notice
) -> dict[str, Drawn]:
    """Errors on test rows of the best trial of each sweep, if it was evaluated."""
    confusions, calibrations, predictions = [], [], []
    not_evaluated: list[str] = []
    no_rows: list[str] = []
    for sweep in sweeps:
        evaluation = sweep.evaluation(best_trial(sweep).number)
        if evaluation is None:
            has_none = sweep.tags.get(keys.TAG_TEST_ROWS) == "0"
            (no_rows if has_none else not_evaluated).append(sweep.name)
            continue
        found = json_artifact(store, evaluation.run_id, keys.EVALUATION_FILE)
        if found is None or "kind" not in found:
            notice(text("gallery.no-predictions", sweep=sweep.name))
            continue
        name = shown[sweep.name]
        if "confusion" in found:
            confusions.append((sweep, confusion_info(name, found)))
            calibrations.append(calibration_info(name, found))
        predictions.append(predicted_info(name, found))
    if not_evaluated:
        notice(text("gallery.not-evaluated", sweeps=", ".join(not_evaluated)))
    if no_rows:
        notice(text("gallery.no-test-rows", sweeps=", ".join(no_rows)))
    figures = {}
    if confusions:
        sizes = {len(info.classes) for _, info in confusions}
        together = max(sizes) <= MOST_SHARED and len(sizes) == 1
        many = max(sizes) > MOST_CLASSES
        caption = text("gallery.most-confused" if many else "gallery.confusion")
        groups = {common(sweeps): [info for _, info in confusions]} if together else {}
        for prefix, infos in (groups or {slug(s): [i] for s, i in confusions}).items():
            drawn = Drawn(figure=plot_confusions(infos), caption=caption)
            figures[f"{prefix}-confusion"] = drawn
    calibrated = [info for info in calibrations if info is not None]
    if calibrated:
        figures[f"{common(sweeps)}-calibration"] = Drawn(
            figure=plot_calibrations(calibrated),
            caption=text("gallery.calibration"),
        )
    predicted = [info for info in predictions if info is not None]
    if predicted:
        figures[f"{common(sweeps)}-predicted"] = Drawn(
            figure=plot_predicted(predicted),
            caption=text("gallery.predicted"),
        )
        figures[f"{common(sweeps)}-residuals"] = Drawn(
            figure=plot_residuals(predicted),
            caption=text("gallery.residuals"),
        )
    return figures


def _tradeoffs(sweeps: Sequence[Sweep]) -> dict[str, Drawn]:
    several = len({s.tags.get(keys.TAG_MACHINE) for s in sweeps}) > 1
    name = sweeps[0].measure.name
    missing = any(not t.num_params for s in sweeps for t in s.complete)
    captions = {
        "num_params": text("gallery.by-parameters", metric=name)
        + (" " + text("gallery.without-estimators") if missing else ""),
        "train_time_s": text(
            "gallery.by-time-of-machines" if several else "gallery.by-time", metric=name
        ),
    }
    return {
        f"{common(sweeps)}-{COST_NAMES[cost]}": Drawn(
            figure=plot_tradeoff(info), caption=captions[cost]
        )
        for cost in COSTS
        if (info := tradeoff_info(sweeps, cost)).trials
    }


def _histories(sweeps: Sequence[Sweep], shown: Mapping[str, str]) -> dict[str, Drawn]:
    infos = [history_info(sweep, name=shown[sweep.name]) for sweep in sweeps]
    return {
        f"{common(sweeps)}-history": Drawn(
            figure=plot_histories(infos),
            caption=text("gallery.history"),
        )
    }


def _studies(
    sweeps: Sequence[Sweep], studies: Mapping[str, Rebuilt], notice: Notice
) -> dict[str, Drawn]:
    """Importances of each sweep's parameters, without initial points."""
    figures = {}
    without: dict[str, list[str]] = {}
    for sweep in sweeps:
        rebuilt = studies.get(sweep.name)
        if rebuilt is None:
            continue
        if isinstance(rebuilt.importances, str):
            without.setdefault(rebuilt.importances, []).append(sweep.name)
        else:
            figures[f"{slug(sweep)}-importance"] = Drawn(
                figure=plot_importances(rebuilt.importances),
                caption=text("gallery.importances", sweep=sweep.name),
            )
    for why, named in without.items():
        notice(text("gallery.no-importances", sweeps=", ".join(named), why=why))
    return figures
