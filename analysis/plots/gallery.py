"""All figures of sweeps in the order of reading them, each with what to look at."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
from matplotlib.figure import Figure

from analysis.comparison import best_trial
from analysis.load import Store, json_artifact
from analysis.plots.boxes import box_info, plot_boxes
from analysis.plots.curves import CurvesInfo, plot_all, plot_one, trial_curves
from analysis.plots.history import history_info, plot_histories
from analysis.plots.interactive import interactive_tradeoff
from analysis.plots.study import (
    LEAST_DRAWN,
    Rebuilt,
    interactive_figures,
    plot_importances,
    rebuild,
    static_figures,
)
from analysis.plots.tradeoffs import COSTS, plot_tradeoff, tradeoff_info
from analysis.reproduced import latest_rows
from analysis.results import Sweep
from analysis.tasks.heatmaps import heatmap_info, plot_heatmaps
from analysis.tasks.pairs import pairs_info, plot_pairs
from analysis.tasks.weighted import plot_weighted, trial_weighted
from foldsweep import names as metrics
from foldsweep.programs import console

COST_NAMES = {"num_params": "parameters", "train_time_s": "training-time"}


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A figure and one line that says what to look at."""

    figure: Figure
    caption: str


def sweep_figures(
    store: Store,
    sweeps: Sequence[Sweep],
    *,
    beside: Sequence[str] = (),
    studies: Mapping[str, Rebuilt] | None = None,
    notice: Callable[[str], None] = console.print,
) -> dict[str, Drawn]:
    """Figures for print, by a name that is fit for a file.

    Those of several sweeps together begin with `all`, the others with the sweep's own name.

    Args:
        store: Where the sweeps are.
        sweeps: Sweeps that each have a complete trial.
        beside: Rows of reports whose heat maps are drawn beside those of the sweeps.
        studies: The sweeps' studies by name, if they have been rebuilt already.
        notice: Told what cannot be drawn, and why, in a line each.

    Raises:
        UserError: If a row of `beside` is not there, or MLflow does not give a file it has.
    """
    studies = rebuilt_studies(store, sweeps, notice=notice) if studies is None else studies
    names = shown_names(sweeps)
    return {
        **_curves(store, sweeps, names, notice),
        **_boxes(sweeps, names),
        **_wrong(store, sweeps, names, beside, notice),
        **_tradeoffs(sweeps),
        **_histories(sweeps, names),
        **_studies(sweeps, studies, notice),
    }


def interactive(sweeps: Sequence[Sweep], studies: Mapping[str, Rebuilt]) -> dict[str, go.Figure]:
    """Figures to explore in a browser, by a name that is fit for a file."""
    figures = {
        f"{_common(sweeps)}-{COST_NAMES[cost]}": interactive_tradeoff(tradeoff_info(sweeps, cost))
        for cost in COSTS
    }
    for sweep in sweeps:
        if sweep.name in studies:
            for name, figure in interactive_figures(studies[sweep.name]).items():
                figures[f"{slug(sweep)}-{name}"] = figure
    return figures


def rebuilt_studies(
    store: Store, sweeps: Sequence[Sweep], *, notice: Callable[[str], None] = console.print
) -> dict[str, Rebuilt]:
    """The Optuna study of each sweep that has one in MLflow, by the sweep's name."""
    studies = {}
    for sweep in sweeps:
        rebuilt = rebuild(store, sweep)
        if rebuilt is None:
            notice(f"{sweep.name}: made before its space was recorded, so no Optuna figures")
            continue
        for reason in rebuilt.left_out:
            notice(reason)
        studies[sweep.name] = rebuilt
    return studies


def shown_names(sweeps: Sequence[Sweep]) -> dict[str, str]:
    """What each sweep is called in figures: its variant, or its own name where two are of one."""
    variants = [sweep.variant for sweep in sweeps]
    alone = len(set(variants)) == len(variants)
    return {s.name: s.variant if alone else s.name for s in sweeps}


def slug(sweep: Sweep) -> str:
    """A sweep's name as part of a file's."""
    return sweep.name.replace("/", "-")


def _common(sweeps: Sequence[Sweep]) -> str:
    return slug(sweeps[0]) if len(sweeps) == 1 else "all"


def _curves(
    store: Store, sweeps: Sequence[Sweep], names: Mapping[str, str], notice: Callable[[str], None]
) -> dict[str, Drawn]:
    """Learning curves of the best of each sweep and of its baseline, and the parts of the loss."""
    infos: list[CurvesInfo] = []
    weighted = []
    for sweep in sweeps:
        if sweep.selected_on_test:
            notice(f"{sweep.name} was selected on test pairs: in figures they are its validation")
        best = best_trial(sweep)
        own = f"{names[sweep.name]}, trial {best.number}"
        chosen = {best.number: (best, f"{own}, the baseline" if best.origin else own)}
        baseline = next((t for t in sweep.complete if t.origin is not None), None)
        if baseline is not None:
            chosen.setdefault(baseline.number, (baseline, f"{names[sweep.name]}, baseline"))
        for trial, name in chosen.values():
            curves = trial_curves(store, trial, name=name)
            if curves is None:
                notice(f"{trial.label}: its learning curves are not in MLflow")
            else:
                infos.append(curves)
        parts = trial_weighted(store, best, name=own)
        if parts is not None:
            weighted.append(parts)
    figures = {}
    if infos:
        for quantity in ("accuracy", "loss"):
            drawn = plot_one(infos[0], quantity) if len(infos) == 1 else plot_all(infos, quantity)
            figures[f"{_common(sweeps)}-curves-{quantity}"] = Drawn(
                figure=drawn,
                caption=f"Learning curves, {quantity}: where training goes on rising while"
                " validation does not, the network has begun to memorise."
                if quantity == "accuracy"
                else "Learning curves, loss: a validation loss that rises again means answers"
                " that are wrong and ever surer.",
            )
    if weighted:
        figures[f"{_common(sweeps)}-weighted-loss"] = Drawn(
            figure=plot_weighted(weighted),
            caption="Both weighted parts of the training loss: which of them drives the training"
            " at which epoch (the comparison is enlarged where its label says so).",
        )
    return figures


