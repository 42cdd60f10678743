"""Sweeps whose study is in PostgreSQL and whose storage is an S3 service, which come and go."""

import json
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import pyarrow.fs as pafs
import pytest
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial

from tests.integration.user import MARK, User, check_mlflow, repeatable_points, scores
from tests.integration.user import until as until_soon
from tests.sweeps.services import (
    BUCKET,
    KEY,
    PASSWORD,
    SECRET,
    STORE_ENV,
    Postgres,
    Proxy,
    free_port,
    running_object_store,
    running_postgres,
    store_uri,
)

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.timeout(900),
]
until = partial(until_soon, within_s=300)
ENV = {"PGPASSWORD": PASSWORD, **STORE_ENV}
RUN = "sweeps/run.py"


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="module")
def object_store() -> Iterator[int]:
    with running_object_store() as port:
        yield port


@pytest.fixture
def study(postgres: Postgres) -> Iterator[Proxy]:
    proxy = Proxy(postgres.port)
    yield proxy
    proxy.cut()


@pytest.fixture
def storage(object_store: int) -> Iterator[Proxy]:
    proxy = Proxy(object_store)
    yield proxy
    proxy.cut()


@pytest.fixture
def places(postgres: Postgres, study: Proxy, storage: Proxy) -> tuple[str, ...]:
    """Options that name the stores."""
    return "--study", postgres.url(study.port), "--storage", store_uri(storage.port)


@pytest.fixture
def trials_of(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], list[FrozenTrial]]]:
    """Reads a study, whatever the proxies do."""
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    database = RDBStorage(postgres.url(), engine_kwargs={"pool_pre_ping": True})

    def read(name: str) -> list[FrozenTrial]:
        if name not in optuna.get_all_study_names(database):
            return []
        return optuna.load_study(study_name=name, storage=database).trials

    yield read
    database.engine.dispose()


@pytest.fixture
def bucket(object_store: int) -> Callable[[], list[str]]:
    """Names of all that the bucket has."""
    store = pafs.S3FileSystem(
        access_key=KEY,
        secret_key=SECRET,
        endpoint_override=f"127.0.0.1:{object_store}",
        scheme="http",
    )

    def listed() -> list[str]:
        found = store.get_file_info(pafs.FileSelector(BUCKET, recursive=True))
        return [info.path for info in found]

    return listed


def sweep(name: str, *more: object) -> tuple[object, ...]:
    return RUN, "--space", "mlp", "--name", name, "--concurrency", 1, *more


def said(process: "subprocess.Popen[str]", words: str) -> str:
    """Everything up to the line with these words."""
    assert process.stdout is not None
    lines = []
    while words not in (line := process.stdout.readline()):
        assert line, f"it ended: {''.join(lines)}"
        lines.append(line)
    return "".join([*lines, line])


def ended(trials: list[FrozenTrial]) -> int:
    return sum(t.state.is_finished() for t in trials)


def held_out(user: User, name: str) -> dict[int, bytes]:
    return user.held_out(f"{name}/mlp")


def test_services_that_come_and_go_cost_no_trial_and_no_bit(
    user: User,
    reference: User,
    reference_args: tuple[object, ...],
    postgres: Postgres,
    storage: Proxy,
    places: tuple[str, ...],
    trials_of: Callable[[str], list[FrozenTrial]],
    bucket: Callable[[], list[str]],
) -> None:
    process = user.start(
        *sweep("cut", "--checkpoint-every-s", 0.5, *places), *reference_args, **ENV
    )
    until(lambda: ended(trials_of("cut/mlp")) >= 1, process)
    postgres.stop()
    said(process, "study away for ")
    postgres.start()
    before = ended(trials_of("cut/mlp"))
    until(lambda: ended(trials_of("cut/mlp")) > before, process)
    storage.cut()
    said(process, "storage away for ")
    storage.restore()
    user.end(process)
    trials = trials_of("cut/mlp")
    assert scores(trials) == scores(reference.study("reference/mlp"))
    assert held_out(user, "cut") == held_out(reference, "reference")
    check_mlflow(user.mlflow("cut/mlp"), trials)
    left = [name for name in bucket() if "/cut/" in name]
    assert any("/records/spool/" in name for name in left)
    assert not [name for name in left if "/ray" in name or name.endswith((".pt", ".part"))]


