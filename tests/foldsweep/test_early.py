import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAMS = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in ("sweeps", "analysis")
    for path in (ROOT / folder).glob("*.py")
    if "run_program(main)" in path.read_text() and path.name != "driver.py"
)


@pytest.mark.integration
@pytest.mark.parametrize("library", ["argparse", "tyro"])
def test_ctrl_c_while_a_program_imports_is_one_word(library: str, tmp_path: Path) -> None:
    """The fake library stands for any slow import that turns an interrupt into an ImportError."""
    (tmp_path / f"{library}.py").write_text(
        "import signal\n"
        "try:\n    signal.raise_signal(signal.SIGINT)\n"
        "except BaseException as error:\n    raise ImportError('broken') from error\n"
    )
    done = subprocess.run(
        [sys.executable, ROOT / "sweeps" / "run.py", "--space", "mlp"],
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_takes_ctrl_c_before_it_imports_anything(program: str) -> None:
    first = 'if __name__ == "__main__":\n    import foldsweep.early  # noqa: F401\n'
    head, found, _ = (ROOT / program).read_text().partition(first)
    assert found
    assert "import" not in head.rpartition('"""')[2]


def test_programs_are_found() -> None:
    assert {"sweeps/run.py", "sweeps/evaluate.py", "analysis/compare.py"} <= set(PROGRAMS)


def test_a_module_that_is_no_program_leaves_ctrl_c_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    import sweeps.run  # noqa: F401

    assert signal.getsignal(signal.SIGINT) is before
