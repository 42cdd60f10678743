"""A sweep's Optuna study, rebuilt from MLflow, and Optuna's own figures of it.

The only module of `analysis` that uses Optuna. It rebuilds the study from runs in MLflow, and does
not open the sweep's own study.
"""

import json
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import optuna
import plotly.graph_objects as go
from matplotlib.figure import Figure
from optuna import visualization
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    json_to_distribution,
)
from optuna.exceptions import ExperimentalWarning
from optuna.importance import (
    FanovaImportanceEvaluator,
    PedAnovaImportanceEvaluator,
    get_param_importances,
)
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from analysis.load import Store, json_tag, metric_history
from analysis.plots.style import HELD_OUT, TRAIN
from analysis.results import Sweep, Trial
from foldsweep import names
from foldsweep.choices import find_choice, is_container
from foldsweep.texts import text

optuna.logging.set_verbosity(optuna.logging.WARNING)

LEAST_TRIALS = 10
"""Smallest number of complete trials for which importances are meaningful."""
LEAST_DRAWN = 3
"""Smallest number of complete trials for which plots are meaningful."""
IN_CONTOUR = 3
"""Number of parameters in a contour plot, the most important ones."""
SEED = 0
"""Seed of fANOVA's random forest."""


@dataclass(frozen=True, kw_only=True)
class ImportanceInfo:
    """Importances of parameters by two evaluators; those of each evaluator add up to 1."""

    name: str
    num_trials: int
    fanova: dict[str, float]
    """Share of the variance over all trials, for parameters that all trials have."""
    ped_anova: dict[str, float]
    """Share of the difference between the best trials and the rest."""


@dataclass(frozen=True, kw_only=True)
class Rebuilt:
    """A study that was rebuilt from MLflow."""

    sweep: Sweep
    study: optuna.Study
    """All ended trials whose values fit into the space."""
    searched: optuna.Study
    """Trials that the sampler chose: initial points may also differ in parameters outside the
    space."""
    left_out: tuple[str, ...]
    """One line for each trial whose values do not fit into the space, with the reason."""

    @cached_property
    def params(self) -> list[str]:
        """Parameters of complete trials; parameters that only some trials have come last."""
        known = dict.fromkeys(name for t in self.complete for name in t.params)
        return sorted(known, key=lambda name: name not in self.common)

    @cached_property
    def common(self) -> list[str]:
        """Parameters that all complete trials have."""
        first, *others = self.complete
        return [name for name in first.params if all(name in t.params for t in others)]

    @property
    def complete(self) -> list[FrozenTrial]:
        """Complete trials that the sampler chose."""
        return self.searched.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))

    @cached_property
    def importances(self) -> ImportanceInfo | str:
        """Importances by two evaluators, or the reason why there are none."""
        complete, why = self.complete, None
        if len(complete) < LEAST_TRIALS:
            why = text("study.too-few-complete", least=LEAST_TRIALS)
        elif len(self.varied(self.params)) < 2:
            why = text("study.too-few-vary")
        elif len({t.value for t in complete}) == 1:
            why = text("study.same-value")
        if why is not None:
            return why
        with _quiet():
            fanova, ped_anova = (
                get_param_importances(self.searched, evaluator=evaluator)
                for evaluator in (
                    FanovaImportanceEvaluator(seed=SEED),
                    PedAnovaImportanceEvaluator(),
                )
            )
        return ImportanceInfo(
            name=self.sweep.name,
            num_trials=len(complete),
            fanova={name: float(share) for name, share in fanova.items()},
            ped_anova={name: float(share) for name, share in ped_anova.items()},
        )

    @property
    def contour_params(self) -> list[str]:
        """Parameters of the contour plot: the most important, or the first without importances."""
        info = self.importances
        ranked = self.common if isinstance(info, str) else list(info.fanova)
        return self.varied(ranked)[:IN_CONTOUR]

    def varied(self, names: Sequence[str]) -> list[str]:
        """Parameters that have more than one value in complete trials."""
        params = [t.params for t in self.complete]
        return [name for name in names if len({p[name] for p in params if name in p}) > 1]


def rebuild(store: Store, sweep: Sweep) -> Rebuilt | None:
    """Rebuild a sweep's study for its first objective; None if MLflow lacks its distributions."""
    try:
        parts = json_tag(sweep.tags, names.TAG_DISTRIBUTIONS)
        if parts is None:
            return None
        distributions = {
            key: json_to_distribution(json.dumps(part)) for key, part in parts.items()
        }
    except (LookupError, ValueError, TypeError) as error:
        said = text("study.unreadable", run=sweep.run_id, sweep=sweep.name, why=error)
        print(said, file=sys.stderr)
        return None
    higher = sweep.objective.better == "higher"
    direction = StudyDirection.MAXIMIZE if higher else StudyDirection.MINIMIZE
    conditional = (names.whole_tag(sweep.tags, names.TAG_CONDITIONAL) or "").split()
    study, searched = (optuna.create_study(direction=direction) for _ in range(2))
    left_out = []
    for trial in sweep.trials:
        if trial.state == "RUNNING":
            continue
        try:
            has = {
                name: of
                for name, of in distributions.items()
                if name in trial.config or name not in conditional
            }
            frozen = _frozen(store, sweep, trial, has)
        except ValueError as error:
            left_out.append(text("study.left-out", trial=trial.label, why=error))
            continue
        study.add_trial(frozen)
        if trial.origin is None:
            searched.add_trial(frozen)
    return Rebuilt(sweep=sweep, study=study, searched=searched, left_out=tuple(left_out))


