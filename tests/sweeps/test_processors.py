import os
from pathlib import Path

import pytest

from sweeps.processors import available_cpus


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with sixteen processors."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)), raising=False)
    return tmp_path


def cpus(machine: Path, own: str, **files: str) -> int:
    for name, text in files.items():
        path = machine / name.replace("__", "/").replace("cpu_", "cpu.")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (machine / "own").write_text(own)
    return available_cpus(machine, machine / "own")


def test_the_affinity_mask_counts(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cpus(machine, "0::/\n") == 16
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 5})
    assert cpus(machine, "0::/\n") == 2


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/\n", {"cpu_max": "400000 100000\n"}, 4),
        ("0::/job\n", {"job__cpu_max": "250000 100000\n"}, 2),
        (
            "0::/slurm/step\n",
            {"slurm__cpu_max": "300000 100000\n", "slurm__step__cpu_max": "max 1"},
            3,
        ),
        ("0::/host/path\n", {"cpu_max": "500000 100000\n"}, 5),
        ("0::/\n", {"cpu_max": "50000 100000\n"}, 1),
        ("0::/\n", {"cpu_max": "max 100000\n"}, 16),
        ("0::/\n", {"cpu_max": "nonsense\n"}, 16),
        ("0::/\n", {}, 16),
        (
            "4:memory:/a\n3:cpu,cpuacct:/a\n0::/\n",
            {"cpu__a__cpu_cfs_quota_us": "600000\n", "cpu__a__cpu_cfs_period_us": "100000\n"},
            6,
        ),
        (
            "1:cpu:/\n",
            {"cpu__cpu_cfs_quota_us": "-1\n", "cpu__cpu_cfs_period_us": "100000\n"},
            16,
        ),
    ],
)
def test_the_quota_of_every_group_around_counts(
    machine: Path, own: str, files: dict[str, str], expected: int
) -> None:
    assert cpus(machine, own, **files) == expected
