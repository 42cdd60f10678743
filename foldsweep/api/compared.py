"""A comparison and figures, as a console and a notebook show them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from analysis import words
from analysis.compare import TEST_HEADS, cells, heads, test_cells
from analysis.comparison import Comparison
from analysis.plots.drawn import Drawn
from analysis.records import row_dict

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class Compared:
    """What the scores of some sweeps say of which is better."""

    comparison: Comparison

    @property
    def rows(self) -> "pd.DataFrame":
        """The sweeps, best first, with the columns of `foldsweep compare --csv`."""
        import pandas as pd

        return pd.DataFrame([row_dict(row) for row in self.comparison.rows])

    @property
    def tests(self) -> "pd.DataFrame":
        """Each test of two rows, in words and numbers for people."""
        import pandas as pd

        places = self.comparison.places
        tested = [test_cells(test, places=places) for test in self.comparison.tests]
        return pd.DataFrame(tested, columns=["rows", *TEST_HEADS[1:]])

    def __repr__(self) -> str:
        return "\n".join(
            [*self._words(), "", self._table().to_string(index=False)]
            + ["", self.tests.to_string(index=False)] * bool(self.comparison.tests)
        )

    def _repr_html_(self) -> str:
        """Words, then the table, then the tests."""
        headline, *more = (escape(sentence) for sentence in self._words())
        sentences = "".join(f"<li>{sentence}</li>" for sentence in more)
        tests = _html(self.tests) if self.comparison.tests else ""
        return f"<p><b>{headline}</b></p><ul>{sentences}</ul>{self.table_html()}{tests}"

    def table_html(self) -> str:
        """The sweeps, best first."""
        return _html(self._table())

    def _words(self) -> list[str]:
        said = self.comparison
        return [words.headline(said), *words.sentences(said), *words.choice_sentences(said)]

    def _table(self) -> "pd.DataFrame":
        import pandas as pd

        rows = [cells(row, self.comparison) for row in self.comparison.rows]
        table = pd.DataFrame(rows, columns=["variant", *heads(self.comparison)[1:]])
        return table.loc[:, (table != "").any()]  # without what was not measured


def _html(table: "pd.DataFrame") -> str:
    return f'<div style="margin-top: 1em">{table.to_html(index=False, border=0)}</div>'


class Figures(dict[str, Drawn]):
    """Figures of matplotlib by name, each with its caption; a notebook shows them all.

    Args:
        drawn: The figures.
        missing: What could not be drawn, and why, in a line each.
    """

    def __init__(self, drawn: Mapping[str, Drawn], missing: Sequence[str]):
        super().__init__(drawn)
        self.missing = missing

    def __repr__(self) -> str:
        named = [f"{name}: {drawn.caption}" for name, drawn in self.items()]
        return "\n".join([*named, *self.missing])

    def _ipython_display_(self) -> None:
        """All of them, one after the other."""
        for drawn in self.values():
            drawn._ipython_display_()
        if self.missing:
            print("\n".join(self.missing))
