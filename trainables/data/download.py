"""Downloads with hard limits on time and size, and atomic writing of files."""

import os
import tempfile
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from threading import Thread

import pooch
import requests
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

_CHUNK_BYTES = 2**16


class DownloadError(Exception):
    """Failed download; the message is the reason in a few words."""


@dataclass(frozen=True, kw_only=True)
class TimeLimits:
    """Time limits of a download, in seconds.

    Attributes:
        connect_s: Limit until a server accepts the connection.
        read_s: Limit between two chunks of a response.
        first_file_s: Limit for the whole first file, over all mirrors.
        file_s: Limit for each whole later file, over all mirrors.
    """

    connect_s: float
    read_s: float
    first_file_s: float
    file_s: float


def download_progress(*, wanted: bool = True) -> Progress:
    """Make a progress display on stderr, disabled unless `wanted` and stderr is a terminal."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=console,
        transient=True,
        disable=not (wanted and console.is_terminal and console.file.isatty()),
    )


def download_bytes(
    url: str, *, max_bytes: int, connect_s: float, read_s: float, total_s: float, bar: Progress
) -> bytes:
    """Download the content of a URL to memory, so that nothing unchecked is written to disk.

    The time limit `total_s` holds even if the server sends single bytes slowly or its name is not
    resolved: the download runs in a daemon thread, which is abandoned at the limit.

    Args:
        url: URL of the file.
        max_bytes: Largest size of the file.
        connect_s: Limit until the server accepts the connection, in seconds.
        read_s: Limit between two chunks of the response, in seconds.
        total_s: Limit for the whole download, in seconds.
        bar: Progress display.

    Raises:
        DownloadError: If there is no complete response within the limits.
    """
    buffer = _BoundedBuffer(max_bytes)
    task = _Task(bar, url.rpartition("/")[2])
    timeout = (min(connect_s, total_s), min(read_s, total_s))
    done: Future[bytes] = Future()

    def download() -> None:
        try:
            _fill(buffer, url, task=task, timeout=timeout)
            done.set_result(buffer.getvalue())
        except Exception as error:
            done.set_exception(error)

    Thread(target=download, name=f"download {url}", daemon=True).start()
    try:
        return done.result(timeout=total_s)
    except TimeoutError:
        raise DownloadError(f"not finished within {total_s:.3g} s") from None
    except (requests.RequestException, OSError) as error:
        raise DownloadError(_reason(error, connect_s, read_s)) from error
    finally:
        buffer.close()
        bar.remove_task(task.id)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file atomically: other processes see the whole file or no file.

    Raises:
        OSError: If the folder cannot be written to; the partial file is then removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        part.chmod(0o644)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _fill(buffer: BytesIO, url: str, *, task: "_Task", timeout: tuple[float, float]) -> None:
    """Download into a buffer and close the connection, which pooch leaves open on errors."""
    with ExitStack() as answers:

        def keep(answer: requests.Response, **_: object) -> None:
            answers.callback(answer.close)

        downloader = pooch.HTTPDownloader(
            progressbar=task,
            chunk_size=_CHUNK_BYTES,
            timeout=timeout,
            headers={"Accept-Encoding": "identity"},
            hooks={"response": keep},
        )
        downloader(url, buffer, None)


def _reason(error: Exception, connect_s: float, read_s: float) -> str:
    """Describe an error in a few words, instead of the nested representation of requests."""
    match error:
        case DownloadError():
            return str(error)
        case requests.HTTPError(response=requests.Response(status_code=code)):
            return f"HTTP status {code}"
        case requests.ConnectTimeout():
            return f"no connection within {connect_s:g} s"
        case requests.Timeout():
            return f"silent for {read_s:g} s"
        case requests.exceptions.ChunkedEncodingError():
            return "answer cut off"
        case requests.ConnectionError():
            return "connection failed"
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


class _BoundedBuffer(BytesIO):
    """In-memory buffer; writing fails beyond `max_bytes`, and after the buffer is closed."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__()
        self._max_bytes = max_bytes

    def write(self, data: bytes, /) -> int:  # type: ignore[override]
        if self.tell() + len(data) > self._max_bytes:
            raise OSError(f"more than the expected {self._max_bytes:,} bytes")
        return super().write(data)


class _Task:
    """One line of a rich progress display, with the interface of a pooch progress bar."""

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress = progress
        self.id = progress.add_task(name, total=None)

    @property
    def total(self) -> float | None:
        return None

    @total.setter
    def total(self, num_bytes: int) -> None:
        self._progress.update(self.id, total=num_bytes or None)

    def update(self, num_bytes: int) -> None:
        self._progress.update(self.id, advance=num_bytes)

    def reset(self) -> None:
        self._progress.update(self.id, completed=0)

    def close(self) -> None:
        pass
