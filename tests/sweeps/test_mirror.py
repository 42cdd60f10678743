import json
import shutil
from pathlib import Path

import pytest

from sweeps import mirror as mirror_module
from sweeps.mirror import Mirror, restore
from sweeps.outages import Outages, ServiceLost
from sweeps.tracking.spool import CURSOR_FILE, RESTORED_FILE, SPOOL_FILE, restored_up_to
from tests.refusals import refused, said_as


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / SPOOL_FILE).touch()
    return tmp_path / "here"


@pytest.fixture
def place(tmp_path: Path) -> str:
    (tmp_path / "store").mkdir()
    return f"{(tmp_path / 'store').as_uri()}/first/small/records"


def record(folder: Path, number: int) -> None:
    with (folder / SPOOL_FILE).open("a") as spool:
        spool.write(json.dumps({"op": "tags", "run": str(number), "tags": {}}) + "\n")


def test_what_is_copied_comes_back_to_the_byte(
    folder: Path, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror_module, "BLOCK", 100)
    mirror = Mirror(folder, place, Outages())
    (folder / "held_out").mkdir()
    for number in range(40):
        record(folder, number)
        path = folder / "held_out" / f"trial_{number:05d}.npz"
        path.write_bytes(bytes([number]))
        mirror.add(path)
        mirror.copy()
    there = tmp_path / "there"
    assert restore(there, place)
    assert (there / SPOOL_FILE).read_bytes() == (folder / SPOOL_FILE).read_bytes()
    assert restored_up_to(there) == (folder / SPOOL_FILE).stat().st_size
    found = {path.name: path.read_bytes() for path in (there / "held_out").iterdir()}
    assert found == {path.name: path.read_bytes() for path in (folder / "held_out").iterdir()}
    assert {path.name for path in there.iterdir()} == {SPOOL_FILE, RESTORED_FILE, "held_out"}


def test_a_restored_spool_is_copied_on_from_where_it_was(
    folder: Path, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror_module, "BLOCK", 100)
    for number in range(9):
        record(folder, number)
    Mirror(folder, place, Outages()).copy()
    there = tmp_path / "there"
    restore(there, place)
    record(there, 9)
    before = {p: p.stat().st_mtime_ns for p in sorted((tmp_path / "store").rglob("0*"))}
    Mirror(there, place, Outages()).copy()
    after = {p: p.stat().st_mtime_ns for p in sorted((tmp_path / "store").rglob("0*"))}
    assert [p for p in before if before[p] != after[p]] == list(before)[-1:]
    again = tmp_path / "again"
    restore(again, place)
    assert (again / SPOOL_FILE).read_bytes() == (there / SPOOL_FILE).read_bytes()


def test_a_sweep_that_was_kept_elsewhere_is_copied_whole(
    folder: Path, place: str, tmp_path: Path
) -> None:
    record(folder, 0)
    (folder / "held_out").mkdir()
    (folder / "held_out" / "trial_00000.npz").write_bytes(b"rows")
    Mirror(folder, place, Outages()).copy()
    restore(tmp_path / "there", place)
    assert (tmp_path / "there" / "held_out" / "trial_00000.npz").read_bytes() == b"rows"


def test_a_store_without_records_leaves_those_that_are_here(
    folder: Path, place: str, tmp_path: Path
) -> None:
    """A driver on another machine may have sent records, and been lost before its first copy."""
    record(folder, 0)
    before = (folder / SPOOL_FILE).read_bytes()
    assert not restore(folder, place)
    assert (folder / SPOOL_FILE).read_bytes() == before
    assert restored_up_to(folder) == len(before)
    assert not restore(tmp_path / "there", place)
    assert restored_up_to(tmp_path / "there") == 0


def test_what_a_stale_folder_has_sent_is_forgotten(folder: Path, place: str) -> None:
    record(folder, 0)
    Mirror(folder, place, Outages()).copy()
    record(folder, 1)
    (folder / CURSOR_FILE).write_text("{}")
    restore(folder, place)
    assert (folder / SPOOL_FILE).read_text().count("\n") == 1
    assert not (folder / CURSOR_FILE).exists()


def test_a_store_that_stays_away_loses_nothing(folder: Path, place: str, tmp_path: Path) -> None:
    record(folder, 0)
    (tmp_path / "store").rmdir()
    (tmp_path / "store").touch()  # so that no folder can be created there
    mirror = Mirror(folder, place, Outages(patience_s=0.0))
    with pytest.raises(ServiceLost, match=said_as("outages.lost", service="storage").pattern):
        mirror.copy()
    mirror.copy_if_there()
    (tmp_path / "store").unlink()
    mirror.copy()
    assert restore(tmp_path / "there", place)


class Lost:
    """Lock of a sweep that another driver has taken over."""

    def check(self) -> None:
        raise ServiceLost("the study was out of reach")


def test_a_driver_that_has_lost_the_sweep_copies_nothing(folder: Path, place: str) -> None:
    record(folder, 0)
    Mirror(folder, place, Outages()).copy()
    before = (folder / SPOOL_FILE).read_bytes()
    record(folder, 1)
    mirror = Mirror(folder, place, Outages(), Lost())
    with pytest.raises(ServiceLost, match="the study was out of reach"):
        mirror.copy()
    assert not mirror.is_ours()
    restore(folder, place)
    assert (folder / SPOOL_FILE).read_bytes() == before


def test_a_file_outside_of_the_folder_is_left_out(
    folder: Path, place: str, tmp_path: Path
) -> None:
    (tmp_path / "outside").touch()
    mirror = Mirror(folder, place, Outages())
    mirror.add(tmp_path / "outside")
    record(folder, 0)
    mirror.copy()
    assert not list((tmp_path / "store").rglob("outside"))


def test_names_that_lead_out_of_the_folder_are_refused(
    folder: Path, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(folder, 0)
    Mirror(folder, place, Outages()).copy()
    filesystem, root = mirror_module.located(place)

    class Foreign:
        def get_file_info(self, selector):  # type: ignore[no-untyped-def]
            found = filesystem.get_file_info(selector)
            if selector.recursive:
                found[0] = type("Info", (), {"path": f"{root}/../../x"})()
            return found

    monkeypatch.setattr(mirror_module, "located", lambda place: (Foreign(), root))
    with refused("mirror.names-lead-out", place=place):
        restore(tmp_path / "there", place)
    shutil.rmtree(tmp_path / "store")


def test_a_file_that_somebody_has_removed_is_no_store_that_is_away(
    folder: Path, place: str, tmp_path: Path
) -> None:
    mirror = Mirror(folder, place, Outages(0.0))
    for name in ("gone.txt", "here.txt"):
        (folder / name).write_text(name)
        mirror.add(folder / name)
    (folder / "gone.txt").unlink()
    record(folder, 0)
    mirror.copy()
    assert restore(tmp_path / "there", place)
    assert (tmp_path / "there" / "here.txt").read_text() == "here.txt"
    assert not (tmp_path / "there" / "gone.txt").exists()
