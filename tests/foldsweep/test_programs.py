import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Literal

import pytest
import tyro
from hypothesis import given
from hypothesis import strategies as st

from analysis.compare import CompareSettings
from analysis.export import ExportSettings
from analysis.figures import FiguresSettings
from analysis.predict import PredictSettings
from analysis.report import ReportSettings
from analysis.ui import UiSettings
from foldsweep.errors import CodeError, UserError
from foldsweep.programs import INTERRUPTED, EpochLine, command, parse, run_program
from foldsweep.usage import options_of
from sweeps.catalogue import CatalogueSettings
from sweeps.evaluate import EvaluateSettings
from sweeps.finalists import FinalistsSettings
from sweeps.reproduction.settings import ReproduceSettings
from sweeps.run import RunOptions, read_settings
from sweeps.settings import SweepSettings
from sweeps.spaces import SpacesSettings
from tests.refusals import refused, text


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of a test."""

    file: Annotated[Path, tyro.conf.Positional]
    """File to read, with a description that is long enough to be broken into several lines."""
    trials: int | None = None
    folds: int = 5
    ratio: float = 0.5
    kind: Literal["first", "second"] = "first"
    names: tuple[str, ...] = ()
    verbose: bool = False


@pytest.fixture(params=["40", "80", "300"])
def columns(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", request.param)
    return str(request.param)


def test_a_command_line_becomes_settings() -> None:
    args = ["in.yaml", "--trials", "3", "--names", "a", "b", "--kind", "second", "--verbose"]
    expected = Settings(
        file=Path("in.yaml"), trials=3, names=("a", "b"), kind="second", verbose=True
    )
    assert parse(Settings, args, prog="x.py") == expected


LONG = "a" * 90

MISTAKES = {
    "unknown flag": (["f", "--bogus", "1"], ["--bogus"]),
    "long unknown flag": (["f", f"--{LONG}"], [LONG]),
    "misspelt flag": (["f", "--trails", "1"], ["--trails"]),
    "bad integer": (["f", "--trials", "many"], ["--trials", "many"]),
    "fraction for an integer": (["f", "--folds", "2.5"], ["--folds", "2.5"]),
    "bad number": (["f", "--ratio", "half"], ["--ratio", "half"]),
    "bad choice": (["f", "--kind", "third"], ["--kind", "third", "first", "second"]),
    "missing value": (["f", "--folds"], ["--folds"]),
    "missing positional": ([], ["PATH", "several lines"]),
    "one positional too many": (["f", "g"], ["g"]),
    "value of a flag": (["f", "--verbose", "maybe"], ["maybe"]),
    "several": (["f", "--trials", "x", "--folds", "y"], ["--trials", "x"]),
    "markup": (["f", "--folds", "[red]x[/red]"], ["--folds"]),
}


@pytest.mark.parametrize(("args", "words"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_one_line_on_any_terminal(
    args: list[str], words: list[str], columns: str
) -> None:
    with refused("programs.command-line-invalid") as caught:
        parse(Settings, args, prog="x.py")
    said = str(caught.value)
    assert all(word in said for word in words), said
    assert not set(said) & set("\n\r\x1b│╭╰─"), said
    assert "  " not in said


@pytest.mark.parametrize(("args", "words"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_narrow_terminal_does_not_change_what_is_said(
    args: list[str], words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = set()
    for columns in ("40", "300"):
        monkeypatch.setenv("COLUMNS", columns)
        with refused("programs.command-line-invalid") as caught:
            parse(Settings, args, prog="x.py")
        said.add(str(caught.value))
    assert len(said) == 1


@given(st.lists(st.text(st.characters(codec="ascii", exclude_characters="\0")), max_size=3))
def test_nothing_but_a_user_error_comes_of_any_words(args: list[str]) -> None:
    if {"-h", "--help"} & set(args):
        return
    with contextlib.suppress(UserError):
        assert isinstance(parse(Settings, args, prog="x.py"), Settings)


PROGRAMS = [
    RunOptions,
    SpacesSettings,
    CatalogueSettings,
    EvaluateSettings,
    FinalistsSettings,
    ReproduceSettings,
    CompareSettings,
    ReportSettings,
    ExportSettings,
    FiguresSettings,
    PredictSettings,
    UiSettings,
]


@pytest.mark.parametrize("settings", PROGRAMS)
def test_no_option_of_any_program_takes_an_empty_value(settings: type) -> None:
    for field in fields(settings):
        option = f"--{field.name.replace('_', '-')}"
        for args in ([option, ""], [f"{option}="], [option, "a", " "], [option, "\n", "--x"]):
            with refused("checks.option-empty", option=option):
                parse(settings, args, prog="x.py")
    with refused("checks.argument-empty"):
        parse(settings, [""], prog="x.py")


@pytest.mark.parametrize("settings", PROGRAMS)
def test_a_misspelt_option_of_any_program_names_the_one_that_is_meant(settings: type) -> None:
    needed = [option.name for option in options_of(settings) if option.positional]
    for option in options_of(settings):
        if option.positional:
            continue
        wrong = option.name + option.name[-1]
        with refused("programs.command-line-invalid") as caught:
            parse(settings, [*needed, wrong, "1"], prog="x.py")
        assert str(caught.value.values["reason"]).endswith(
            text("checks.did-you-mean", word=option.name)
        )


@pytest.mark.parametrize("settings", PROGRAMS)
def test_the_help_of_any_program_has_each_option_with_a_text_whole_on_any_terminal(
    settings: type, columns: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse(settings, ["--help"], prog="x.py")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("usage: x.py ")
    for option in options_of(settings):
        assert option.text.strip(), option
        assert any(line.split()[:1] == [option.name] for line in lines), option


def test_an_empty_value_beside_resume_is_refused_as_well() -> None:
    for args, option in (
        (["--resume", ""], "--resume"),
        (["--resume", "x", "--storage", ""], "--storage"),
        (["--resume="], "--resume"),
    ):
        with refused("checks.option-empty", option=option):
            read_settings(args)


def test_bytes_that_are_no_text_are_refused_unless_a_file_is_called_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for option in ("--target", "--data", "--space", "--experiment"):
        wrong = {"option": option[2:], "value": "caf\udce9.csv"}
        with refused("checks.value-not-text", **wrong) as caught:
            parse(SweepSettings, [option, "caf\udce9.csv"], prog="x.py")
        assert r"'caf\udce9.csv'" in str(caught.value)
    with refused("checks.value-not-text", option="out"):
        parse(ReportSettings, ["--out", "\ud800.html"], prog="x.py")
    Path("caf\udce9.csv").touch()
    assert parse(SweepSettings, ["--data", "caf\udce9.csv"], prog="x.py").data == "caf\udce9.csv"
    out = parse(ReportSettings, ["--out", "caf\udce9.html"], prog="x.py").out
    assert out == Path("caf\udce9.html")


def test_the_width_of_the_terminal_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for columns in (None, "40"):
        if columns is None:
            monkeypatch.delenv("COLUMNS", raising=False)
        else:
            monkeypatch.setenv("COLUMNS", columns)
        with pytest.raises(UserError):
            parse(Settings, [], prog="x.py")
        assert os.environ.get("COLUMNS") == columns


def test_help_is_shown_and_ends_well(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        parse(Settings, ["--help"], prog="x.py")
    assert stop.value.code in (0, None)
    shown = capsys.readouterr()
    assert "usage: x.py" in shown.out
    assert shown.err == ""


def ending(main: Callable[[], int]) -> int:
    with pytest.raises(SystemExit) as stop:
        run_program(main)
    assert isinstance(stop.value.code, int)
    return stop.value.code


def raising(error: BaseException) -> Callable[[], int]:
    def main() -> int:
        raise error

    return main


@pytest.mark.parametrize("code", [0, 1, 2, INTERRUPTED])
def test_the_exit_code_is_that_of_main(code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert ending(lambda: code) == code
    assert capsys.readouterr().err == ""


def test_a_user_error_is_one_line_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert ending(raising(UserError("first line\n  second\tline\r\n"))) == 2
    assert capsys.readouterr().err == "error: first line second line\n"


def test_a_bug_of_the_user_s_is_shown_above_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    error = CodeError("file.py, line 3: ValueError: no", "Traceback ...\nValueError: no\n")
    assert ending(raising(error)) == 2
    shown = capsys.readouterr().err
    assert shown == "Traceback ...\nValueError: no\n\nerror: file.py, line 3: ValueError: no\n"


def test_a_name_that_no_file_can_have_is_a_mistake_of_the_user_s(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ending(lambda: int(Path("a" * 300).is_file())) == 2
    assert ending(lambda: len(Path("b/" * 2500).read_bytes())) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(": ")[0] for line in lines] == ["error", "error"]
    assert lines[0] == f"error: File name too long: {'a' * 300}"


def test_what_a_mistake_says_moves_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    assert ending(raising(UserError("no sweep \x1b[2J\ud800"))) == 2
    assert capsys.readouterr().err == "error: no sweep \\x1b[2J\\ud800\n"


def test_ctrl_c_is_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert ending(raising(KeyboardInterrupt())) == INTERRUPTED
    assert capsys.readouterr().err == "interrupted\n"


SHELLS = """
import os, signal
from foldsweep.programs import run_program, take_sigterm_as_ctrl_c

