"""Provenance of results: commit, versions, machine, user."""

import getpass
import platform
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path

LIBRARIES = ("torch", "ray", "optuna", "mlflow", "scikit-learn", "numpy")


@cache
def git_commit() -> str:
    """Commit of this code, with `+` if it has changed since; `unknown` outside git."""
    root = Path(__file__).parents[1]
    try:
        commit = _git(root, "rev-parse", "--short=12", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{commit}+" if changed else commit


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that results may depend on."""
    return {"python": platform.python_version(), **{lib: version(lib) for lib in LIBRARIES}}


def machine() -> str:
    """Operating system and architecture of this machine."""
    return f"{platform.system()} {platform.machine()}"


def user() -> str:
    """Name of the current user; `unknown` if the system has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unknown"


def _git(root: Path, *args: str) -> str:
    result = subprocess.run(
        ["git", "-C", str(root), *args], capture_output=True, check=True, timeout=10
    )
    return result.stdout.decode(errors="replace").strip()
