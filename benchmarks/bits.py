"""Hashes of the results of small trials, to check that two commits compute the same bits.

The hashes are those of weights, metrics and predictions, by variant and mode. Equal hashes mean
equal bits. The hashes depend on the torch build, the processor and the number of threads.

    python benchmarks/bits.py                  # print the hashes of the code in this folder
    python benchmarks/bits.py --commits A B    # check out two commits, print their differences
    python benchmarks/bits.py --write FILE     # write the hashes to a file, for the tests
"""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]

_CONV = {"channels": (3, 4), "hidden": 8}
_PATH = {"digits": "path", "main_weight": 0.6, "aux_weight": 0.2}
_SIDE = {"digits": "side", "aux_weight": 0.5}
_ALL = {
    "dropout": 0.3,
    "weight_decay": 0.01,
    "label_smoothing": 0.1,
    "shift": 1.0,
    "rotation": 10.0,
    "scale": 0.1,
    "lr": 0.003,
    "lr_schedule": "cosine",
    "batch_size": 9,
    "epochs": 3,
}
_NO_AUTOGRAD = {
    "weight_decay": 0.01,
    "lr": 0.003,
    "schedule": "exponential",
    "schedule_rate": 0.1,
    "batch_norm": True,
    "hidden": 16,
    "hidden_layers": 1,
    "optimiser": "rmsprop",
    "batch_size": 9,
    "epochs": 3,
}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "mlp": ("mlp", {**_ALL, "hidden": 8, "batch_norm": True}),
    "mlp_ws": ("mlp_ws", {**_ALL, "hidden": 8, "head_hidden": 6, "outputs": 1}),
    "mlp_ws_aux": ("mlp_ws_aux", {**_ALL, **_SIDE, "hidden": 8, "digit_hidden": (5,)}),
    "cnn": ("cnn", {**_ALL, **_CONV, "batch_norm": "before"}),
    "cnn_aux": ("cnn_aux", {**_ALL, **_CONV, **_SIDE, "aux_schedule": "linear"}),
    "cnn_ws_aux": ("cnn_ws_aux", {**_ALL, **_CONV, **_PATH, "batch_norm": "after"}),
    "cnn_distance": ("cnn_distance", {**_ALL, **_CONV}),
    "cnn_transfer": ("cnn_transfer", {**_ALL, **_CONV, "head_hidden": 6}),
    "cnn_digit": ("cnn_digit", {**_ALL, **_CONV}),
    "cnn_bfloat16": ("cnn", {**_ALL, **_CONV, "precision": "bfloat16"}),
    "mlp_squash": ("mlp", {**_ALL, "hidden": 8, "squash": True, "shift": 0.0, "shuffle": False}),
    "mlp_backprop": ("mlp_backprop", {**_NO_AUTOGRAD, "shift": 1.0}),
    "disc_relu": ("disc_relu", _NO_AUTOGRAD),
    "disc_tanh": ("disc_tanh", {**_NO_AUTOGRAD, "criterion": "mse"}),
}
"""Variant and configuration of each case; each option of a configuration is on in one of them."""
MODES = ("fused", "looped")
KEPT = ("mlp", "cnn_ws_aux", "cnn_digit", "mlp_backprop", "disc_relu")
"""Cases whose exported model is hashed, too."""


