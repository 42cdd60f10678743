"""Network whose dropout noise the stack cannot draw."""

from torch import nn

from trainables.models.layers import Dropout
from trainables.models.pairs.scores import PairConfig, Scores
from trainables.tasks.larger_digit import TASK
from trainables.tasks.task import Variant


class Draws(nn.Module):
    """User-defined network: runs one dropout layer twice, and has another that draws by itself."""

    def __init__(self, config):
        super().__init__()
        self.layer = nn.Linear(392, 8)
        self.drop = Dropout(config.dropout)
        self.own = nn.Dropout(config.dropout)
        self.out = nn.Linear(8, 2)

    def forward(self, pair):
        return Scores(self.out(self.own(self.drop(self.drop(self.layer(pair.flatten(1)))))))


DRAWS = Variant(name="draws", task=TASK, model=Draws, config=PairConfig)
