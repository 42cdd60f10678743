"""Optuna in several processes on one journal, started by joblib, with its MLflow callback.

Pruning follows the documentation's advice for cross-validation: a trial reports the score of each
fold, and `WilcoxonPruner` compares the scores with those of the best trial, fold by fold.
"""

import random
from statistics import mean
from typing import Any

import joblib
import mlflow
import optuna
import torch
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna_integration import MLflowCallback

from peer_tools.job import Job, Range, Recorder
from peer_tools.plain_loop import train_fold
from trainables.data.folds import Fold
from trainables.tasks.samples import Data

STUDY = "peers"


def suggest(trial: optuna.Trial, key: str, of: Range) -> Any:
    """Suggest a value from a range with Optuna."""
    if of.step is None:
        return trial.suggest_float(key, of.low, of.high, log=of.log)
    return trial.suggest_int(key, int(of.low), int(of.high), step=of.step, log=of.log)


class Objective:
    """Mean accuracy over folds."""

    def __init__(self, job: Job, data: Data, folds: tuple[Fold, ...]):
        self.job, self.data, self.folds = job, data, folds
        self.recorder = Recorder(job.folder)

    def __call__(self, trial: optuna.Trial) -> float:
        """Train the folds in a loop, in a random order; returns the mean accuracy."""
        job = self.job
        values = {key: trial.suggest_categorical(key, axis) for key, axis in job.axes.items()}
        values |= {key: suggest(trial, key, of) for key, of in job.ranges.items()}
        config = job.config(values)
        scores = []
        for i in random.sample(range(len(self.folds)), len(self.folds)):
            score = train_fold(
                job.network,
                config,
                self.data,
                self.folds[i],
                seed=job.seed_of(values, i),
                timed=self.recorder.training,
            )
            scores.append(score)
            trial.report(score, i)
            if trial.should_prune():
                return mean(scores)  # instead of TrialPruned, as the pruner's documentation does
        self.recorder.scores(values, scores)
        return mean(scores)


def optimize(job: Job, data: Data, folds: tuple[Fold, ...], worker: int, trials: int) -> None:
    """Run trials in one of the processes."""
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.load_study(
        study_name=STUDY,
        storage=JournalStorage(JournalFileBackend(f"{job.folder}/study.journal")),
        sampler=optuna.samplers.TPESampler(seed=1000 * job.seed + worker),
        pruner=optuna.pruners.WilcoxonPruner() if job.ranges else optuna.pruners.NopPruner(),
    )
    callback = MLflowCallback(tracking_uri=job.tracking_uri, metric_name="val_accuracy")
    study.optimize(Objective(job, data, folds), n_trials=trials, callbacks=[callback])


def main() -> None:
    """Run all trials."""
    job = Job.load()
    data, folds = job.load_data()
    study = optuna.create_study(
        study_name=STUDY,
        storage=JournalStorage(JournalFileBackend(f"{job.folder}/study.journal")),
        direction="maximize",
    )
    for values in job.configs:
        study.enqueue_trial(values)
    mlflow.set_tracking_uri(job.tracking_uri)
    mlflow.set_experiment(STUDY)  # create it here, so that processes do not race to do so
    shares = [len(range(i, job.trials, job.processes)) for i in range(job.processes)]
    joblib.Parallel(n_jobs=job.processes)(
        joblib.delayed(optimize)(job, data, folds, i, share) for i, share in enumerate(shares)
    )
    print(study.best_params)


if __name__ == "__main__":
    main()
