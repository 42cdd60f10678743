"""Standard output and error to which writing never fails, in any encoding and for any text."""

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
"""Replacements for characters of our own messages that an encoding lacks; others are escaped."""

_lost: dict[int, OSError] = {}
"""By file descriptor: the error after which its output has been dropped."""


class _Lasting(io.TextIOWrapper):
    """A text file to which writing never fails: after an error it drops this and all further text.

    Only writing text is safe, not writing to `buffer`. There, a signal whose handler prints could
    interrupt Python's code, and half-written data would be written twice.
    """

    def write(self, text: str) -> int:
        self._try(lambda: super(_Lasting, self).write(text))
        return len(text)

    def flush(self) -> None:
        self._try(super().flush)

    def _try(self, send: Callable[[], object]) -> None:
        try:
            send()
        except BlockingIOError:  # another program made the descriptor non-blocking; text is kept
            select.select([], [self.fileno()], [])
            self.flush()
        except OSError as error:
            _lost.setdefault(self.fileno(), error)
            _replace(self.fileno())  # so that processes started later can write to it, too


def secure() -> None:
    """Make standard output and standard error safe to write to, for this process and its children.

    A training must not be lost because the reader of a pipe ends, a terminal closes, a disk is
    full, or an encoding lacks a character. Streams that are already captured stay unchanged.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:  # closed: the next file that is opened would get this descriptor
            _replace(descriptor)
    codecs.register_error(_SHOWN, _alike)
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if stream is getattr(sys, f"__{name}__"):
            setattr(sys, name, lasting(stream, descriptor))
            os.environ["PYTHONIOENCODING"] = f"{getattr(sys, name).encoding}:backslashreplace"


def forgive() -> None:
    """Escape characters that the encoding lacks, if another program has redirected the output."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # streams that Ray wraps have it, too
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def start_in_utf8() -> None:
    """Restart this program in Python's UTF-8 mode if its text encoding is ASCII.

    Python itself enables this mode in the POSIX locale, unless it is told otherwise. In ASCII,
    names of files and columns could not be told apart, and libraries could not write their text.
    """
    if codecs.lookup(sys.getfilesystemencoding()).name != "ascii" or sys.flags.utf8_mode:
        return
    if os.environ.get("PYTHONUTF8") == "1":  # set without effect: disabled by a Python option
        return
    out = "ascii" if sys.stdout is None else sys.stdout.encoding
    os.environ["PYTHONUTF8"] = "1"
    os.environ["PYTHONIOENCODING"] = os.environ.get("PYTHONIOENCODING") or out
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def why_output_was_lost() -> str | None:
    """Return why output to stdout was lost; None if none was, or the reader closed the pipe."""
    error = _lost.get(1)
    return None if error is None or error.errno == errno.EPIPE else error.strerror


def escaped(text: str) -> str:
    """Escape control characters and lone surrogates in a text, as in Python source code."""
    if text.isprintable():
        return text
    return "".join(_escaped(character) for character in text)


def _escaped(character: str) -> str:
    hostile = unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\t"
    return character.encode("unicode_escape").decode() if hostile else character


def _alike(error: UnicodeError) -> tuple[str, int]:
    """Replace characters that an encoding lacks; an error handler for `codecs`."""
    assert isinstance(error, UnicodeEncodeError)
    missing: Iterable[str] = error.object[error.start : error.end]
    shown = [_ALIKE.get(c) or c.encode("unicode_escape").decode() for c in missing]
    return "".join(shown), error.end


def lasting(stream: TextIO | None, descriptor: int) -> TextIO:
    """Return a text file on a descriptor, with a stream's encoding; writing to it never fails."""
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
    """Redirect a file descriptor to the null device."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere == descriptor:
        os.set_inheritable(descriptor, True)
    else:
        os.dup2(nowhere, descriptor)
        os.close(nowhere)
