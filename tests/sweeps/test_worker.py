import importlib
import sys
from pathlib import Path

import pytest

from foldsweep.beside import beside
from sweeps.worker import prepare, variables


@pytest.mark.parametrize("name", ["fs_absent", "colorsys"])
def test_the_current_folder_of_the_driver_is_never_searched(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"{name}.py").write_text("raise AssertionError('executed')")
    monkeypatch.chdir(tmp_path)
    for key, value in variables([]).items():
        monkeypatch.setenv(key, value)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, name, raising=False)
    prepare()
    sys.path.insert(0, str(tmp_path))  # Ray does so before it runs any code
    if name == "fs_absent":
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module(name)
    else:
        importlib.import_module(name)
    assert str(tmp_path) not in sys.path


def test_a_folder_that_the_user_has_on_the_path_stays_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fs_wanted.py").write_text("")
    monkeypatch.chdir(tmp_path)
    for key, value in variables([]).items():
        monkeypatch.setenv(key, value)
    monkeypatch.syspath_prepend(tmp_path)
    prepare()
    importlib.import_module("fs_wanted")
    assert str(tmp_path) in sys.path


def test_folders_of_users_files_are_searched_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside, "folders", [])
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    for key, value in variables([str(tmp_path)]).items():
        monkeypatch.setenv(key, value)
    prepare()
    assert beside.folders == [str(tmp_path)]
