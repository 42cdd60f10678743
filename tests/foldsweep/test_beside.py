import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from foldsweep import beside as module
from foldsweep.beside import Beside, find_beside
from tests.refusals import refused


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    known, before = set(sys.modules), list(sys.meta_path)
    monkeypatch.setattr(module, "beside", Beside())
    yield
    sys.meta_path[:] = before
    for name in set(sys.modules) - known:
        del sys.modules[name]


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., ModuleType]:
    """Function that runs a user's file in its own folder, beside other files."""

    def run(text: str, folder: str = "mine", **files: str) -> ModuleType:
        place = tmp_path / folder
        for name, content in {"space": text, **files}.items():
            path = place / f"{name.replace('__', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        find_beside(str(place / "space.py"))
        own = ModuleType("own")
        exec(compile(text, str(place / "space.py"), "exec"), own.__dict__)
        return own

    return run


def test_a_file_finds_what_is_beside_it_and_so_does_that(run: Callable[..., ModuleType]) -> None:
    own = run(
        "import fs_first, fs_package.part\ndef late():\n    import fs_late\n    return fs_late.x",
        fs_first="from fs_second import x",
        fs_second="x = 1",
        fs_late="x = 2",
        fs_package__part="import fs_second\nx = 3",
    )
    assert (own.fs_first.x, own.fs_package.part.x, own.late()) == (1, 3, 2)
    assert not any("mine" in place for place in sys.path)


def test_nobody_else_finds_it(run: Callable[..., ModuleType]) -> None:
    """A library with an optional dependency of the same name does not find it."""
    run("import fs_first", fs_first="", fs_optional="raise AssertionError")
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("fs_optional")
    library = ModuleType("library")
    with pytest.raises(ModuleNotFoundError):
        exec(compile("import fs_optional", "/lib/library.py", "exec"), library.__dict__)


@pytest.mark.parametrize(
    ("imports", "finds"),
    [
        ("import fs_first", False),
        ("from importlib import import_module\nimport_module('fs_first')", False),
        ("import pickle\npickle.loads(b'cfs_first\\nx\\n.')", True),
        ("from ray import cloudpickle\ncloudpickle.cloudpickle.subimport('fs_first')", True),
    ],
)
def test_ray_finds_it_where_it_unpickles(
    imports: str, finds: bool, run: Callable[..., ModuleType]
) -> None:
    """Ray's imports of its own optional dependencies do not find it."""
    run("", fs_first="x = 1")
    rays = {"__name__": "ray.somewhere"}
    if finds:
        exec(compile(imports, "/lib/ray/somewhere.py", "exec"), rays)
        assert sys.modules["fs_first"].x == 1
    else:
        with pytest.raises(ModuleNotFoundError):
            exec(compile(imports, "/lib/ray/somewhere.py", "exec"), rays)


@pytest.mark.parametrize("name", ["json", "colorsys", "yaml"])
def test_a_module_that_there_is_comes_first(name: str, run: Callable[..., ModuleType]) -> None:
    own = run(f"import {name} as found", **{name: "raise AssertionError"})
    assert "mine" not in str(own.found.__file__)


def test_two_files_with_different_modules_of_a_name_are_refused(
    run: Callable[..., ModuleType],
) -> None:
    run("import fs_helper", folder="a", fs_helper="x = 1")
    with refused("beside.module-named-twice", module="fs_helper"):
        run("import fs_helper", folder="b", fs_helper="x = 2")


def test_each_file_finds_its_own_where_the_other_is_not_used(
    run: Callable[..., ModuleType],
) -> None:
    run("x = 0", folder="a", fs_helper="x = 1")
    assert run("import fs_helper", folder="b", fs_helper="x = 2").fs_helper.x == 2
