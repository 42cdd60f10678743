"""Stand-ins for launches: a user's task and a Ray that does not start."""

from sweeps.cluster import Cluster
from sweeps.resources import Allotment
from sweeps.settings import SweepSettings
from trainables.tasks.samples import Data

OWN_TASK = """
import numpy as np
from foldsweep import Data, SearchSpace, classification, tune, variant
from foldsweep.models import Perceptron, PerceptronClassifierConfig

rng = np.random.default_rng(0)
task = classification({task!r}, Data.of(rng.normal(size=(60, 3)), rng.permutation([0, 1] * 30)))

def space():
    own = variant("mine", task, Perceptron, PerceptronClassifierConfig)
    return SearchSpace(name={name!r}, variant=own, domains={{"lr": tune.uniform(0, 1)}})
"""


class Waiting(Cluster):
    """Ray that is never started."""

    def start(self) -> None:
        """Do nothing yet."""

    def __enter__(self) -> Allotment:
        return Allotment(cpus=1, gpus=0, concurrency=1)

    def __exit__(self, *error: object) -> None:
        """Do nothing: there is nothing to end."""


Given = dict[str, tuple[SweepSettings, list[str], Data]]
