"""Session of a local Ray: its temporary folder, and the process that cleans up after it."""

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
"""Environment variable with the root of Ray's temporary folder; users may set it, too."""
KEPT = "SPT_NOENV"
"""Environment variable that keeps `setproctitle` from overwriting a process's environment.
Otherwise the titles of Ray's agents would replace the mark by which `sweeps.reaper` finds them."""
LONGEST = 36
"""Most characters of the folder: the paths of sockets in it must fit into the system's 107."""
NEEDED = ("gcs_server", "raylet")
"""Processes that Ray cannot run without."""
CLEARED_WITHIN_S = 15.0


class Session:
    """Ray's temporary folder, short and private, which is removed with all of Ray's processes.

    Processes that Ray starts between `begin` and `begun` keep their files in the folder, and are
    marked by an environment variable.
    """

    def __init__(self) -> None:
        """Create the folder, and remove what killed sessions have left behind.

        Raises:
            UserError: If there is no suitable place for it.
        """
        clear_up()
        while True:
            self.folder = _make_folder()
            self._lock = FileLock(_lock(self.folder))
            self._lock.acquire()
            if os.path.exists(_lock(self.folder)):  # else another session has just removed it
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
        """Start marking new processes."""
        given = {reaper.MARK: self.folder, RAYS_ROOT: self.folder, KEPT: "1"}
        self._before = {key: os.environ.pop(key, None) for key in given}
        os.environ.update(given)

    def begun(self) -> None:
        """Stop marking new processes."""
        for key, value in self._before.items():
            del os.environ[key]
            if value is not None:
                os.environ[key] = value

    def end_unused(self) -> None:
        """End processes that a running Ray does not need here.

        These are its autoscaler, its log monitor and its dashboard's server, which no setting
        disables. They use 200 MB of memory and delay Ray's end by a second.
        """
        for pid, name in self._children():
            with suppress(OSError):
                if name not in NEEDED and _runs_a_file_of_ray(pid):
                    os.kill(pid, signal.SIGKILL)

    def keep_logs_in(self, path: Path) -> None:
        """Set the file that the ends of Ray's logs are appended to, unless Ray ends normally."""
        self._tell(str(path.absolute()))

    def end(self) -> None:
        """End Ray's processes and remove the folder."""
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
        """Ids of the processes of `NEEDED` that are children of this one, by name."""
        return {name: pid for pid, name in self._children() if name in NEEDED}

    def _children(self) -> Iterator[tuple[int, str]]:
        """Ids and names of marked processes that are children of this one."""
        for pid in reaper.marked(self.folder):
            with suppress(OSError):
                name, parent = _described(pid)
                if parent == os.getpid():
                    yield pid, name


def clear_up() -> None:
    """Remove the folders and processes of earlier sessions whose driver and reaper were killed."""
    for root in _roots():
        for path in Path(root).glob(f"{PREFIX}*.lock"):
            with suppress(Timeout, OSError):  # it is in use, or another process removes it
                if path.is_symlink() or path.lstat().st_uid != os.getuid():
                    continue
                with FileLock(path).acquire(timeout=0):
                    reaper.end_all(str(path.with_suffix("")))


def _roots() -> list[str]:
    """Folders for temporary files whose paths are short enough, the user's first."""
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
    raise UserError.of(
        "session.no-folder",
        reasons="; ".join(reasons) or "all paths are too long",
        variable=RAYS_ROOT,
        most=LONGEST - len(PREFIX) - 9,
    )


def _lock(folder: str) -> str:
    return f"{folder}.lock"


def _described(pid: int) -> tuple[str, int]:
    """Name and parent id of a process."""
    stat = Path(f"/proc/{pid}/stat").read_text("utf-8")
    found = re.fullmatch(r"\d+ \((.*)\) \S (\d+) .*", stat, re.S)
    assert found is not None
    return found[1], int(found[2])


def _runs_a_file_of_ray(pid: int) -> bool:
    """Whether a process runs a Python file of Ray; other threads may have started others."""
    spec = find_spec("ray")
    assert spec is not None
    place = os.fsencode(os.path.dirname(str(spec.origin)) + os.sep)
    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return any(word.startswith(place) and word.endswith(b".py") for word in words)
