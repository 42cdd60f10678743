"""The table of texts: one text for each kind of message, in a file for each package.

Messages are errors and the sentences that programs print.
"""

import tomllib
from functools import cache
from importlib.resources import files


def text(kind: str, **values: object) -> str:
    """Return the text of a kind of message, filled with its values.

    Args:
        kind: Section and key, such as `splits.more-folds-than-rows`.
        **values: What the text names in braces.

    Raises:
        KeyError: If there is no such text, or the text names another value.
    """
    return texts()[kind].format_map(values)


@cache
def texts() -> dict[str, str]:
    """Return all texts by their kind."""
    tables = [
        tomllib.loads(file.read_text(encoding="utf-8"))
        for file in files(__name__).iterdir()
        if file.name.endswith(".toml")
    ]
    return {
        f"{section}.{key}": sentence
        for table in tables
        for section, sentences in table.items()
        for key, sentence in sentences.items()
    }
