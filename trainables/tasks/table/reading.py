"""Data files: CSV, Parquet and NPZ, read completely or refused with a message of one line."""

import codecs
import hashlib
import io
import re
import warnings
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from foldsweep.errors import UserError
from foldsweep.texts import text
from trainables.tasks.table.columns import Frame, listed, repeated
from trainables.tasks.table.schema import with_names
from trainables.tasks.table.separators import (
    Commas,
    cut,
    delimiter_of,
    said_of_commas,
    said_of_delimiter,
    with_commas_read,
)

TEXT = (".csv", ".tsv", ".txt")
PARQUET = (".parquet", ".pq")
NPZ = (".npz",)
MAX_BYTES = 2**30
"""Largest size of a file, also unpacked: several copies of its content are held in memory."""
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """Table read from a file: n rows, unique column names."""

    frame: Frame
    said: tuple[str, ...] = ()
    """Notes on anything unusual in the file, one line each."""
    text_numbers: bool = False
    """Whether text may be numbers, because the file format has no types."""
    commas: Mapping[str, Commas] = field(default_factory=dict)
    """Meaning of commas within numbers, by column; only columns with commas."""
    sha256: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Arrays:
    """Arrays read from a file, each (n, ...)."""

    x: np.ndarray
    y: np.ndarray | None
    groups: np.ndarray | None = None
    sha256: str | None = None


def read_file(
    path: Path,
    *,
    text: Collection[str] = (),
    commas: Mapping[str, Commas] | None = None,
) -> Table | Arrays:
    """Read the table or the arrays of a file; its ending selects the format.

    Args:
        path: The file.
        text: Columns of a text file that stay text even if they look like numbers.
        commas: Meaning of commas within numbers, by column, as in another file of the same table;
            None to infer it.

    Raises:
        UserError: If the file is missing, too large, damaged, empty or of another format.
    """
    content = _content(path)
    ending = path.suffix.lower()
    if ending in NPZ:
        read: Table | Arrays = _npz(content, path)
    else:
        read = _parquet(content, path) if ending in PARQUET else _text(content, path, text, commas)
    if isinstance(read, Table):
        read = _checked(read, path)
    return replace(read, sha256=hashlib.sha256(content).hexdigest())


def _content(path: Path) -> bytes:
    if path.suffix.lower() not in TEXT + PARQUET + NPZ:
        raise UserError.of(
            "reading.ending-unknown", path=path, endings=", ".join(TEXT + PARQUET + NPZ)
        )
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise UserError.of(
                "reading.file-too-large", path=path, gib=size / 2**30, most=MAX_BYTES // 2**30
            )
        content = path.read_bytes()
    except OSError as error:
        raise UserError.of("reading.unreadable", path=path, problem=error.strerror) from error
    if not content.strip():
        raise UserError.of("reading.empty", path=path)
    return content


def _checked(table: Table, path: Path) -> Table:
    if len(table.frame) == 0:
        raise UserError.of("reading.no-rows", path=path)
    return replace(table, frame=with_names(table.frame))


