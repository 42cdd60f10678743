import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from search_spaces.larger_digit.reports import grid_space
from search_spaces.space import SearchSpace
from sweeps.ledger import Asked, Ledger
from sweeps.reproduction import grids
from sweeps.reproduction.grids import RESULT_FILE, chain, found, is_started, settled, sweep_grid
from sweeps.resources import Allotment
from sweeps.settings import SweepSettings
from sweeps.study import JOURNAL_FILE
from tests.sweeps.ends import ended
from trainables.data.digits import digits_source
from trainables.data.pairs import draw_pairs
from trainables.presets.preset import Grid
from trainables.presets.registry import GRIDS
from trainables.tasks.larger_digit import TASK

HIDDEN, HEAD, ALPHA = (GRIDS[f"chahed/fcn_{group}"] for group in ("hidden", "head", "alpha"))
FOUND: dict[str, Any] = {
    "best": {"hidden": 32},
    "values": {"hidden": 32, "hidden_layers": 1},
    "score": 0.9,
    "std": 0.01,
    "num_params": 3,
    "trials": 10,
    "failed": 0,
    "select_on_test": False,
    "time_s": 1.0,
}


def store(root: Path, grid: Grid, **changes: Any) -> None:
    (root / grid.space).mkdir()
    (root / grid.space / RESULT_FILE).write_text(json.dumps(FOUND | changes))


# Groups of grids --------------------------------------------------------------------------------


def test_groups_come_in_the_order_in_which_they_build_on_each_other() -> None:
    assert chain(ALPHA) == [HIDDEN, HEAD, ALPHA]
    assert chain(HIDDEN) == [HIDDEN]


def test_a_group_starts_from_the_best_of_the_one_before(tmp_path: Path) -> None:
    store(tmp_path, HIDDEN)
    assert settled(HEAD, tmp_path) == FOUND["values"]
    fixed = grid_space(HEAD, settled(HEAD, tmp_path)).fixed
    assert (fixed["hidden"], fixed["hidden_layers"]) == (32, 1)


def test_a_group_starts_from_the_report_s_values_where_nothing_was_run(tmp_path: Path) -> None:
    store(tmp_path, HIDDEN)
    assert settled(HIDDEN, tmp_path) is None
    assert settled(ALPHA, tmp_path) is None
    fixed = grid_space(ALPHA, settled(ALPHA, tmp_path)).fixed
    assert {name: fixed[name] for name in ALPHA.values} == ALPHA.values
    assert fixed["hidden"] == 128


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"best": {}}', '{"unknown": 1}'])
def test_a_result_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    store(tmp_path, HIDDEN)
    assert found(HIDDEN, tmp_path) is not None
    (tmp_path / HIDDEN.space / RESULT_FILE).write_text(text)
    assert found(HIDDEN, tmp_path) is None
    assert settled(HEAD, tmp_path) is None


def test_a_grid_exists_once_it_has_a_study(tmp_path: Path) -> None:
    store(tmp_path, HIDDEN)
    assert not is_started(HIDDEN, tmp_path)
    (tmp_path / HIDDEN.space / JOURNAL_FILE).touch()
    assert is_started(HIDDEN, tmp_path)


# Sweeping ---------------------------------------------------------------------------------------


@pytest.fixture
def sweep(
    make_ledger: Callable[..., Ledger], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., SearchSpace]:
    """Sweeps a grid whose trials end as `ending` says; returns the space that was swept."""

    def run(
        grid: Grid,
        ending: Callable[[Ledger, Asked], None],
        *,
        trials: int | None = None,
        asks: int = 99,
        interrupted: bool = False,
        select_on_test: bool = False,
    ) -> SearchSpace:
        swept: list[SearchSpace] = []

        def sweep_space(settings: SweepSettings, space: SearchSpace, *_: Any, **__: Any) -> Any:
            swept.append(space)
            ledger = make_ledger(space=space, sampler="grid", trials=settings.trials)
            for _ in range(asks):
                if (asked := ledger.ask()) is not None:
                    ending(ledger, asked)
            return ended(ledger, interrupted=interrupted)

        monkeypatch.setattr(grids, "sweep_space", sweep_space)
        sweep_grid(
            grid,
            SweepSettings(
                space=(grid.space,), sampler="grid", trials=trials, select_on_test=select_on_test
            ).for_task(TASK),
            draw_pairs(digits_source(), seed=0, train_pairs=20, test_pairs=5),
            name="reproduce",
            root=tmp_path,
            allotment=Allotment(cpus=1, gpus=0, concurrency=1),
            console=Console(quiet=True),
        )
        return swept[0]

    return run


