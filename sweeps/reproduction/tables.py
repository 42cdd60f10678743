"""Tables of reported and reproduced results, for the console and for marked documents."""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from foldsweep.errors import UserError
from foldsweep.files import write_whole
from foldsweep.numbers import shown_spread
from foldsweep.texts import text
from sweeps.reproduction.grids import Found
from sweeps.reproduction.rows import error_shares, spread
from sweeps.summary import shown_values
from trainables.presets.preset import Grid, Measurement, Preset, Protocol, Reported
from trainables.presets.registry import PRESETS, TABLES, Row
from trainables.variants import VARIANTS

WITHIN = 2.0
"""Standard errors by which a reproduced accuracy may be below the reported one."""
_MARK = re.compile(r"(<!-- foldsweep: ([^>]*?) -->\n).*?(<!-- end -->)", re.DOTALL)

Result = Mapping[str, Any]
Lookup = Callable[[Preset, Measurement], Result | None]
GridLookup = Callable[[Grid], Found | None]


@dataclass(frozen=True, kw_only=True)
class Cells:
    """The text of a table."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def rich(self) -> Table:
        """The table for the console, without its title."""
        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        for i, name in enumerate(self.head):
            table.add_column(name, justify="left" if i == 0 else "right", overflow="fold")
        for row in self.rows:
            table.add_row(*row)
        return table

    def markdown(self) -> str:
        """The table in Markdown, without its title."""
        lines = [self.head, ("---",) + ("---:",) * (len(self.head) - 1), *self.rows]
        return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def difference(result: Result, measurement: Measurement) -> tuple[float, float] | None:
    """Reproduced minus reported mean accuracy, and the same in standard errors of the difference.

    If the report prints no std, the reproduced one is used for it. None if no accuracy is
    reported, the row diverged, or it has a single round.
    """
    reported = measurement.reported
    if reported.accuracy is None or "error" in result:
        return None
    mean, std = spread(result["accuracy"])
    if std is None:
        return None
    theirs = std if reported.std is None else reported.std
    error = (std**2 / len(result["accuracy"]) + theirs**2 / measurement.protocol.count) ** 0.5
    gap = mean - reported.accuracy
    if error == 0:
        return gap, math.copysign(math.inf, gap) if gap else 0.0
    return gap, gap / error


def table_cells(name: str, lookup: Lookup, grid_lookup: GridLookup) -> list[Cells]:
    """The cells of a report's table: one table for its rows, one for its grids."""
    rows = TABLES[name]
    measured = [row for row in rows if not isinstance(row, Grid)]
    grids = [row for row in rows if isinstance(row, Grid)]
    cells = []
    if measured:
        cells.append(_measured_cells(name, measured, lookup))
    if grids:
        cells.append(_grid_cells(name, grids, grid_lookup))
    return cells


def _measured_cells(
    name: str, rows: Sequence[tuple[Preset, Measurement]], lookup: Lookup
) -> Cells:
    head = ("row", "reported", "ours", "difference", "in s.e.", "params", "time, s")
    body = []
    for preset, measurement in rows:
        result = lookup(preset, measurement)
        body.append(
            (
                preset.name.partition("/")[2],
                shown_reported(measurement.reported),
                _shown_ours(result),
                *_shown_difference(result, measurement),
                _shown_params(preset, measurement.reported, result),
                _shown_time(measurement.reported, result),
            )
        )
    return Cells(title=f"{name}: {described(rows[0][1].protocol)}", head=head, rows=tuple(body))


def _grid_cells(name: str, grids: Sequence[Grid], lookup: GridLookup) -> Cells:
    head = ("grid", "points", "reported best", "score", "our best", "score", "params", "time, s")
    body = []
    on_test = False
    for grid in grids:
        ours = lookup(grid)
        points = 1
        for values in grid.axes.values():
            points *= len(values)
        cells = ("", "", "", "")
        if ours is not None:
            on_test |= ours.select_on_test
            cells = (
                shown_values(ours.best),
                shown_spread(ours.score, ours.std),
                f"{ours.num_params:,}",
                f"{ours.time_s:.0f}",
            )
        score = "" if grid.score is None else f"{grid.score:.4f}"
        tried = f"{points}" if ours is None else f"{ours.trials} of {points}"
        best = shown_values(grid.best)
        body.append((grid.name.partition("/")[2], tried, best, score, *cells))
    how = text("reproduction-tables.on-test")
    if not on_test:
        how = text("reproduction-tables.cross-validated", folds=grids[0].folds)
    return Cells(title=f"{name}: {how}", head=head, rows=tuple(body))


def error_cells(name: str, lookup: Lookup) -> Cells:
    """Error rates by the difference of the two digits."""
    head = ("row", "equal digits", "digits that differ by 1", "by more")
    body = []
    for row in TABLES[name]:
        if isinstance(row, Grid):
            continue
        result = lookup(*row)
        shares = ("", "", "")
        if result is not None and "wrong" in result:
            equal, next_to, apart = (f"{100 * share:.1f} %" for share in error_shares(result))
            shares = (equal, next_to, apart)
        body.append((row[0].name.partition("/")[2], *shares))
    return Cells(title=f"{name}: error rates", head=head, rows=tuple(body))


