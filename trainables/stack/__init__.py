"""Fold stacks: copies of a network, each with its own data and seed, trained in lockstep."""
