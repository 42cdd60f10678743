"""Required fields of a spool's records."""

from typing import Any

import pytest

from sweeps.tracking.validation import problem_of

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


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ([], "it is not a JSON object"),
        (None, "it is not a JSON object"),
        ({"op": "unreadable"}, "it is not a JSON object"),
        ({}, "its op is unknown"),
        ({"op": ["tags"], "run": "1"}, "its op is unknown"),
        ({"op": "frobnicate", "run": "1"}, "its op is unknown"),
        ({"op": "open", "run": "1"}, "op open has a run"),
        (END | {"run": 1}, "its run is not the number of a trial"),
        (END | {"run": ["1"]}, "its run is not the number of a trial"),
        (END | {"run": "one"}, "its run is not the number of a trial"),
        (END | {"run": "\u0661"}, "its run is not the number of a trial"),
        ({k: v for k, v in END.items() if k != "status"}, "its status is missing"),
        (END | {"status": "DONE"}, "its status is wrong"),
        (END | {"status": ["FINISHED"]}, "its status is wrong"),
        (END | {"time": -1}, "its time is wrong"),
        (END | {"time": 2**63}, "its time is wrong"),
        (END | {"time": True}, "its time is wrong"),
        (START | {"name": None}, "its name is wrong"),
        (START | {"params": []}, "its params is wrong"),
        (START | {"params": {"lr": 0.1}}, "its params is wrong"),
        (START | {"tags": None}, "its tags is wrong"),
        (START | {"dataset": {}}, "its dataset is wrong"),
        (START | {"dataset": {**DATASET, "rows": "3"}}, "its dataset is wrong"),
        (START | {"dataset": {**DATASET, "digest": 3}}, "its dataset is wrong"),
        (METRICS | {"points": {"acc": 1}}, "its points is wrong"),
        (METRICS | {"points": [["acc", 1.0, 1]]}, "its points is wrong"),
        (METRICS | {"points": [["acc", "1.0", 1, 2]]}, "its points is wrong"),
        (METRICS | {"points": [["acc", 10**400, 1, 2]]}, "its points is wrong"),
        (METRICS | {"points": [["acc", 1.0, 2**64, 2]]}, "its points is wrong"),
        (METRICS | {"points": [["acc", 1.0, 1.5, 2]]}, "its points is wrong"),
        (METRICS | {"points": [[None, 1.0, 1, 2]]}, "its points is wrong"),
        (TAGS | {"tags": [["a", "b"]]}, "its tags is wrong"),
        (ARTIFACT | {"path": "a\0b"}, "its path is wrong"),
        (ARTIFACT | {"path": "\ud800"}, "its path is wrong"),
        (ARTIFACT | {"to": None}, "its to is wrong"),
    ],
)
def test_what_is_wrong_is_named(record: Any, said: str) -> None:
    assert problem_of(record) == said
