"""MLflow's pages beside a sweep: served while it runs, and stopped however it ends."""

import signal
from urllib.parse import urlsplit

import pytest
import requests

from tests.integration.user import User, until
from tests.refusals import text

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(240)]


def test_pages_are_served_as_long_as_the_sweep_runs(
    user: User, reference_args: tuple[object, ...]
) -> None:
    process = user.start(
        *("sweeps/run.py", "--space", "mlp", "--name", "watched", "--ui"),
        *reference_args,
        *("--trials", 1000),
    )
    assert process.stdout is not None
    said = [""]
    while not said[-1].startswith("open "):
        line = process.stdout.readline()
        assert line, said
        said.append(line.strip())
    assert text("commands.watch", look=text("commands.pages-starting")) in said
    address = said[-1].split()[1]
    parts = urlsplit(address)
    assert parts.hostname == "127.0.0.1"
    assert parts.fragment.startswith("/experiments/")
    assert requests.get(f"http://{parts.netloc}/health", timeout=30).text == "OK"

    process.send_signal(signal.SIGINT)
    user.end(process, code=130)
    user.is_gone()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://{parts.netloc}/health", timeout=30)


def test_a_driver_that_is_killed_takes_its_pages_along(
    user: User, reference_args: tuple[object, ...]
) -> None:
    process = user.start(
        *("sweeps/run.py", "--space", "mlp", "--name", "killed", "--ui"),
        *reference_args,
        *("--trials", 1000),
    )
    until(lambda: any("mlflow" in line for line in user.left_running().values()), process)
    user.kill(process)
    user.is_gone(within_s=60)