def main():
    take_sigterm_as_ctrl_c()
    os.kill(os.getpid(), signal.SIGTERM)
    return 0

run_program(main)
"""


@pytest.mark.parametrize("ignored", [False, True], ids=["in front", "in a script's background"])
def test_sigterm_is_ctrl_c_also_where_a_shell_ignores_that(ignored: bool) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SHELLS],
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN) if ignored else None,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (INTERRUPTED, "interrupted\n")


def test_a_bug_is_a_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        run_program(raising(ZeroDivisionError()))


@pytest.mark.slow
def test_a_reader_that_goes_away_is_no_traceback() -> None:
    code = (
        "from foldsweep.programs import command, console, run_program\n"
        "def main():\n"
        "    for i in range(100000):\n"
        "        console.print('line', i)\n"
        "    return 0\n"
        "run_program(main)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "line 0\n"
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=30) == 0


def test_a_suggested_command_can_be_typed_where_the_user_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = Path(sys.executable).parent
    root = Path(__file__).parents[2]
    monkeypatch.setenv("PATH", f"{environment}{os.pathsep}/usr/bin")
    monkeypatch.chdir(root)
    assert command("sweeps/run.py", "--name", "a b") == "python sweeps/run.py --name 'a b'"
    assert command("mlflow") == "python -P -m mlflow"
    monkeypatch.setenv("PATH", "/usr/bin")  # the environment is not activated
    monkeypatch.chdir(tmp_path)
    assert command("sweeps/run.py") == f"{sys.executable} {root / 'sweeps/run.py'}"
    assert command("mlflow") == f"{sys.executable} -P -m mlflow"


# Progress ---------------------------------------------------------------------------------------


def told(line: EpochLine, times: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    for epoch, now in enumerate(times, start=1):
        monkeypatch.setattr("time.monotonic", lambda now=now: line.started + now)
        line.done(epoch)


def test_a_log_gets_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told(EpochLine(5), [4.0, 8.0, 12.0, 16.0, 40.0], monkeypatch)
    assert capsys.readouterr().out.splitlines() == [
        "epoch 3/5, about 8 s left",
        "epoch 5/5, about 0 s left",
    ]


def test_a_short_training_says_nothing_in_a_log(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told(EpochLine(3), [1.0, 2.0, 3.0], monkeypatch)
    assert capsys.readouterr().out == ""
