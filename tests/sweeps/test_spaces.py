import sys
from pathlib import Path

import pytest

from search_spaces.loading import ANY_TASK, SPACES, load_space
from sweeps.spaces import main
from tests.refusals import refused, said_as, text


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "30")
    return tmp_path


def said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *args: str
) -> list[str]:
    monkeypatch.setattr(sys, "argv", ["foldsweep spaces", *args])
    assert main() == 0
    return capsys.readouterr().out.splitlines()


def test_all_spaces_are_listed_by_their_whole_names(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = said(monkeypatch, capsys)
    own = lines.index(text("spaces.for-own-data"))
    assert [line.split()[0] for line in lines[1:own]] == [*SPACES]
    assert [line.split()[0] for line in lines[own + 1 : -1]] == [*ANY_TASK]
    for line in lines[1:own]:
        assert line.split()[1] in ("larger_digit:", "disc:")
        assert line.split()[2] != "baseline:"
    assert all(len(line.split()) > 2 for line in lines[own + 1 : -1])


@pytest.mark.parametrize("name", ["cnn_aux", "disc_tanh", *list(SPACES)[-3:]])
def test_a_space_is_shown_with_all_its_ranges(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    space = load_space(name)
    lines = said(monkeypatch, capsys, name)
    assert lines[0] == f"{name} (task {space.variant.task.name}):"
    shown = {line.split()[0]: line.split(maxsplit=1)[1] for line in lines[1:]}
    for key, words in space.ranges().items():
        assert shown[key] == (words if key in space.searched else f"{words} (fixed)")
    for key in space.grid:
        grid = said_as("spaces.grid", key=key)
        assert any(grid.fullmatch(line.strip()) for line in lines)
    tried_first = said_as("spaces.tried-first")
    assert space.points == () or tried_first.fullmatch(lines[-1].strip())


@pytest.mark.parametrize("name", ANY_TASK)
def test_a_space_for_any_data_needs_none(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = said(monkeypatch, capsys, name)
    assert lines[0] == f"{name} (for your own data):"
    assert len(lines) > 2
    assert (f"{name} (task larger_digit):" in lines) == (name in SPACES)


def test_own_data_and_own_files_are_shown(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = "\n".join(f"{i},{'ab'[i % 2]},{i % 3}" for i in range(40))
    (here / "table.csv").write_text(f"x,word,y\n{rows}\n")
    lines = said(monkeypatch, capsys, "mlp", "--data", "table.csv", "--target", "y")
    assert lines[0] == "mlp (task table):"
    assert any(line.startswith("  embedding ") for line in lines)
    (here / "mine.py").write_text(
        "from foldsweep import SearchSpace, tune, when\n"
        "from trainables.models.pairs.variants import MLP\n"
        "def space():\n"
        "    shift = when('batch_norm', True, tune.uniform(0, 2))\n"
        "    domains = {'batch_norm': tune.choice([False, True]), 'shift': shift}\n"
        "    return SearchSpace(name='mine', variant=MLP, domains=domains)\n"
    )
    assert said(monkeypatch, capsys, "mine.py")[:3] == [
        "mine (task larger_digit):",
        "  batch_norm  False, True",
        "  shift       0 to 2, if batch_norm is True",
    ]


@pytest.mark.parametrize(
    ("args", "kind", "values"),
    [
        (
            ("cnn_ax",),
            "loading.space-unknown",
            {"space": "cnn_ax", "hint": text("checks.did-you-mean", word="cnn_aux")},
        ),
        (
            ("logistic", "--task", "regression"),
            "spaces.not-for-task",
            {"space": "logistic", "task": "regression"},
        ),
        (("mlp", "--target", "y"), "spaces.target-without-data", {}),
        (("gone.py",), "loading.file-missing", {"path": "gone.py"}),
    ],
)
def test_what_is_no_space_is_said(
    args: tuple[str, ...], kind: str, values: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["foldsweep spaces", *args])
    with refused(kind, **values):
        main()


def test_a_file_for_any_data_needs_none(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    (here / "net.py").write_text(readme.split("```python\n# net.py\n")[1].split("```")[0])
    lines = said(monkeypatch, capsys, "net.py")
    assert lines[0] == "net (for your own data):"
    assert [line.split()[0] for line in lines[1:]] == ["lr", "dropout", "units", "epochs"]
