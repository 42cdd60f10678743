"""The folder of a Ray of our own, and the process that clears up after it."""

import os
import re
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from foldsweep.errors import UserError
from sweeps import reaper
from sweeps.channel import descriptors

PREFIX = "foldsweep-"
LONGEST = 40
"""Characters of a folder in which the paths of Ray's sockets still fit into the system's 107."""
CLEARED_WITHIN_S = 15.0


class Session:
    """Ray's folder, short and private, removed with all that runs from it.

    Whatever Ray starts between `begin` and `begun` bears its mark.
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
        """Mark what is started from here on."""
        os.environ[reaper.MARK] = self.folder

    def begun(self) -> None:
        """Mark nothing more."""
        os.environ.pop(reaper.MARK, None)

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
        found = {}
        for pid in reaper.marked(self.folder):
            with suppress(OSError):
                name, parent = _described(pid)
                if parent == os.getpid() and name in ("gcs_server", "raylet"):
                    found[name] = pid
        return found


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
    wanted = [os.environ.get("RAY_TMPDIR"), os.environ.get("TMPDIR")]
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
        f" set RAY_TMPDIR to one that can be written, of at most {LONGEST - len(PREFIX) - 9}"
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
