"""Figures of the task `larger_digit`: parts of the loss, and wrong comparisons."""

from collections.abc import Mapping, Sequence

from analysis.load import Store, json_artifact
from analysis.plots.figure import Drawn, Notice, common, slug
from analysis.reproductions import latest_rows
from analysis.results import Sweep
from analysis.rows import best_trial
from analysis.tasks.heatmaps import heatmap_info, plot_heatmaps
from analysis.tasks.pairs import pairs_info, plot_pairs
from analysis.tasks.weighted import plot_weighted, trial_weighted
from foldsweep.names import EVALUATION_FILE


def pictures(
    store: Store,
    sweeps: Sequence[Sweep],
    names: Mapping[str, str],
    beside: Sequence[str],
    notice: Notice,
) -> dict[str, Drawn]:
    """Weighted losses, heat maps by digits, and wrong pairs, of the best trial of each sweep."""
    return {
        **_weighted(store, sweeps, names),
        **_wrong(store, sweeps, names, beside, notice),
    }


def _weighted(store: Store, sweeps: Sequence[Sweep], names: Mapping[str, str]) -> dict[str, Drawn]:
    infos = []
    for sweep in sweeps:
        best = best_trial(sweep)
        info = trial_weighted(store, best, name=f"{names[sweep.name]}, trial {best.number}")
        if info is not None:
            infos.append(info)
    if not infos:
        return {}
    return {
        f"{common(sweeps)}-weighted-loss": Drawn(
            figure=plot_weighted(infos),
            caption="Both weighted parts of the training loss: which of them drives the training"
            " at which epoch (the comparison is enlarged where its label says so).",
        )
    }


def _wrong(
    store: Store,
    sweeps: Sequence[Sweep],
    names: Mapping[str, str],
    beside: Sequence[str],
    notice: Notice,
) -> dict[str, Drawn]:
    """Heat maps of evaluations and of rows of reports, then images of wrong pairs."""
    maps, pairs = [], {}
    for sweep in sweeps:
        evaluation = sweep.evaluation(best_trial(sweep).number)
        found = evaluation and json_artifact(store, evaluation.run_id, EVALUATION_FILE)
        if not found or "kind" not in found:
            continue  # `analysis.plots.gallery` gives notice of a missing evaluation
        if "details" not in found:
            notice(f"{sweep.name}: its evaluation kept no wrong pairs; evaluate it again")
            continue
        details = found["details"]
        maps.append(heatmap_info(names[sweep.name], details["wrong"], details["count"]))
        info = pairs_info(names[sweep.name], details)
        if info.shown:
            pairs[f"{slug(sweep)}-pairs"] = Drawn(
                figure=plot_pairs(info),
                caption="Misclassified test pairs of the first round, the most confident"
                " predictions first.",
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
    return {f"{common(sweeps)}-wrong": heat, **pairs}
