"""Command lines, exit codes, console output and subprocess helpers of all programs."""

import contextlib
import errno
import gc
import io
import os
import re
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import tyro
from rich.console import Console
from rich.control import Control
from rich.highlighter import Highlighter
from rich.segment import ControlType
from rich.text import Text

from foldsweep import streams
from foldsweep.checks import MOST, brief, nearest, refuse_empty, refuse_no_text
from foldsweep.errors import CodeError, UserError
from foldsweep.interrupts import INTERRUPTED, leave_to_python
from foldsweep.texts import text
from foldsweep.usage import options_of, usage

COMMAND = "foldsweep"
T = TypeVar("T")

PLAIN_EVERY_S = 10.0
"""Seconds between two lines of progress if the output is not a terminal."""

STYLE = (tyro.conf.DisallowNone, tyro.conf.FlagCreatePairsOff)
"""Options of tyro: no `{None}|` in the help, and no `--no-` variant of each flag."""


class _Harmless(Highlighter):
    """Highlighter that escapes control characters, so that names and errors cannot send them."""

    def __call__(self, text: str | Text) -> Text:
        return Text(streams.escaped(str(text)))

    def highlight(self, text: Text) -> None:
        """Do nothing: no text is highlighted."""


PLAIN: dict[str, Any] = {
    "highlighter": _Harmless(),
    "soft_wrap": True,
    "markup": False,  # rich would read brackets in paths and errors as styles
    "emoji": False,
    "force_jupyter": False,  # rich would make a notebook output of each line
}
console = Console(**PLAIN)


def on_terminal(shown: Console = console) -> bool:
    """Whether the output is a terminal, in which a line can be overwritten.

    `is_terminal` is not enough: with FORCE_COLOR, which is for colours, rich reports any file as a
    terminal.
    """
    return shown.is_terminal and shown.file.isatty()


def called(program: str) -> str:
    """Return the name by which the user called a program: its file, or `foldsweep COMMAND`."""
    return sys.argv[0] if sys.argv[0].startswith(f"{COMMAND} ") else program


def parse(settings: type[T], args: list[str], *, prog: str, default: T | None = None) -> T:
    """Parse a command line into a dataclass.

    Args:
        settings: The dataclass.
        args: The command line.
        prog: The program's file, for the help.
        default: Values of options that are not given [the defaults of the class].

    Raises:
        UserError: If the command line cannot be parsed, or a value is empty or not valid UTF-8.
    """
    refuse_empty(args)
    if {"-h", "--help"} & set(args):
        print(usage(settings, called(prog), default))
        raise SystemExit(0)
    args = _flags_once(args, settings, default)
    tyro_options: dict[str, Any] = {"prog": prog}
    if default is not None:
        tyro_options["default"] = default
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            parsed = tyro.cli(settings, args=args, config=STYLE, **tyro_options)
        refuse_no_text(vars(parsed))
        return parsed
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
    said = _complaint(lambda: tyro.cli(settings, args=args, config=STYLE, **tyro_options))
    if said.startswith("Unrecognized options"):
        said += _meant(args, [option.name for option in options_of(settings)])
    raise UserError.of("programs.command-line-invalid", reason=said)


def _flags_once(args: list[str], settings: type, default: Any) -> list[str]:
    """Keep only the last of `--flag` and `--no-flag`, and only if it changes the default.

    tyro accepts one of the two, which depends on the default.
    """
    for option in options_of(settings):
        both = (option.name, f"--no-{option.name[2:]}")
        given = [arg for arg in args if arg in both]
        if option.takes or option.positional or not given:
            continue
        value = option.default if default is None else getattr(default, option.field)
        args = [arg for arg in args if arg not in both]
        args += [given[-1]] if (given[-1] == option.name) != value else []
    return args


def _meant(args: list[str], known: list[str]) -> str:
    """Suggest the known option nearest to the first unknown one; empty if none is near."""
    given = (arg.partition("=")[0] for arg in args if arg.startswith("--"))
    unknown = next((name for name in given if name not in known), None)
    return nearest(unknown, known) if unknown else ""