@pytest.mark.parametrize("service", ["study", "storage"])
def test_a_service_that_stays_away_ends_the_sweep_in_a_line_and_it_is_resumed(
    user: User,
    reference: User,
    reference_args: tuple[object, ...],
    study: Proxy,
    storage: Proxy,
    places: tuple[str, ...],
    trials_of: Callable[[str], list[FrozenTrial]],
    service: str,
) -> None:
    name = f"gone-{service}"
    process = user.start(*sweep(name, "--patience", 1, *places), *reference_args, **ENV)
    until(lambda: ended(trials_of(f"{name}/mlp")) >= 1, process)
    (study if service == "study" else storage).cut()
    err = user.end(process, 1).stderr
    assert err.count("\n") == 1
    found = re.fullmatch(
        rf"error: the {service} has been away for 1 s \(.*\); nothing that has ended is lost\."
        r" Continue with: (.*)\n",
        err,
    )
    assert found is not None
    assert PASSWORD not in err
    (study if service == "study" else storage).restore()
    _, program, *args = found[1].split()
    user.run(program, *args, **ENV)
    trials = trials_of(f"{name}/mlp")
    assert scores(trials) == scores(reference.study("reference/mlp"))
    check_mlflow(user.mlflow(f"{name}/mlp"), trials)


@pytest.mark.parametrize("kept", ["unsent", "sent"])
def test_a_sweep_is_resumed_from_another_folder_with_nothing_but_the_stores_in_common(
    make_user: Callable[[str], User],
    empty_mlflow: Path,
    reference: User,
    reference_args: tuple[object, ...],
    places: tuple[str, ...],
    trials_of: Callable[[str], list[FrozenTrial]],
    tmp_path: Path,
    kept: str,
) -> None:
    shutil.copy(empty_mlflow, tmp_path / "mlflow.db")
    store, name = f"sqlite:///{tmp_path}/mlflow.db", f"moved-{kept}"
    nobody = f"http://127.0.0.1:{free_port()}"
    first, second = make_user(f"first-{kept}"), make_user(f"second-{kept}")
    process = first.start(
        *sweep(name, "--checkpoint-every-s", 0, *places),
        *("--tracking-uri", nobody if kept == "unsent" else store),
        *reference_args,
        **ENV,
    )
    until(lambda: ended(trials_of(f"{name}/mlp")) >= 2, process)
    if kept == "sent":  # some points of the trial in training too, which no copy has
        until(lambda: first.mlflow(f"{name}/mlp", tmp_path / "mlflow.db").get("2"), process)
    first.kill(process)
    first.clean_up()
    shutil.rmtree(first.folder)

    again = ("--resume", name, *places, "--tracking-uri", store)
    out = second.run(RUN, *again, **ENV).stdout
    assert f"sweep {name} is brought here from postgresql://" in out
    trials = trials_of(f"{name}/mlp")
    assert scores(trials) == scores(reference.study("reference/mlp"))
    assert held_out(second, name) == held_out(reference, "reference")
    runs = second.mlflow(f"{name}/mlp", tmp_path / "mlflow.db")
    check_mlflow(runs, trials)
    expected = reference.mlflow("reference/mlp")
    for number, run in runs.items():
        if number:
            assert repeatable_points(run) == repeatable_points(expected[number])
    assert json.loads((second.folder / "runs" / name / "settings.json").read_text())["uuid"]
    # and once more from a third, where all is done
    third = make_user(f"third-{kept}")
    assert "6 trials complete" in third.run(RUN, *again, **ENV).stdout
    check_mlflow(third.mlflow(f"{name}/mlp", tmp_path / "mlflow.db"), trials)


OWN = """
from foldsweep import Data, SearchSpace, classification, tune, variant
from foldsweep.models import Perceptron, PerceptronClassifierConfig
import numpy as np

rng = np.random.default_rng(0)

def loss(output, target):
    import torch.nn.functional as F
    return F.cross_entropy(output, target, reduction="none")

task = classification(
    "own", Data.of(rng.normal(size=(60, 3)), rng.permutation([0, 1] * 30)), loss=loss
)

def space():
    own = variant("mine", task, Perceptron, PerceptronClassifierConfig)
    return SearchSpace(name="mine", variant=own, domains={"lr": tune.uniform(0, 1), "epochs": 2})
"""


def test_code_in_the_study_is_run_only_if_it_is_trusted(
    make_user: Callable[[str], User],
    places: tuple[str, ...],
    trials_of: Callable[[str], list[FrozenTrial]],
) -> None:
    first, second, third = (make_user(f"code-{i}") for i in range(3))
    (first.folder / "mine.py").write_text(OWN)
    first.run(
        *(RUN, "--space", "mine.py", "--name", "code", "--trials", 2, "--folds", 2),
        *("--sampler", "random", "--concurrency", 1, *places),
        **ENV,
    )
    again = (RUN, "--resume", "code", "--trials", 3, *places)
    err = second.run(*again, code=2, **ENV).stderr
    assert "space file mine.py of sweep code is not here as it was" in err
    assert "--trust" in err
    (second.folder / "mine.py").write_text(OWN.replace("normal", "uniform"))
    assert "is not here as it was" in second.run(*again, code=2, **ENV).stderr
    assert not (second.folder / "runs").exists()
    (third.folder / "mine.py").write_text(OWN)
    third.run(*again, **ENV)
    assert len(trials_of("code/mine")) == 3
    second.run(RUN, "--resume", "code", "--trials", 4, "--trust", *places, **ENV)
    assert (second.folder / "runs/code/spaces/mine.py").read_text() == OWN
    assert len(trials_of("code/mine")) == 4


