"""Simulated sweeps on a surrogate: what a sampler finds, and how long it waits for results."""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from policy_tools.surrogate import Surrogate
from sweeps.jobs import Finished, Rung, Sample, Train, Wait
from sweeps.promotion import Promotion
from sweeps.samplers import make_sampler

Values = dict[str, Any]


@dataclass(frozen=True)
class Known:
    """A trial as a sampler sees it."""

    values: Values
    rung: int | None = None
    """The highest rung at which its score is seen."""
    score: float | None = None
    is_complete: bool = False


Proposal = Callable[[Surrogate, Sequence[Known], int], Values]
"""Gives the next configuration, of the trials so far and a seed."""


@dataclass(frozen=True, kw_only=True)
class Around:
    """A sampler that draws part of the trials around the initial point or the best one.

    References:
        Mallik et al. (2023), "PriorBand: practical hyperparameter optimization in the age of deep
        learning", NeurIPS.
    """

    sampler: str = "tpe"
    start_up: int = 10
    """Trials that are drawn at random, as far as they are not around the initial point."""
    initial: float = 0.0
    """Share of these that are drawn around the initial point, the first trial."""
    best: float = 0.0
    """Share of later trials that are drawn around the best one."""
    width: float = 0.25
    """Standard deviation of a parameter around the initial point; half of it around the best."""

    def __call__(self, surrogate: Surrogate, known: Sequence[Known], seed: int) -> Values:
        rng = np.random.default_rng([seed, 1])
        early = len(known) < self.start_up
        if rng.random() < (self.initial if early else self.best):
            centre = known[0] if early else max(known, key=_merit)
            return _near(surrogate, centre.values, self.width if early else self.width / 2, rng)
        return _asked(surrogate, known, "random" if early else self.sampler, seed)


def _merit(known: Known) -> tuple[int, float]:
    return (-1 if known.rung is None else known.rung, known.score or 0.0)


def _near(surrogate: Surrogate, values: Values, width: float, rng: np.random.Generator) -> Values:
    """A configuration around another; a choice changes as often as a number moves far."""
    unit = np.array(surrogate.unit(values)) + rng.normal(0, width, len(values))
    near = surrogate.values(np.where(unit < 0, -unit, np.where(unit > 1, 2 - unit, unit)).tolist())
    for name, of in surrogate.space.items():
        if isinstance(of, CategoricalDistribution):
            changes = rng.random() < width
            near[name] = of.choices[rng.integers(len(of.choices))] if changes else values[name]
    return near


def _asked(surrogate: Surrogate, known: Sequence[Known], sampler: str, seed: int) -> Values:
    """What a sampler of the product chooses."""
    made = make_sampler(sampler, seed=seed, trial_seed=seed)  # type: ignore[arg-type]
    study = optuna.create_study(direction="maximize", sampler=made)
    study.add_trials([_frozen(surrogate, one) for one in known])
    return study.ask(surrogate.space).params


def _frozen(surrogate: Surrogate, known: Known) -> FrozenTrial:
    common: dict[str, Any] = {"params": known.values, "distributions": surrogate.space}
    if known.rung is None:
        return create_trial(state=TrialState.RUNNING, **common)
    seen = {"value": known.score, "intermediate_values": {known.rung: known.score}}
    state = TrialState.COMPLETE if known.is_complete else TrialState.PRUNED
    return create_trial(state=state, **seen, **common)


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a simulated sweep came to."""

    regret: float
    """The optimum less what the best complete trial is worth without noise."""
    cost: float
    """Whole trials trained."""
    idle: float
    """Share of the workers' time."""


def simulated(
    surrogate: Surrogate,
    rungs: Sequence[Rung],
    epochs: int,
    propose: Proposal,
    *,
    initial: Values,
    num_trials: int,
    lags: Sequence[int] | None,
    unguided: int,
    workers: int,
    seed: int,
) -> Found:
    """A sweep whose trials a surrogate scores, with noise.

    Args:
        surrogate: Scores at the rungs and the last epoch.
        rungs: The rungs.
        epochs: Of a whole trial.
        propose: The sampler.
        initial: The first trial.
        num_trials: Configurations to try.
        lags: See `Promotion`.
        unguided: Trials that are sampled without a look at results.
        workers: Jobs at a time.
        seed: Of noise, times and sampler.
    """
    rng = np.random.default_rng([seed, 0])
    deciding = Promotion(rungs, num_trials=num_trials, num_initial=1, lags=lags, unguided=unguided)
    at = [0, *(rung.epochs for rung in rungs), epochs]
    tried: list[Values] = []
    scores: list[list[float]] = []
    lengths: list[float] = []
    running: list[tuple[float, int, int]] = []
    now = cost = busy = 0.0
    while True:
        match deciding.decide() if len(running) < workers else Wait():
            case Train(trial, rung) as job:
                deciding.take(job)
                share = (at[rung + 1] - at[rung]) / epochs
                cost, busy = cost + share, busy + share * lengths[trial]
                heapq.heappush(running, (now + share * lengths[trial], trial, rung))
            case Sample(trial):
                known = [Known(values) for values in tried]
                for number, rung, score in deciding.seen(trial):
                    known[number] = Known(tried[number], rung, score, rung == deciding.last)
                tried.append(
                    propose(surrogate, known, seed * 10_000 + trial) if trial else initial
                )
                noise = rng.normal(0, surrogate.noise)
                scores.append([score + noise for score in surrogate.scores(tried[-1])])
                lengths.append(float(rng.lognormal(0, 0.5)))
                deciding.add(deciding.stops(epochs))
            case Wait():
                now, trial, rung = heapq.heappop(running)
                deciding.end(trial, rung, scores[trial][rung])
            case Finished():
                complete = [t for t, r in deciding.scores if r == deciding.last]
                best = max(complete, key=lambda trial: scores[trial][-1])
                worth = surrogate.scores(tried[best])[-1]
                return Found(
                    regret=surrogate.optimum - worth, cost=cost, idle=1 - busy / (workers * now)
                )
