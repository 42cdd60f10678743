"""Figures with captions, and their names in files."""

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from matplotlib.figure import Figure

from analysis.plots.style import DPI
from analysis.results import Sweep

Notice = Callable[[str], None]
"""Function that is called with one line for each thing that cannot be drawn, with the reason."""


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A figure, and a caption in one line that says what to look for."""

    figure: Figure
    caption: str

    def _ipython_display_(self) -> None:
        """Display picture and caption separately: every notebook viewer shows a plain image."""
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
    """A sweep's name in a form that file names can contain."""
    return sweep.name.replace("/", "-")


def common(sweeps: Sequence[Sweep]) -> str:
    """Prefix of the names of common figures: `all`, or the sweep's name if there is only one."""
    return slug(sweeps[0]) if len(sweeps) == 1 else "all"
