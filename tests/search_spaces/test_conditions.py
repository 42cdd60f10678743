from dataclasses import dataclass
from typing import Any

import pytest
from ray import tune

import foldsweep as fs
from foldsweep.checks import brief
from search_spaces.conditions import groups, when
from search_spaces.space import Point, SearchSpace
from tests.search_spaces.refusals import space_refused
from trainables.config import TrialConfig
from trainables.models.perceptron import Perceptron
from trainables.tasks.larger_digit import TASK
from trainables.tasks.task import variant


@dataclass(frozen=True, kw_only=True)
class NetConfig(TrialConfig):
    conv: bool = False
    kernel: int = 3
    pool: str = "none"
    size: int = 2
    layers: int = 1
    second: int = 8
    needed: int

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("kernel", self.kernel % 2 == 1, "odd")


NET = variant("net", TASK, Perceptron, NetConfig)
TREE: dict[str, Any] = {
    "kernel": when("conv", True, tune.choice([3, 5])),
    "size": when("pool", {"max", "mean"}, tune.randint(2, 5)),
    "pool": when("conv", True, tune.choice(["none", "max", "mean"])),
    "conv": tune.choice([True, False]),
    "layers": tune.randint(1, 4),
    "second": when("layers", range(2, 4), tune.lograndint(4, 65)),
    "needed": 1,
}


def space(**values: Any) -> SearchSpace:
    return SearchSpace(**{"name": "mine", "variant": NET, "domains": TREE, **values})


def active(values: dict[str, Any]) -> set[str]:
    """Names of the active parameters, written out by hand."""
    names = {"conv", "layers"}
    if values["conv"]:
        names |= {"kernel", "pool"} | ({"size"} if values["pool"] != "none" else set())
    return names | ({"second"} if values["layers"] >= 2 else set())


def test_parents_come_before_what_depends_on_them() -> None:
    assert [*space().searched] == ["conv", "kernel", "pool", "size", "layers", "second"]


def test_only_what_is_active_is_drawn_and_the_rest_has_its_default() -> None:
    mine, seen = space(), set()
    for seed in range(60):
        values = mine.draw(seed)
        assert set(values) == active(values)
        config = mine.complete(values)
        seen |= set(values)
        for name in set(mine.searched) - set(values):
            assert getattr(config, name) == getattr(NetConfig(needed=1), name)
        assert set(mine.active(config.to_dict())) == {
            name for name in config.to_dict() if name not in mine.searched or name in values
        }
    assert seen == set(mine.searched)


def test_values_that_do_not_count_are_left_at_their_default() -> None:
    values = {"conv": False, "kernel": 5, "pool": "max", "size": 4, "layers": 1, "second": 9}
    config = space().complete(values)
    assert (config.kernel, config.pool, config.size, config.second) == (3, "none", 2, 8)
    assert space().active(values) == {"conv": False, "layers": 1}


def test_groups_are_a_choice_and_conditions_on_it() -> None:
    grouped = space(
        domains={
            "needed": 1,
            "conv": groups(
                {
                    True: {
                        "kernel": tune.choice([3, 5]),
                        "pool": groups(
                            {
                                "none": {},
                                "max": {"size": tune.randint(2, 5)},
                                "mean": {"dropout": 0.5},
                            }
                        ),
                    },
                    False: {"layers": when("batch_size", 64, tune.randint(1, 4))},
                }
            ),
            "batch_size": tune.choice([32, 64]),
        }
    )
    values = {"conv": True, "kernel": 5, "pool": "mean", "size": 4, "layers": 2, "batch_size": 64}
    config = grouped.complete(values)
    assert (config.kernel, config.size, config.layers, config.dropout) == (5, 2, 1, 0.5)
    for conv, batch_size, layers in ((False, 64, 2), (False, 32, 1), (True, 64, 1)):
        changed = values | {"conv": conv, "batch_size": batch_size}
        assert grouped.complete(changed).layers == layers
    order = [*grouped.searched]
    assert order.index("conv") < order.index("pool") < order.index("size")
    assert order.index("batch_size") < order.index("layers")


def test_a_nested_condition_is_both() -> None:
    nested = space(
        domains={**TREE, "size": when("conv", True, when("layers", 2, tune.randint(2, 5)))}
    )
    for conv, layers, size in ((True, 2, 4), (True, 1, 2), (False, 2, 2)):
        values = {"conv": conv, "layers": layers, "size": 4}
        assert nested.complete(values).size == size


def test_a_parent_may_be_switched_by_hand() -> None:
    for conv in (True, False):
        assert space(domains={**TREE, "conv": conv}).complete({"kernel": 5}).kernel == 3 + 2 * conv


def test_a_list_may_be_what_another_value_depends_on() -> None:
    shapes = {(8, 8): {"kernel": tune.choice([3, 5])}, (16,): {}}
    mine = space(domains={"needed": 1, "pool": "none", "layers": groups({1: {}, 2: {}})})
    assert mine.searched["layers"].categories == [1, 2]
    assert groups(shapes).by_choice[0][0] == (8, 8)
    assert when("sizes", [8, 8], 1).condition.holds((8, 8))
    assert when("sizes", (8, 8), 1).condition.holds([8, 8])


