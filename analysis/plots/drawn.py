"""Figures with what to look at, and the names they have in files."""

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from matplotlib.figure import Figure

from analysis.plots.style import DPI
from analysis.results import Sweep

Notice = Callable[[str], None]
"""Told in a line each what cannot be drawn, and why."""


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A figure and one line that says what to look at."""

    figure: Figure
    caption: str

    def _ipython_display_(self) -> None:
        """As a picture with its caption: an image of its own is shown wherever a notebook is."""
        from IPython.display import display

        display({"image/png": as_base64(self.figure), "text/plain": self.caption}, raw=True)
        caption = {"text/plain": self.caption, "text/html": f"<p>{escape(self.caption)}</p>"}
        display(caption, raw=True)


def as_base64(figure: Figure) -> str:
    """A figure as PNG in base64."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    return base64.b64encode(buffer.getvalue()).decode()


def slug(sweep: Sweep) -> str:
    """A sweep's name as part of a file's."""
    return sweep.name.replace("/", "-")


def common(sweeps: Sequence[Sweep]) -> str:
    """What names of figures begin with that show several sweeps, or one alone."""
    return slug(sweeps[0]) if len(sweeps) == 1 else "all"
