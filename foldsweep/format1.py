"""Conversion of recipes of format 1, which had the tasks of digit pairs and of the disc only."""

from collections.abc import Mapping
from typing import Any

_PAIRS = ("main_weight", "aux_weight", "aux_alpha", "aux_schedule", "label_smoothing")
_IMAGES = ("shift", "rotation", "scale")
_GONE = {"mlp_backprop": _PAIRS, "disc": (*_PAIRS, *_IMAGES)}
"""Configuration fields without effect, which format 2 has removed, by variant."""


def upgraded(values: Mapping[str, Any]) -> dict[str, Any]:
    """Convert the values of a format 1 recipe to format 2; unknown ones stay unchanged."""
    new = dict(values)
    variant = str(values.get("variant", ""))
    points = values.get("dataset") == "disc"
    new["task"] = "disc" if points else "larger_digit"
    if "variant" in values:
        new["variant"] = variant if "/" in variant else f"{new['task']}/{variant}"
    numbers = {name: new.pop(name) for name in ("train_pairs", "test_pairs") if name in new}
    new["origin"] = {"dataset": values.get("dataset"), **numbers}
    gone = _GONE.get("disc" if points else variant, ())
    if isinstance(values.get("config"), dict):
        new["config"] = {k: v for k, v in values["config"].items() if k not in gone}
    new["format"] = 2
    return new
