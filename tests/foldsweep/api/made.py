"""Network that a program defines; tests can hook into its training."""

from collections.abc import Callable

from torch import Tensor, nn

import foldsweep as fs

hooks: list[Callable[[], None]] = []
"""Functions that are called at each forward pass of a `Net`."""


class Net(nn.Module):
    """One linear layer."""

    def __init__(self, config: fs.TrialConfig, shapes: fs.Shapes):
        super().__init__()
        (size,) = shapes.inputs["numeric"]
        self.layer = nn.Linear(size, shapes.outputs)

    def forward(self, rows: Tensor) -> Tensor:
        for hook in hooks:
            hook()
        return self.layer(rows)
