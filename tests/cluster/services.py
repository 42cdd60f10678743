"""Real services in processes of their own, which tests may kill: PostgreSQL, S3 and MLflow.

All three keep what they have confirmed, so a service that is killed and started again has the same
data.
"""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, ClassVar, Self

import pytest
import requests

from tests.cluster.proxy import free_port

USER = "foldsweep"
PASSWORD = "very-s3cret"
STUDIES = "studies"
"""Name of the database for studies."""
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test-key"}
KEYS |= {"AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}
STARTED_WITHIN_S = 90.0
HERE = Path(__file__).parent


class AbstractService(ABC):
    """Service in a process, on a fixed port of 127.0.0.1.

    Args:
        folder: Folder of its log.
        port: Port that it listens on.
    """

    stopped_by: ClassVar[int] = signal.SIGTERM

    def __init__(self, folder: Path, port: int):
        self.folder = folder
        self.port = port
        self.process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> Sequence[object]:
        """Command that runs the service."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether the service is ready."""

    @abstractmethod
    def options(self) -> Mapping[str, Any]:
        """Additional arguments of `subprocess.Popen`."""

    def start(self) -> Self:
        """Start the service, and wait until it answers."""
        deadline = time.monotonic() + STARTED_WITHIN_S
        while not self.answers():
            if self.process is None or self.process.poll() is not None:
                self._start()  # retried, since leftovers of a killed service end a little later
            assert time.monotonic() < deadline, self.log.read_text(errors="replace")[-3000:]
            time.sleep(0.1)
        return self

    @property
    def log(self) -> Path:
        """Log file of its output."""
        return self.folder / f"{type(self).__name__.lower()}.log"

    def stop(self) -> None:
        """Stop the service with `stopped_by`, the signal of a regular stop."""
        self._end(self.stopped_by)

    def kill(self) -> None:
        """Kill the service with SIGKILL."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop the service and start it again."""
        self.stop()
        self.start()

    def _start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*map(str, self.command())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self.options(),
            )

    def _end(self, number: int) -> None:
        if self.process is None:
            return
        if self.process.poll() is None:
            os.killpg(self.process.pid, number)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Postgres(AbstractService):
    """PostgreSQL with a user who has a password; clients take it from `PGPASSWORD`.

    PostgreSQL refuses to run as root; under root it is run as the user `postgres`.
    """

    stopped_by = signal.SIGINT  # does not wait for clients

    def __init__(self, folder: Path):
        super().__init__(folder, free_port())
        self.user = "postgres" if os.geteuid() == 0 else None
        self.initdb, self.postgres = _installed("initdb"), _installed("postgres")
        if self.user is not None:
            try:
                shutil.chown(folder, self.user)
            except LookupError:
                pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
        password = folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        subprocess.run(
            [self.initdb, "-D", folder / "data", "-A", "scram-sha-256", "-U", USER]
            + ["--pwfile", password, "--no-sync"],
            check=True,
            stdout=subprocess.DEVNULL,
            **self.options(),
        )

    def options(self) -> Mapping[str, Any]:
        where = {"cwd": self.folder}
        if self.user is None:
            return where
        group = pwd.getpwnam(self.user).pw_gid
        return where | {"user": self.user, "group": group, "extra_groups": []}

    def command(self) -> Sequence[object]:
        return (
            *(self.postgres, "-D", self.folder / "data", "-p", self.port, "-k", self.folder),
            *("-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"),
        )

    def answers(self) -> bool:
        import psycopg

        try:
            self.execute("select 1")
        except psycopg.OperationalError:
            return False
        return True

    def connect(self, database: str = "postgres") -> Any:
        """Open a connection that commits each statement."""
        import psycopg

        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=USER,
            password=PASSWORD,
            dbname=database,
            autocommit=True,
        )

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run a statement; return its rows."""
        with closing(self.connect(database)) as connection:
            found = connection.execute(statement)
            return list(found.fetchall()) if found.description else []


def url(address: str, database: str, password: str | None = None) -> str:
    """URL of a database as a user writes it; clients find the password elsewhere.

    Args:
        address: `host:port` of PostgreSQL, or of a proxy in front of it.
        database: Name of the database.
        password: Password to write into the URL, if any.
    """
    user = USER if password is None else f"{USER}:{password}"
    return f"postgresql://{user}@{address}/{database}"


class ObjectStore(AbstractService):
    """S3 service by moto, see `tests.cluster.objects`.

    Args:
        folder: Folder of the objects and the log.
        knows_nobody: Whether it refuses every key instead of accepting any.
    """

    def __init__(self, folder: Path, *, knows_nobody: bool = False):
        super().__init__(folder, free_port())
        self._env = {"INITIAL_NO_AUTH_ACTION_COUNT": "0"} if knows_nobody else {}

    def command(self) -> Sequence[object]:
        return sys.executable, "-P", HERE / "objects.py", self.port, self.folder / "objects"

    def options(self) -> Mapping[str, Any]:
        return {"env": os.environ | self._env}

    def answers(self) -> bool:
        return _is_up(f"http://127.0.0.1:{self.port}/moto-api/")

    @contextmanager
    def client(self) -> Iterator[Any]:
        """boto3 client that bypasses the proxies."""
        import boto3
        from botocore.config import Config

        client = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{self.port}",
            aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
            region_name=KEYS["AWS_DEFAULT_REGION"],
            config=Config(s3={"addressing_style": "path"}),
        )
        with closing(client):
            yield client

    def make_bucket(self, name: str) -> None:
        """Create a bucket."""
        with self.client() as client:
            client.create_bucket(Bucket=name)

    def keys(self, bucket: str) -> list[str]:
        """Names of all objects in a bucket."""
        with self.client() as client:
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
            return [found["Key"] for page in pages for found in page.get("Contents", ())]


class Mlflow(AbstractService):
    """MLflow server with its tables in a database `mlflow`, and its artifacts in a bucket."""

    def __init__(self, folder: Path, postgres: Postgres, objects: ObjectStore):
        super().__init__(folder, free_port())
        self.tables = url(f"127.0.0.1:{postgres.port}", "mlflow")
        self.objects = objects
        postgres.execute("create database mlflow")
        objects.make_bucket("artifacts")

    def command(self) -> Sequence[object]:
        return (
            *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"),
            *("--port", self.port, "--workers", 1, "--allowed-hosts", "*"),
            *("--backend-store-uri", self.tables, "--artifacts-destination", "s3://artifacts/ml"),
        )

    def options(self) -> Mapping[str, Any]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
        own = {"MLFLOW_S3_ENDPOINT_URL": f"http://127.0.0.1:{self.objects.port}"}
        own |= {"MLFLOW_DISABLE_TELEMETRY": "true", "PGPASSWORD": PASSWORD}
        return {"cwd": self.folder, "env": kept | KEYS | own}

    def answers(self) -> bool:
        return _is_up(f"http://127.0.0.1:{self.port}/health")


def _is_up(address: str) -> bool:
    try:
        return requests.get(address, timeout=5).ok
    except requests.RequestException:
        return False


def _installed(program: str) -> str:
    """Path of a program of PostgreSQL, which Debian installs in a folder for each version.

    Skips the test if the program is not installed.
    """
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    path = os.pathsep.join([os.environ.get("PATH", ""), *map(str, places)])
    found = shutil.which(program, path=path)
    if found is None:
        pytest.skip(f"needs PostgreSQL, of which {program} is not installed here")
    return found
