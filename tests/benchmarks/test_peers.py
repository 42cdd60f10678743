"""Runs of the real tools with a few tiny trials; tools that are not installed are skipped."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

import peers as program
from peer_tools.job import Job
from peer_tools.results import Run
from peer_tools.tools import BENCHMARKS, TOOLS
from tests.benchmarks.mistakes import NO_DOCUMENT, below
from tests.refusals import refused

OTHERS = [name for name in TOOLS if name not in ("foldsweep", "floor")]


def peers(folder: Path, *args: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(BENCHMARKS / "peers.py"), "--folder", str(folder / "kept")]
        + [str(arg) for arg in args],
        cwd=folder,
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.timeout(600)
@pytest.mark.parametrize("tool", ["foldsweep", *OTHERS])
def test_tool_scores_as_the_floor_and_reaches_a_mark(tool: str, tmp_path: Path) -> None:
    pytest.importorskip("psutil")
    if TOOLS[tool].missing:
        pytest.skip(f"{', '.join(TOOLS[tool].missing)} not installed")
    args = ("--quick", "--workloads", "w3", "w4", "--tools", "floor", tool, "--trials", 3)
    done = peers(tmp_path, *args)
    assert done.returncode == 0, done.stderr + done.stdout
    run = json.loads((tmp_path / "kept" / f"w3-{tool}-0.json").read_text())
    floor = json.loads((tmp_path / "kept" / "w3-floor-0.json").read_text())
    assert run["scores"].keys() == floor["scores"].keys()
    assert len(run["scores"]) == 3
    assert 0 < run["startup_s"] <= run["last_s"] <= run["wall_s"]
    if tool == "foldsweep":  # it has the seeds of the floor
        assert run["scores"] == floor["scores"]
    target = json.loads((tmp_path / "kept" / f"w4-{tool}-0.json").read_text())
    assert target["reached_s"] is not None
    assert "1 of 1" in done.stdout


@pytest.mark.parametrize(
    ("args", "kind", "values"),
    [
        (["--limit-s", "0"], *below("limit-s", 1, "0.0")),
        (["--write", "nowhere.md"], *NO_DOCUMENT),
        (
            ["--folder", "/dev/null/here"],
            "peer-checks.folder-not-made",
            {"path": "/dev/null/here", "reason": "Not a directory"},
        ),
        (["--repeats", "0"], *below("repeats", 1, "0")),
        (["--trials", "0"], *below("trials", 1, "0")),
        (["--tools"], "peers.tools-or-workloads-missing", {}),
    ],
)
def test_mistakes_are_said(
    args: list[str], kind: str, values: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("psutil")
    monkeypatch.setattr("sys.argv", ["peers.py", *args])
    with refused(kind, **values):
        program.main()


def test_what_was_measured_is_shown_without_measuring_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("psutil")
    measured = []

    def no_measuring(job: Job, name: str, repeat: int, *rest: object) -> Run:
        measured.append((name, repeat))
        times = {"wall_s": 9.0, "startup_s": 2.0, "train_s": 3.0, "last_s": 8.0}
        made = {"workload": job.workload, "tool": name, "repeat": repeat, "folds": job.folds}
        return Run(**made, **times, peak_mb=1.0, processes=job.processes, scores={"a": 0.5})

    def call(*args: str) -> str:
        fixed = ["--workloads", "w1", "--folder", str(tmp_path)]
        monkeypatch.setattr("sys.argv", ["peers.py", *fixed, *args])
        program.main()
        return capsys.readouterr().out

    monkeypatch.setattr(program, "_measured", no_measuring)
    monkeypatch.setattr(program, "_empty_mlflow", lambda folder: folder)
    with refused("peers.nothing-measured"):
        call("--tools", "foldsweep", "floor", "--measured-only")
    call("--tools", "floor", "--repeats", "1")
    shown = call("--tools", "foldsweep", "floor", "--measured-only")
    assert measured == [("floor", 0)]
    rows = shown.partition("tool")[2]
    assert "floor: bare" in rows
    assert " foldsweep " not in rows.partition("─")[2]

    shutil.copytree(tmp_path, tmp_path / "moved")
    moved = ("--folder", str(tmp_path / "moved"))
    assert call("--tools", "foldsweep", "floor", "--measured-only", *moved) == shown
    call("--workloads", "w1", "w1", "--tools", "floor", "--repeats", "1")
    assert measured == [("floor", 0)]
    path = tmp_path / "w1-floor-0.json"
    with refused("peer-results.other-settings", path=path, found=2, wanted=1):
        call("--tools", "floor", "--repeats", "1", "--processes", "1")


def test_every_tool_can_be_named() -> None:
    assert get_args(program.ToolName) == tuple(TOOLS)
