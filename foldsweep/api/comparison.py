"""Comparisons and figures, with their display in a console and a notebook."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from analysis import words
from analysis.compare import TEST_HEADS, best_cells, test_cells
from analysis.comparison import Comparison
from analysis.configurations import choice_sentences
from analysis.plots.figure import Drawn
from analysis.records import row_dict

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class Compared:
    """A comparison of sweeps by their scores, with pairwise tests."""

    comparison: Comparison

    @property
    def rows(self) -> "pd.DataFrame":
        """The sweeps, best first, with the columns of `foldsweep compare --csv`."""
        import pandas as pd

        return pd.DataFrame([row_dict(row) for row in self.comparison.rows])

    @property
    def tests(self) -> "pd.DataFrame":
        """The pairwise tests, one per row, formatted for people."""
        import pandas as pd

        places = self.comparison.places
        tested = [test_cells(test, places=places) for test in self.comparison.tests]
        return pd.DataFrame(tested, columns=list(TEST_HEADS))

    def __repr__(self) -> str:
        return "\n".join(
            [*self._words(), "", self._table().to_string(index=False)]
            + ["", self.tests.to_string(index=False)] * bool(self.comparison.tests)
        )

    def _repr_html_(self) -> str:
        """Return the conclusions in words, then the table, then the tests."""
        headline, *more = (escape(sentence) for sentence in self._words())
        sentences = "".join(f"<li>{sentence}</li>" for sentence in more)
        tests = _html(self.tests) if self.comparison.tests else ""
        return f"<p><b>{headline}</b></p><ul>{sentences}</ul>{self.table_html()}{tests}"

    def table_html(self) -> str:
        """Return the table of sweeps as HTML, best first."""
        return _html(self._table())

    def _words(self) -> list[str]:
        said = self.comparison
        return [words.headline(said), *words.sentences(said), *choice_sentences(said)]

    def _table(self) -> "pd.DataFrame":
        import pandas as pd

        heads, rows = best_cells(self.comparison)
        return pd.DataFrame(rows, columns=heads)


def _html(table: "pd.DataFrame") -> str:
    return f'<div style="margin-top: 1em">{table.to_html(index=False, border=0)}</div>'


class Figures(dict[str, Drawn]):
    """Matplotlib figures by name, each with its caption; a notebook displays all of them.

    Args:
        drawn: The figures.
        missing: Figures that could not be drawn, and why, one line each.
    """

    def __init__(self, drawn: Mapping[str, Drawn], missing: Sequence[str]):
        super().__init__(drawn)
        self.missing = missing

    def __repr__(self) -> str:
        named = [f"{name}: {drawn.caption}" for name, drawn in self.items()]
        return "\n".join([*named, *self.missing])

    def _ipython_display_(self) -> None:
        """Display all figures, one after another."""
        for drawn in self.values():
            drawn._ipython_display_()
        if self.missing:
            print("\n".join(self.missing))
