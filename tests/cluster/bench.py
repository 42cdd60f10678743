"""Bench of the cluster tests: services, proxies, Ray clusters and users."""

import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import optuna
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial

from tests.cluster.gate import SPACE, Gate
from tests.cluster.networks import Loopback, Networks
from tests.cluster.nodes import RayCluster, is_trial
from tests.cluster.proxy import Proxy
from tests.cluster.services import (
    KEYS,
    PASSWORD,
    STUDIES,
    Mlflow,
    ObjectStore,
    Postgres,
    url,
)
from tests.integration.user import REPOSITORY, TINY, RunRow, User, runs_of

SHORT = (*TINY, "--sampler", "random", "--scheduler", "none", "--seed", 7)
"""Options of a sweep whose trials depend on the seed only, not on order or repetitions."""
WITHIN_S = 180.0
LONGEST_S = 900.0
"""Upper limit in seconds on a program's run; its only purpose is that every test ends."""
Undisturbed = Callable[..., list[FrozenTrial]]
"""Returns the trials of an undisturbed sweep, given its training options."""
CheckWhole = Callable[..., None]
"""Checks a sweep against the undisturbed one, given a bench, the sweep's name and its options."""


def new(name: str, *args: object) -> tuple[object, ...]:
    """Options of a new sweep of the gated space."""
    return ("--space", "gated.py", "--name", name, *SHORT, *args)


class Sweep:
    """A running `sweeps/run.py`, whose output goes to files."""

    def __init__(self, user: User, words: tuple[object, ...], env: dict[str, str]):
        number = len(user.started)
        self.user = user
        self._out = user.folder / f"out{number}.txt"
        self._err = user.folder / f"err{number}.txt"
        redirected = f'exec "$@" >{self._out.name} 2>{self._err.name}'
        self.process = user.start_command("sh", "-c", redirected, "sh", *words, **env)

    @property
    def out(self) -> str:
        """Text on stdout so far."""
        return self._out.read_text("utf-8") if self._out.exists() else ""

    @property
    def err(self) -> str:
        """Text on stderr so far."""
        return self._err.read_text("utf-8") if self._err.exists() else ""

    @property
    def lives(self) -> bool:
        """Whether the program is running."""
        return self.process.poll() is None

    def until(self, condition: Callable[[], object], within_s: float = WITHIN_S) -> None:
        """Wait for a condition, which must become true while the program runs."""
        deadline = time.monotonic() + within_s
        while not condition():
            assert self.lives or condition(), f"the program ended too early\n{self._report()}"
            assert time.monotonic() < deadline, f"it never came to that\n{self._report()}"
            time.sleep(0.1)

    def end(self, code: int = 0, within_s: float = LONGEST_S) -> "Sweep":
        """Wait for the program to end, with this exit code and without a traceback."""
        try:
            self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it never ended\n{self._report()}") from None
        assert self.process.returncode == code, self._report()
        assert "Traceback" not in self.err, self._report()
        return self

    def refused(self, code: int = 2, within_s: float = LONGEST_S) -> str:
        """Wait for the program to end with an error of exactly one line; return the line."""
        err = self.end(code, within_s).err
        assert err.startswith("error: "), self._report()
        assert err.count("\n") == 1, self._report()
        return err

    def interrupt(self) -> None:
        """Press Ctrl-C, and wait for the end."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(WITHIN_S)

    def kill(self) -> None:
        """Kill the program and its processes on the driver's machine with SIGKILL."""
        self.user.clean_up()
        self.process.wait()

    def _report(self) -> str:
        return f"exit code {self.process.poll()}\n{self.out[-3000:]}\n{self.err[-5000:]}"


