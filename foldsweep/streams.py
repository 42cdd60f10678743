"""Output that can end no program, whatever it says, in whatever encoding, to whomever."""

import codecs
import errno
import io
import os
import select
import sys
import unicodedata
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TextIO

_SHOWN = "foldsweep.shown"
_ALIKE = {
    **{"±": "+-", "×": "x", "·": "|", "²": "2", "…": "...", "→": "->", "≤": "<="},
    **dict.fromkeys("─━═", "-"),
    **dict.fromkeys("│┃║", "|"),
    **dict.fromkeys("╭╮╯╰┌┐└┘├┤┬┴┼", "+"),
}
"""What stands for our own characters where an encoding lacks them; others are escaped."""

_lost: dict[int, OSError] = {}
"""Why nobody gets what is written to a file descriptor any more."""


class _Lasting(io.TextIOWrapper):
    """A text file that takes everything: what cannot be written is dropped, and all that follows.

    Only text is safe, not its `buffer`: below text, Python's code could be interrupted by a signal
    whose handler prints, and what is half written would be written twice.
    """

    def write(self, text: str) -> int:
        self._try(lambda: super(_Lasting, self).write(text))
        return len(text)

    def flush(self) -> None:
        self._try(super().flush)

    def _try(self, send: Callable[[], object]) -> None:
        try:
            send()
        except BlockingIOError:  # another program made it non-blocking; the text is kept
            select.select([], [self.fileno()], [])
            self.flush()
        except OSError as error:
            _lost.setdefault(self.fileno(), error)
            _replace(self.fileno())  # for the processes that are started from here on, too


def secure() -> None:
    """Make standard output and standard error safe to write to, for this process and its children.

    The reader of a pipe may go, a terminal may close, a disk may be full, an encoding may lack a
    character: neither is a reason to lose a training. What is captured already is left alone.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:  # closed; the next file that is opened would take its place
            _replace(descriptor)
    codecs.register_error(_SHOWN, _alike)
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if stream is getattr(sys, f"__{name}__"):
            setattr(sys, name, lasting(stream, descriptor))
            os.environ["PYTHONIOENCODING"] = f"{getattr(sys, name).encoding}:backslashreplace"


def forgive() -> None:
    """Let a process whose output another program has redirected print whatever it likes."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # of what Ray wraps, too
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def start_in_utf8() -> None:
    """Start this program again in Python's UTF-8 mode where text could be ASCII only.

    That is how Python itself takes the POSIX locale, unless it is told otherwise. Names of files
    and columns could not be told apart, and libraries could not write what they write as text.
    """
    if codecs.lookup(sys.getfilesystemencoding()).name != "ascii" or sys.flags.utf8_mode:
        return
    if os.environ.get("PYTHONUTF8") == "1":  # and yet it is not: it was forbidden as an option
        return
    out = "ascii" if sys.stdout is None else sys.stdout.encoding
    os.environ["PYTHONUTF8"] = "1"
    os.environ["PYTHONIOENCODING"] = os.environ.get("PYTHONIOENCODING") or out
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def why_output_was_lost() -> str | None:
    """Why standard output did not take everything; None if it did, or its reader had enough."""
    error = _lost.get(1)
    return None if error is None or error.errno == errno.EPIPE else error.strerror


def escaped(text: str) -> str:
    """Text that moves no cursor: control characters and lone surrogates as in Python's source."""
    if text.isprintable():
        return text
    return "".join(_escaped(character) for character in text)


def _escaped(character: str) -> str:
    hostile = unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\t"
    return character.encode("unicode_escape").decode() if hostile else character


def _alike(error: UnicodeError) -> tuple[str, int]:
    """Handler of characters that an encoding lacks, as `codecs` wants it."""
    assert isinstance(error, UnicodeEncodeError)
    missing: Iterable[str] = error.object[error.start : error.end]
    shown = [_ALIKE.get(c) or c.encode("unicode_escape").decode() for c in missing]
    return "".join(shown), error.end


def lasting(stream: TextIO | None, descriptor: int) -> TextIO:
    """A text file on a descriptor, in a stream's encoding, to which writing never fails."""
    by_line = stream is None or stream.line_buffering or getattr(stream, "write_through", False)
    if stream is not None:
        with suppress(OSError):
            stream.flush()
    return _Lasting(
        open(descriptor, "wb", closefd=False),
        encoding="utf-8" if stream is None else stream.encoding,
        errors=_SHOWN,
        line_buffering=bool(by_line),
    )


def _replace(descriptor: int) -> None:
    """Have a file descriptor lead nowhere."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere == descriptor:
        os.set_inheritable(descriptor, True)
    else:
        os.dup2(nowhere, descriptor)
        os.close(nowhere)
