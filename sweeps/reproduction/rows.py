"""Rows of the reports' tables as jobs: their networks, training and stored results."""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from foldsweep.errors import UserError
from foldsweep.files import parsed, write_whole
from sweeps.provenance import git_commit, machine, versions
from sweeps.reproduction.data import POINTS, draw
from sweeps.rounds import Cohort, Scores, fold_cohort, round_cohort
from trainables.config import TrialConfig
from trainables.data.folds import stratified_folds
from trainables.data.source import NUM_CLASSES, ImageSource
from trainables.presets.preset import Preset, Protocol
from trainables.seeds import Stream, derive_seed
from trainables.tasks import disc
from trainables.tasks.larger_digit_mistakes import by_digits
from trainables.tasks.samples import Data, joined
from trainables.variants import VARIANTS

FORMAT = 1
QUICK_PAIRS = 60
PROBES_PER_SIDE = 60
"""Points per side of a grid on the unit square, on which predictions are stored."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A row to train: a preset, measured under a protocol."""

    preset: Preset
    protocol: Protocol
    config: TrialConfig
    """The preset's configuration, completed by the best point of its grid."""
    dataset: str
    seed: int

    @property
    def name(self) -> str:
        """`report/row-rounds` or `report/row-folds`, also the path of its files."""
        return f"{self.preset.name}-{self.protocol.kind}"

    @property
    def key(self) -> str:
        """Digest of all that the result depends on."""
        parts = {
            "format": FORMAT,
            "variant": self.preset.variant,
            "config": _settled(self.config),
            "protocol": _settled(self.protocol),
            "dataset": self.dataset,
            "seed": self.seed,
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def cost(self) -> float:
        """Approximate work in arbitrary units, for the estimate of the remaining time."""
        protocol = self.protocol
        steps = protocol.train_pairs / self.config.batch_size
        wide = 0.2 if self.preset.variant.startswith("mlp") else 1.0
        return protocol.count * self.config.epochs * wide * (protocol.train_pairs + 10 * steps)


def _settled(settings: TrialConfig | Protocol) -> dict[str, Any]:
    """Fields that differ from their defaults, so that a field added later changes no key."""
    return {
        field.name: getattr(settings, field.name)
        for field in fields(settings)
        if getattr(settings, field.name) != field.default
    }


def quick(protocol: Protocol) -> Protocol:
    """The protocol at smoke size: two rounds or folds of `QUICK_PAIRS` pairs."""
    return replace(
        protocol,
        count=2,
        train_pairs=QUICK_PAIRS,
        test_pairs=QUICK_PAIRS,
        held_back=protocol.held_back * QUICK_PAIRS // protocol.train_pairs,
        test_from=protocol.test_from * QUICK_PAIRS // protocol.test_pairs,
    )


def cohort(job: Job, images: ImageSource) -> Cohort:
    """The networks that a job trains, one for each round or fold; on points, with probes."""
    members = _cohort(job, images)
    return _with_probes(members) if job.dataset == POINTS else members


def _with_probes(members: Cohort) -> Cohort:
    """The cohort with a grid of points as probes, whose predictions show decision regions."""
    ticks = (np.arange(PROBES_PER_SIDE, dtype=np.float32) + 0.5) / PROBES_PER_SIDE
    y, x = np.meshgrid(ticks, ticks, indexing="ij")
    grid = disc.points(np.stack([x.ravel(), y.ravel()], axis=1))
    size = len(members.samples)
    data = replace(members.data, train=joined([members.samples, grid]))
    return replace(members, data=data, probes=np.arange(size, size + len(grid)))


def _cohort(job: Job, images: ImageSource) -> Cohort:
    protocol = job.protocol

    def drawn(seed: int) -> Data:
        return draw(
            job.dataset,
            images,
            seed=seed,
            train_pairs=protocol.train_pairs,
            test_pairs=protocol.test_pairs,
        )

    if protocol.kind == "folds":
        data = drawn(job.seed)
        target = data.train.targets["target"]
        folds = stratified_folds(target, num_folds=protocol.count, seed=job.seed)
        return fold_cohort(job.config, data, folds, seed=job.seed)
    if protocol.fresh_data:
        seeds = [derive_seed(job.seed, Stream.ROUND_DATA, i) for i in range(protocol.count)]
        rounds = [drawn(seed) for seed in seeds]
    else:
        rounds = [drawn(job.seed)] * protocol.count
    return round_cohort(job.config, rounds, seed=job.seed, held_back=protocol.held_back)


def measure(
    job: Job, images: ImageSource, folder: Path, *, threads: int, device: str
) -> dict[str, Any]:
    """Train and measure a job, store its result and return it.

    An interrupted job resumes from its checkpoints. The result of a row that diverged has the key
    `error` instead of scores.
    """
    torch.set_num_threads(threads)
    members = cohort(job, images)
    checkpoints = folder / f"{job.name}-{job.key}"
    result: dict[str, Any] = {
        "key": job.key,
        "preset": job.preset.name,
        "variant": job.preset.variant,
        "config": job.config.to_dict(),
        "protocol": asdict(job.protocol),
        "dataset": job.dataset,
        "seed": job.seed,
        "git_commit": git_commit(),
        "machine": machine(),
        "versions": versions(),
    }
    try:
        scores = members.train(
            VARIANTS[job.preset.variant],
            device=device,
            checkpoint_folder=checkpoints,
            curves=job.protocol.curves,
        )
    except UserError as error:
        result["error"] = str(error)
    else:
        result |= _figures(job, members, scores)
    path = result_path(folder, job)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(result, indent=1) + "\n")
    shutil.rmtree(checkpoints, ignore_errors=True)
    return result


