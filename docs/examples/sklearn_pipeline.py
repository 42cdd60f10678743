"""A pipeline of scikit-learn, whose parameters are searched like a network's.

python sweeps/run.py --space docs/examples/sklearn_pipeline.py --trials 20
"""

from dataclasses import dataclass

from sklearn.datasets import load_wine
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import foldsweep as fs
from foldsweep import tune


@dataclass(frozen=True, kw_only=True)
class DiscriminantConfig(fs.EstimatorConfig):
    """Parameters that vary; a field each."""

    components: int = 5
    reg_param: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("components", 1 <= self.components <= 13, "from 1 to 13")


def pipeline(config: DiscriminantConfig, shapes: fs.Shapes):
    """An unfitted pipeline; every fold fits a clone of it on its training rows."""
    discriminant = QuadraticDiscriminantAnalysis(reg_param=config.reg_param)
    return make_pipeline(StandardScaler(), PCA(config.components), discriminant)


data = fs.Data.of(*load_wine(return_X_y=True, as_frame=True), name="wine")
task = fs.classification("wine", data, objective="f1_macro")


def space() -> fs.SearchSpace:
    """Number of components, and regularisation."""
    return fs.SearchSpace(
        name="wine_qda",
        variant=fs.variant("qda", task, pipeline, DiscriminantConfig),
        domains={"components": tune.randint(2, 14), "reg_param": tune.uniform(0, 1)},
        points=[fs.Point(name="plain", config={"components": 5, "reg_param": 0.0})],
    )
