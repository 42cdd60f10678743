"""Selection of the sweeps to compare, and notices about the others."""

from collections.abc import Callable

import pytest

from analysis.results import Sweep
from analysis.selection import Selection, selected
from tests.refusals import text

FOLDS = (0.9, 0.91, 0.92, 0.93, 0.94)
LARGER = text(
    "selection.larger",
    latest="smoke/mlp",
    trials="1 trial",
    larger="real/mlp",
    more_trials="3 trials",
    sweep="real",
)


@pytest.fixture(scope="module")
def uri(make_store: Callable) -> str:
    """URI of a store: a sweep of two spaces, one of a third, and a smoke run of the first."""
    filled = make_store()
    filled.add("real/mlp", *[FOLDS] * 3, folds=5)
    filled.add("real/cnn", *[FOLDS] * 3, folds=5)
    filled.add("more/svm", *[FOLDS] * 3, folds=5)
    filled.add("smoke/mlp", FOLDS, folds=5)
    return str(filled.uri)


def select(uri: str, **asked: object) -> tuple[list[str], list[str]]:
    said: list[str] = []
    found: list[Sweep] = selected(Selection(tracking_uri=uri, **asked), notice=said.append)  # type: ignore[arg-type]
    return [sweep.name for sweep in found], said


def test_a_smoke_run_displaces_no_sweep_silently(uri: str) -> None:
    assert select(uri) == (
        ["smoke/mlp"],
        [
            LARGER,
            text("selection.latest-only", sweeps="smoke", others="more, real"),
        ],
    )


def test_a_sweep_by_name_is_all_its_spaces_and_nothing_else(uri: str) -> None:
    assert select(uri, sweep=("real",)) == (["real/cnn", "real/mlp"], [])
    assert select(uri, sweep=("real/cnn", "smoke")) == (["smoke/mlp", "real/cnn"], [])


def test_two_sweeps_of_one_variant_are_both_there_when_asked_for(uri: str) -> None:
    assert select(uri, sweep=("real/mlp", "smoke/mlp"))[0] == ["smoke/mlp", "real/mlp"]


def test_of_spaces_the_latest_sweep_each_is_taken_and_what_it_displaces_is_said(uri: str) -> None:
    found, said = select(uri, space=("mlp", "cnn"))
    assert found == ["smoke/mlp", "real/cnn"]
    assert said[0] == LARGER
    assert select(uri, variant=("svm",)) == (["more/svm"], [])


def test_what_the_latest_sweep_has_not_finished_is_said(make_store: Callable) -> None:
    filled = make_store()
    filled.add("old/mlp", FOLDS, folds=5)
    filled.add("new/mlp", "PRUNED", folds=5)
    assert select(filled.uri) == (["old/mlp"], [text("selection.none-complete", sweep="new/mlp")])
    filled.add("half/cnn", FOLDS, folds=5)
    filled.add("half/mlp", "FAIL", folds=5)
    found, said = select(filled.uri)
    assert found == ["half/cnn"]
    assert said[0] == text("selection.none-complete", sweep="half/mlp")


def test_every_sweep_can_be_asked_for(uri: str) -> None:
    every = ["smoke/mlp", "more/svm", "real/cnn", "real/mlp"]
    assert select(uri, every=True) == (every, [])
