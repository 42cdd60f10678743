"""One output of a notebook's cell, updated in place, in the process with Ray or in the user's own.

IPython is imported where a kernel runs already, and nowhere else.
"""

import io
import sys
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console, RenderableType
from rich.text import Text

from foldsweep.programs import PLAIN
from foldsweep.streams import escaped

Bundle = dict[str, str]
"""What an output shows, by MIME type."""

WIDTH = 100
"""Characters of a table; other lines are folded where the notebook ends."""
EVERY_S = 0.5
FORMAT = (
    # no colours of its own: it is as dark or light as the notebook
    '<pre style="white-space:pre-wrap;line-height:normal;font-family:Menlo,'
    "'DejaVu Sans Mono',consolas,'Courier New',monospace\">{code}</pre>"
)


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    return Console().is_jupyter


def cell_name(file: str) -> str | None:
    """What a notebook calls the cell whose code is of this file, such as `Cell In[3]`."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    named = None if shell is None else shell.compile.format_code_name(file)
    return None if named is None else " ".join(named)


class Cell(Console):
    """A console of a notebook: prints lines, and has an output of which only the latest is seen.

    Args:
        show: Shows the output, in place of what it showed before.
    """

    def __init__(self, show: Callable[[Bundle], None]):
        super().__init__(**PLAIN)
        self._show = show
        self._shown_at = -EVERY_S

    def update(self, *what: RenderableType, at_once: bool = True) -> None:
        """Show this, one below the other; unless `at_once` only now and then."""
        now = time.monotonic()
        if not at_once and now - self._shown_at < EVERY_S:
            return
        self._shown_at = now
        paper = Console(**PLAIN, file=io.StringIO(), width=WIDTH, record=True, color_system=None)
        for one in what:
            paper.print(Text(escaped(one)) if isinstance(one, str) else one)
        text = paper.export_text(clear=False).rstrip()
        html = paper.export_html(inline_styles=True, code_format=FORMAT)
        self._show({"text/plain": text, "text/html": html})


class Display:
    """Shows an output in the cell that runs in this process."""

    def __init__(self) -> None:
        self._handle: Any = None

    def __call__(self, bundle: Bundle) -> None:
        if self._handle is not None:
            self._handle.update(bundle, raw=True)
            return
        from IPython.display import DisplayHandle

        self._handle = DisplayHandle()
        self._handle.display(bundle, raw=True)
