"""How the programs of this project read their command line and how they end."""

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
from foldsweep.usage import options_of, usage

COMMAND = "foldsweep"
T = TypeVar("T")

PLAIN_EVERY_S = 10.0
"""Seconds between two lines about progress where there is no terminal."""

STYLE = (tyro.conf.DisallowNone, tyro.conf.FlagCreatePairsOff)
"""No `{None}|` in the help, no `--no-` twin of each flag."""


class _Harmless(Highlighter):
    """Shows the control characters of names and errors instead of sending them to a terminal."""

    def __call__(self, text: str | Text) -> Text:
        return Text(streams.escaped(str(text)))

    def highlight(self, text: Text) -> None:
        """Nothing is highlighted."""


PLAIN: dict[str, Any] = {
    "highlighter": _Harmless(),
    "soft_wrap": True,
    "markup": False,  # a path or an error in brackets is no style
    "emoji": False,
    "force_jupyter": False,  # which has an output for each line
}
console = Console(**PLAIN)


def on_terminal(shown: Console = console) -> bool:
    """Whether a person watches, so that a line may be written over.

    FORCE_COLOR makes rich take any file for a terminal, for the sake of its colours.
    """
    return shown.is_terminal and shown.file.isatty()


def called(program: str) -> str:
    """How the user has called a program: by its file, or as a command of `foldsweep`."""
    return sys.argv[0] if sys.argv[0].startswith(f"{COMMAND} ") else program


def parse(settings: type[T], args: list[str], *, prog: str, default: T | None = None) -> T:
    """Command line to dataclass; what is wrong with it is said in one line.

    Args:
        settings: The dataclass.
        args: The command line.
        prog: The program's file, for the help.
        default: What is not given [the defaults of the class].

    Raises:
        UserError: If the command line cannot be parsed, or a value is empty or no text.
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
    raise UserError(f"{said} (see --help)")


def _flags_once(args: list[str], settings: type, default: Any) -> list[str]:
    """The command line in which the last of `--flag` and `--no-flag` is, if it changes anything.

    Which of the two tyro knows depends on the default.
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
    """What the first unknown option was meant to be."""
    given = (arg.partition("=")[0] for arg in args if arg.startswith("--"))
    unknown = next((name for name in given if name not in known), None)
    return nearest(unknown, known) if unknown else ""


def require_at_least(least: int, settings: Any, *names: str, most: int = MOST) -> None:
    """Refuse options below `least`, or above what can be meant; None is no value.

    Raises:
        UserError: At the first, with its value.
    """
    for name in names:
        value = getattr(settings, name)
        if value is None or least <= value <= most:  # NaN is not
            continue
        rule = f"at most {most:,}" if value > most else f"at least {least}"
        raise UserError(f"--{name.replace('_', '-')} must be {rule}, but is {brief(value)}")


def _complaint(fail: Callable[[], object]) -> str:
    """What tyro says in its box, on a terminal so wide that it breaks no word."""
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
    """Run a program's main function; a user's mistake ends in one line and exit code 2.

    The exit code is that of the work, also where nobody is left to read what it says.
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
        _complain(f"standard output was not written to the end: {reason}")
    gc.freeze()  # else a second goes into looking for garbage in what ends anyway
    sys.exit(code)


def _complain(problem: str) -> None:
    print(f"error: {streams.escaped(' '.join(problem.split()))}", file=sys.stderr)


def take_sigterm_as_ctrl_c() -> None:
    """Let whoever stops this program do so as safely as its user.

    A shell script starts what it puts into the background with Ctrl-C ignored; SIGTERM must end
    that too.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))


class EpochLine:
    """Says how far a training is and how long it will take; on a terminal in one line."""

    def __init__(self, epochs: int, what: str = "epoch"):
        self.epochs = epochs
        self.what = what
        self.started = self.said = time.monotonic()
        self._is_open = False
        self._is_done = False

    def done(self, epoch: int, how: str = "") -> None:
        """Show that so many epochs are done; `how` follows their number."""
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
        """Say something else, above the line."""
        self.clear()
        console.print(text)

    def clear(self) -> None:
        """Take the line off the terminal."""
        if self._is_open:
            erase = (ControlType.ERASE_IN_LINE, 2)
            console.control(Control(ControlType.CARRIAGE_RETURN, erase))
            self._is_open = False


def able_to_import() -> dict[str, str]:
    """Environment in which Python finds this project, wherever it is started."""
    path = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, path))}


def command(program: str, *args: str) -> str:
    """A command line that can be typed here: this environment's program, from this folder.

    Args:
        program: Path of a program in this project, or the name of a library's module that is
            one, such as `mlflow`.
        args: Its arguments.
    """
    folder = Path(sys.executable).parent
    found = shutil.which("python")
    on_path = found is not None and Path(found).parent == folder
    python = "python" if on_path else _from_here(Path(sys.executable))
    if not program.endswith(".py"):
        # not its script, which need not be there; -P, else files of this folder are its modules
        return shlex.join([python, "-P", "-m", program, *args])
    return shlex.join([python, _from_here(Path(__file__).parents[1] / program), *args])


def _from_here(path: Path) -> str:
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
