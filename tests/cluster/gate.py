"""Gated search space: trials wait at a gate, and leave a mark that names their node.

Tests use it to break something while trials are being trained, without relying on timing.
"""

from pathlib import Path

from tests.cluster.nodes import NODE

SPACE = "gated"
SOURCE = '''"""The perceptrons of the digits, which wait at a gate while they are built."""

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

from search_spaces.larger_digit import mlp

PLACE = Path({place!r})


def space():
    known = mlp.space()

    def model(config, shapes):
        if sys.argv[0].endswith("default_worker.py"):  # the driver builds one, too
            node = os.environ.get({node!r}, "here")
            (PLACE / "seen" / node).touch()
            mark = PLACE / "waiting" / f"{{node}}.{{os.getpid()}}"
            mark.touch()
            while not (PLACE / "open").exists():
                time.sleep(0.05)
            mark.unlink(missing_ok=True)
        return known.variant.model(config, shapes)

    return replace(known, name={name!r}, variant=replace(known.variant, model=model))
'''


class Gate:
    """Gate at which trials wait; initially open.

    Args:
        place: Folder of the gate, which is created.
    """

    def __init__(self, place: Path):
        self.place = place
        for folder in ("seen", "waiting"):
            (place / folder).mkdir(parents=True)
        self.open()

    def space_in(self, folder: Path) -> Path:
        """Write the file of the gated space into a user's folder; return its path."""
        file = folder / "gated.py"
        file.write_text(SOURCE.format(place=str(self.place), node=NODE, name=SPACE))
        return file

    def open(self) -> None:
        """Let all trials through."""
        (self.place / "open").touch()

    def close(self) -> None:
        """Hold up the trials that arrive from this point on."""
        (self.place / "open").unlink(missing_ok=True)

    def waiting(self) -> list[str]:
        """Nodes of the waiting processes, sorted; a node is listed once for each process."""
        marks = [path.name.rsplit(".", 1) for path in (self.place / "waiting").iterdir()]
        return sorted(node for node, pid in marks if Path(f"/proc/{pid}").exists())

    def seen(self) -> set[str]:
        """Nodes on which a trial has built a network."""
        return {path.name for path in (self.place / "seen").iterdir()}
