"""Families of models, one file each, with configurations as dataclasses."""
