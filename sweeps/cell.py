"""Output of a notebook cell that is updated in place.

`Cell` is used in the process with Ray and in the user's own process. IPython is imported only
where a kernel already runs.
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
"""Content of an output, by MIME type."""

WIDTH = 100
"""Width of a table, in characters; other lines wrap at the edge of the notebook."""
EVERY_S = 0.5
FORMAT = (
    # no colours, so that the output follows the dark or light theme of the notebook
    '<pre style="white-space:pre-wrap;line-height:normal;font-family:Menlo,'
    "'DejaVu Sans Mono',consolas,'Courier New',monospace\">{code}</pre>"
)


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    return Console().is_jupyter


def cell_name(file: str) -> str | None:
    """Name of the notebook cell whose code has this file name, such as `Cell In[3]`, or None."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    named = None if shell is None else shell.compile.format_code_name(file)
    return None if named is None else " ".join(named)


class Cell(Console):
    """Console of a notebook: prints lines, and has one output that each update replaces.

    Args:
        show: Displays the output in place of its previous content.
    """

    def __init__(self, show: Callable[[Bundle], None]):
        super().__init__(**PLAIN)
        self._show = show
        self._shown_at = -EVERY_S

    def update(self, *what: RenderableType, at_once: bool = True) -> None:
        """Show renderables below each other; at most every `EVERY_S` seconds unless `at_once`."""
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
    """Displays an output in the notebook cell that this process executes."""

    def __init__(self) -> None:
        self._handle: Any = None

    def __call__(self, bundle: Bundle) -> None:
        if self._handle is not None:
            self._handle.update(bundle, raw=True)
            return
        from IPython.display import DisplayHandle

        self._handle = DisplayHandle()
        self._handle.display(bundle, raw=True)
