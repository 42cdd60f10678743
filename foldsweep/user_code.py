"""Errors in a user's code, with tracebacks that leave out the frames of foldsweep."""

import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from foldsweep.errors import CodeError, UserError

USER_MODULE = "foldsweep_user_"
"""Prefix of the module names of users' files; the rest derives from the path of the file."""


@contextmanager
def users_code(what: str) -> Iterator[None]:
    """Convert exceptions from a user's file to a `CodeError`.

    Args:
        what: The action, as the beginning of the message.

    Raises:
        CodeError: If an exception has a frame in a user's file.
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
    """Return the error of a user's file, with the traceback from the first frame in that file.

    Args:
        error: The exception, raised by code of the file or by a library that it called.
        file: Path of the user's file.
        what: The action, as the beginning of the message.
    """
    path = os.path.abspath(file)
    frames = traceback.extract_tb(error.__traceback__)
    places = [i for i, frame in enumerate(frames) if frame.filename == path]
    if places:
        shown = frames[places[0] :]
    else:  # a syntax error has its own file and line
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
