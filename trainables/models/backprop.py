"""Perceptrons of `trainables.backprop`, the library without autograd, for two classes."""

from dataclasses import dataclass
from typing import Literal

from torch import nn

from trainables.backprop.activations import ACTIVATIONS, LeakyReLU, ReLU, Sigmoid, Softmax, Tanh
from trainables.backprop.layers import BatchNorm, Linear
from trainables.backprop.module import Module
from trainables.backprop.schedules import Schedule, scheduled_lr
from trainables.backprop.sequential import Sequential
from trainables.config import TrialConfig
from trainables.models.layers import Widths, widths_of

HiddenActivation = Literal["relu", "leaky_relu", "tanh", "sigmoid"]
OutputActivation = Literal["none", "sigmoid", "softmax"]


@dataclass(frozen=True, kw_only=True)
class BackpropConfig(TrialConfig):
    """Perceptron with two outputs, and its training."""

    hidden: Widths = 25
    """Hidden units: one width for each of `hidden_layers` layers, or a width per layer."""
    hidden_layers: int = 3
    activation: HiddenActivation = "relu"
    output_activation: OutputActivation = "none"
    """Activation of the outputs; the cross-entropy criterion applies a softmax in any case."""
    batch_norm: bool = False
    """Batch-norm before each hidden activation."""
    init: Literal["zero", "random", "he", "xavier"] = "random"
    optimiser: Literal["sgd", "momentum", "adagrad", "rmsprop"] = "sgd"
    criterion: Literal["cross_entropy", "mse"] = "cross_entropy"
    schedule: Schedule = "constant"
    """Learning-rate schedule over the epochs, see `trainables.backprop.schedules`."""
    schedule_rate: float = 0.0
    """Decay rate of the schedule; unused by `constant` and `step`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_at_least(1, hidden=widths_of(self.hidden))
        self.require_at_least(
            0, hidden_layers=self.hidden_layers, schedule_rate=self.schedule_rate
        )
        self.require("dropout", self.dropout == 0, "0: this library has none")
        self.require(
            "precision", self.precision == "float32", "float32: this library has no other"
        )
        self.require("lr_decay", self.lr_decay == 1, "1: see schedule")
        self.require("lr_schedule", self.lr_schedule == "constant", "constant: see schedule")

    @property
    def hidden_widths(self) -> tuple[int, ...]:
        """Units of each hidden layer."""
        return widths_of(self.hidden, repeat=self.hidden_layers)

    def lr_at(self, epoch: int) -> float:
        return scheduled_lr(self.schedule, self.lr, self.schedule_rate, epoch)


def backprop_net(config: BackpropConfig, *, num_inputs: int) -> Sequential:
    """Build a network of linear layers with activations between them and two outputs."""
    modules: list[Module] = []
    before = num_inputs
    for width in config.hidden_widths:
        modules.append(Linear(before, width, init=config.init))
        if config.batch_norm:
            modules.append(BatchNorm(width))
        modules.append(ACTIVATIONS[config.activation]())
        before = width
    modules.append(Linear(before, 2, init=config.init))
    if config.output_activation != "none":
        modules.append(ACTIVATIONS[config.output_activation]())
    return Sequential(modules)


def as_torch(network: Sequential) -> nn.Sequential:
    """Convert a network to PyTorch modules in evaluation mode, for export formats of PyTorch."""
    return nn.Sequential(*map(_torch_layer, network.parts)).eval()


def _torch_layer(layer: Module) -> nn.Module:
    match layer:
        case Linear():
            values = layer.parameters()
            num_outputs, num_inputs = values["weight"].shape
            linear = nn.Linear(num_inputs, num_outputs)
            linear.load_state_dict(values)
            return linear
        case BatchNorm():
            norm = nn.BatchNorm1d(
                len(layer.buffers()["running_mean"]), layer.eps, affine=layer.learn
            )
            learnt = {"gamma": "weight", "beta": "bias"}
            values = {learnt[k]: p for k, p in layer.parameters().items()} | layer.buffers()
            norm.load_state_dict(values, strict=False)  # lacks num_batches_tracked
            return norm
        case LeakyReLU():
            return nn.LeakyReLU(layer.slope)
        case ReLU():
            return nn.ReLU()
        case Tanh():
            return nn.Tanh()
        case Sigmoid():
            return nn.Sigmoid()
        case Softmax():
            return nn.Softmax(dim=-1)
    raise NotImplementedError(f"no module of torch for {layer!r}")
