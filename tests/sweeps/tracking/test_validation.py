"""Required fields of a spool's records."""

from typing import Any

import pytest

from sweeps.tracking.validation import problem_of
from tests.refusals import text

DATASET = {"name": "d", "digest": "0", "source_type": "code", "source": "{}"}
START = {
    "op": "start",
    "run": "1",
    "time": 1,
    "name": "n",
    "params": {},
    "tags": {},
    "dataset": DATASET,
}
METRICS = {"op": "metrics", "run": "", "points": [["acc", 0.5, 1, 2], ["loss", 3, -1, 2]]}
TAGS = {"op": "tags", "run": "12", "tags": {"a": "b"}}
ARTIFACT = {"op": "artifact", "run": "1", "path": "/a", "to": ""}
END = {"op": "end", "run": "1", "status": "FINISHED", "time": 3}


@pytest.mark.parametrize(
    "record",
    [
        START,
        START | {"dataset": None},
        METRICS,
        METRICS | {"points": [["acc", float("nan"), 1, 2], ["acc", float("inf"), 2, 2]]},
        TAGS,
        ARTIFACT,
        END,
        {"op": "open"},
        {"op": "close"},
    ],
)
def test_what_a_driver_writes_is_right(record: dict[str, Any]) -> None:
    assert problem_of(record) == ""


def wrong(field: str) -> str:
    return text("validation.field-wrong", field=field)


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ([], text("validation.not-an-object")),
        (None, text("validation.not-an-object")),
        ({"op": "unreadable"}, text("validation.not-an-object")),
        ({}, text("validation.op-unknown")),
        ({"op": ["tags"], "run": "1"}, text("validation.op-unknown")),
        ({"op": "frobnicate", "run": "1"}, text("validation.op-unknown")),
        ({"op": "open", "run": "1"}, text("validation.needless-run", op="open")),
        (END | {"run": 1}, text("validation.not-a-run")),
        (END | {"run": ["1"]}, text("validation.not-a-run")),
        (END | {"run": "one"}, text("validation.not-a-run")),
        (END | {"run": "\u0661"}, text("validation.not-a-run")),
        (
            {k: v for k, v in END.items() if k != "status"},
            text("validation.field-missing", field="status"),
        ),
        (END | {"status": "DONE"}, wrong("status")),
        (END | {"status": ["FINISHED"]}, wrong("status")),
        (END | {"time": -1}, wrong("time")),
        (END | {"time": 2**63}, wrong("time")),
        (END | {"time": True}, wrong("time")),
        (START | {"name": None}, wrong("name")),
        (START | {"params": []}, wrong("params")),
        (START | {"params": {"lr": 0.1}}, wrong("params")),
        (START | {"tags": None}, wrong("tags")),
        (START | {"dataset": {}}, wrong("dataset")),
        (START | {"dataset": {**DATASET, "rows": "3"}}, wrong("dataset")),
        (START | {"dataset": {**DATASET, "digest": 3}}, wrong("dataset")),
        (METRICS | {"points": {"acc": 1}}, wrong("points")),
        (METRICS | {"points": [["acc", 1.0, 1]]}, wrong("points")),
        (METRICS | {"points": [["acc", "1.0", 1, 2]]}, wrong("points")),
        (METRICS | {"points": [["acc", 10**400, 1, 2]]}, wrong("points")),
        (METRICS | {"points": [["acc", 1.0, 2**64, 2]]}, wrong("points")),
        (METRICS | {"points": [["acc", 1.0, 1.5, 2]]}, wrong("points")),
        (METRICS | {"points": [[None, 1.0, 1, 2]]}, wrong("points")),
        (TAGS | {"tags": [["a", "b"]]}, wrong("tags")),
        (ARTIFACT | {"path": "a\0b"}, wrong("path")),
        (ARTIFACT | {"path": "\ud800"}, wrong("path")),
        (ARTIFACT | {"to": None}, wrong("to")),
    ],
)
def test_what_is_wrong_is_named(record: Any, said: str) -> None:
    assert problem_of(record) == said
