import re

import pytest

from tests.trainables.cases import config_of
from trainables.presets.preset import Grid, choice
from trainables.presets.registry import GRIDS, PRESETS, TABLES
from trainables.variants import VARIANTS

NAME = re.compile(r"[a-z0-9_]+/[a-z0-9_.]+")
REPORTS = {"aguet2019", "chahed", "gervaise2020", "kong", "lenet_transfer"}


def rows_of(table):
    """Names of the presets and grids of a table."""
    return [row.name if isinstance(row, Grid) else row[0].name for row in TABLES[table]]


def test_the_five_reports_are_there():
    assert {preset.report for preset in PRESETS.values()} == REPORTS


def test_every_variant_has_a_preset_but_the_one_that_no_report_has():
    assert {p.variant for p in PRESETS.values()} == VARIANTS.keys() - {"cnn_digit_deep"}


@pytest.mark.parametrize("registry", [PRESETS, GRIDS], ids=["presets", "grids"])
def test_rows_are_registered_under_their_names(registry):
    for name, row in registry.items():
        assert row.name == name
        assert NAME.fullmatch(name)
        assert name.partition("/")[0] in REPORTS


def test_names_of_rows_are_given_once():
    rows = [row for table in TABLES for row in rows_of(table)]
    files = [name.replace("/", "-") for name in {*PRESETS, *GRIDS}]
    assert len(set(files)) == len(files) == len(PRESETS) + len(GRIDS)
    assert set(rows) <= {*PRESETS, *GRIDS}


@pytest.mark.parametrize("table", TABLES)
def test_a_table_holds_rows_of_its_report_once_each(table):
    assert NAME.fullmatch(table)
    rows = rows_of(table)
    assert rows
    assert len(set(rows)) == len(rows)
    assert {row.partition("/")[0] for row in rows} == {table.partition("/")[0]}


def test_tables_hold_every_measurement_and_every_grid_that_names_one():
    measured = {
        (measurement.table, preset.name)
        for preset in PRESETS.values()
        for measurement in preset.measurements
    }
    swept = {(grid.table, grid.name) for grid in GRIDS.values() if grid.table is not None}
    assert {(table, row) for table in TABLES for row in rows_of(table)} == measured | swept
    assert all(preset.measurements for preset in PRESETS.values())


def test_a_measurement_can_be_carried_out():
    for preset in PRESETS.values():
        for measurement in preset.measurements:
            protocol, reported = measurement.protocol, measurement.reported
            assert protocol.count >= 2, preset.name
            assert 0 <= protocol.held_back < protocol.train_pairs, preset.name
            assert 0 <= protocol.test_from < protocol.test_pairs, preset.name
            for share in (reported.accuracy, reported.train_accuracy):
                assert share is None or 0.5 < share < 1, preset.name
            assert reported.std is None or 0 < reported.std < 0.2, preset.name


def test_a_preset_is_tuned_by_a_grid_of_its_own_variant():
    for preset in PRESETS.values():
        if preset.tuned_by is not None:
            grid = GRIDS[preset.tuned_by]
            assert PRESETS[grid.base].variant == preset.variant, preset.name
            assert PRESETS[grid.base].report == preset.report, preset.name


def test_another_choice_differs_in_what_it_is_told():
    base = PRESETS["lenet_transfer/weight_sharing"]
    other = choice(base, "fresh", fresh_data=True, batch_size=25)
    assert other.name == f"{base.name}_fresh"
    assert other.config == {**base.config, "batch_size": 25}
    (measurement,) = other.measurements
    assert measurement.table == "lenet_transfer/choices"
    assert measurement.protocol.fresh_data
    assert not base.measurements[-1].protocol.fresh_data
    assert measurement.reported.accuracy is None
    assert other.params is None


@pytest.mark.parametrize("table", [table for table in TABLES if table.endswith("/choices")])
def test_every_other_choice_makes_a_difference(table):
    """Each choice differs in configuration or protocol from all other rows of its report."""

    def told(name, protocol):
        return PRESETS[name].variant, config_of(name), protocol

    rows = [
        told(name, measurement.protocol)
        for name, preset in PRESETS.items()
        for measurement in preset.measurements
        if preset.report == table.partition("/")[0]
    ]
    for preset, measurement in TABLES[table]:
        assert rows.count(told(preset.name, measurement.protocol)) == 1
