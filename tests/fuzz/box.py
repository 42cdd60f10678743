"""Sandbox of a case: folders for a user's work, the home and temporary files."""

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
OUTPUTS = (
    "runs",
    "mlflow.db",
    "mlartifacts",
    "figures",
    "report.html",
    "predictions.csv",
    "best-",
)
"""Names, or prefixes of names, that programs write by default."""
CACHES = (".cache", ".config", ".local")
"""Cache folders of libraries, below the home."""
LOCKS = (".lock", ".flock", "lock")
Listing = dict[str, str]
"""Digest of each file's content, by path."""


@dataclass(frozen=True)
class Box:
    """Sandbox, restored for each case; at a fixed path, since some files hold absolute paths."""

    root: Path

    @property
    def work(self) -> Path:
        """Working folder of the program."""
        return self.root / "box" / "work"

    @property
    def home(self) -> Path:
        """HOME."""
        return self.root / "box" / "home"

    @property
    def tmp(self) -> Path:
        """TMPDIR."""
        return self.root / "box" / "tmp"

    @property
    def outside(self) -> Path:
        """Folder beside the work that no program may write to."""
        return self.root / "box" / "outside"

    @property
    def executed(self) -> Path:
        """Marker file, created if a payload is executed."""
        return self.root / "executed"

    def make(self) -> None:
        """Make an empty box."""
        for folder in (self.work, self.home, self.tmp, self.outside):
            folder.mkdir(parents=True)

    def keep(self) -> None:
        """Save the box in its present state for `restore`."""
        shutil.copytree(self.root / "box", self.root / "kept", symlinks=True)

    def restore(self) -> None:
        """Restore the box to its saved state."""
        shutil.rmtree(self.root / "box")
        shutil.copytree(self.root / "kept", self.root / "box", symlinks=True)
        self.executed.unlink(missing_ok=True)

    def listing(self) -> Listing:
        """List all files and folders of the box."""
        found: Listing = {}
        for folder, folders, files in os.walk(self.root / "box"):
            for name in folders:
                found[os.path.relpath(os.path.join(folder, name), self.root / "box")] = "folder"
            for name in files:
                path = os.path.join(folder, name)
                found[os.path.relpath(path, self.root / "box")] = _digest(path)
        return found


def changed(before: Listing, after: Listing) -> list[str]:
    """Return paths in the box that were added, removed or changed, except locks and caches."""
    paths = sorted(p for p in before.keys() | after.keys() if before.get(p) != after.get(p))
    return [p for p in paths if not _is_lock(p) and not _is_cache(p)]


def stray(paths: list[str], args: list[str], root: Path) -> list[str]:
    """Return the paths that no argument names and that are not default outputs."""
    return [path for path in paths if not _is_output(path) and not _is_named(path, args, root)]


def _is_output(path: str) -> bool:
    return path.startswith(tuple(f"work/{name}" for name in OUTPUTS))


def _is_named(path: str, args: list[str], root: Path) -> bool:
    """Whether an argument names the path or a folder above it."""
    place = os.path.join(root, "box", path)
    work = os.path.join(root, "box", "work")
    for arg in args:
        for part in (arg, arg.partition("=")[2], arg.partition(":///")[2]):
            if part and "\0" not in part:
                named = os.path.normpath(os.path.join(work, part))
                stem = os.path.splitext(named)[0]
                if place.startswith((named, stem)) or named.startswith(place + "/"):
                    return True
    return False


def _is_lock(path: str) -> bool:
    return path.endswith(LOCKS)


def _is_cache(path: str) -> bool:
    parts = path.split("/")
    return "__pycache__" in parts or (parts[0] == "home" and parts[1:2][0] in CACHES)


def _digest(path: str) -> str:
    if os.path.islink(path):
        return f"link to {os.readlink(path)}"
    if not os.path.isfile(path):
        return "special"
    with open(path, "rb") as file:
        return hashlib.md5(file.read(), usedforsecurity=False).hexdigest()
