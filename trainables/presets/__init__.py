"""The five reports as data: one file per report, with its settings, figures and grids."""
