"""The folder that a case may use: a user's work of some days, a home and a temporary folder."""

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
"""Names, or their beginnings, of what programs write where they are not told otherwise."""
CACHES = (".cache", ".config", ".local")
"""Where libraries may keep what they compute once, below the home."""
LOCKS = (".lock", ".flock", "lock")
Listing = dict[str, str]
"""Files below a folder by path, with what tells their content."""


@dataclass(frozen=True)
class Box:
    """Always at the same place, since some files hold absolute paths; restored for each case."""

    root: Path

    @property
    def work(self) -> Path:
        """The current folder of the program."""
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
        """A folder beside the work in which nothing has any business."""
        return self.root / "box" / "outside"

    @property
    def executed(self) -> Path:
        """A file that is there as soon as something hostile was executed."""
        return self.root / "executed"

    def make(self) -> None:
        """Make an empty box."""
        for folder in (self.work, self.home, self.tmp, self.outside):
            folder.mkdir(parents=True)

    def keep(self) -> None:
        """Take the box as it is for that which `restore` gives."""
        shutil.copytree(self.root / "box", self.root / "kept", symlinks=True)

    def restore(self) -> None:
        """Put the box back to what it was when it was kept."""
        shutil.rmtree(self.root / "box")
        shutil.copytree(self.root / "kept", self.root / "box", symlinks=True)
        self.executed.unlink(missing_ok=True)

    def listing(self) -> Listing:
        """All files and folders of the box."""
        found: Listing = {}
        for folder, folders, files in os.walk(self.root / "box"):
            for name in folders:
                found[os.path.relpath(os.path.join(folder, name), self.root / "box")] = "folder"
            for name in files:
                path = os.path.join(folder, name)
                found[os.path.relpath(path, self.root / "box")] = _digest(path)
        return found


def changed(before: Listing, after: Listing) -> list[str]:
    """Paths in the box that came, went or have other content; locks and caches do not count."""
    paths = sorted(p for p in before.keys() | after.keys() if before.get(p) != after.get(p))
    return [p for p in paths if not _is_lock(p) and not _is_cache(p)]


def stray(paths: list[str], args: list[str], root: Path) -> list[str]:
    """Those paths that nobody named, and no program writes by itself."""
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