def test_a_grid_skips_what_makes_no_difference() -> None:
    mine = space(
        domains={k: v for k, v in TREE.items() if k not in ("layers", "second")},
        grid={"kernel": (3, 5), "conv": (True, False), "pool": ("none", "max"), "size": (2, 3)},
    )
    found = [mine.combination(i) for i in range(mine.num_combinations)]
    assert found == [
        {"conv": True, "kernel": 3, "pool": "none"},
        {"conv": True, "kernel": 3, "pool": "max", "size": 2},
        {"conv": True, "kernel": 3, "pool": "max", "size": 3},
        {"conv": True, "kernel": 5, "pool": "none"},
        {"conv": True, "kernel": 5, "pool": "max", "size": 2},
        {"conv": True, "kernel": 5, "pool": "max", "size": 3},
        {"conv": False},
    ]


def test_a_grid_of_conditions_is_refused() -> None:
    values = when("conv", True, (3, 5))
    with space_refused("space.grid-not-a-list", key="kernel", values=brief(values)):
        space(grid={"kernel": values, "conv": (True, False)})


def test_what_is_fixed_for_a_sweep_is_so_within_groups_too() -> None:
    tree = {"needed": 1, "conv": groups({True: {"kernel": 5}, False: {}})}
    mine = space(domains={**tree, "lr": tune.uniform(0, 1)})
    assert mine.with_fixed(kernel=7).complete({"conv": True}).kernel == 7
    assert mine.with_fixed(precision="bfloat16").complete({"conv": True}).kernel == 5
    assert mine.with_fixed(conv=True).complete({}).kernel == 5


WRONG: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
    (
        {"kernel": when("cnov", True, tune.choice([3, 5]))},
        "conditions.parent-unknown",
        {"key": "kernel", "parent": "cnov", "known": "size, pool, conv, layers, second, needed"},
    ),
    (
        {"conv": when("pool", "max", tune.choice([True, False]))},
        "conditions.depends-on-itself",
        {"key": "conv", "circle": "conv -> pool -> conv"},
    ),
    (
        {"kernel": when("kernel", 3, tune.choice([3, 5]))},
        "conditions.depends-on-itself",
        {"key": "kernel", "circle": "kernel -> kernel"},
    ),
    (
        {"kernel": when("pool", "avg", tune.choice([3, 5]))},
        "conditions.value-never-there",
        {
            "key": "kernel",
            "parent": "pool",
            "value": "'avg'",
            "range": "one of 'none', 'max', 'mean'",
        },
    ),
    (
        {"second": when("layers", range(2, 6), tune.randint(4, 8))},
        "conditions.value-never-there",
        {"key": "second", "parent": "layers", "value": "4", "range": "from 1 to 3"},
    ),
    (
        {"second": when("layers", set(), tune.randint(4, 8))},
        "conditions.value-missing",
        {"key": "second", "parent": "layers"},
    ),
    (
        {"lr": tune.uniform(0, 1), "second": when("lr", 0.5, tune.randint(4, 8))},
        "conditions.parent-is-a-float",
        {"key": "second", "parent": "lr"},
    ),
    (
        {"needed": when("conv", True, tune.randint(1, 4))},
        "conditions.default-missing",
        {"key": "needed", "parent": "conv"},
    ),
    (
        {"epochs": when("conv", True, tune.randint(1, 4))},
        "space.length-conditional",
        {"field": "epochs"},
    ),
    (
        {"kind": when("conv", True, tune.randint(1, 4))},
        "space.key-unknown",
        {"where": "domains", "unknown": "kind", "config": "NetConfig"},
    ),
    (
        {"shuffle": groups({True: {"kernel": 3}, False: {}})},
        "conditions.defined-twice",
        {"key": "kernel"},
    ),
    (
        {"shuffle": groups({True: 3, False: {}})},  # type: ignore[dict-item]
        "conditions.group-not-a-mapping",
        {"key": "shuffle", "choice": "True"},
    ),
    (
        {"kernel": when("conv", True, tune.choice([3, 4]))},
        "config.value-refused",
        {"domain": "kernel", "field": "kernel", "rule": "odd", "value": "4"},
    ),
]


@pytest.mark.parametrize(("changes", "kind", "values"), WRONG)
def test_a_condition_that_cannot_be_meant_is_refused(
    changes: dict[str, Any], kind: str, values: dict[str, Any]
) -> None:
    with space_refused(kind, **values) as caught:
        space(domains={**TREE, **changes})
    assert "\n" not in str(caught.value)


def test_ranges_are_said_with_what_they_depend_on() -> None:
    assert space().ranges() == {
        "conv": "True, False",
        "kernel": "3, 5, if conv is True",
        "pool": "none, max, mean, if conv is True",
        "size": "2 to 4 (whole), if pool is max or mean",
        "layers": "1 to 3 (whole)",
        "second": "4 to 64 (whole, log), if layers is 2 or 3",
        "needed": "1",
    }


def test_a_point_may_have_values_that_do_not_count() -> None:
    point = Point(name="row", config={"needed": 1, "conv": False, "kernel": 5})
    assert space(points=[point]).complete(point.config).kernel == 3


def test_users_import_both_from_foldsweep() -> None:
    assert fs.when is when
    assert fs.groups is groups
