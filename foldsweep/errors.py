"""Exceptions for mistakes that the user can correct."""

from typing import TypeVar

from foldsweep.texts import text

E = TypeVar("E", bound="UserError")


class UserError(Exception):
    """A mistake of the user: one line says what was wrong, with the value, and what to do.

    Programs print the message as `error: ...` and end with exit code 2, without a traceback.
    The project's own errors are made by `of`; a message of your own code is passed as it is.
    """

    kind: str = ""
    """Name of the mistake in the table of texts, such as `splits.more-folds-than-rows`.

    It stays the same when the sentence is reworded; empty for a message of your own code.
    """
    values: dict[str, object] = {}
    """Values in the message, by their name; objects other than numbers are kept as text."""

    @classmethod
    def of(cls: type[E], kind: str, **values: object) -> E:
        """Make an error whose message is the text of its kind, filled with the values.

        Args:
            kind: Section and key of a text in `foldsweep/texts`.
            **values: What the text names in braces.

        Raises:
            KeyError: If there is no such text, or the text names another value.
        """
        error = cls(text(kind, **values))
        error.kind = kind
        error.values = {name: _plain(value) for name, value in values.items()}
        return error


class CodeError(UserError):
    """A bug in the user's own code: the message names its line.

    Programs print the traceback before the message.
    """

    def __init__(self, message: str, traceback: str):
        super().__init__(message)
        self.traceback = traceback

    def __reduce__(self) -> tuple[type, tuple[str, str], dict[str, object]]:
        return type(self), (str(self), self.traceback), self.__dict__


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's message, or its `repr` if the message is empty."""
    return next(iter(str(error).strip().splitlines()), repr(error))


def shown_error(error: BaseException) -> str:
    """Return an exception in one line: its type and its whole message."""
    message = " ".join(str(error).split())
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _plain(value: object) -> object:
    """Return a value that other processes can read: a number as it is, anything else as text."""
    return value if isinstance(value, int | float) else str(value)
