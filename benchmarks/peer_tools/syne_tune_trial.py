"""Script that Syne Tune starts for each trial, with the configuration as arguments."""

from argparse import ArgumentParser
from statistics import mean

import torch
from syne_tune import Reporter

from peer_tools.job import Job, Recorder
from peer_tools.plain_loop import train_fold


def main() -> None:
    """Train the folds in a loop; reports the mean accuracy so far after each."""
    job = Job.load()
    parser = ArgumentParser()
    for key, axis in job.axes.items():
        parser.add_argument(f"--{key}", type=type(axis[0]))
    for key, of in job.ranges.items():
        parser.add_argument(f"--{key}", type=float if of.step is None else int)
    values = vars(parser.parse_known_args()[0])
    torch.set_num_threads(1)
    report = Reporter()
    recorder = Recorder(job.folder)
    data, folds = job.load_data()
    config = job.config(values)
    scores: list[float] = []
    for i, fold in enumerate(folds):
        seed = job.seed_of(values, i)
        timed = recorder.training
        scores.append(train_fold(job.network, config, data, fold, seed=seed, timed=timed))
        if len(scores) == len(folds):
            recorder.scores(values, scores)
        report(fold=len(scores), val_accuracy=mean(scores))


if __name__ == "__main__":
    main()
