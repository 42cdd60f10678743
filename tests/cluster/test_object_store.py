"""Object store failures: none counts as a failure of a trial, and none ends a sweep."""

import os
import re
import signal
from pathlib import Path

import pytest

from tests.cluster.bench import Bench, CheckWhole, new, trial_processes
from tests.cluster.gate import SPACE
from tests.cluster.services import KEYS, ObjectStore
from tests.refusals import said_as

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]


@pytest.mark.parametrize("saves", [False, True], ids=["deletes", "saves"])
def test_a_store_that_is_away_while_a_trial_ends_fails_neither_trial_nor_sweep(
    bench: Bench, check_whole: CheckWhole, saves: bool
) -> None:
    """The trial continues training, and its end waits until its records are stored."""
    args, name = ("--trials", 3, "--epochs", 4), f"ends-{saves}"
    way = ("--concurrency", 1, "--max-failures", 0, "--checkpoint-every-s", 0 if saves else 1000)
    bench.gate.close()
    sweep = bench.start(bench.user("a"), *new(name, *args, *way))
    sweep.until(lambda: bench.gate.waiting())
    bench.storage.cut()
    bench.gate.open()
    sweep.until(lambda: said_as("outages.away", service="storage").search(sweep.out))
    bench.storage.restore()
    sweep.end()
    check_whole(bench, name, *args)


def test_a_checkpoint_is_read_though_the_store_is_away_at_first(bench: Bench) -> None:
    user = bench.user("a")
    sweep = bench.start(
        *(user, *new("read", "--trials", 1, "--epochs", 300)),
        *("--checkpoint-every-s", 0, "--max-failures", 1),
    )
    sweep.until(lambda: any(".pt" in key for key in bench.objects.keys(bench.bucket)))
    bench.storage.cut()
    for pid in trial_processes(user):
        os.kill(pid, signal.SIGKILL)
    before = bench.storage.refused
    sweep.until(lambda: bench.storage.refused > before)
    bench.storage.restore()
    sweep.end()
    assert bench.states("read") == {"COMPLETE": 1}


def test_a_bucket_keeps_records_and_nothing_else(bench: Bench) -> None:
    """It has neither Ray's files nor checkpoints nor partial files."""
    args = ("--trials", 2, "--epochs", 20, "--checkpoint-every-s", 0)
    bench.start(bench.user("a"), *new("clean", *args)).end()
    records = f"sweeps/clean/{SPACE}/records/"
    files = [key for key in bench.objects.keys(bench.bucket) if not key.endswith("/")]
    assert [key for key in files if not key.startswith(records)] == []
    assert any(key.startswith(f"{records}spool/") for key in files)
    assert not [key for key in files if key.endswith(".part")]


def test_a_store_is_named_by_an_endpoint_in_its_uri(bench: Bench) -> None:
    uri = (
        f"s3://{bench.bucket}/sweeps?scheme=http&endpoint_override={bench.storage.address}"
        "&allow_bucket_creation=false"
    )
    bench.start(
        *(bench.user("a"), *new("uri", "--trials", 2, "--epochs", 40)),
        *("--checkpoint-every-s", 0, *bench.options(storage=uri)),
        AWS_ENDPOINT_URL="http://127.0.0.1:9",
    ).end()
    assert bench.states("uri") == {"COMPLETE": 2}


def test_a_bucket_that_is_not_there_is_said_in_one_line(bench: Bench) -> None:
    user = bench.user("a")
    said = bench.start(
        *(user, *new("none", "--trials", 2, "--epochs", 2)),
        *bench.options(storage="s3://no-such-bucket/sweeps"),
    ).refused()
    assert "--storage s3://no-such-bucket/sweeps" in said
    assert not bench.states("none")
    assert not (user.folder / "runs").exists()


def test_a_store_that_is_away_at_the_start_is_said_in_one_line(bench: Bench) -> None:
    bench.storage.cut()
    said = bench.start(bench.user("a"), *new("shut", "--trials", 2, "--epochs", 2)).refused()
    assert f"--storage s3://{bench.bucket}/sweeps" in said


def test_a_key_that_the_store_does_not_know_is_said_in_one_line(
    bench: Bench, service_folder: Path
) -> None:
    folder = service_folder / "nobody"
    folder.mkdir()
    store = ObjectStore(folder, knows_nobody=True).start()
    try:
        said = bench.start(
            *(bench.user("a"), *new("key", "--trials", 2)),
            AWS_ENDPOINT_URL=f"http://127.0.0.1:{store.port}",
        ).refused()
    finally:
        store.kill()
    assert re.search("ACCESS_DENIED|INVALID_ACCESS_KEY_ID|403|Forbidden|InvalidAccessKeyId", said)
    assert KEYS["AWS_SECRET_ACCESS_KEY"] not in said
