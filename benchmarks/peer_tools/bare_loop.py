"""The floor: fold stacks in a pool of processes, without Ray, study, MLflow or stored state."""

import multiprocessing
from functools import partial

import torch

from peer_tools.job import Job, Recorder
from trainables.data.folds import Fold
from trainables.tasks.samples import Data
from trainables.trial import Context, CrossValidation


def run_trial(number: int, job: Job, data: Data, folds: tuple[Fold, ...]) -> None:
    """Cross-validate one configuration, with the seeds that a sweep derives."""
    values = job.configs[number]
    recorder = Recorder(job.folder)
    trial = CrossValidation(
        job.network, job.config(values), Context(data=data, folds=folds, seed=job.seed), number
    )
    with recorder.training():
        trial.advance(job.epochs)
    recorder.scores(values, trial.by_fold["val_accuracy"])


def main() -> None:
    """Run all trials."""
    job = Job.load()
    data, folds = job.load_data()
    torch.set_num_threads(1)
    task = partial(run_trial, job=job, data=data, folds=folds)
    with multiprocessing.Pool(job.processes, torch.set_num_threads, (1,)) as pool:
        for _ in pool.imap_unordered(task, range(len(job.configs))):
            pass


if __name__ == "__main__":
    main()
