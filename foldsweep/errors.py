"""The one exception that stands for a mistake the user can mend."""


class UserError(Exception):
    """Says in one line what was wrong, with the value, and what to do.

    Programs print the message as `error: ...` and end with exit code 2, without a traceback.
    """