def _boxes(sweeps: Sequence[Sweep], names: Mapping[str, str]) -> dict[str, Drawn]:
    infos = [box_info(s, best_trial(s), name=names[s.name]) for s in sweeps]
    where = "rounds on test pairs" if any(i.over == "rounds" for i in infos) else "folds"
    mixed = len({i.over for i in infos}) > 1
    return {
        f"{_common(sweeps)}-boxes": Drawn(
            figure=plot_boxes(infos),
            caption=f"Accuracy of the best over {where}, every one a point: differences count"
            " only where boxes hardly overlap."
            + (" Folds stand for what was never evaluated." if mixed else ""),
        )
    }


def _wrong(
    store: Store,
    sweeps: Sequence[Sweep],
    names: Mapping[str, str],
    beside: Sequence[str],
    notice: Callable[[str], None],
) -> dict[str, Drawn]:
    """Heat maps of evaluations and of rows of reports, then the pairs themselves."""
    maps, pairs = [], {}
    for sweep in sweeps:
        evaluation = sweep.evaluation(best_trial(sweep).number)
        if evaluation is None:
            notice(f"{sweep.name}: its best was not evaluated on test pairs: no heat map")
            continue
        found = json_artifact(store, evaluation.run_id, metrics.EVALUATION_FILE)
        if found is None:
            notice(f"{sweep.name}: its evaluation kept no wrong answers; evaluate it again")
            continue
        maps.append(heatmap_info(names[sweep.name], found["wrong"], found["count"]))
        info = pairs_info(names[sweep.name], found)
        if info.shown:
            pairs[f"{slug(sweep)}-pairs"] = Drawn(
                figure=plot_pairs(info),
                caption="Wrongly answered test pairs of the first round, the surest first: are"
                " they hard for you too?",
            )
    for preset, row in latest_rows(store, beside).items():
        maps.append(heatmap_info(preset, row["wrong"], row["count"]))
    if not maps:
        return pairs
    heat = Drawn(
        figure=plot_heatmaps(maps),
        caption="Wrong answers by pair of digits, as a share of how often the pair occurs, on one"
        " scale: the diagonal are equal digits, its neighbours differ by one.",
    )
    return {f"{_common(sweeps)}-wrong": heat, **pairs}


def _tradeoffs(sweeps: Sequence[Sweep]) -> dict[str, Drawn]:
    several = len({s.tags.get(metrics.TAG_MACHINE) for s in sweeps}) > 1
    captions = {
        "num_params": "Accuracy against size: left of and above the line there is nothing; a"
        " member of the front is the best at its size.",
        "train_time_s": "Accuracy against the seconds that training took, all folds together"
        + (", on different machines." if several else "."),
    }
    return {
        f"{_common(sweeps)}-{COST_NAMES[cost]}": Drawn(
            figure=plot_tradeoff(info), caption=captions[cost]
        )
        for cost in COSTS
        if (info := tradeoff_info(sweeps, cost)).trials
    }


def _histories(sweeps: Sequence[Sweep], names: Mapping[str, str]) -> dict[str, Drawn]:
    infos = [history_info(sweep, name=names[sweep.name]) for sweep in sweeps]
    return {
        f"{_common(sweeps)}-history": Drawn(
            figure=plot_histories(infos),
            caption="The search in order: a best-so-far that still climbs at the end asks for more"
            " trials.",
        )
    }


def _studies(
    sweeps: Sequence[Sweep], studies: Mapping[str, Rebuilt], notice: Callable[[str], None]
) -> dict[str, Drawn]:
    """Optuna's views of each sweep, without the settings of reports."""
    captions = {
        "slice": "Complete trials by each parameter: a slope is an effect, a cloud is none.",
        "contour": "The objective between complete trials, by the most important parameters: wide"
        " dark areas are safe choices (between the points it is interpolated).",
        "parallel": "Complete trials as lines: where dark lines meet, good trials agree.",
    }
    figures = {}
    for sweep in sweeps:
        rebuilt = studies.get(sweep.name)
        if rebuilt is None:
            continue
        if len(rebuilt.complete) < LEAST_DRAWN:
            notice(
                f"{sweep.name}: the sampler has fewer than {LEAST_DRAWN} complete trials, so there"
                " are no slices, contours and importances"
            )
            continue
        if isinstance(rebuilt.importances, str):
            notice(rebuilt.importances)
        else:
            figures[f"{slug(sweep)}-importance"] = Drawn(
                figure=plot_importances(rebuilt.importances),
                caption=f"{sweep.name}: which parameters mattered within the space; with few"
                " trials the order is uncertain.",
            )
        for name, figure in static_figures(rebuilt).items():
            figures[f"{slug(sweep)}-{name}"] = Drawn(
                figure=figure, caption=f"{sweep.name}: {captions[name]}"
            )
    return figures
