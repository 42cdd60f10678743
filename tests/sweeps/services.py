"""Real services that tests start, cut off and bring back: PostgreSQL, an S3 service, a proxy."""

import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from tests.integration.user import until

PASSWORD = "s3cr3t-of-the-study"
CHANGES = re.compile(rb"INSERT INTO|DELETE FROM|UPDATE \w+ SET")
KEY, SECRET, BUCKET = "key-of-the-store", "s3cr3t-of-the-store", "sweeps"


def free_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


class Proxy:
    """Passes connections on to a port of this machine, until it is told to cut them."""

    def __init__(self, target: int):
        self.target = target
        self.port = free_port()
        self._listener: socket.socket | None = None
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._loses = False
        self._commits = 0
        self.lost = 0
        self.restore()

    def restore(self) -> None:
        """Take connections; nothing happens if it does."""
        if self._listener is not None:
            return
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        """End all connections, and refuse others."""
        if self._listener is not None:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        self.drop()

    def drop(self) -> None:
        """End all connections, but take others."""
        for pair in self._pairs:
            for end in pair:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        self._pairs.clear()

    def lose_commits(self, loses: bool) -> None:
        """Of every two changes of a database, let the first be made and its answer be lost."""
        self._loses, self._commits = loses, 0

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client = listener.accept()[0]
                try:
                    server = socket.create_connection(("127.0.0.1", self.target))
                except OSError:
                    client.close()
                    continue
                self._pairs.append((client, server))
                shared: tuple[list[bool], list[bool]] = [], []
                for ends in ((client, server, True), (server, client, False)):
                    threading.Thread(target=self._pass, args=(*ends, *shared), daemon=True).start()

    def _pass(
        self,
        come: socket.socket,
        go: socket.socket,
        asks: bool,
        losing: list[bool],
        ended: list[bool],
    ) -> None:
        changed = False
        with suppress(OSError):
            while data := come.recv(65536):
                changed = changed or CHANGES.search(data) is not None
                if asks and self._loses and changed and b"COMMIT" in data:
                    changed = False
                    self._commits += 1
                    losing += [True] * (self._commits % 2)
                elif not asks and losing:
                    self.lost += 1
                    break
                go.sendall(data)
        ended.append(asks)
        for end in (come, go):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            if len(ended) == 2:
                end.close()


class Postgres:
    """A PostgreSQL of the test's own, which asks its user `foldsweep` for `PASSWORD`."""

    def __init__(self, folder: Path):
        self.port = free_port()
        self._folder = folder
        user = "postgres" if os.geteuid() == 0 else None  # it does not run as root
        self._run = partial(
            subprocess.run, check=True, stdout=subprocess.DEVNULL, timeout=50, user=user
        )
        if user is not None:
            shutil.chown(folder, user)
        (folder / "password").write_text(PASSWORD)
        options = ["-A", "scram-sha-256", "--pwfile", folder / "password", "-N", "-U", "foldsweep"]
        self._run(["initdb", "-D", folder / "data", *options], cwd=folder)
        self.start()

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self._folder} -c fsync=off"
        log = ["-l", self._folder / "log", "-o", options]
        self._run(["pg_ctl", "-D", self._folder / "data", "-w", *log, "start"], cwd=self._folder)

    def stop(self) -> None:
        command = ["pg_ctl", "-D", self._folder / "data", "-w", "-m", "immediate", "stop"]
        self._run(command, cwd=self._folder)

    def url(self, port: int | None = None) -> str:
        return f"postgresql://foldsweep@127.0.0.1:{port or self.port}/postgres"


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    pytest.importorskip("psycopg")
    if shutil.which("initdb") is None or shutil.which("pg_ctl") is None:
        pytest.skip("needs PostgreSQL: initdb and pg_ctl")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        server = Postgres(Path(folder))
        try:
            yield server
        finally:
            with suppress(subprocess.CalledProcessError):
                server.stop()


@contextmanager
def running_object_store(*, asks_for_keys: bool = False) -> Iterator[int]:
    """A port with an S3 service that has `BUCKET`, or one that knows nobody's key."""
    if importlib.util.find_spec("moto") is None or importlib.util.find_spec("flask") is None:
        pytest.skip("needs an S3 service: pip install 'moto[server]'")
    import pyarrow.fs as pafs

    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        env=os.environ | ({"INITIAL_NO_AUTH_ACTION_COUNT": "0"} if asks_for_keys else {}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def answers() -> bool:
        assert server.poll() is None
        with suppress(OSError), closing(socket.create_connection(("127.0.0.1", port), 5)):
            return True
        return False

    try:
        until(answers)
        if asks_for_keys:
            yield port
            return
        store = pafs.S3FileSystem(
            access_key=KEY,
            secret_key=SECRET,
            endpoint_override=f"127.0.0.1:{port}",
            scheme="http",
            allow_bucket_creation=True,
        )
        store.create_dir(BUCKET)
        yield port
    finally:
        server.kill()
        server.wait()


def store_uri(port: int, path: str = f"{BUCKET}/path") -> str:
    return f"s3://{path}?endpoint_override=127.0.0.1:{port}&scheme=http"


STORE_ENV = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1"}
