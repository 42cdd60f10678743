"""What repeats the reports: rows, grids, tables."""
