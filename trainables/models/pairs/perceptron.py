"""Perceptrons on the flattened pair."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from foldsweep.texts import text
from trainables.models.layers import Activation, Widths, dense_layers, widths_of
from trainables.models.pairs.scores import PairConfig, Scores


@dataclass(frozen=True, kw_only=True)
class PerceptronConfig(PairConfig):
    """Perceptron on the 392 pixels of a pair."""

    hidden: Widths = 32
    """Hidden units: one width for each of `hidden_layers` layers, or a width per layer."""
    hidden_layers: int = 1
    activation: Activation = "relu"
    batch_norm: bool = False
    dropout_first: bool = False
    """Dropout before the activation instead of after it."""
    outputs: int = 2
    """Output units: 2 with cross-entropy, or 1 with binary cross-entropy."""
    squash: bool = False
    """Sigmoid before the cross-entropy of two units, as in some reports; damps the gradients."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_at_least(1, hidden=widths_of(self.hidden))
        self.require_at_least(0, hidden_layers=self.hidden_layers)
        self.require(
            "outputs",
            self.outputs == 2 or (self.outputs == 1 and not self.squash),
            text("perceptron.outputs"),
        )

    @property
    def hidden_widths(self) -> tuple[int, ...]:
        """Units of each hidden layer."""
        return widths_of(self.hidden, repeat=self.hidden_layers)


class Perceptron(nn.Module):
    """Flattening, hidden layers, comparison scores."""

    takes_leading_axes = True

    def __init__(self, config: PerceptronConfig, *, num_pixels: int = 2 * 14 * 14):
        super().__init__()
        widths = config.hidden_widths
        self.hidden = dense_layers(
            num_pixels,
            widths,
            activation=config.activation,
            dropout=config.dropout,
            dropout_first=config.dropout_first,
            batch_norm=config.batch_norm,
        )
        self.output = nn.Linear((num_pixels, *widths)[-1], config.outputs)
        self.squash = config.squash

    def forward(self, pair: Float[Tensor, "*m b 2 h w"]) -> Scores:
        scores = self.output(self.hidden(pair.flatten(-3)))
        return Scores(scores.sigmoid() if self.squash else scores)
