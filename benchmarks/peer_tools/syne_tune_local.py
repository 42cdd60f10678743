"""Syne Tune with its local backend: one process per trial, whose script reports to the tuner.

A trial trains its folds in a loop and reports the mean score so far after each fold. ASHA can stop
it there. Configurations come from BOHB: Syne Tune's ASHA with kernel density estimators, the
counterpart of TPE in the other tools.
"""

from pathlib import Path
from typing import Any

from syne_tune import StoppingCriterion, Tuner
from syne_tune.backend import LocalBackend
from syne_tune.config_space import choice, finrange, lograndint, loguniform, randint, uniform
from syne_tune.optimizer.baselines import BOHB, RandomSearch

from peer_tools.job import Job, Range

SCRIPT = Path(__file__).with_name("syne_tune_trial.py")
METRIC = "val_accuracy"


def domain(of: Range) -> Any:
    """Convert a range to a domain of Syne Tune."""
    if of.step is None:
        return (loguniform if of.log else uniform)(of.low, of.high)
    low, high = int(of.low), int(of.high)
    if of.step > 1:
        return finrange(low, high, (high - low) // of.step + 1, cast_int=True)
    return (lograndint if of.log else randint)(low, high)


def main() -> None:
    """Run all trials."""
    job = Job.load()
    space = {key: choice(values) for key, values in job.axes.items()}
    space |= {key: domain(of) for key, of in job.ranges.items()}
    scheduler: Any
    if job.ranges:
        scheduler = BOHB(
            space,
            metric=METRIC,
            time_attr="fold",
            max_t=job.folds,
            reduction_factor=3,
            do_minimize=False,
            random_seed=job.seed,
        )
    else:
        scheduler = RandomSearch(
            space,
            metrics=[METRIC],
            do_minimize=False,
            random_seed=job.seed,
            points_to_evaluate=job.configs,
        )
    tuner = Tuner(
        trial_backend=LocalBackend(entry_point=str(SCRIPT)),
        scheduler=scheduler,
        stop_criterion=StoppingCriterion(max_num_trials_started=job.trials - 1),
        n_workers=job.processes,
        sleep_time=0.1,  # the default of 5 s is longer than most of a short trial
        wait_trial_completion_when_stopping=True,
        max_failures=0,
    )
    tuner.run()


if __name__ == "__main__":
    main()
