"""Optuna samplers; arguments whose defaults have changed between versions are pinned."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.trial import FrozenTrial, TrialState

from sweeps.settings import Sampler

ANY_TREE: tuple[Sampler, ...] = ("tpe", "random", "grid")
"""Samplers that treat conditional parameters like other ones."""


def make_sampler(
    sampler: Sampler,
    *,
    seed: int,
    trial_seed: int,
    common: Mapping[str, BaseDistribution] | None = None,
) -> optuna.samplers.BaseSampler:
    """Return a sampler for one `ask`.

    A study does not store a sampler's random state. So each trial, and each parameter that is
    sampled independently, gets a sampler with a seed derived from its position: a resumed sweep
    then draws the same values as an uninterrupted one. A quasi-random sequence is shared by all
    trials and seeded by the sweep. Points of a grid are enqueued before the sampler is asked.

    Args:
        sampler: Name of the sampler.
        seed: Seed of the sweep.
        trial_seed: Seed of the new trial.
        common: The unconditional parameters, for a space with conditional ones; None if the space
            has no conditional parameters.
    """
    made = _made(sampler, seed=seed, trial_seed=trial_seed, group=common is not None)
    return made if common is None or sampler in ANY_TREE else _OfCommon(made, common)


class _OfCommon(optuna.samplers.BaseSampler):
    """A sampler that models the unconditional parameters and draws the conditional ones at random.

    By itself, the inner sampler would infer the common parameters from the trials. CMA-ES stops
    working for good if the first trials have more parameters in common than later ones.
    """

    def __init__(self, inner: optuna.samplers.BaseSampler, common: Mapping[str, BaseDistribution]):
        self._inner = inner
        only_numbers = isinstance(inner, optuna.samplers.CmaEsSampler)
        self._modelled = {
            name: of
            for name, of in sorted(common.items())
            if not of.single() and not (only_numbers and isinstance(of, CategoricalDistribution))
        }

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return self._modelled

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._inner.sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        return self._inner.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        self._inner.before_trial(study, trial)

    def after_trial(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        self._inner.after_trial(study, trial, state, values)


def _made(
    sampler: Sampler, *, seed: int, trial_seed: int, group: bool
) -> optuna.samplers.BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        match sampler:
            case "tpe":
                return optuna.samplers.TPESampler(
                    seed=trial_seed,
                    n_startup_trials=10,
                    n_ei_candidates=24,
                    multivariate=True,
                    group=group,
                    constant_liar=True,
                )
            case "gp":
                return optuna.samplers.GPSampler(
                    seed=trial_seed,
                    n_startup_trials=10,
                    deterministic_objective=False,
                    warn_independent_sampling=False,
                )
            case "cmaes":
                return optuna.samplers.CmaEsSampler(
                    seed=trial_seed,
                    n_startup_trials=1,
                    consider_pruned_trials=False,
                    warn_independent_sampling=False,
                )
            case "qmc":
                return optuna.samplers.QMCSampler(
                    qmc_type="sobol",
                    scramble=True,
                    seed=seed,
                    independent_sampler=optuna.samplers.RandomSampler(seed=trial_seed),
                    warn_asynchronous_seeding=False,
                    warn_independent_sampling=False,
                )
            case "nsga2":
                return optuna.samplers.NSGAIISampler(seed=trial_seed, population_size=20)
            case "random" | "grid":
                return optuna.samplers.RandomSampler(seed=trial_seed)
