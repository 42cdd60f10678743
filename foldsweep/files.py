"""Files that are written whole or not at all, and text that may be damaged in any way."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from foldsweep.errors import UserError


def write_whole(path: Path, content: str | bytes, *, private: bool = False) -> None:
    """Write a file at once: a reader sees the old content or the new one, never a part.

    Args:
        path: Replaced if it is there.
        content: Text in UTF-8, or bytes.
        private: Nobody but its owner may read it.

    Raises:
        UserError: If the file cannot be written.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        part.touch(mode=0o600 if private else 0o666)
        part.write_bytes(content.encode() if isinstance(content, str) else content)
        part.replace(path)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from None


def parsed(text: str | bytes, parse: Callable[[Any], Any] = json.loads) -> Any:
    """What a parser makes of a text, JSON's unless another is given.

    Raises:
        ValueError: If the text is damaged; also if it is nested deeper than Python can follow.
    """
    try:
        return parse(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
