"""Contract of every grid of the reports; a new row is tested without new code."""

from dataclasses import fields
from itertools import product

import pytest

from search_spaces.larger_digit.reports import grid_space
from search_spaces.loading import SPACES, TUNED
from tests.trainables.cases import AMOUNTS
from trainables.presets.registry import GRIDS, PRESETS
from trainables.variants import VARIANTS

SHAPELESS = {*AMOUNTS, "schedule", "criterion"}
"""Axes that do not change the architecture of a network."""


@pytest.fixture(params=GRIDS.values(), ids=GRIDS.keys())
def grid(request):
    return request.param


def points_of(axes):
    """All combinations of one value per axis."""
    return [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]


def test_every_grid_is_a_space():
    assert {*SPACES} == {*TUNED, *(grid.space for grid in GRIDS.values())}
    assert len(SPACES) == len(TUNED) + len(GRIDS)


def test_a_grid_varies_fields_of_its_bases_configuration(grid):
    variant = VARIANTS[PRESETS[grid.base].variant]
    assert set(grid.axes) <= {field.name for field in fields(variant.config)}
    assert grid.base.partition("/")[0] == grid.name.partition("/")[0]
    assert grid.folds >= 2
    for values in grid.axes.values():
        assert len(set(values)) == len(values) > 1


def test_a_grids_space_is_its_base_but_for_what_it_varies(grid):
    space = SPACES[grid.space]()
    base = PRESETS[grid.base]
    assert space.variant is VARIANTS[base.variant]
    assert space.grid == grid.axes
    assert not space.searched
    config = space.complete(points_of(grid.axes)[0])
    for key, value in {**base.config, **grid.values}.items():
        assert key in grid.axes or getattr(config, key) == value


def test_every_point_of_a_grid_is_a_configuration_and_a_network(grid):
    space = SPACES[grid.space]()
    shapes = {}
    for point in points_of(grid.axes):
        config = space.complete(point)
        assert all(getattr(config, key) == value for key, value in point.items())
        shapes[tuple(value for key, value in point.items() if key not in SHAPELESS)] = config
    for config in shapes.values():
        space.variant.model(config)


def test_the_best_point_of_a_grid_lies_on_its_axes(grid):
    assert set(grid.best) <= set(grid.axes)
    for key, value in grid.best.items():
        assert value in grid.axes[key]
    assert grid.score is None or grid.best


def test_a_grid_starts_from_the_best_of_those_before_it(grid):
    if grid.after is None:
        assert not grid.values
        return
    before = GRIDS[grid.after]
    names = list(GRIDS)
    assert names.index(before.name) < names.index(grid.name)
    assert (before.table, before.base, before.folds) == (grid.table, grid.base, grid.folds)
    assert grid.values == {**before.values, **before.best}
    assert not set(grid.axes) & set(grid.values)


def test_a_grid_may_start_from_other_values_than_the_reports():
    grid = GRIDS["chahed/fcn_head"]
    assert grid_space(grid).fixed["hidden"] == grid.values["hidden"] == 128
    other = grid_space(grid, {"hidden": 64, "hidden_layers": 1})
    assert (other.fixed["hidden"], other.fixed["hidden_layers"]) == (64, 1)


def test_an_axis_of_auxiliary_shares_sets_both_weights():
    space = SPACES["chahed-fcn_alpha"]()
    for share in space.grid["aux_alpha"]:
        config = space.complete({"aux_alpha": share})
        assert (config.main_weight, config.aux_weight) == (1 - share, share / 2)
