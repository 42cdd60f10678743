"""Fused against looped fold stacks, side by side: `python benchmarks/modes.py`.

For each variant the same five folds train in both modes in turn, again and again; printed are the
median seconds of an epoch and the median of the ratios. Data are the embedded digits.
"""

import argparse
import statistics
import time

import torch

from search_spaces.loading import load_space
from trainables.data.folds import stratified_folds
from trainables.data.images import load_images
from trainables.data.pairs import draw_pairs
from trainables.trial import CrossValidation, Task

NAMES = ("mlp", "cnn", "cnn_ws", "cnn_ws_aux")


def epoch_s(trial: CrossValidation) -> float:
    """Seconds that the next epoch takes."""
    start = time.perf_counter()
    trial.advance(trial.stack.epoch + 1)
    return time.perf_counter() - start


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    data = draw_pairs(load_images("digits")[0], seed=0)
    folds = stratified_folds(data.train.target, num_folds=5, seed=0)
    print(f"torch {torch.__version__}, {args.threads} thread(s), 5 folds, {args.repeats} repeats")
    print("variant    fused s/epoch  looped s/epoch  fused/looped (median, min-max)")
    for name in NAMES:
        space = load_space(name)
        # searched values that the point leaves open are the classes' own
        config = space.complete(space.points[0].config, epochs=args.repeats + 1)
        trials = {
            mode: CrossValidation(
                space.trainable.variant,
                config,
                Task(data=data, folds=folds, seed=0, mode=mode),
                number=0,
            )
            for mode in ("fused", "looped")
        }
        for trial in trials.values():
            epoch_s(trial)  # warm up
        pairs = [
            (epoch_s(trials["fused"]), epoch_s(trials["looped"])) for _ in range(args.repeats)
        ]
        fused, looped = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratios = [f / s for f, s in pairs]
        print(
            f"{name:10} {fused:13.3f} {looped:15.3f}  {statistics.median(ratios):.2f}"
            f" ({min(ratios):.2f}-{max(ratios):.2f})"
        )


if __name__ == "__main__":
    main()