def _figures(job: Job, members: Cohort, scores: Scores) -> dict[str, Any]:
    """Scores of each member on its held-out rows from `test_from` on, and data of figures."""
    rounds = members.held_out()
    accuracy = []
    for samples, said in zip(rounds, scores.predictions, strict=True):
        right = said["answer"] == samples.targets["target"]
        accuracy.append(float(right[job.protocol.test_from :].mean()))
    more: dict[str, Any] = {"curves": scores.curves} if scores.curves else {}
    if scores.probe_predictions:
        more |= _regions(members, scores)
    else:
        wrong, count = by_digits(rounds, scores.predictions)
        more |= {"wrong": wrong.tolist(), "count": count.tolist()}
    digits = scores.held_out.get("digit_accuracy")
    return {
        **more,
        "accuracy": accuracy,
        "train_accuracy": scores.train["accuracy"].tolist(),
        "train_loss": scores.train["loss"].tolist(),
        "digit_accuracy": [] if digits is None else digits.tolist(),
        "num_params": scores.num_params,
        "time_s": scores.train_time_s / len(accuracy),
    }


def _regions(members: Cohort, scores: Scores) -> dict[str, Any]:
    """The first round's training points, and the share of rounds that predict 1 on the probes."""
    first = members.samples.take(members.members[0].train)
    points = [first.inputs["points"].round(4), first.targets["target"][:, None]]
    answers = [said["answer"] for said in scores.probe_predictions]
    side = PROBES_PER_SIDE
    return {
        "points": np.concatenate(points, axis=1).tolist(),
        "regions": np.mean(answers, axis=0).reshape(side, side).tolist(),
    }


def result_path(folder: Path, job: Job) -> Path:
    """Path of the file of a job's result."""
    return folder / f"{job.name}.json"


def stored(folder: Path, job: Job) -> dict[str, Any] | None:
    """The stored result of a job; None if there is none or the job has changed since."""
    try:
        result = parsed(result_path(folder, job).read_bytes())
    except (OSError, ValueError):
        return None
    matches = isinstance(result, dict) and result.get("key") == job.key
    return result if matches else None


def spread(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and sample standard deviation; the latter is None for a single value."""
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None


def error_shares(result: Mapping[str, Any]) -> tuple[float, float, float]:
    """Error rates on pairs whose digits are equal, differ by 1, or differ by more."""
    wrong, count = np.array(result["wrong"]), np.array(result["count"])
    apart = np.abs(np.subtract.outer(np.arange(NUM_CLASSES), np.arange(NUM_CLASSES)))
    shares = [
        wrong[where].sum() / max(count[where].sum(), 1)
        for where in (apart == 0, apart == 1, apart > 1)
    ]
    return float(shares[0]), float(shares[1]), float(shares[2])