def verdict(tables: Iterable[Sequence[Row]], lookup: Lookup) -> str:
    """Summary in one line: how many of the reported rows are reproduced, and which are not."""
    rows = [
        (preset, measurement)
        for table in tables
        for preset, measurement in (row for row in table if not isinstance(row, Grid))
        if measurement.reported.accuracy is not None
    ]
    if not rows:
        return text("reproduction-tables.nothing-reported")
    below, missing, single = [], 0, 0
    for preset, measurement in rows:
        result = lookup(preset, measurement)
        gap = None if result is None else difference(result, measurement)
        name = f"{preset.name} ({measurement.protocol.kind})"
        if result is None:
            missing += 1
        elif "error" in result:
            below.append(text("reproduction-tables.row-diverged", row=name))
        elif gap is None:
            single += 1
        elif gap[1] < -WITHIN:
            below.append(name)
    done = len(rows) - missing - single
    met, most = done - len(below), f"{WITHIN:g}"
    said = text("reproduction-tables.verdict", within=met, rows=done, errors=most)
    if below:
        said += text("reproduction-tables.below", rows=", ".join(below))
    if single:
        said += text("reproduction-tables.one-round", rows=single)
    if missing:
        said += text("reproduction-tables.not-run", rows=missing)
    return said


def described(protocol: Protocol) -> str:
    """Description of a protocol, in words."""
    if protocol.kind == "folds":
        pairs = protocol.train_pairs
        return text("reproduction-tables.folds", folds=protocol.count, pairs=pairs)
    return text(
        "reproduction-tables.fresh-rounds"
        if protocol.fresh_data
        else "reproduction-tables.same-rounds",
        rounds=protocol.count,
        train=protocol.train_pairs - protocol.held_back,
        test=protocol.test_pairs - protocol.test_from,
    )


def shown_reported(reported: Reported) -> str:
    """Reported accuracy and std, as printed; empty if none."""
    if reported.accuracy is None:
        return ""
    std = "" if reported.std is None else f" ± {reported.std:g}"
    return f"{reported.accuracy:g}{std}"


def _shown_ours(result: Result | None) -> str:
    if result is None:
        return "not run"
    if "error" in result:
        return "diverged"
    return shown_spread(*spread(result["accuracy"]))


def _shown_difference(result: Result | None, measurement: Measurement) -> tuple[str, str]:
    gap = None if result is None else difference(result, measurement)
    return ("", "") if gap is None else (f"{gap[0]:+.4f}", f"{gap[1]:+.1f}")


def _shown_params(preset: Preset, reported: Reported, result: Result | None) -> str:
    ours = preset.params if result is None else result.get("num_params")
    if ours is None:
        return ""
    slip = reported.params is not None and reported.params != ours
    return f"{ours:,} (printed: {reported.params:,})" if slip else f"{ours:,}"


def _shown_time(reported: Reported, result: Result | None) -> str:
    theirs = "" if reported.time_s is None else f" (reported: {reported.time_s:g})"
    return "" if result is None or "error" in result else f"{result['time_s']:.1f}{theirs}"


def list_cells() -> Cells:
    """List of all tables and rows."""
    body = []
    for name, rows in TABLES.items():
        for row in rows:
            body.append((name, *_listed(row)))
            name = ""
    return Cells(
        title="tables of the reports, and their rows",
        head=("table", "row", "variant", "reported", "how"),
        rows=tuple(body),
    )


def _listed(row: Row) -> tuple[str, str, str, str]:
    if isinstance(row, Grid):
        axes = " x ".join(f"{len(values)} {key}" for key, values in row.axes.items())
        score = "" if row.score is None else f"{row.score:g}"
        return row.name, VARIANTS[PRESETS[row.base].variant].name, score, f"grid: {axes}"
    preset, measurement = row
    how = f"{measurement.protocol.count} {measurement.protocol.kind}"
    return preset.name, preset.variant, shown_reported(measurement.reported), how


def write_between_marks(path: Path, blocks: Mapping[str, str]) -> int:
    """Replace the text between the marks `<!-- foldsweep: NAME -->` and `<!-- end -->`.

    Args:
        path: Document.
        blocks: New text by name. Marks with other names are left alone.

    Returns:
        Number of blocks replaced.

    Raises:
        UserError: If the file cannot be read or written, or has no such mark.
    """
    document, found = marked_text(path, blocks)

    def filled(match: re.Match[str]) -> str:
        block = blocks.get(match.group(2))
        return match.group(0) if block is None else match.group(1) + block + match.group(3)

    write_whole(path, _MARK.sub(filled, document))
    return len(found)


def marked_text(path: Path, names: Iterable[str]) -> tuple[str, set[str]]:
    """The text of a document, and those of `names` that it has marks for.

    Raises:
        UserError: If the file cannot be read, or has no such mark.
    """
    try:
        document = path.read_text("utf-8")
    except OSError as error:
        raise UserError.of(
            "reproduction-tables.file-unreadable", path=path, reason=error.strerror
        ) from None
    except UnicodeDecodeError:
        raise UserError.of("reproduction-tables.file-not-utf8", path=path) from None
    names = list(names)
    found = {match.group(2) for match in _MARK.finditer(document)} & set(names)
    if not found:
        raise UserError.of("reproduction-tables.no-mark", path=path, table=names[0])
    return document, found
