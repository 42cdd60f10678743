"""A small neural-network library on tensor operations alone: backward passes written by hand."""
