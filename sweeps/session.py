"""The folder of a Ray of our own, and the process that clears up after it."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from filelock import FileLock, Timeout

from foldsweep.errors import UserError
from sweeps import reaper
from sweeps.channel import descriptors

PREFIX = "foldsweep-"
RAYS_ROOT = "RAY_TMPDIR"
"""Variable that says where Ray makes its folder; the user's, too."""
KEPT = "SPT_NOENV"
"""Variable that keeps `setproctitle` from overwriting the environment of a process. Otherwise the
titles of Ray's agents would replace the mark by which `sweeps.reaper` finds them."""
LONGEST = 36
"""Characters of a folder in which the paths of Ray's sockets still fit into the system's 107."""
NEEDED = ("gcs_server", "raylet")
"""Ray's own processes without which it does not run."""
CLEARED_WITHIN_S = 15.0


class Session:
    """Ray's folder, short and private, removed with all that runs from it.

    What Ray starts between `begin` and `begun` has its files there and bears its mark.
    """

    def __init__(self) -> None:
        """Make the folder.

        Raises:
            UserError: If there is no place for it.
        """
        clear_up()
        while True:
            self.folder = _make_folder()
            self._lock = FileLock(_lock(self.folder))
            self._lock.acquire()
            if os.path.exists(_lock(self.folder)):  # else another one has just cleared up
                break
        self._reaper = subprocess.Popen(
            [sys.executable, "-I", "-S", reaper.__file__, self.folder, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=descriptors(),
        )

    def begin(self) -> None:
        """Mark processes that are started from now on."""
        given = {reaper.MARK: self.folder, RAYS_ROOT: self.folder, KEPT: "1"}
        self._before = {key: os.environ.pop(key, None) for key in given}
        os.environ.update(given)

    def begun(self) -> None:
        """Mark no more processes."""
        for key, value in self._before.items():
            del os.environ[key]
            if value is not None:
                os.environ[key] = value

    def end_unused(self) -> None:
        """End what a Ray that has started does not need here.

        Its autoscaler, its log monitor and its dashboard's server, which no setting leaves out,
        would keep 200 MB of memory and take Ray a second to end.
        """
        for pid, name in self._children():
            with suppress(OSError):
                if name not in NEEDED and _runs_a_file_of_ray(pid):
                    os.kill(pid, signal.SIGKILL)

    def keep_logs_in(self, path: Path) -> None:
        """Have the ends of Ray's logs added to a file, unless all ends well."""
        self._tell(str(path.absolute()))

    def end(self) -> None:
        """Remove everything."""
        self._tell("finished")
        assert self._reaper.stdin is not None
        with suppress(OSError):
            self._reaper.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._reaper.wait(CLEARED_WITHIN_S)
        self._lock.release()

    def _tell(self, line: str) -> None:
        assert self._reaper.stdin is not None
        with suppress(OSError, ValueError):
            self._reaper.stdin.write(f"{line}\n".encode())
            self._reaper.stdin.flush()

    def processes(self) -> dict[str, int]:
        """Ray's own processes by name, as far as they are children of this one."""
        return {name: pid for pid, name in self._children() if name in NEEDED}

    def _children(self) -> Iterator[tuple[int, str]]:
        """What was marked and is a child of this process, with its name."""
        for pid in reaper.marked(self.folder):
            with suppress(OSError):
                name, parent = _described(pid)
                if parent == os.getpid():
                    yield pid, name


def clear_up() -> None:
    """Remove what earlier sessions have left whose processes were all killed."""
    for root in _roots():
        for path in Path(root).glob(f"{PREFIX}*.lock"):
            with suppress(Timeout, OSError):  # another one may clear up just now
                if path.is_symlink() or path.lstat().st_uid != os.getuid():
                    continue
                with FileLock(path).acquire(timeout=0):
                    reaper.end_all(str(path.with_suffix("")))


def _roots() -> list[str]:
    """Folders for temporary files whose names are short, the user's first."""
    wanted = [os.environ.get(RAYS_ROOT), os.environ.get("TMPDIR")]
    wanted += [os.environ.get("XDG_RUNTIME_DIR"), "/tmp", "/var/tmp", "/dev/shm"]
    room = LONGEST - len(f"/{PREFIX}12345678")
    paths = [os.path.abspath(path) for path in wanted if path]
    return [path for path in dict.fromkeys(paths) if len(os.fsencode(path)) <= room]


def _make_folder() -> str:
    reasons = []
    for root in _roots():
        try:
            return tempfile.mkdtemp(prefix=PREFIX, dir=root)
        except OSError as error:
            reasons.append(f"{root}: {error.strerror}")
    raise UserError(
        f"there is no folder for Ray's temporary files ({'; '.join(reasons) or 'none is short'}):"
        f" set {RAYS_ROOT} to one that can be written, of at most {LONGEST - len(PREFIX) - 9}"
        " characters"
    )


def _lock(folder: str) -> str:
    return f"{folder}.lock"


def _described(pid: int) -> tuple[str, int]:
    """Name of a process and its parent."""
    stat = Path(f"/proc/{pid}/stat").read_text("utf-8")
    found = re.fullmatch(r"\d+ \((.*)\) \S (\d+) .*", stat, re.S)
    assert found is not None
    return found[1], int(found[2])


def _runs_a_file_of_ray(pid: int) -> bool:
    """Whether a process runs a Python file of Ray; another thread may have started others."""
    spec = find_spec("ray")
    assert spec is not None
    place = os.fsencode(os.path.dirname(str(spec.origin)) + os.sep)
    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return any(word.startswith(place) and word.endswith(b".py") for word in words)
