"""The study's password: taken from where clients have it, and shown to nobody."""

import subprocess
import sys

import pytest

from tests.cluster.bench import SHORT, STUDIES, Bench, all_text_of
from tests.cluster.gate import SPACE
from tests.cluster.nodes import RayCluster
from tests.cluster.services import PASSWORD, USER, url

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

NEW = ("--space", "gated.py", *SHORT, "--trials", 2, "--epochs", 2)
JOBS = """
import ray
from ray._private.state import state

ray.init("auto", logging_level="ERROR", log_to_driver=False)
print(state.job_table())
"""


def jobs(cluster: RayCluster) -> str:
    """What Ray shows everybody of its drivers."""
    done = subprocess.run(
        [*cluster.prefix, sys.executable, "-c", JOBS.replace("auto", cluster.address)],
        env={"PATH": "/usr/bin:/bin", **cluster.environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_a_password_on_the_command_line_is_shown_nowhere(bench: Bench) -> None:
    """It is refused with the alternative, or taken out of everything that others may read."""
    cluster, user = bench.ray(), bench.user("a")
    with_password = bench.options(study=url(bench.study.address, STUDIES, PASSWORD))
    bench.gate.close()
    sweep = bench.start(user, *NEW, "--name", "shown", *with_password, on=cluster)
    sweep.until(lambda: not sweep.lives or bench.gate.waiting())
    if not sweep.lives:
        said = sweep.refused()
        assert "PGPASSWORD" in said
        assert PASSWORD not in said
        return
    assert PASSWORD not in all_text_of(user)
    assert PASSWORD not in jobs(cluster)
    bench.gate.open()
    sweep.end()
    assert PASSWORD not in sweep.out


@pytest.mark.parametrize("place", ["PGPASSWORD", "pgpass"])
def test_a_password_is_found_where_postgresql_has_it(bench: Bench, place: str) -> None:
    user = bench.user("a")
    file = user.folder / "pgpass"
    host, port = bench.study.address.split(":")
    file.write_text(f"{host}:{port}:*:{USER}:{PASSWORD}\n")
    file.chmod(0o600)
    env = {"PGPASSFILE": str(file), "PGPASSWORD": ""} if place == "pgpass" else {}
    bench.start(user, *NEW, "--name", f"found-{place}", **env).end()
    assert bench.states(f"found-{place}/{SPACE}") == {"COMPLETE": 2}
    file.unlink()
    assert PASSWORD not in all_text_of(user)
