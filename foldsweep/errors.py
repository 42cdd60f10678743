"""The exceptions that stand for a mistake the user can mend."""


class UserError(Exception):
    """Says in one line what was wrong, with the value, and what to do.

    Programs print the message as `error: ...` and end with exit code 2, without a traceback.
    """


class CodeError(UserError):
    """A bug in the user's own code: the line says where, the traceback shows it.

    Programs print the traceback before the line.
    """

    def __init__(self, message: str, traceback: str):
        super().__init__(message)
        self.traceback = traceback

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (str(self), self.traceback)


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or what the error is if it has none."""
    return next(iter(str(error).strip().splitlines()), repr(error))


def shown_error(error: BaseException) -> str:
    """An exception in one line: its type and all of its message."""
    message = " ".join(str(error).split())
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
