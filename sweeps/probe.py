"""What a node of a cluster has of the product: a small task that runs there, and its judgement.

The functions that run on nodes are sent whole: they must do without the product, which a node may
lack, and find out what it has.
"""

import hashlib
import os
import platform
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

RUNS_TRIALS = ("foldsweep", "trainables", "search_spaces")
"""Packages of which every node must have the same files: a trial runs them."""
TRAINABLE = "trainables.trainable"
"""What a trial imports before it begins."""
SAME = ("python", "ray", "torch", "foldsweep")
"""Facts that must be the driver's on every node."""


def prepare_where_possible() -> None:
    """Do what `sweeps.worker` does in a new worker, on a node that has it.

    On one that has not, the worker must live to say so.
    """
    try:
        prepare = import_module("sweeps.worker").prepare
    except ImportError:
        return
    prepare()


def look(packages: tuple[str, ...], trainable: str) -> dict[str, str]:
    """What the node has on which this runs, as a task that has its process to itself."""
    os.environ.pop("CUDA_VISIBLE_DEVICES", None)  # Ray hides GPUs from who asks for none
    return facts(packages, trainable)


def facts(packages: tuple[str, ...], trainable: str) -> dict[str, str]:
    """What there is here: versions, a digest of files, whether torch can use a GPU.

    Args:
        packages: Packages whose files are digested.
        trainable: Module that is imported.

    Returns:
        `problem` alone if trials cannot run.
    """
    try:
        import_module(trainable)
        import torch

        digest = hashlib.sha256()
        for name in packages:
            root = Path(str(import_module(name).__file__)).parent
            for file in sorted(root.rglob("*.py")):
                digest.update(f"{name}/{file.relative_to(root)}".encode())
                digest.update(file.read_bytes())
        try:
            release = version("foldsweep")
        except PackageNotFoundError:  # found by PYTHONPATH
            release = "unknown"
        return {
            "python": ".".join(platform.python_version_tuple()[:2]),
            "ray": version("ray"),
            "torch": torch.__version__.partition("+")[0],  # the build may be another
            "foldsweep": f"{release} ({digest.hexdigest()[:12]})",
            "cuda": "yes" if torch.cuda.is_available() else "",
            "build": torch.__version__,
        }
    except (Exception, SystemExit) as error:  # the sweep names the node and says it
        text = " ".join(str(error).split())
        return {"problem": f"{type(error).__name__}: {text}"[:300]}


def lacking(found: Mapping[str, str], here: Mapping[str, str]) -> str:
    """What a node lacks to run trials of this driver, in words; empty if nothing.

    Args:
        found: Facts of the node.
        here: Facts of the driver.
    """
    if "problem" in found:
        return f"cannot import foldsweep ({found['problem']})"
    other = [
        f"{name} {found[name]}, the driver {here[name]}"
        for name in SAME
        if found.get(name) != here[name]
    ]
    return f"has {'; has '.join(other)}" if other else ""