def machine_key() -> str:
    """Describe what the bits depend on besides the code: torch build, processor, threads.

    The vendor is included, since MKL, with which torch multiplies matrices, sums in another order
    on AMD's processors than on Intel's, even with the same instruction set.
    """
    import torch

    known = re.search(r"^vendor_id\s*:\s*(\S+)", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    processor = f"{torch.backends.cpu.get_cpu_capability()} of {known[1] if known else 'unknown'}"
    return f"torch {torch.__version__}, {processor}, 1 thread"


def hashes() -> dict[str, dict[str, str]]:
    """Compute the hashes of `weights`, `metrics` and `predictions` of every case."""
    import torch

    torch.set_num_threads(1)
    found = {}
    for name, (variant, config) in CASES.items():
        without_modes = variant.startswith("disc") or variant.endswith("backprop")
        for mode in ("fused",) if without_modes else MODES:
            found[f"{name} {mode}"] = _trial(variant, config, mode)
    for name in KEPT:
        found[f"{name} kept"] = _kept(*CASES[name])
    return found


def _trial(name: str, values: dict[str, Any], mode: str) -> dict[str, str]:
    from trainables.trial import CrossValidation

    variant, data, folds, context = _setting(name, mode)
    config = variant.config.from_dict(values)
    trial = CrossValidation(variant, config, context, 3)
    trial.advance(config.epochs)
    clock = {"time"}
    history = [{k: v for k, v in row.items() if k not in clock} for row in trial.history]
    metrics = {"history": history, "by_fold": trial.by_fold}
    return {
        "weights": _of_tensors(trial.stack.weights(i) for i in range(len(folds))),
        "metrics": _sha(json.dumps(metrics, sort_keys=True).encode()),
        "predictions": _sha(*(np.asarray(a, dtype=np.int64).tobytes() for a in _answers(trial))),
    }


def _kept(name: str, values: dict[str, Any]) -> dict[str, str]:
    if _has_tasks():
        from trainables.keep.fit import fit
    else:
        from trainables.fitting import fit

    variant, data, _, _ = _setting(name, "auto")
    config = variant.config.from_dict(values)
    model = fit(_recipe(variant, config, data), variant, data, device="cpu")
    answers = _probabilities(model, data)
    network = {k.removeprefix("network."): v for k, v in _tensors(model).items()}
    return {
        "weights": _of_tensors(
            [{k: v for k, v in network.items() if v.ndim and "standard" not in k}]
        ),
        "predictions": _sha(np.ascontiguousarray(answers).tobytes()),
    }


def _setting(name: str, mode: str) -> tuple[Any, Any, Any, Any]:
    """Return variant, data, folds and context, in commits with or without `trainables/tasks`."""
    from trainables.data.digits import digits_source
    from trainables.data.folds import stratified_folds
    from trainables.data.pairs import draw_pairs
    from trainables.variants import VARIANTS

    numbers = {"seed": 0, "train_pairs": 41, "test_pairs": 10}
    if _has_tasks():
        from trainables.tasks import disc
        from trainables.trial import Context

        drawn = disc.draw(0, 41, 10) if name.startswith("disc") else None
        data = drawn or draw_pairs(digits_source(), **numbers)
        target = data.train.targets["target"]
    else:
        from trainables.data.source import DiscSource
        from trainables.trial import Task as Context

        source = DiscSource() if name.startswith("disc") else digits_source()
        data = draw_pairs(source, **numbers)
        target = data.train.target
    folds = stratified_folds(target, num_folds=3, seed=0)
    return VARIANTS[name], data, folds, Context(data=data, folds=folds, seed=7, mode=mode)


def _has_tasks() -> bool:
    """Whether the code is of a commit that has the folder `trainables/tasks`."""
    import trainables  # not find_spec: an editable install would find modules that a commit lacks

    return (Path(trainables.__file__).parent / "tasks").is_dir()


def _answers(trial: Any) -> Any:
    return [a["answer"] if isinstance(a, dict) else a for a in trial.stack.predict()]


def _tensors(model: Any) -> Any:
    return (model.classifier if hasattr(model, "classifier") else model.predictor).values()


def _probabilities(model: Any, data: Any) -> np.ndarray:
    """Return the probability of target 1 for the test rows."""
    if hasattr(model, "classifier"):
        return model.predict(data.test.images).probability
    return model.predict(data.test.inputs)["probability"][:, 1]


def _recipe(variant: Any, config: Any, data: Any) -> Any:
    numbers = {
        "config": config.to_dict(),
        "score": {},
        "fold_scores": {},
        "num_params": 1,
        "data_digest": data.digest,
        "folds": 3,
        "seed": 0,
        "trial": 0,
    }
    if not _has_tasks():
        from trainables.recipe import Recipe

        return Recipe(
            space=variant.name,
            variant=variant.name,
            dataset=data.dataset,
            train_pairs=len(data.train),
            test_pairs=len(data.test),
            **numbers,
        )
    from foldsweep.recipe import Recipe

    return Recipe(
        space=variant.name,
        variant=variant.full_name,
        task=variant.task.name,
        dataset=data.name,
        origin=dict(data.origin),
        **numbers,
    )


def _of_tensors(members: Any) -> str:
    parts: list[bytes] = []
    for tensors in members:
        for name in sorted(tensors):
            value = tensors[name].detach().contiguous()
            parts += [name.encode(), str(tuple(value.shape)).encode(), value.numpy().tobytes()]
    return _sha(*parts)


def _sha(*parts: bytes) -> str:
    sha256 = hashlib.sha256()
    for part in parts:
        sha256.update(part)
    return sha256.hexdigest()[:16]


def of_commit(commit: str) -> dict[str, dict[str, str]]:
    """Compute the hashes of a commit's code, by this version of the script."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        _git("worktree", "add", "--detach", "--quiet", str(tree), commit)
        try:
            done = subprocess.run(
                [sys.executable, "-P", str(Path(__file__).resolve()), "--json"],
                env=os.environ | {"PYTHONPATH": str(tree)},
                cwd=tree,
                capture_output=True,
                text=True,
                check=True,
            )
        finally:
            _git("worktree", "remove", "--force", str(tree))
    return json.loads(done.stdout)["hashes"]


def differences(one: dict[str, dict[str, str]], other: dict[str, dict[str, str]]) -> Iterator[str]:
    """Yield a line for each hash that differs, or that only one of the two has."""
    for case in sorted(one.keys() | other.keys()):
        mine, theirs = one.get(case, {}), other.get(case, {})
        for what in sorted(mine.keys() | theirs.keys()):
            if mine.get(what) != theirs.get(what):
                yield f"{case}: {what} {mine.get(what)} against {theirs.get(what)}"


def _git(*args: str) -> None:
    subprocess.run(["git", "-C", str(ROOT), *args], check=True)


def main() -> int:
    """Print, write or compare hashes; returns 1 if two commits differ, else 0."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--commits", nargs=2, metavar="COMMIT")
    parser.add_argument("--write", type=Path, metavar="FILE")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args()
    if args.commits:
        one, other = map(of_commit, args.commits)
        found = list(differences(one, other))
        print("\n".join(found) or f"{len(one)} cases, all bits equal: {machine_key()}")
        return int(bool(found))
    record = {"machine": machine_key(), "hashes": hashes()}
    text = json.dumps(record, indent=1, sort_keys=True) + "\n"
    if args.write:
        args.write.write_text(text)
    elif args.json:
        print(text, end="")
    else:
        for case, parts in record["hashes"].items():
            print(case, *(f"{k}={v}" for k, v in parts.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