def _frozen(
    store: Store, sweep: Sweep, trial: Trial, distributions: Mapping[str, BaseDistribution]
) -> FrozenTrial:
    """Convert a trial to a trial of Optuna.

    Raises:
        ValueError: If a parameter is not in the space, or MLflow lacks the value of the objective.
    """
    params = {name: trial.config.get(name) for name in distributions}
    for name, value in params.items():  # the same conversion as for the sampler
        if trial.origin is not None or is_container(value):
            params[name] = _placed(name, distributions[name], value)
    state = TrialState.PRUNED if trial.stopped_early else TrialState[trial.state]
    reported: dict[int, float] = {}
    if state == TrialState.PRUNED:
        reported = metric_history(store, trial.run_id, sweep.objective.key)
    value = reported[max(reported)] if reported else trial.values.get(sweep.objective.key)
    return create_trial(
        state=state,
        value=None if state == TrialState.FAIL else value,
        params=params,
        distributions=dict(distributions),
        intermediate_values=reported,
        user_attrs={"run_id": trial.run_id, **({"origin": trial.origin} if trial.origin else {})},
    )


def _placed(name: str, distribution: BaseDistribution, value: Any) -> Any:
    try:
        return nearest(distribution, value)
    except ValueError as error:
        raise ValueError(text("study.parameter", parameter=name, finding=error)) from None


def nearest(distribution: BaseDistribution, value: Any) -> Any:
    """The value of a distribution that is closest to `value`.

    Raises:
        ValueError: If `value` is not a choice of the distribution, or not a number.
    """
    if isinstance(distribution, CategoricalDistribution):
        return find_choice(distribution.choices, value)
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(text("study.not-a-number", value=value))
    clipped = min(max(value, distribution.low), distribution.high)
    if distribution.step is not None and not distribution.log:
        steps = round((clipped - distribution.low) / distribution.step)
        clipped = float(f"{distribution.low + steps * distribution.step:.12g}")
    return int(clipped) if isinstance(distribution, IntDistribution) else float(clipped)


def plot_importances(info: ImportanceInfo) -> Figure:
    """Draw both evaluators side by side, the most important parameter on top."""
    some = set(info.ped_anova) - set(info.fanova)  # parameters that only some trials have
    names = sorted(
        info.fanova | {name: info.ped_anova[name] for name in some},
        key=lambda name: (info.fanova.get(name, info.ped_anova.get(name, 0.0)), name),
    )
    figure = Figure(figsize=(5.6, 1.2 + 0.36 * len(names)), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(names))
    for shift, label, values, colour in (
        (0.19, "fANOVA: variance over all", info.fanova, TRAIN),
        (-0.19, "PED-ANOVA: best trials against all", info.ped_anova, HELD_OUT),
    ):
        shares = [values.get(name, 0.0) for name in names]
        axes.barh(places + shift, shares, height=0.36, color=colour, label=label)
    axes.set_yticks(places, [f"{name} *" if name in some else name for name in names])
    axes.set_xlabel("importance (share, adds up to 1)")
    title = f"{info.name}: n = {info.num_trials} complete trials"
    note = f"\n* {text('study.only-some')}" if some else ""
    axes.set_title(f"{title}{note}", fontsize=10)
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return figure


def interactive_figures(rebuilt: Rebuilt) -> dict[str, go.Figure]:
    """Optuna's interactive figures: the history of all trials, others of the sampler's trials."""
    target = rebuilt.sweep.objective.key
    with _quiet():
        figures = {
            "history": visualization.plot_optimization_history(rebuilt.study, target_name=target)
        }
        if len(rebuilt.complete) >= LEAST_DRAWN:
            figures |= {
                "slice": visualization.plot_slice(rebuilt.searched, target_name=target),
                "parallel": visualization.plot_parallel_coordinate(
                    rebuilt.searched, params=sorted(rebuilt.common) or None, target_name=target
                ),
            }
        params = rebuilt.contour_params if len(rebuilt.complete) >= LEAST_DRAWN else []
        if len(params) > 1:
            figures["contour"] = visualization.plot_contour(
                rebuilt.searched, params=params, target_name=target
            )
        if not isinstance(rebuilt.importances, str):
            figures["importance"] = visualization.plot_param_importances(
                rebuilt.searched,
                evaluator=FanovaImportanceEvaluator(seed=SEED),
                target_name=target,
            )
    for name, figure in figures.items():
        figure.update_layout(template="plotly_white", title=f"{rebuilt.sweep.name}: {name}")
    if "contour" in figures:
        figures["contour"].update_layout(height=260 * len(params))
    return figures


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress Optuna's warnings about experimental functions and about constant parameters."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        warnings.filterwarnings("ignore", "Attempting to set identical low and high", UserWarning)
        yield