def _text(
    content: bytes,
    path: Path,
    text: Collection[str],
    known: Mapping[str, Commas] | None,
) -> Table:
    import pandas as pd

    content, encoding, said = _decoded(content, path)
    lines = _first_lines(content, encoding)
    delimiter = delimiter_of(lines)
    _check_header(cut(lines, delimiter)[0], path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(
                io.BytesIO(content),
                sep=delimiter,
                dtype=dict.fromkeys(text, str),
                encoding=encoding,
                skipinitialspace=True,
                index_col=False,
                low_memory=False,
            )
    except pd.errors.ParserWarning as error:
        raise UserError.of("reading.more-cells-than-names", path=path) from error
    except (pd.errors.ParserError, ValueError) as error:
        problem = " ".join(str(error).split())
        raise UserError.of("reading.text-not-parsed", path=path, problem=problem) from error
    frame, commas = with_commas_read(frame, delimiter, text, known)
    notes = (*said, *said_of_delimiter(delimiter), *said_of_commas(commas))
    return Table(frame=frame, said=notes, text_numbers=True, commas=commas)


def _decoded(content: bytes, path: Path) -> tuple[bytes, str, list[str]]:
    """Return the content of a text file, its encoding, and a note if the encoding is not UTF-8."""
    if content.startswith(_UTF16):
        try:
            return content.decode("utf-16").encode(), "utf-8", [text("reading.utf16")]
        except UnicodeDecodeError as error:
            raise UserError.of("reading.damaged-utf16", path=path) from error
    if _CONTROL.search(content[: 2**16]) or b"\0" in content:
        raise UserError.of("reading.not-text", path=path, ending=path.suffix)
    for encoding, said in (("utf-8-sig", []), ("cp1252", [text("reading.latin1")])):
        try:
            content.decode(encoding)
        except UnicodeDecodeError:
            continue
        return content, encoding, said
    raise UserError.of("reading.encoding-unknown", path=path)


def _first_lines(content: bytes, encoding: str) -> list[str]:
    stream = io.BytesIO(content)
    lines = [stream.readline() for _ in range(20)]
    return b"".join(lines).decode(encoding).splitlines(keepends=True)


def _check_header(header: list[str], path: Path) -> None:
    """Refuse a header with a repeated name, which pandas would rename, and one of numbers only.

    Raises:
        UserError: If a name is repeated, or all names are numbers.
    """
    names = [name for name in header if name]
    twice = repeated(names)
    if twice:
        raise UserError.of("reading.column-named-twice", path=path, columns=listed(twice))
    if names and all(_is_number(name) for name in names):
        raise UserError.of("reading.no-header", path=path, line=listed(header, most=4))


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[-+]?\d*[.,]?\d+([eE][-+]?\d+)?", text.strip()) is not None


def _parquet(content: bytes, path: Path) -> Table:
    import pandas as pd
    import pyarrow.parquet as pq

    try:
        sizes = pq.ParquetFile(io.BytesIO(content)).metadata
        if sizes.num_rows * sizes.num_columns * 8 > MAX_BYTES:
            raise UserError.of(
                "reading.parquet-too-large",
                path=path,
                rows=sizes.num_rows,
                columns=sizes.num_columns,
                most=MAX_BYTES // 2**30,
            )
        return Table(frame=pd.read_parquet(io.BytesIO(content), engine="pyarrow"))
    except UserError:
        raise
    except Exception as error:  # a damaged file fails anywhere in the reader, with any exception
        raise UserError.of("reading.damaged-parquet", path=path, problem=_line(error)) from error


def _npz(content: bytes, path: Path) -> Arrays:
    arrays = _unpacked(content, path)
    extra = sorted(set(arrays) - {"x", "y", "groups"})
    if "x" not in arrays or extra:
        raise UserError.of("reading.npz-arrays-wrong", path=path, arrays=listed(sorted(arrays)))
    sizes = {name: len(array) if array.ndim else 0 for name, array in arrays.items()}
    if len(set(sizes.values())) > 1 or 0 in sizes.values():
        raise UserError.of("reading.npz-rows-differ", path=path, sizes=sizes)
    return Arrays(x=arrays["x"], y=arrays.get("y"), groups=arrays.get("groups"))


def _unpacked(content: bytes, path: Path) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            size = sum(entry.file_size for entry in packed.infolist())
        if size > MAX_BYTES:
            raise UserError.of("reading.npz-too-large", path=path, gib=size / 2**30)
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except UserError:
        raise
    except Exception as error:  # a damaged file fails anywhere in the reader, with any exception
        if "allow_pickle" in str(error):
            raise UserError.of("reading.npz-objects", path=path) from error
        raise UserError.of("reading.damaged-npz", path=path, problem=_line(error)) from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
