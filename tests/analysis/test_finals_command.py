"""Command that finals print at their end: it shows the finals in the store that has them."""

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analysis import compare
from sweeps import finalists
from tests.refusals import said_as, text
from tests.trainables.cases import recipe_of
from trainables.data.digits import digits_source
from trainables.data.pairs import draw_pairs
from trainables.models.pairs.variants import MLP

pytestmark = pytest.mark.integration

SWEEP = "first/mlp"


@pytest.mark.slow
def test_the_command_that_finals_print_shows_them(
    make_store: Callable[[], Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Without the printed arguments, `compare.py` would show a later sweep of the same variant."""
    monkeypatch.chdir(tmp_path)
    store = make_store()
    for sweep in (SWEEP, "second/mlp"):
        store.add(sweep, 0.5, 0.75, experiment="my own")
    data = draw_pairs(digits_source(), seed=0, train_pairs=30, test_pairs=11)
    config = MLP.config.from_dict({"batch_size": 8, "epochs": 1})
    recipe = recipe_of(MLP, config, data, trial=1, sweep=SWEEP)
    recipe.save(tmp_path / "best.yaml", comment="")

    def said(program: Any, *args: str) -> str:
        monkeypatch.setattr(sys, "argv", [program.__name__, *args])
        assert program.main() == 0
        return capsys.readouterr().out

    options = ("--experiment", "my own", "--tracking-uri", store.uri)
    ended = said(finalists, "best.yaml", "--repeats", "1", *options)
    assert said_as("measurements.logged").search(ended)
    before, after = text("finalists.compare", command="COMMAND").split("COMMAND")
    line = ended.splitlines()[-1]
    assert line.startswith(before)
    python, program, *args = shlex.split(line.removeprefix(before).removesuffix(after))
    assert program.endswith("analysis/compare.py")
    shown = said(compare, *args)
    in_finals = said_as("words.finals-score")
    assert in_finals.search(shown.splitlines()[0])
    assert not in_finals.search(said(compare, *options))
