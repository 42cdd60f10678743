"""Facts about a node are collected on the node, even if the product is not installed there."""

import subprocess
import sys
from pathlib import Path

import pytest
from ray import cloudpickle

from sweeps import probe
from sweeps.machines import sent_by_value
from tests.refusals import text

HERE = {"python": "3.11", "ray": "2.60.0", "torch": "2.13.0", "foldsweep": "0.1.0 (0123)"}


def differs(name: str, node: str, driver: str) -> str:
    return text("probe.differs", name=name, node=node, driver=driver)


def test_a_node_like_the_driver_lacks_nothing() -> None:
    here = probe.facts(("sweeps",), "sweeps.names_of_nothing")
    assert here == {"problem": "ModuleNotFoundError: No module named 'sweeps.names_of_nothing'"}
    here = probe.facts(probe.RUNS_TRIALS, probe.TRAINABLE)
    assert set(here) == {*probe.SAME, "cuda", "build"}
    assert probe.lacking(here, here) == ""


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({}, ""),
        ({"cuda": "yes", "build": "2.13.0+cu130"}, ""),  # another build of the same torch
        ({"torch": "2.12.0"}, differs("torch", "2.12.0", "2.13.0")),
        (
            {"foldsweep": "0.1.0 (4567)", "python": "3.12"},
            f"{differs('python', '3.12', '3.11')};"
            f" {differs('foldsweep', '0.1.0 (4567)', '0.1.0 (0123)')}",
        ),
    ],
)
def test_what_differs_is_named_with_both_versions(found: dict[str, str], said: str) -> None:
    assert probe.lacking(HERE | found, HERE) == said


LOADS = """
import pickle, sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("foldsweep", "trainables", "search_spaces", "sweeps"):
            raise ModuleNotFoundError(f"No module named {name!r}")

sys.meta_path.insert(0, Missing())
hook, look, arguments = pickle.load(sys.stdin.buffer)
hook()
print(look(*arguments))
"""


@pytest.mark.integration
def test_a_node_without_the_product_says_so(tmp_path: Path) -> None:
    with sent_by_value():
        arguments = (probe.RUNS_TRIALS, probe.TRAINABLE)
        sent = cloudpickle.dumps((probe.prepare_where_possible, probe.look, arguments))
    done = subprocess.run(
        [sys.executable, "-c", LOADS], input=sent, capture_output=True, cwd=tmp_path
    )
    assert done.stderr == b""
    found = "{'problem': \"ModuleNotFoundError: No module named 'trainables'\"}"
    assert done.stdout.decode().strip() == found


def test_ctrl_c_is_nothing_that_a_node_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(probe, "import_module", interrupted)
    with pytest.raises(KeyboardInterrupt):
        probe.facts(probe.RUNS_TRIALS, probe.TRAINABLE)
