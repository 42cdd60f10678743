"""Exceptions for mistakes that the user can correct."""


class UserError(Exception):
    """A mistake of the user: one line says what was wrong, with the value, and what to do.

    Programs print the message as `error: ...` and end with exit code 2, without a traceback.
    """


class CodeError(UserError):
    """A bug in the user's own code: the message names its line.

    Programs print the traceback before the message.
    """

    def __init__(self, message: str, traceback: str):
        super().__init__(message)
        self.traceback = traceback

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (str(self), self.traceback)


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's message, or its `repr` if the message is empty."""
    return next(iter(str(error).strip().splitlines()), repr(error))


def shown_error(error: BaseException) -> str:
    """Return an exception in one line: its type and its whole message."""
    message = " ".join(str(error).split())
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
