"""Tracebacks of a user's own code, without the frames that called it."""

import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from foldsweep.errors import CodeError, UserError

USER_MODULE = "foldsweep_user_"
"""Beginning of the names of modules that are users' files; the rest depends on where they are."""


@contextmanager
def users_code(what: str) -> Iterator[None]:
    """Make what goes wrong in a user's file a `CodeError`, wherever that file has been called.

    Args:
        what: What is being done, as the beginning of the message.

    Raises:
        CodeError: If a user's file is among the frames of an exception.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        for frame, _ in traceback.walk_tb(error.__traceback__):
            if str(frame.f_globals.get("__name__")).startswith(USER_MODULE):
                raise code_error(error, frame.f_code.co_filename, what) from error
        raise


def code_error(error: BaseException, file: str, what: str) -> CodeError:
    """What went wrong in a user's file, with the traceback from its first line there.

    Args:
        error: The exception that its code raised, or that a library raised for it.
        file: Path of the user's file.
        what: What was being done, as the beginning of the message.
    """
    path = os.path.abspath(file)
    frames = traceback.extract_tb(error.__traceback__)
    places = [i for i, frame in enumerate(frames) if frame.filename == path]
    if places:
        shown = frames[places[0] :]
    else:  # a syntax error says itself where it is
        shown = traceback.StackSummary() if isinstance(error, SyntaxError) else frames
    line = frames[places[-1]].lineno if places else getattr(error, "lineno", None)
    where = f", line {line}" if line else ""
    message = " ".join(str(error).split())
    text = "".join(
        [
            "Traceback (most recent call last):\n",
            *traceback.format_list(shown),
            *traceback.format_exception_only(error),
        ]
    )
    return CodeError(f"{what} {file}{where}: {type(error).__name__}: {message}", text)
