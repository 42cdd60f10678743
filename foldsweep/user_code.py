"""Tracebacks of a user's own code, without the frames that called it."""

import os
import traceback

from foldsweep.errors import CodeError


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
