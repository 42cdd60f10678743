"""Probe of a cluster's nodes: a small task that reports versions, and their comparison.

The functions that run on nodes are pickled by value: they must work without foldsweep, which a
node may lack, and find out what the node has.
"""

import hashlib
import os
import platform
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from foldsweep.texts import text

RUNS_TRIALS = ("foldsweep", "trainables", "search_spaces")
"""Packages that a trial runs; their files must be the same on every node."""
TRAINABLE = "trainables.trainable"
"""Module that a trial imports before it starts."""
SAME = ("python", "ray", "torch", "foldsweep")
"""Facts that must be the same on every node as on the driver."""


def prepare_where_possible() -> None:
    """Prepare a new worker with `sweeps.worker`, if the node has that module.

    If not, the worker must start all the same, so that its probe can report this.
    """
    try:
        prepare = import_module("sweeps.worker").prepare
    except ImportError:
        return
    prepare()


def look(packages: tuple[str, ...], trainable: str) -> dict[str, str]:
    """Return the facts of the node that this task runs on; the task has its own process."""
    os.environ.pop("CUDA_VISIBLE_DEVICES", None)  # Ray hides GPUs from tasks without any
    return facts(packages, trainable)


def facts(packages: tuple[str, ...], trainable: str) -> dict[str, str]:
    """Facts of this process: versions, a digest of files, whether torch can use a GPU.

    Args:
        packages: Packages whose files are digested.
        trainable: Module that is imported, to see whether trials can run.

    Returns:
        The facts by name; only `problem` if trials cannot run.
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
        except PackageNotFoundError:  # not installed, found by PYTHONPATH
            release = "unknown"
        return {
            "python": ".".join(platform.python_version_tuple()[:2]),
            "ray": version("ray"),
            "torch": torch.__version__.partition("+")[0],  # without the build, which may differ
            "foldsweep": f"{release} ({digest.hexdigest()[:12]})",
            "cuda": "yes" if torch.cuda.is_available() else "",
            "build": torch.__version__,
        }
    except (Exception, SystemExit) as error:  # the sweep shows it, with the node's name
        said = " ".join(str(error).split())
        return {"problem": f"{type(error).__name__}: {said}"[:300]}


def lacking(found: Mapping[str, str], here: Mapping[str, str]) -> str:
    """Reason why a node cannot run trials of this driver; empty if it can.

    Args:
        found: Facts of the node.
        here: Facts of the driver.
    """
    if "problem" in found:
        return text("probe.cannot-import", problem=found["problem"])
    return "; ".join(
        text("probe.differs", name=name, node=found[name], driver=here[name])
        for name in SAME
        if found.get(name) != here[name]
    )
