"""Registry of the reports' rows, tables and grids, by name."""

from trainables.presets import aguet2019, chahed, gervaise2020, kong, lenet_transfer
from trainables.presets.preset import Grid, Measurement, Preset

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        *aguet2019.PRESETS,
        *gervaise2020.PRESETS,
        *lenet_transfer.PRESETS,
        *kong.PRESETS,
        *chahed.PRESETS,
    )
}

GRIDS: dict[str, Grid] = {
    grid.name: grid for grid in (*aguet2019.GRIDS, *gervaise2020.GRIDS, *kong.GRIDS, *chahed.GRIDS)
}

Row = tuple[Preset, Measurement] | Grid

TABLES: dict[str, list[Row]] = {}
"""Rows of each table, `report/table`, in the order of the reports."""

for _preset in PRESETS.values():
    for _measurement in _preset.measurements:
        TABLES.setdefault(_measurement.table, []).append((_preset, _measurement))
for _grid in GRIDS.values():
    if _grid.table is not None:
        TABLES.setdefault(_grid.table, []).append(_grid)
