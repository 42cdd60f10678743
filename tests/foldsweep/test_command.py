import re
import signal
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

from foldsweep import command
from foldsweep.command import PROGRAMS, main
from foldsweep.interrupts import end_at_once
from tests.refusals import refused, text

ROOT = Path(__file__).parents[2]
PROMISED = (
    *("run", "compare", "report", "export", "evaluate", "predict", "finalists", "reproduce"),
    *("replay", "figures", "ui", "spaces", "sweeps"),
)


def call(monkeypatch: pytest.MonkeyPatch, *args: str) -> int:
    monkeypatch.setattr(sys, "argv", ["/some/where/bin/foldsweep", *args])
    return main()


def test_every_program_of_the_project_is_a_command() -> None:
    assert set(PROMISED) <= set(PROGRAMS)
    files = [*(ROOT / "sweeps").glob("*.py"), *(ROOT / "analysis").glob("*.py")]
    programs = {
        f"{file.parent.name}.{file.stem}"
        for file in files
        if "import foldsweep.early" in file.read_text("utf-8")
    }
    programs -= {"sweeps.driver"}
    assert programs <= {program.module for program in PROGRAMS.values()}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_command_shows_the_help_of_its_program_under_its_own_name(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def in_place(call: str, *arguments: object) -> int:
        module, _, function = call.rpartition(".")
        return int(getattr(import_module(module), function)(*arguments))

    if name == "reproduce":
        monkeypatch.setattr("sweeps.reproduce.apart", in_place)
    with pytest.raises(SystemExit) as stop:
        call(monkeypatch, name, "--help")
    assert stop.value.code in (0, None)
    shown = capsys.readouterr()
    assert shown.out.startswith(f"usage: foldsweep {name} ")
    assert shown.err == ""


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_command_is_its_program_with_the_rest_of_the_line(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def program() -> int:
        asked.append(sys.argv[1:])
        return 7

    def imported(module: str) -> SimpleNamespace:
        asked.append(module)
        return SimpleNamespace(main=program)

    monkeypatch.setattr(command, "import_module", imported)
    assert call(monkeypatch, name, "a b", "--trials=3") == 7
    assert asked == [PROGRAMS[name].module, ["a b", "--trials=3"]]
    assert callable(import_module(PROGRAMS[name].module).main)


def test_an_unknown_command_names_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong, meant in (("rnu", "run"), ("compere", "compare"), ("finalist", "finalists")):
        hint = text("checks.did-you-mean", word=meant)
        with refused("command.command-unknown", command=wrong, hint=hint):
            call(monkeypatch, wrong)
    with refused("command.command-unknown", command="--x", hint=""):
        call(monkeypatch, "--x")


def test_the_overview_has_each_command_in_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "--help") == 0
    shown = capsys.readouterr().out
    for name, program in PROGRAMS.items():
        assert re.search(rf"^  {name} +{re.escape(program.does)}$", shown, re.MULTILINE)
    assert call(monkeypatch) == 2  # a script that lost its arguments must not succeed
    assert capsys.readouterr().out == shown


def test_the_entry_point_is_the_command() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    module, _, function = project["scripts"]["foldsweep"].partition(":")
    assert getattr(import_module(module), function) is command.run
    done = subprocess.run(
        [sys.executable, "-m", "foldsweep", "spase"], capture_output=True, encoding="utf-8"
    )
    said = text(
        "command.command-unknown", command="spase", hint=text("checks.did-you-mean", word="spaces")
    )
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {said}\n")


HEAVY = {"torch", "ray", "mlflow", "optuna", "pandas", "sklearn", "numpy"}


@pytest.mark.parametrize("args", [["--help"], ["run", "--help"], ["sweeps", "--help"], ["rum"]])
def test_nothing_heavy_is_imported_before_it_is_needed(args: list[str]) -> None:
    program = (
        "import sys\nfrom foldsweep.command import main\n"
        f"sys.argv = ['foldsweep', *{args}]\n"
        "try: main()\nexcept BaseException: pass\n"
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, encoding="utf-8"
    )
    assert not set(done.stdout.splitlines()[-1].split()) & HEAVY


def test_importing_the_command_changes_no_handler() -> None:
    program = (
        "import signal\nimport foldsweep.command\n"
        "assert signal.getsignal(signal.SIGINT) is signal.default_int_handler"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_ctrl_c_ends_a_command_at_once_as_long_as_it_imports(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = []

    def note(what: object) -> None:
        seen.append((what, signal.getsignal(signal.SIGINT)))

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.delitem(sys.modules, "foldsweep.early", raising=False)
    monkeypatch.setattr(sys, "argv", ["foldsweep", "compare"])
    monkeypatch.setattr(command, "import_module", note)
    monkeypatch.setattr("foldsweep.programs.run_program", lambda main: seen.append(main))
    try:
        command.run()
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [("analysis.compare", end_at_once), main]
