"""Synthetic MNIST of 50 images, and a loopback server that serves it correctly or with faults."""

import gzip
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from trainables.data.idx import IdxFile
from trainables.data.mnist import FILES

NUM_IMAGES = {"train": 30, "test": 20}


def zipped(content: bytes) -> bytes:
    """The same bytes at any time: gzip's header holds the time."""
    return gzip.compress(content, mtime=0)


@dataclass(frozen=True, kw_only=True)
class TinyMnist:
    files: dict[str, IdxFile]
    contents: dict[str, bytes]
    arrays: dict[str, np.ndarray]

    def write(self, folder: Path, *, compressed: bool) -> None:
        for name, content in self.contents.items():
            if compressed:
                (folder / f"{name}.gz").write_bytes(zipped(content))
            else:
                (folder / name).write_bytes(content)


@pytest.fixture(scope="session")
def tiny_mnist() -> TinyMnist:
    rng = np.random.default_rng(0)
    files, contents, arrays = {}, {}, {}
    for role, real in FILES.items():
        part, kind = role.split("_")
        shape = (NUM_IMAGES[part], 28, 28) if kind == "images" else (NUM_IMAGES[part],)
        array = rng.integers(0, 256 if kind == "images" else 10, size=shape, dtype=np.uint8)
        header = bytes([0, 0, 8, len(shape)]) + np.array(shape, dtype=">i4").tobytes()
        content = header + array.tobytes()
        sha256, gz_sha256 = (hashlib.sha256(of).hexdigest() for of in (content, zipped(content)))
        files[role] = IdxFile(
            name=real.name, sha256=sha256, num_bytes=len(content), gz_sha256=gz_sha256
        )
        contents[real.name] = content
        arrays[role] = array
    return TinyMnist(files=files, contents=contents, arrays=arrays)


@dataclass(kw_only=True)
class Mirror:
    """Server whose behaviour depends on the first part of the path: `/good/`, `/cut-off/`..."""

    root: str
    requests: list[str] = field(default_factory=list)

    def url(self, manner: str) -> str:
        return f"{self.root}/{manner}/"


@pytest.fixture
def mirror(tiny_mnist: TinyMnist, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    served = Mirror(root="")
    stopping = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.requests.append(self.path)
            manner, name = self.path.strip("/").split("/")
            content = tiny_mnist.contents[name.removesuffix(".gz")]
            body = zipped(content)
            match manner:
                case "good":
                    self.answer(body)
                case "unpacked":
                    self.answer(content)
                case "wrong":
                    self.answer(zipped(content[:-1] + bytes([content[-1] ^ 1])))
                case "web-page":
                    self.answer(b"<html>Please log in to this network</html>")
                case "cut-off":
                    self.answer(body[:-100] if len(body) > 100 else body[:-10], length=len(body))
                case "short":
                    self.answer(body[:-10])
                case "mute":
                    stopping.wait()
                case "images-missing" if "labels" in name:
                    self.answer(body)
                case _:
                    self.send_error(404)

        def head(self, length: int) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(length))
            self.end_headers()

        def answer(self, body: bytes, length: int | None = None) -> None:
            self.head(len(body) if length is None else length)
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    class QuietServer(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *args: object) -> None:
            """Print nothing: clients that close the connection are part of the tests."""

    with QuietServer(("127.0.0.1", 0), Handler) as server:
        served.root = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield served
        stopping.set()
        server.shutdown()
        thread.join()
