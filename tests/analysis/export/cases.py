"""Task record of a sweep, and the check of a refused export."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from foldsweep.errors import UserError
from tests.refusals import refused
from trainables.data.digits import digits_source
from trainables.data.pairs import draw_pairs
from trainables.tasks.record import task_record
from trainables.tasks.samples import Data
from trainables.tasks.shapes import inputs_record
from trainables.tasks.task import Task

IMAGES = draw_pairs(digits_source(), seed=0, train_pairs=30, test_pairs=20)


def recorded(task: Task, data: Data) -> dict[str, Any]:
    """Task record that a sweep writes."""
    origin = {k: Path(v).name if k == "data" else v for k, v in data.origin.items()}
    record = {**task_record(task, data), **inputs_record(task, data), "origin": origin}
    return {"record": record, "origin": origin}


@contextmanager
def refused_export(kind: str, **values: Any) -> Iterator[pytest.ExceptionInfo[UserError]]:
    """Expect a refusal in one line, without an exported file."""
    with refused(kind, **values) as caught:
        yield caught
    assert "\n" not in str(caught.value)
    assert not list(Path().rglob("*.yaml"))
