"""A damaged journal raises a one-line error; an incomplete last line is removed."""

import json
from pathlib import Path

import optuna
import pytest

from sweeps.journal import journal_storage
from tests.refusals import refused


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    path = tmp_path / "study.journal"
    study = optuna.create_study(storage=journal_storage(path), study_name="first")
    for _ in range(3):
        study.tell(study.ask(), 0.5)
    return path


def values(journal: Path) -> list[float | None]:
    study = optuna.load_study(storage=journal_storage(journal), study_name="first")
    return [trial.value for trial in study.trials]


@pytest.mark.parametrize("place", [0, 2, -1], ids=["first", "middle", "last"])
@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"\0\0\0",
        b"\xff\xfe{}",
        b"{'op_code': 4}",
        b"[]",
        b"{}",
        b"null",
        b'{"op_code": 99}',
        b'{"op_code": 99, "worker_id": "x"}',
        b'{"op_code": "4"}',
        b'{"op_code": 4, "worker_id": "x"}',
        b'{"op_code": 0, "worker_id": "x", "study_name": "second"}',
        b"[" * 5000,
    ],
    ids=lambda damage: damage[:30].decode(errors="replace"),
)
def test_a_damaged_line_is_named(journal: Path, damage: bytes, place: int) -> None:
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[place] = damage + b"\n"
    journal.write_bytes(b"".join(lines))
    number = place % len(lines) + 1
    with refused("journal.line-damaged", path=journal, line=number, before=number - 1) as caught:
        journal_storage(journal)
    assert "\n" not in str(caught.value)


def test_what_is_said_to_do_mends_a_damaged_journal(journal: Path) -> None:
    lines = journal.read_bytes().splitlines(keepends=True)
    end = next(i for i in reversed(range(len(lines))) if json.loads(lines[i])["op_code"] == 6)
    journal.write_bytes(b"".join([*lines[:end], b"damaged\n"]))
    with refused("journal.line-damaged", before=end):
        journal_storage(journal)
    journal.write_bytes(b"".join(lines[:end]))
    assert values(journal) == [0.5, 0.5, None]


@pytest.mark.parametrize("cut", [b'{"op_code":4', b"\0\0\0\0", b"\xff"])
def test_a_last_line_that_a_kill_left_is_cut_off(journal: Path, cut: bytes) -> None:
    whole = journal.read_bytes()
    journal.write_bytes(whole + cut)
    assert values(journal) == [0.5, 0.5, 0.5]
    assert journal.read_bytes() == whole


def test_a_journal_in_another_encoding_is_left_as_it_is(journal: Path) -> None:
    journal.write_bytes(journal.read_text().encode("utf-16"))
    before = journal.read_bytes()
    with refused("journal.line-damaged"):
        journal_storage(journal)
    assert journal.read_bytes() == before


def test_what_another_process_appends_is_read(journal: Path) -> None:
    ours, theirs = (
        optuna.load_study(storage=journal_storage(journal), study_name="first") for _ in "ab"
    )
    theirs.tell(theirs.ask(), 0.75)
    ours.tell(ours.ask(), 1.0)
    assert [trial.value for trial in theirs.trials] == [0.5, 0.5, 0.5, 0.75, 1.0]
