"""Compose file of the documentation: it is valid and requires each secret."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

FOLDER = Path(__file__).parents[2] / "docs" / "examples" / "cluster"
FILE = FOLDER / "compose.yaml"
SECRETS = re.findall(r"^(\w+)=$", (FOLDER / "example.env").read_text(), re.MULTILINE)


def test_every_secret_of_the_services_is_asked_for() -> None:
    asked = re.findall(r"\$\{(\w+)(\S*)", FILE.read_text())
    assert {name for name, _ in asked} == set(SECRETS)
    assert all(rest.startswith(":?") for _, rest in asked)


def test_services_wait_for_services_that_are_there() -> None:
    compose = yaml.safe_load(FILE.read_text())
    services = compose["services"]
    assert set(services) >= {"postgres", "objects", "mlflow", "ray-head", "ray-worker"}
    for service in services.values():
        assert set(service.get("depends_on", ())) <= set(services)
    assert (FILE.parent / services["mlflow"]["build"]["context"] / "requirements.lock").is_file()
    for name in ("ray-head", "ray-worker"):
        assert services[name]["environment"]["RAY_AUTH_MODE"] == "token"


def compose_command() -> list[str]:
    """Command of Docker Compose, as a plugin of docker or by itself; skips the test without it."""
    for words in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(words[0]) is not None:
            if subprocess.run([*words, "version"], capture_output=True).returncode == 0:
                return words
    pytest.skip("needs Docker with its part compose, which is not installed here")


@pytest.mark.integration
def test_docker_reads_the_compose_file() -> None:
    command = [*compose_command(), "--file", FILE, "config", "--quiet"]
    secrets = {name: "x" * 32 for name in SECRETS}
    done = subprocess.run(command, env=os.environ | secrets, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    without = {key: value for key, value in os.environ.items() if key not in SECRETS}
    refused = subprocess.run(command, env=without, capture_output=True, text=True)
    assert refused.returncode != 0
    assert "see example.env" in refused.stderr