def test_two_drivers_never_run_one_sweep(
    make_user: Callable[[str], User],
    reference_args: tuple[object, ...],
    places: tuple[str, ...],
    trials_of: Callable[[str], list[FrozenTrial]],
) -> None:
    first, second, third = make_user("one"), make_user("two"), make_user("three")
    process = first.start(*sweep("mine", *places), *reference_args, **ENV)
    until(lambda: trials_of("mine/mlp"), process)
    err = second.run(RUN, "--resume", "mine", *places, code=2, **ENV).stderr
    assert re.search(r"sweep mine is being run by process \d+ on \S+ since .*; wait for it", err)
    err = third.run(*sweep("mine", *places), *reference_args, code=2, **ENV).stderr
    assert "sweep mine is being run by process" in err
    first.kill(process)  # whose lock is free at once
    second.run(RUN, "--resume", "mine", *places, **ENV)
    assert ended(trials_of("mine/mlp")) == 6
    err = third.run(*sweep("mine", *places), *reference_args, code=2, **ENV).stderr
    assert "sweep mine exists already in the database of --study" in err
    assert not (third.folder / "runs").exists() or not list((third.folder / "runs").iterdir())


def test_no_password_is_seen_in_processes_or_files(
    user: User,
    reference_args: tuple[object, ...],
    places: tuple[str, ...],
    trials_of: Callable[[str], list[FrozenTrial]],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    home = tmp_path_factory.mktemp("home")
    for name, text in (
        ("pgpass", f"127.0.0.1:*:*:foldsweep:{PASSWORD}\n"),
        ("aws", f"[default]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n"),
    ):
        (home / name).touch(mode=0o600)
        (home / name).write_text(text)
    env = {
        "PGPASSFILE": str(home / "pgpass"),
        "AWS_SHARED_CREDENTIALS_FILE": str(home / "aws"),
        "AWS_REGION": "us-east-1",
    }
    monkeypatch.delenv("PGPASSWORD")
    process = user.start(*sweep("quiet", *places), *reference_args, **env)
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    until(lambda: ended(trials_of("quiet/mlp")) >= 1, process)
    seen = "".join(
        (Path("/proc") / str(pid) / what).read_text(errors="replace")
        for pid in user.left_running()
        for what in ("cmdline", "environ")
    )
    assert MARK in seen
    result = user.end(process)
    for secret in (PASSWORD, SECRET):
        assert secret not in seen
        assert secret not in result.stdout + result.stderr
        for path in user.folder.rglob("*"):
            assert not path.is_file() or secret.encode() not in path.read_bytes(), path
    mode = (user.folder / "runs/quiet/settings.json").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


@pytest.mark.parametrize("option", ["--study", "--storage", "--tracking-uri"])
def test_a_password_on_the_command_line_is_refused_before_anything(
    user: User, option: str
) -> None:
    scheme = {"--study": "postgresql", "--storage": "s3", "--tracking-uri": "http"}[option]
    err = user.run(RUN, "--space", "mlp", option, f"{scheme}://u:{PASSWORD}@host/x", code=2).stderr
    assert f"error: {option} {scheme}://u@host/x must not hold a password" in err
    assert PASSWORD not in err
    assert not (user.folder / "runs").exists()


@pytest.mark.parametrize(
    ("path", "env", "why"),
    [
        ("missing/path", {}, "Bucket 'missing' not found"),
        (f"{BUCKET}/path", {"port": "refused"}, "[Cc]onnect|NETWORK_CONNECTION"),
    ],
)
def test_a_store_that_takes_nothing_is_refused_before_any_trial(
    user: User, storage: Proxy, path: str, env: dict[str, Any], why: str
) -> None:
    if env:
        storage.cut()
    args = ("--storage", store_uri(storage.port, path), "--dataset", "digits")
    err = user.run(RUN, "--space", "mlp", *args, code=2, **ENV).stderr
    assert err.count("\n") == 1
    assert err.startswith("error: --storage s3://")
    assert re.search(why, err)
    assert not (user.folder / "runs").exists()


def test_a_key_that_the_store_does_not_know_is_refused_before_any_trial(user: User) -> None:
    with running_object_store(asks_for_keys=True) as port:
        args = ("--storage", store_uri(port), "--dataset", "digits")
        err = user.run(RUN, "--space", "mlp", *args, code=2, **ENV).stderr
    assert err.count("\n") == 1
    assert re.search("ACCESS_DENIED|INVALID_ACCESS_KEY_ID|403|Forbidden|InvalidAccessKeyId", err)
    assert SECRET not in err
    assert os.listdir(user.folder) == ["mlflow.db"] or not (user.folder / "runs").exists()
