from collections.abc import Callable
from pathlib import Path

import pytest
from optuna.storages import BaseStorage

from sweeps import home as home_module
from sweeps.home import Home, Record, SpaceFile, sweeps_in
from tests.refusals import refused

Reopen = Callable[[], BaseStorage]
SETTINGS = {"space": ["./mine.py"], "trials": 7}


@pytest.fixture
def record(tmp_path: Path) -> Record:
    (tmp_path / "mine.py").write_bytes(b"# caf\xe9, \x00\n" + b"x = 1\n" * 9000)
    file = SpaceFile.read(str(tmp_path / "mine.py"), "./mine.py")
    return Record(settings=SETTINGS, files=(file,))


def test_a_record_comes_back_whole_however_long(reopen: Reopen, record: Record) -> None:
    home = Home(reopen(), "first")
    assert not home.exists
    home.create()
    assert home.record() is None
    home.save(record)
    home.save(record)
    again = Home(reopen(), "first").record()
    assert again == record
    assert again.files[0].content.endswith(b"x = 1\n")
    assert sweeps_in(reopen()) == ["first"]


def test_two_sweeps_of_one_name_are_not_made(reopen: Reopen) -> None:
    one, other = Home(reopen(), "first"), Home(reopen(), "first")
    one.create()
    with refused("home.name-taken", name="first"):
        other.create()


def test_a_kill_while_a_record_is_saved_leaves_the_old_one(
    reopen: Reopen, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(reopen(), "first")
    home.create()
    home.save(record)
    assert home._study is not None
    set_user_attr = home._study.set_user_attr

    def killed(key: str, value: object) -> None:
        if key == home_module.RECORD:
            raise KeyboardInterrupt
        set_user_attr(key, value)

    monkeypatch.setattr(home._study, "set_user_attr", killed)
    with pytest.raises(KeyboardInterrupt):
        home.save(Record(settings={**SETTINGS, "trials": 8}))
    assert Home(reopen(), "first").record() == record


def test_a_damaged_record_is_named_in_one_line(reopen: Reopen, record: Record) -> None:
    home = Home(reopen(), "first")
    home.create()
    home.save(record)
    assert home._study is not None
    key = next(key for key in home._study.user_attrs if key.endswith(":0"))
    home._study.set_user_attr(key, "nonsense")
    with refused("home.record-damaged", name="first", error="its digest is wrong"):
        home.record()


def test_the_last_driver_is_named(reopen: Reopen) -> None:
    home = Home(reopen(), "first")
    home.create()
    assert home.holder() is None
    home.set_holder({"token": "a", "pid": 1})
    assert Home(reopen(), "first").holder() == {"token": "a", "pid": 1}
