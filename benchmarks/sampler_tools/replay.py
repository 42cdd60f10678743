"""Sweeps of a sampler on problems with known scores."""

from collections.abc import Callable

import numpy as np
import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from sampler_tools.around import Around, Prior
from sampler_tools.problems import Problem, Values
from sweeps.sampling import Chooser
from sweeps.settings import Sampler, SweepSettings
from sweeps.visible import UNGUIDED, Visible


def ours(
    problem: Problem,
    initial: Values,
    *,
    sampler: Sampler,
    trials: int,
    lag: int,
    seed: int,
) -> list[float]:
    """Replay a sampler of foldsweep; returns the true score of the best trial after each trial."""
    visible = Visible("replay", [StudyDirection.MAXIMIZE], sampler=sampler)
    settings = SweepSettings(sampler=sampler, seed=seed)
    space = problem.space(initial)
    chooser = Chooser(visible.view, problem.distributions, space, settings)
    asked: list[FrozenTrial] = []

    def show(number: int, score: float) -> None:
        visible.show(asked[number], 0, score)

    def ask() -> float:
        asked.append(chooser.new())
        return problem.score(asked[-1].params)

    return _replayed(problem, ask, show, trials=trials, lag=lag, seed=seed)


def plain_tpe(
    problem: Problem,
    initial: Values | None,
    *,
    trials: int,
    lag: int,
    seed: int,
    prior: Prior | None = None,
) -> list[float]:
    """Replay Optuna's TPE with its defaults; returns the best trial's true score after each trial.

    Args:
        problem: The problem.
        initial: Configuration of the first trial; None for no initial point.
        trials: Number of trials.
        lag: The sampler of trial n sees results of trials up to n - lag.
        seed: Seed of sampler and noise.
        prior: Probabilities of draws near other trials; None for plain TPE.
    """
    sampler: optuna.samplers.BaseSampler = optuna.samplers.TPESampler(seed=seed)
    if prior is not None:
        sampler = Around(sampler, problem.distributions, prior, seed)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    if initial is not None:
        study.enqueue_trial(dict(initial))
    asked: list[optuna.Trial] = []

    def show(number: int, score: float) -> None:
        study.tell(asked[number], score)

    def ask() -> float:
        asked.append(study.ask(problem.distributions))
        return problem.score(asked[-1].params)

    return _replayed(problem, ask, show, trials=trials, lag=lag, seed=seed)


def _replayed(
    problem: Problem,
    ask: Callable[[], float],
    show: Callable[[int, float], None],
    *,
    trials: int,
    lag: int,
    seed: int,
) -> list[float]:
    """Run a sweep by `ask` and `show`; the sampler sees results as with `--order trial`."""
    rng = np.random.default_rng(seed)
    scores: list[float] = []
    best, found = (-np.inf, -np.inf), []
    shown = 0
    for number in range(trials):
        while number >= UNGUIDED and shown <= number - lag:
            show(shown, scores[shown])
            shown += 1
        worth = ask()
        scores.append(worth + rng.normal(0, problem.noise))
        best = max(best, (scores[-1], worth))
        found.append(best[1])
    return found