class Bench:
    """PostgreSQL, an S3 service and MLflow, each behind a proxy, with clusters and users.

    Args:
        where: Network of the nodes; the proxies listen at its gateway.
        postgres: PostgreSQL with a database `STUDIES`.
        objects: S3 service, in which this bench gets a bucket.
        mlflow: MLflow server that uses both.
        folder: Empty folder, below which users work.
    """

    def __init__(
        self,
        where: Loopback | Networks,
        postgres: Postgres,
        objects: ObjectStore,
        mlflow: Mlflow,
        folder: Path,
    ):
        self.where = where
        self.postgres, self.objects, self.mlflow = postgres, objects, mlflow
        for service in (postgres, objects, mlflow):
            service.start()  # a test before may have killed it
        self.study = Proxy(postgres.port, host=where.gateway)
        self.storage = Proxy(objects.port, host=where.gateway)
        self.tracking = Proxy(mlflow.port, host=where.gateway)
        self.bucket = f"bench-{uuid.uuid4().hex[:12]}"
        objects.make_bucket(self.bucket)
        self.folder = folder
        self.gate = Gate(folder / "gate")
        self._users: list[User] = []
        self._clusters: list[RayCluster] = []

    def close(self) -> None:
        """Stop everything that this bench has started."""
        self.gate.open()
        for user in self._users:
            user.clean_up()
        for cluster in self._clusters:
            cluster.close()
        for proxy in (self.study, self.storage, self.tracking):
            proxy.close()

    def ray(self, *, cpus: int = 1) -> RayCluster:
        """Start a cluster that consists of a head only; its nodes can reach the object store."""
        self._clusters.append(RayCluster(self.where, cpus=cpus, env=self._keys()))
        return self._clusters[-1]

    def user(self, name: str) -> User:
        """Create a user whose folder has only the file of the gated space."""
        folder = self.folder / name
        folder.mkdir()
        self.gate.space_in(folder)
        self._users.append(User(folder))
        return self._users[-1]

    def leave(self, user: User) -> None:
        """Simulate the loss of a user's machine: kill its processes and delete its files."""
        user.clean_up()
        shutil.rmtree(user.folder)

    def options(self, **other: object) -> tuple[object, ...]:
        """Options that place all of a sweep's data in the three services.

        Args:
            **other: Replacements for these options; None leaves an option out.
        """
        options: dict[str, object] = {
            "study": url(self.study.address, STUDIES),
            "storage": f"s3://{self.bucket}/sweeps",
            "tracking-uri": f"http://{self.tracking.address}",
        }
        options |= {key.replace("_", "-"): value for key, value in other.items()}
        given = {key: value for key, value in options.items() if value is not None}
        return tuple(part for key, value in given.items() for part in (f"--{key}", value))

    def start(self, user: User, *args: object, on: RayCluster | None = None, **env: str) -> Sweep:
        """Start `sweeps/run.py` with the stores of `options`, on a cluster or with a local Ray."""
        if "--study" not in args:
            args = (*args, *self.options())
        if on is not None:
            args = (*args, "--address", on.address)
        words = (sys.executable, REPOSITORY / "sweeps/run.py", *args)
        given = self._keys() | {"PGPASSWORD": PASSWORD}
        if on is None:
            return Sweep(user, words, given | env)
        return Sweep(user, (*on.prefix, *words), given | on.environment | env)

    def _keys(self) -> dict[str, str]:
        return KEYS | {"AWS_ENDPOINT_URL": f"http://{self.storage.address}"}

    def states(self, name: str) -> Counter[str]:
        """Number of trials of a sweep in each state, from the study's tables."""
        with closing(self.postgres.connect(STUDIES)) as connection:
            made = connection.execute("select to_regclass('public.trials')").fetchone()[0]
            if made is None:
                return Counter()
            rows = connection.execute(
                "select t.state::text, count(*) from trials t join studies s"
                " on s.study_id = t.study_id where s.study_name = %s group by 1",
                (f"{name}/{SPACE}",),
            ).fetchall()
        return Counter(dict(rows))

    def ended(self, name: str) -> int:
        """Number of trials of a sweep that have ended."""
        states = self.states(name)
        return sum(states[state] for state in ("COMPLETE", "PRUNED", "FAIL"))

    def trials(self, name: str) -> list[FrozenTrial]:
        """Trials in the study of a sweep."""
        address = f"127.0.0.1:{self.postgres.port}"
        storage = RDBStorage(url(address, STUDIES, PASSWORD))
        try:
            return optuna.load_study(study_name=f"{name}/{SPACE}", storage=storage).trials
        finally:
            storage.engine.dispose()

    def runs(self, name: str) -> dict[str, RunRow]:
        """Runs of a sweep in MLflow by trial number; the sweep's own run has the key `""`."""
        address = f"127.0.0.1:{self.postgres.port}"
        return runs_of(url(address, "mlflow", PASSWORD), f"{name}/{SPACE}")


def trial_processes(user: User) -> list[int]:
    """Processes of trials on a user's local Ray."""
    return [pid for pid, line in user.left_running().items() if is_trial(line)]


def all_text_of(user: User) -> str:
    """Command lines of a user's processes, and the content of all files in the user's folder."""
    lines = [
        (Path("/proc") / str(pid) / "cmdline").read_bytes().decode(errors="replace")
        for pid in user.left_running()
        if Path(f"/proc/{pid}").exists()
    ]
    files = [path for path in user.folder.rglob("*") if path.is_file()]
    return "\n".join([*lines, *(path.read_text("utf-8", errors="replace") for path in files)])
