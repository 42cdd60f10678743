"""Initialisation of linear layers, which draws from PyTorch's global random generator.

Call `torch.manual_seed` for reproducible values.

References:
    Glorot and Bengio (2010), "Understanding the difficulty of training deep feedforward neural
    networks", AISTATS. He et al. (2015), "Delving deep into rectifiers", ICCV.
"""

import math
from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from trainables.backprop.names import chosen

Init = Literal["random", "zero", "he", "xavier"]
Values = tuple[Float[Tensor, "out in"], Float[Tensor, " out"]]


def initial_values(init: str, num_inputs: int, num_outputs: int) -> Values:
    """Draw the initial weight and bias of a linear layer.

    Args:
        init: One of `Init`. "random" draws both from U(-1/sqrt(in), 1/sqrt(in)), as
            `torch.nn.Linear` does. "he" draws weights from N(0, 2/in) and "xavier" from
            N(0, 2/(in + out)), where the second parameter is the variance; their biases are 0.
            "zero" sets all values to 0, after which the units of a hidden layer always stay
            equal.
        num_inputs: Number of input features.
        num_outputs: Number of output features.

    Raises:
        UserError: If there is no such initialisation.
    """
    return chosen(INITS, init, what="init")(num_inputs, num_outputs)


def _random(num_inputs: int, num_outputs: int) -> Values:
    bound = 1.0 / math.sqrt(num_inputs)
    weight = torch.empty(num_outputs, num_inputs).uniform_(-bound, bound)
    return weight, torch.empty(num_outputs).uniform_(-bound, bound)


def _zero(num_inputs: int, num_outputs: int) -> Values:
    return torch.zeros(num_outputs, num_inputs), torch.zeros(num_outputs)


def _he(num_inputs: int, num_outputs: int) -> Values:
    std = math.sqrt(2.0 / num_inputs)
    return torch.randn(num_outputs, num_inputs) * std, torch.zeros(num_outputs)


def _xavier(num_inputs: int, num_outputs: int) -> Values:
    std = math.sqrt(2.0 / (num_inputs + num_outputs))
    return torch.randn(num_outputs, num_inputs) * std, torch.zeros(num_outputs)


INITS: dict[str, Callable[[int, int], Values]] = {
    "random": _random,
    "zero": _zero,
    "he": _he,
    "xavier": _xavier,
}
