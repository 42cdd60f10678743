"""Spaces on pairs of digits, one file per variant."""

from collections.abc import Callable

from search_spaces.larger_digit import (
    cnn,
    cnn_aux,
    cnn_digit,
    cnn_digit_deep,
    cnn_distance,
    cnn_split,
    cnn_transfer,
    cnn_ws,
    cnn_ws_aux,
    mlp,
    mlp_aux,
    mlp_backprop,
    mlp_split,
    mlp_ws,
    mlp_ws_aux,
)
from search_spaces.space import SearchSpace

PAIR_SPACES: dict[str, Callable[[], SearchSpace]] = {
    "mlp": mlp.space,
    "mlp_split": mlp_split.space,
    "mlp_ws": mlp_ws.space,
    "mlp_aux": mlp_aux.space,
    "mlp_ws_aux": mlp_ws_aux.space,
    "cnn": cnn.space,
    "cnn_split": cnn_split.space,
    "cnn_ws": cnn_ws.space,
    "cnn_aux": cnn_aux.space,
    "cnn_ws_aux": cnn_ws_aux.space,
    "cnn_distance": cnn_distance.space,
    "cnn_transfer": cnn_transfer.space,
    "cnn_digit": cnn_digit.space,
    "cnn_digit_deep": cnn_digit_deep.space,
    "mlp_backprop": mlp_backprop.space,
}
"""One space per variant, so that all variants can be compared at equal budget."""
