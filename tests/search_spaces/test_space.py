from dataclasses import fields
from typing import Any

import pytest
from ray import tune

from search_spaces.space import Point, SearchSpace, preset_point
from tests.refusals import refused
from tests.search_spaces.refusals import space_refused
from trainables.models.pairs.variants import CNN_WS_AUX, MLP
from trainables.presets.registry import PRESETS


def space(**values):
    given = {"name": "mine", "variant": MLP, "domains": {"lr": tune.uniform(0.1, 0.2)}}
    return SearchSpace(**{**given, **values})


@pytest.mark.parametrize("name", ["mine", "Mine-2.b_c", "7", "x" * 64])
def test_a_name_that_can_be_a_folder_is_taken(name):
    assert space(name=name).name == name


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "-x", "a b", "x" * 65, "ä", "a\n"])
def test_a_name_that_cannot_be_a_folder_is_refused(name):
    with refused("space.name-invalid", name=name):
        space(name=name)


@pytest.mark.parametrize("where", ["domains", "grid"])
def test_a_key_that_is_no_field_is_refused_with_the_fields(where):
    keys = {"lr": tune.uniform(0.1, 0.2), "depth": tune.randint(1, 3)}
    values = keys if where == "domains" else {"depth": [1, 2]}
    known = ", ".join(sorted(field.name for field in fields(MLP.config)))
    wrong = {"unknown": "depth", "config": "PerceptronConfig", "known": known}
    with space_refused("space.key-unknown", where=where, **wrong):
        space(**{where: values})


def test_a_space_that_searches_nothing_is_refused():
    with space_refused("space.nothing-searched"):
        space(domains={"lr": 0.1})
    assert space(domains={}, grid={"lr": [0.1, 0.2]}).searched == {}


def test_keys_are_searched_or_fixed():
    mine = space(domains={"lr": tune.uniform(0.1, 0.2), "epochs": 4, "hidden": (3, 4)})
    assert set(mine.searched) == {"lr"}
    assert mine.fixed == {"epochs": 4, "hidden": (3, 4)}


def test_a_choice_is_completed_by_fixed_values_and_defaults():
    mine = space(domains={"lr": tune.uniform(0.1, 0.2), "epochs": 4})
    config = mine.complete({"lr": 0.15}, batch_size=7)
    assert (config.lr, config.epochs, config.batch_size, config.dropout) == (0.15, 4, 7, 0.0)
    assert mine.complete({"lr": 0.15, "epochs": 9}).epochs == 9
    assert mine.complete({"lr": 0.15, "epochs": 9}, epochs=2).epochs == 2


@pytest.mark.parametrize(
    ("config", "kind", "values"),
    [
        ({"lr": -1.0}, "config.value-refused", {"field": "lr", "value": "-1.0"}),
        ({"depth": 3}, "config.field-unknown", {"unknown": "depth"}),
    ],
)
def test_a_point_that_is_no_configuration_is_refused(config, kind, values):
    with space_refused(kind, **values):
        space(points=[Point(name="bad", config=config)])


def test_a_point_may_leave_the_space():
    point = Point(name="far", config={"lr": 0.9, "hidden": 3})
    assert space(points=[point]).points == [point]


@pytest.mark.parametrize("name", PRESETS)
def test_a_presets_point_is_all_of_it_but_epochs_and_precision(name):
    point = preset_point(name)
    assert point.name == name
    assert not {"epochs", "precision"} & set(point.config)
    for key, value in PRESETS[name].config.items():
        assert key == "epochs" or point.config[key] == value


def test_what_is_fixed_for_a_sweep_holds_for_points_and_grid_too():
    mine = space(
        domains={"lr": tune.uniform(0.1, 0.2), "batch_size": tune.choice([5, 6])},
        points=[Point(name="near", config={"lr": 0.15, "batch_size": 5})],
        grid={"lr": [0.1], "batch_size": [5, 6]},
    ).with_fixed(batch_size=7)
    assert (set(mine.searched), mine.fixed) == ({"lr"}, {"batch_size": 7})
    assert mine.points[0].config == {"lr": 0.15, "batch_size": 7}
    assert mine.grid == {"lr": [0.1]}


def test_a_point_that_cannot_have_what_is_fixed_is_refused():
    mine = space(points=[Point(name="near", config={"lr": 0.15})])
    with space_refused("config.value-refused", field="batch_size", value="0"):
        mine.with_fixed(batch_size=0)


def test_a_presets_point_keeps_its_auxiliary_share():
    mine = SearchSpace(
        name="mine", variant=CNN_WS_AUX, domains={"aux_alpha": tune.uniform(0.1, 0.9)}
    )
    config = mine.complete(preset_point("aguet2019/auxiliary").config, epochs=2)
    assert (config.aux_alpha, config.main_weight, config.aux_weight) == (0.4, 0.6, 0.2)


@pytest.mark.parametrize(
    "changes",
    [
        {"domains": {"lr_schedule": tune.choice(["constant", "\ud800"])}},
        {"domains": {"lr": tune.uniform(0, 1), "lr_schedule": "\ud800"}},
        {"grid": {"lr_schedule": ["constant", "\ud800"]}},
    ],
    ids=["a choice", "a fixed value", "a grid"],
)
def test_a_value_that_no_store_can_have_is_refused(changes: dict[str, Any]) -> None:
    values: dict[str, Any] = {"domains": {"lr": tune.uniform(0, 1)}, **changes}
    with space_refused("space.value-not-text", key="lr_schedule", value="\ud800") as caught:
        space(**values)
    assert r"'\ud800'" in str(caught.value)
