"""Separators of a text table: the delimiter between cells, and commas within numbers."""

import csv
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

from foldsweep.errors import UserError
from foldsweep.texts import text
from trainables.tasks.table.columns import Frame, distinct, numbers, shown

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}

Commas = Literal["thousands", "decimal"]
"""Meaning of commas within the numbers of a column."""
_WORDS: dict[Commas, str] = {"thousands": "thousands separators", "decimal": "decimal commas"}
_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?|[-+]?\d*\.?\d+")
_DECIMAL = re.compile(r"[-+]?(\d+|[1-9]\d{0,2}(\.\d{3})+)(,\d+)?")


def delimiter_of(lines: Sequence[str]) -> str:
    """Infer the delimiter of a text table from its first lines.

    Of the delimiters that split all lines into the same number of cells, take the one with the
    most cells. If no delimiter does so with two or more cells, take the one that splits the
    header into the most cells; a comma if there is one column.
    """
    best, cells = ",", 1
    for delimiter in DELIMITERS:
        rows = cut(lines, delimiter)
        widths = {len(row) for row in rows if row}
        if len(widths) == 1 and max(widths) > cells:
            best, cells = delimiter, max(widths)
    return best if cells > 1 else _of_header(lines)


def _of_header(lines: Sequence[str]) -> str:
    """The delimiter that splits the header into the most cells, for uneven lines below it."""
    return max(DELIMITERS, key=lambda delimiter: len(cut(lines[:1], delimiter)[0]))


def cut(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    """Split lines into cells; an open quote joins the rest of the lines to one cell.

    Raises:
        UserError: If the lines cannot be split.
    """
    try:
        rows = list(csv.reader(lines, delimiter=delimiter, skipinitialspace=True))
    except csv.Error as error:
        raise UserError.of("separators.lines-not-split", problem=error) from error
    return rows or [[]]


def with_commas_read(
    frame: Frame,
    delimiter: str,
    text: Collection[str] = (),
    known: Mapping[str, Commas] | None = None,
) -> tuple[Frame, dict[str, Commas]]:
    """Convert text columns whose values are numbers with commas; return the meaning of the commas.

    The values decide: 1,5 has a decimal comma, 1,234,567 has thousands separators. If both
    readings are possible, commas are thousands separators in a file whose delimiter is a comma,
    and an error in other files.

    Args:
        frame: The table as read.
        delimiter: Delimiter between its cells.
        text: Columns that stay text.
        known: Meaning of commas by column, as in another file of the same table; None to infer
            it.

    Raises:
        UserError: If both readings of a column are possible in a file whose delimiter is not a
            comma, or the known one is not possible.
    """
    read: dict[str, Commas] = {}
    for place, name in enumerate(frame.columns):
        as_known = (known or {}).get(str(name))
        column = frame.iloc[:, place]
        reading = None if name in text else _reading(column, delimiter, as_known)
        if reading is not None:
            read[str(name)], values = reading
            frame = frame.assign(**{name: values})
    return frame, read


def said_of_delimiter(delimiter: str) -> list[str]:
    """Note on the delimiter of cells, if it is not a comma."""
    return [text("separators.delimiter", delimiters=f"{DELIMITERS[delimiter]}s")] * (
        delimiter != ","
    )


def said_of_commas(read: Mapping[str, Commas]) -> list[str]:
    """Notes on the meaning of commas, one line for each meaning."""
    by_way: dict[str, list[str]] = {}
    for name, how in read.items():
        by_way.setdefault(_WORDS[how], []).append(shown(name))
    return [
        text("separators.commas-read", meaning=way, columns=", ".join(names))
        for way, names in by_way.items()
    ]


def _reading(column: Any, delimiter: str, known: Commas | None) -> tuple[Commas, Any] | None:
    """Return the meaning of a column's commas, and its numbers; None if it has no such numbers."""
    if column.dtype.kind in "biufcmM":
        return None
    values = [str(value).strip() for value in distinct(column)[1]]
    if not any("," in value for value in values):
        return None
    thousands = all(_THOUSANDS.fullmatch(value) for value in values)
    decimal = all(_DECIMAL.fullmatch(value) for value in values)
    if known is not None:
        if not {"thousands": thousands, "decimal": decimal}[known]:
            raise UserError.of(
                "separators.commas-differ",
                column=column.name,
                known=_WORDS[known],
                value=next(value for value in values if "," in value),
            )
        thousands = known == "thousands"
        decimal = not thousands
    if thousands and decimal and delimiter != ",":
        example = next(value for value in values if "," in value)
        raise UserError.of("separators.commas-ambiguous", column=column.name, value=example)
    if thousands:
        return "thousands", numbers(column.str.replace(",", ""))
    if decimal:
        points = column.str.replace(".", "").str.replace(",", ".")
        return "decimal", numbers(points)
    return None
