"""Trials of earlier sweeps that fit a new sweep."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import BaseStorage
from ray import tune

from search_spaces.space import Point, SearchSpace
from sweeps import sources
from sweeps.distributions import distributions_of
from sweeps.ledger import Ledger
from sweeps.settings import SweepSettings
from sweeps.sources import ORIGIN_ATTR, Origin, check_used, sources_of
from sweeps.study import JOURNAL_FILE, open_storage
from sweeps.warm_start import Source
from tests.refusals import refused, text
from tests.sweeps.conftest import DOMAINS
from trainables.models.pairs.variants import CNN

MakeLedger = Callable[..., Ledger]
MakeSpace = Callable[..., SearchSpace]
TRIALS = 6
IDENTITY = {"data": "0123", "task": "4567"}
INSIDE = (Point(name="inside", config={"lr": 1e-3, "hidden": 16, "dropout": 0.25}),)


def first_storage(runs: Path) -> BaseStorage:
    folder = runs / "first" / "small"
    folder.mkdir(parents=True, exist_ok=True)
    return open_storage(None, folder / JOURNAL_FILE)


@pytest.fixture
def swept(make_ledger: MakeLedger, make_space: MakeSpace, tmp_path: Path) -> Callable[..., None]:
    """Makes sweep `first`: two complete trials, two pruned at 3 epochs, a diverged, a crashed."""

    def sweep(**changes: Any) -> None:
        made = {"domains": DOMAINS, "points": INSIDE, **changes.pop("of_space", {})}
        ledger = make_ledger(
            over=first_storage(tmp_path), space=make_space(**made), trials=TRIALS, **changes
        )
        for end in "whole whole pruned pruned diverged crashed".split():
            asked = ledger.ask()
            assert asked is not None
            match end:
                case "whole":
                    ledger.complete(asked.number, [0.9 + asked.number / 100], {})
                case "pruned":
                    ledger.study.report(asked.number, 3, 0.5)
                    ledger.prune(asked.number, {})
                case "diverged":
                    ledger.fail(asked.number, "a loss became infinite", "diverged")
                case _:
                    ledger.fail(asked.number, "killed", "crashed")

    return sweep


@pytest.fixture
def found(make_space: MakeSpace, tmp_path: Path) -> Callable[..., list[Source]]:
    """Returns the trials of `first` that fit a new sweep."""

    def find(
        *,
        given: tuple[str, ...] = ("first",),
        epochs: int = 9,
        digest: str = "0123",
        study: str | None = None,
        objective: str = "accuracy",
        **changes: Any,
    ) -> list[Source]:
        made = make_space(**{"domains": DOMAINS, "points": INSIDE, **changes})
        settings = SweepSettings(
            space=("small",),
            warm_start=given,
            storage=str(tmp_path),
            study=study,
            objective=(objective,),
        ).for_task(made.variant.task)
        origin = Origin.of(made, settings, epochs, IDENTITY | {"data": digest})
        sources = sources_of(settings, made, distributions_of(made, settings), origin)
        check_used(settings, sources)
        return sources

    return find


def test_all_trials_with_a_result_fit_the_same_space(
    swept: Callable[..., None], found: Callable[..., list[Source]]
) -> None:
    swept()
    (source,) = found()
    assert source.described() == "5 of 5 trials of first/small"
    assert [dict(t.results) for t in source.trials] == [
        {None: 0.9},
        {None: 0.91},
        {3: 0.5},
        {3: 0.5},
        {},
    ]
    assert source.point is None
    assert source.trials[0].params["lr"] == pytest.approx(1e-3)
    assert found(given=("first/small",)) == [source]


def test_a_trial_that_was_killed_before_its_first_score_is_left_out(
    make_ledger: MakeLedger,
    make_space: MakeSpace,
    found: Callable[..., list[Source]],
    tmp_path: Path,
) -> None:
    space = make_space(domains=DOMAINS, points=INSIDE)
    ledger = make_ledger(over=first_storage(tmp_path), space=space, trials=TRIALS)
    first, second, killed = (ledger.ask() for _ in range(3))
    assert first is not None
    assert second is not None
    assert killed is not None
    ledger.complete(first.number, [0.9], {})
    ledger.study.report(second.number, 3, 0.5)  # in training, with a score
    (source,) = found()
    assert [dict(trial.results) for trial in source.trials] == [{None: 0.9}, {3: 0.5}]


def test_a_trial_outside_a_domain_is_left_out(
    swept: Callable[..., None], found: Callable[..., list[Source]]
) -> None:
    swept()
    (source,) = found(domains=DOMAINS | {"dropout": tune.uniform(0.2, 0.3)})
    assert 1 <= len(source.trials) < 5
    assert all(0.2 <= trial.params["dropout"] <= 0.3 for trial in source.trials)
    why = text("sources.outside-domain", key="dropout", value="VALUE")
    left_out = re.escape(text("warm-start.left-out", number=5 - len(source.trials), why=why))
    assert re.search(left_out.replace("VALUE", r"0\.\d+"), source.described())


def differs(key: str, was: object, now: object) -> str:
    return text("sources.fixed-differs", key=key, was=was, now=now, space="small")


@pytest.mark.parametrize(
    ("then", "now", "reason"),
    [
        ({"weight_decay": 0.1}, {}, differs("weight_decay", 0.1, 0.0)),
        (
            {},
            {"activation": "leaky_relu"},
            differs("activation", "'relu'", "'leaky_relu'"),
        ),
    ],
)
def test_a_fixed_value_must_be_the_same(
    swept: Callable[..., None],
    found: Callable[..., list[Source]],
    then: dict[str, Any],
    now: dict[str, Any],
    reason: str,
) -> None:
    swept(of_space={"domains": DOMAINS | then})
    with refused("sources.no-trial-fits", given="first", reasons=f"first/small: {reason}"):
        found(domains=DOMAINS | now)


def test_what_was_fixed_counts_as_its_value_where_it_varies_now(
    swept: Callable[..., None], found: Callable[..., list[Source]]
) -> None:
    swept(of_space={"domains": DOMAINS | {"hidden": 24}, "points": ()})
    (source,) = found(domains=DOMAINS | {"weight_decay": tune.uniform(0.0, 0.1)})
    assert len(source.trials) == 5
    assert {t.params["hidden"] for t in source.trials} == {24}
    assert {t.params["weight_decay"] for t in source.trials} == {0.0}


def test_scores_of_other_data_count_relative_to_a_common_initial_point(
    swept: Callable[..., None], found: Callable[..., list[Source]]
) -> None:
    swept()
    for changes in ({"digest": "another"}, {"epochs": 30}):
        (source,) = found(**changes)
        assert (source.point, source.of_point) == (0, {None: 0.9})
        assert len(source.trials) == 5
    reason = text("sources.nothing-common")
    with refused("sources.no-trial-fits", reasons=f"first/small: {reason}"):
        found(digest="another", points=())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"variant": CNN, "domains": {"lr": DOMAINS["lr"]}},
            text("sources.other-variant", was="larger_digit/mlp", now=CNN.full_name),
        ),
        (
            {"objective": "loss"},
            text("sources.other-objective", was="val_accuracy", now="val_loss"),
        ),
    ],
)
def test_another_variant_or_objective_does_not_fit(
    swept: Callable[..., None],
    found: Callable[..., list[Source]],
    changes: dict[str, Any],
    reason: str,
) -> None:
    swept()
    with refused("sources.no-trial-fits", reasons=f"first/small: {reason}") as caught:
        found(**changes)
    assert "\n" not in str(caught.value)


def test_scores_on_test_rows_do_not_guide_a_search_that_leaves_them_alone(
    swept: Callable[..., None], found: Callable[..., list[Source]]
) -> None:
    swept(select_on_test=True)
    reason = text("sources.other-rows", was="test", now="validation")
    with refused("sources.no-trial-fits", reasons=f"first/small: {reason}"):
        found()


def test_a_study_of_an_earlier_version_does_not_fit(
    swept: Callable[..., None], found: Callable[..., list[Source]], tmp_path: Path
) -> None:
    swept()
    study = optuna.load_study(study_name="first/small", storage=first_storage(tmp_path))
    study.set_user_attr(ORIGIN_ATTR, None)
    reason = text("sources.other-version")
    with refused("sources.no-trial-fits", reasons=f"first/small: {reason}"):
        found()


def test_a_sweep_that_is_not_there_is_named(
    swept: Callable[..., None], found: Callable[..., list[Source]], tmp_path: Path
) -> None:
    for given in ("first", "first/small"):
        with refused("sources.not-in-folder", given=given, root=tmp_path):
            found(given=(given,))
    assert not list(tmp_path.iterdir())
    swept()
    with refused("sources.not-in-folder", given="first/large", root=tmp_path):
        found(given=("first/large",))


def test_a_study_in_a_database_is_found_where_the_command_says(
    make_ledger: MakeLedger,
    make_space: MakeSpace,
    found: Callable[..., list[Source]],
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    with refused("sources.not-in-database", given="first", root=tmp_path):
        found(study=url)
    assert not (tmp_path / "study.db").exists()
    space = make_space(domains=DOMAINS, points=INSIDE)
    ledger = make_ledger(over=open_storage(url, tmp_path / "unused"), space=space)
    asked = ledger.ask()
    assert asked is not None
    ledger.complete(asked.number, [0.7], {})
    folder = tmp_path / "first"
    folder.mkdir()
    (folder / "settings.json").write_text(json.dumps({"study": url}))
    with refused("sources.not-in-folder", given="first", root=tmp_path):
        found()
    (source,) = found(study=url)
    assert [dict(t.results) for t in source.trials] == [{None: 0.7}]


def test_of_many_trials_the_best_are_shown(
    swept: Callable[..., None],
    found: Callable[..., list[Source]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sources, "MOST", 3)
    swept()
    (source,) = found()
    assert [dict(t.results) for t in source.trials] == [{None: 0.9}, {None: 0.91}, {3: 0.5}]
    monkeypatch.setattr(sources, "MOST", 1)
    (source,) = found()
    assert [dict(t.results) for t in source.trials] == [{None: 0.91}]
    assert source.num_trials == 5


def test_choices_that_are_lists_fit_as_such(
    make_ledger: MakeLedger,
    make_space: MakeSpace,
    found: Callable[..., list[Source]],
    tmp_path: Path,
) -> None:
    domains = {"lr": DOMAINS["lr"], "channels": tune.choice([[4, 8], [8, 16]])}
    space = make_space(variant=CNN, domains=domains, points=())
    ledger = make_ledger(over=first_storage(tmp_path), space=space, sampler="random", trials=8)
    for _ in range(8):
        asked = ledger.ask()
        assert asked is not None
        ledger.complete(asked.number, [0.5], {})
    changes = {"variant": CNN, "points": ()}
    (source,) = found(domains=domains, **changes)
    assert {t.params["channels"] for t in source.trials} == {"[4, 8]", "[8, 16]"}
    smaller = domains | {"channels": tune.choice([[8, 16], [3, 3]])}
    (source,) = found(domains=smaller, **changes)
    assert {t.params["channels"] for t in source.trials} == {"[8, 16]"}
    assert source.num_trials == 8
