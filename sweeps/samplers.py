"""Samplers with every argument that has changed its default pinned."""

import warnings

import optuna
from optuna.exceptions import ExperimentalWarning

from sweeps.settings import Sampler


def make_sampler(sampler: Sampler, *, seed: int, trial_seed: int) -> optuna.samplers.BaseSampler:
    """A sampler for one `ask`.

    A sampler's own random state is in no study, so each ask, and each parameter that is drawn by
    itself, gets a sampler seeded by its place: a resumed sweep then chooses as an uninterrupted
    one would. Quasi-random sequences are one sequence, seeded by the sweep; a grid's points are in
    the study beforehand.

    Args:
        sampler: Its name.
        seed: Seed of the sweep.
        trial_seed: Seed of the trial that is asked for.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        match sampler:
            case "tpe":
                return optuna.samplers.TPESampler(
                    seed=trial_seed,
                    n_startup_trials=10,
                    n_ei_candidates=24,
                    multivariate=True,
                    group=False,
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
