"""Ray Tune as in its documentation: a training function, OptunaSearch, MLflow.

A trial trains its folds in a loop and reports the mean score so far after each fold. ASHA can stop
it there.
"""

import sys
from functools import partial
from statistics import mean
from typing import Any

import ray
import torch
from ray import tune
from ray.air.integrations.mlflow import MLflowLoggerCallback
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

from peer_tools.job import Job, Range, Recorder
from peer_tools.plain_loop import train_fold
from trainables.data.folds import Fold
from trainables.tasks.samples import Data

REUSE = "--reuse-actors"
"""Flag to reuse actors, which the documentation recommends for many short trials."""


def train(values: dict[str, Any], job: Job, data: Data, folds: tuple[Fold, ...]) -> None:
    """Train the folds in a loop; reports the mean accuracy so far after each."""
    torch.set_num_threads(1)
    recorder = Recorder(job.folder)
    config = job.config(values)
    scores: list[float] = []
    for i, fold in enumerate(folds):
        seed = job.seed_of(values, i)
        timed = recorder.training
        scores.append(train_fold(job.network, config, data, fold, seed=seed, timed=timed))
        if len(scores) == len(folds):
            recorder.scores(values, scores)
        tune.report({"val_accuracy": mean(scores)})


def domain(of: Range) -> Any:
    """Convert a range to a domain of Ray; its integer bounds are exclusive, except with a step."""
    if of.step is None:
        return (tune.loguniform if of.log else tune.uniform)(of.low, of.high)
    low, high = int(of.low), int(of.high)
    if of.step > 1:
        return tune.qrandint(low, high, of.step)
    return (tune.lograndint if of.log else tune.randint)(low, high + 1)


def main() -> None:
    """Run all trials."""
    job = Job.load()
    data, folds = job.load_data()
    ray.init(address="local", num_cpus=job.processes, include_dashboard=False)
    scheduler = None
    if job.ranges:
        scheduler = ASHAScheduler(max_t=job.folds, grace_period=1, reduction_factor=3)
    space = {key: tune.choice(values) for key, values in job.axes.items()}
    space |= {key: domain(of) for key, of in job.ranges.items()}
    trainable = tune.with_parameters(partial(train, job=job), data=data, folds=folds)
    tuner = tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}),
        param_space=space,
        tune_config=tune.TuneConfig(
            metric="val_accuracy",
            mode="max",
            num_samples=job.trials,
            max_concurrent_trials=job.processes,
            search_alg=OptunaSearch(points_to_evaluate=job.configs or None, seed=job.seed),
            scheduler=scheduler,
            reuse_actors=REUSE in sys.argv,
        ),
        run_config=tune.RunConfig(
            name="peers",
            storage_path=job.folder,
            callbacks=[
                MLflowLoggerCallback(tracking_uri=job.tracking_uri, experiment_name="peers")
            ],
        ),
    )
    results = tuner.fit()
    print(results.get_best_result().config)


if __name__ == "__main__":
    main()