def require_at_least(least: int, settings: Any, *names: str, most: int = MOST) -> None:
    """Reject options below `least` or above `most`; None is accepted.

    Raises:
        UserError: For the first such option; the message has its value.
    """
    for name in names:
        value = getattr(settings, name)
        if value is None or least <= value <= most:  # False for NaN
            continue
        too_large = value > most
        rule = (
            text("rules.at-most", most=most) if too_large else text("rules.at-least", least=least)
        )
        raise UserError.of(
            "programs.option-out-of-range",
            option=name.replace("_", "-"),
            rule=rule,
            value=brief(value),
        )


def _complaint(fail: Callable[[], object]) -> str:
    """Return the error message in tyro's box, from a terminal so wide that no line is wrapped."""
    message = io.StringIO()
    columns = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "10000"
    try:
        with contextlib.redirect_stderr(message), contextlib.suppress(SystemExit):
            fail()
    finally:
        if columns is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = columns
    lines = [line.strip("│ ").strip() for line in message.getvalue().splitlines()]
    body = [line for line in lines if line and not re.match(r"^[╭╰]", line)]
    first = next((i for i, line in enumerate(body) if set(line) == {"─"}), len(body))
    return re.sub(r"\s+([.,])", r"\1", " ".join(body[:first]))


def run_program(main: Callable[[], int]) -> NoReturn:
    """Run a program's main function and exit; a user's mistake is one line and exit code 2.

    The exit code is that of `main`, even if its output could not be written.
    """
    streams.start_in_utf8()
    streams.secure()
    try:
        leave_to_python()
        code = main()
    except UserError as error:
        if isinstance(error, CodeError):
            print(streams.escaped(error.traceback), file=sys.stderr)
        _complain(str(error))
        code = 2
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        _complain(f"{error.strerror}: {error.filename}")
        code = 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = INTERRUPTED
    sys.stdout.flush()
    if (reason := streams.why_output_was_lost()) is not None:
        _complain(text("programs.output-lost", why=reason))
    gc.freeze()  # saves about a second of garbage collection at exit
    sys.exit(code)


def _complain(problem: str) -> None:
    print(f"error: {streams.escaped(' '.join(problem.split()))}", file=sys.stderr)


def take_sigterm_as_ctrl_c() -> None:
    """Handle SIGTERM as Ctrl-C, so that it stops this program as safely.

    Shell scripts start background commands with SIGINT ignored. So SIGINT is enabled too; SIGTERM
    must stop such a program as well.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))


class EpochLine:
    """Progress of a training and the time left; on a terminal in one line that is overwritten."""

    def __init__(self, epochs: int, what: str = "epoch"):
        self.epochs = epochs
        self.what = what
        self.started = self.said = time.monotonic()
        self._is_open = False
        self._is_done = False

    def done(self, epoch: int, how: str = "") -> None:
        """Show the number of epochs that are done, followed by `how`."""
        if not epoch or self._is_done:
            return
        self._is_done = epoch == self.epochs
        now = time.monotonic()
        left = (now - self.started) / epoch * (self.epochs - epoch)
        line = f"{self.what} {epoch}/{self.epochs}{how}, about {left:.0f} s left"
        if on_terminal():
            self.clear()
            self._is_open = not self._is_done
            console.print(f"{line} ", end="" if self._is_open else "\n")
        elif now - self.said >= PLAIN_EVERY_S:
            console.print(line)
            self.said = now

    def say(self, text: str) -> None:
        """Print a text above the progress line."""
        self.clear()
        console.print(text)

    def clear(self) -> None:
        """Erase the progress line from the terminal."""
        if self._is_open:
            erase = (ControlType.ERASE_IN_LINE, 2)
            console.control(Control(ControlType.CARRIAGE_RETURN, erase))
            self._is_open = False


def able_to_import() -> dict[str, str]:
    """Return an environment in which Python can import this project from any folder."""
    path = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, path))}


def command(program: str, *args: str) -> str:
    """Return a command line for the user to type in this folder and environment.

    Args:
        program: Path of a program in this project, or a library's module that can be run with
            `python -m`, such as `mlflow`.
        args: Arguments of the program.
    """
    folder = Path(sys.executable).parent
    found = shutil.which("python")
    on_path = found is not None and Path(found).parent == folder
    python = "python" if on_path else _from_here(Path(sys.executable))
    if not program.endswith(".py"):
        # -m, since its script may be absent; -P, since files here could shadow its imports
        return shlex.join([python, "-P", "-m", program, *args])
    return shlex.join([python, _from_here(Path(__file__).parents[1] / program), *args])


def _from_here(path: Path) -> str:
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
