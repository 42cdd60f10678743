"""Passwords are read from the usual places of their libraries, and are never displayed."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.bench import Bench, all_text_of, new
from tests.cluster.nodes import RayCluster
from tests.cluster.services import KEYS, PASSWORD, USER

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

ARGS = ("--trials", 2, "--epochs", 2)
SECRETS = (PASSWORD, KEYS["AWS_SECRET_ACCESS_KEY"])
JOBS = """
import sys
import ray
from ray._private.state import state  # what `ray list jobs` shows, which takes Ray's dashboard

ray.init(sys.argv[1], logging_level="ERROR", log_to_driver=False)
print(state.job_table())
"""


def jobs(cluster: RayCluster) -> str:
    """Information about its drivers that Ray shows to every user."""
    done = subprocess.run(
        [*cluster.prefix, sys.executable, "-c", JOBS, cluster.address],
        env={"PATH": "/usr/bin:/bin", **cluster.environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def environment_of(pid: int) -> str:
    return Path(f"/proc/{pid}/environ").read_text(errors="replace")


@pytest.mark.parametrize("option", ["--study", "--storage", "--tracking-uri"])
def test_a_password_on_the_command_line_is_refused_before_anything(
    bench: Bench, option: str
) -> None:
    user = bench.user("a")
    scheme = {"--study": "postgresql", "--storage": "s3", "--tracking-uri": "http"}[option]
    own = {option[2:].replace("-", "_"): f"{scheme}://u:{PASSWORD}@host/x"}
    said = bench.start(user, *new("refused", *ARGS), *bench.options(**own)).refused()
    assert f"{option} {scheme}://u@host/x must not hold a password" in said
    assert PASSWORD not in said
    assert not (user.folder / "runs").exists()


@pytest.mark.parametrize("place", ["variables", "files"])
def test_passwords_are_found_where_their_libraries_look_and_shown_to_nobody(
    bench: Bench, place: str
) -> None:
    """No password is in `ps`, Ray's jobs and logs, trials' environments, messages or files."""
    cluster, user = bench.ray(), bench.user("a")
    keys = bench.folder / "keys"
    keys.mkdir()
    for name, text in (
        ("pgpass", f"{bench.study.address}:*:{USER}:{PASSWORD}\n"),
        ("aws", "[default]\n" + "".join(f"{k.lower()} = {v}\n" for k, v in KEYS.items())),
    ):
        (keys / name).touch(mode=0o600)
        (keys / name).write_text(text)
    env = {
        "PGPASSWORD": "",
        "PGPASSFILE": str(keys / "pgpass"),
        "AWS_ACCESS_KEY_ID": "",
        "AWS_SECRET_ACCESS_KEY": "",
        "AWS_SHARED_CREDENTIALS_FILE": str(keys / "aws"),
    }
    bench.gate.close()
    given = env if place == "files" else {}
    sweep = bench.start(user, *new(place, *ARGS), on=cluster, **given)
    sweep.until(lambda: bench.gate.waiting())
    table = jobs(cluster)
    assert "sweeps.driver" in table
    seen = table + all_text_of(user)
    if place == "files":
        seen += "".join(map(environment_of, user.left_running()))
    assert not [secret for secret in SECRETS if secret in seen]
    assert PASSWORD not in "".join(map(environment_of, cluster.head.trials()))
    bench.gate.open()
    sweep.end()
    assert bench.states(place) == {"COMPLETE": 2}
    files = [path for of in (user, cluster.head) for path in of.folder.rglob("*")]
    texts = {path: path.read_text(errors="replace") for path in files if path.is_file()}
    assert not [path for path, text in texts.items() if any(map(text.__contains__, SECRETS))]
    assert stat.S_IMODE((user.folder / f"runs/{place}/settings.json").stat().st_mode) == 0o600
