"""A network whose dropout the stack cannot draw for."""

from torch import nn

from trainables.config import TrialConfig
from trainables.models.layers import Dropout, Scores
from trainables.variants import Variant


class Draws(nn.Module):
    """A user's network that runs one dropout layer twice and draws by itself besides."""

    def __init__(self, config):
        super().__init__()
        self.layer = nn.Linear(392, 8)
        self.drop = Dropout(config.dropout)
        self.own = nn.Dropout(config.dropout)
        self.out = nn.Linear(8, 2)

    def forward(self, pair):
        return Scores(self.out(self.own(self.drop(self.drop(self.layer(pair.flatten(1)))))))


DRAWS = Variant(name="draws", model=Draws, config=TrialConfig)
