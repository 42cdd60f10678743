"""The five reports as data: a file each, with its settings, figures and grids."""
