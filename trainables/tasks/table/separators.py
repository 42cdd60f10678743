"""Separators of a text table: the one between cells, and those within numbers."""

import csv
import re
from collections.abc import Collection, Sequence
from typing import Any

from foldsweep.errors import UserError
from trainables.tasks.table.columns import Frame, distinct, numbers, shown

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}

_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?|[-+]?\d*\.?\d+")
_DECIMAL = re.compile(r"[-+]?(\d+|[1-9]\d{0,2}(\.\d{3})+)(,\d+)?")


def delimiter_of(lines: Sequence[str]) -> str:
    """The delimiter that cuts the first lines of a file into equally many cells, the most of them.

    A comma where there is one column.
    """
    best, cells = ",", 1
    for delimiter in DELIMITERS:
        rows = cut(lines, delimiter)
        widths = {len(row) for row in rows if row}
        if len(widths) == 1 and max(widths) > cells:
            best, cells = delimiter, max(widths)
    return best if cells > 1 else _of_header(lines)


def _of_header(lines: Sequence[str]) -> str:
    """The delimiter that cuts a header into most cells, where the lines below are uneven."""
    return max(DELIMITERS, key=lambda delimiter: len(cut(lines[:1], delimiter)[0]))


def cut(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    """The cells of some lines; a last line that a quote leaves open is left out."""
    rows = list(csv.reader(lines, delimiter=delimiter, skipinitialspace=True))
    return rows or [[]]


def with_commas_read(
    frame: Frame, delimiter: str, text: Collection[str] = ()
) -> tuple[Frame, list[str]]:
    """Columns of text that are numbers with commas as numbers, and what was done, a line each.

    A comma separates thousands in files cut by commas, decimals in others, unless a column shows
    the contrary: 1,5 is a decimal comma, 1,234,567 are thousands.

    Args:
        frame: The table as read.
        delimiter: What its cells were separated by.
        text: Columns that stay text.

    Raises:
        UserError: If a column allows both readings in a file that is not cut by commas.
    """
    read: dict[str, list[str]] = {}
    for place, name in enumerate(frame.columns):
        reading = None if name in text else _reading(frame.iloc[:, place], delimiter)
        if reading is not None:
            how, values = reading
            frame = frame.assign(**{name: values})
            read.setdefault(how, []).append(name)
    return frame, [
        f"read commas as {how} in {', '.join(map(shown, n))}" for how, n in read.items()
    ]


def _reading(column: Any, delimiter: str) -> tuple[str, Any] | None:
    """How the commas of a column are to be read, and its numbers; None where it has none."""
    if column.dtype.kind in "biufcmM":
        return None
    values = [str(value).strip() for value in distinct(column)[1]]
    if not any("," in value for value in values):
        return None
    thousands = all(_THOUSANDS.fullmatch(value) for value in values)
    decimal = all(_DECIMAL.fullmatch(value) for value in values)
    if thousands and decimal and delimiter != ",":
        example = next(value for value in values if "," in value)
        raise UserError(
            f"column {column.name!r}: {example} may be thousands or a decimal comma: write numbers"
            " without thousands separators and with a decimal point"
        )
    if thousands:
        return "thousands separators", numbers(column.str.replace(",", ""))
    if decimal:
        points = column.str.replace(".", "").str.replace(",", ".")
        return "decimal commas", numbers(points)
    return None