def result(*scores: float, time_s: float = 1.5) -> dict[str, Any]:
    return {
        "by_fold": {"val_accuracy": list(scores)},
        "num_params": 77,
        "train_time_s": time_s,
        "epoch": 3,
    }


def the_wider_the_better(ledger: Ledger, asked: Asked) -> None:
    score = asked.values["head_hidden"] / 1000
    ledger.complete(asked.number, [score], result(score - 0.1, score + 0.1))


def test_the_best_point_is_kept_with_what_the_groups_before_had_settled(
    sweep: Callable[..., SearchSpace], tmp_path: Path
) -> None:
    store(tmp_path, HIDDEN)
    space = sweep(HEAD, the_wider_the_better)
    assert (space.fixed["hidden"], space.fixed["hidden_layers"]) == (32, 1)
    ours = found(HEAD, tmp_path)
    assert ours is not None
    assert ours.best["head_hidden"] == 512
    assert set(ours.best) == set(HEAD.axes)
    assert ours.values == {**FOUND["values"], **ours.best}
    assert (ours.score, ours.std) == pytest.approx((0.512, 0.02**0.5))
    assert (ours.num_params, ours.trials, ours.failed, ours.time_s) == (77, 10, 0, 15.0)
    assert not ours.select_on_test
    assert [path.name for path in (tmp_path / HEAD.space).iterdir()] == [RESULT_FILE]


def test_what_a_grid_builds_on_are_the_report_s_values_where_nothing_was_run(
    sweep: Callable[..., SearchSpace], tmp_path: Path
) -> None:
    sweep(HEAD, the_wider_the_better, trials=2, select_on_test=True)
    ours = found(HEAD, tmp_path)
    assert ours is not None
    assert ours.values == {**HEAD.values, **ours.best}
    assert ours.trials == 2
    assert ours.select_on_test


def test_points_that_were_stopped_early_were_tried_and_have_not_failed(
    sweep: Callable[..., SearchSpace], tmp_path: Path
) -> None:
    def ending(ledger: Ledger, asked: Asked) -> None:
        if asked.number == 0:
            ledger.fail(asked.number, "diverged")
        elif asked.number % 2:
            ledger.prune(asked.number, result(0.1, 0.1, time_s=0.5))
        else:
            the_wider_the_better(ledger, asked)

    sweep(HEAD, ending)
    ours = found(HEAD, tmp_path)
    assert ours is not None
    assert (ours.trials, ours.failed) == (10, 1)
    assert ours.time_s == pytest.approx(5 * 0.5 + 4 * 1.5)


def test_a_grid_that_did_not_come_to_its_end_has_no_result(
    sweep: Callable[..., SearchSpace], tmp_path: Path
) -> None:
    sweep(HEAD, the_wider_the_better, asks=9)
    assert found(HEAD, tmp_path) is None


def test_neither_has_one_that_was_interrupted(
    sweep: Callable[..., SearchSpace], tmp_path: Path
) -> None:
    sweep(HEAD, the_wider_the_better, interrupted=True)
    assert found(HEAD, tmp_path) is None


def test_nor_has_one_all_of_whose_points_failed(
    sweep: Callable[..., SearchSpace], tmp_path: Path
) -> None:
    sweep(HEAD, lambda ledger, asked: ledger.fail(asked.number, "diverged"))
    assert found(HEAD, tmp_path) is None


def test_a_grid_of_its_own_values_keeps_them(
    sweep: Callable[..., SearchSpace], tmp_path: Path
) -> None:
    grid = replace(HEAD, after=None, values={"hidden": 64})
    assert sweep(grid, the_wider_the_better).fixed["hidden"] == 64
    ours = found(grid, tmp_path)
    assert ours is not None
    assert ours.values["hidden"] == 64
