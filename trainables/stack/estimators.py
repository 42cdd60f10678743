"""The stack of estimators: one clone of a pipeline for each fold."""

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from threadpoolctl import threadpool_limits

from foldsweep.errors import UserError
from trainables.models.estimators.columns import columns_of
from trainables.models.estimators.predicting import predictions_of
from trainables.models.estimators.scoring import loss_of, losses_of, measured, row_values
from trainables.seeds import derive_seed
from trainables.stack.scoring import LOSS
from trainables.stack.stack import Member
from trainables.tasks.metrics import Metric
from trainables.tasks.samples import Samples
from trainables.tasks.task import Shapes, Task


class EstimatorStack:
    """Estimators of one configuration, each fitted on its member's training rows.

    Every parameter named `random_state` is set from the member's seed. The same members give the
    same predictions, regardless of earlier fits and of interruptions: an estimator that is fitted
    in several steps equals one fit of the same number of units.

    Raises:
        ValueError: If members differ in their resource.
        UserError: If the configuration names a resource that the estimator cannot resume.

    Attributes:
        epochs: Units of the resource; 1 if the estimator is fitted in one step.
        epoch: Number of units fitted.
        num_params: Always 0: estimators have no parameters that gradients train.
    """

    def __init__(
        self,
        make_model: Callable[[Any, Shapes], Any],
        members: Sequence[Member],
        samples: Samples,
        *,
        task: Task,
        shapes: Shapes,
    ):
        if len({member.config.epochs for member in members}) > 1:
            raise ValueError("members of one stack must share the resource")
        self.make_model = make_model
        self.members = tuple(members)
        self.task = task
        # shapes of the raw columns, not of the encoded inputs that networks get
        own = {name: array.shape[1:] for name, array in samples.inputs.items()}
        self.shapes = replace(shapes, inputs=own)
        self.columns = columns_of(samples)
        target = samples.targets[task.target]
        self.target = target[:, 0] if target.shape[1:] == (1,) else target
        self.epochs: int = members[0].config.epochs
        self.epoch = 0
        self.num_params = 0
        self._warned: Counter[str] = Counter()
        self._restart()

    @property
    def models(self) -> list[Any]:
        """Each member's pipeline, fitted up to `epoch`."""
        self._catch_up()
        return self._models

    @property
    def warnings(self) -> list[str]:
        """Warnings of fits and predictions: one line per kind, with its count."""
        return [f"{text} ({times}x)" for text, times in self._warned.items()]

    def advance(self, until: int) -> None:
        """Fit up to `until` units, or to the end if there are fewer."""
        self.epoch = max(self.epoch, min(until, self.epochs))
        self._catch_up()

    def predictions(
        self, rows: Int[np.ndarray, " v"] | None = None
    ) -> list[dict[str, np.ndarray]]:
        """Each member's predictions, on its held-out rows or on given `rows` of the samples."""
        return self._predict([m.held_out if rows is None else rows for m in self.members])

    def row_values(self, name: str) -> list[Float[np.ndarray, " _"]] | None:
        """Each member's loss, or a metric of rows, on each of its held-out rows.

        Args:
            name: `loss`, or a metric's name.

        Returns:
            One array per member; None if the estimator's predictions do not allow the value.
        """
        found = []
        for member, said in zip(self.members, self.predictions(), strict=True):
            target = self.target[member.held_out]
            if name == LOSS:
                values = losses_of(target, said, self.target[member.train].std(axis=0))
            else:
                values = row_values(name, self.task.metrics[name], target, said)
            if values is None:
                return None
            found.append(values)
        return found

    def measure(self) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
        """Metrics by name, one value per member: first on held-out rows, then on training rows.

        `loss` is the cross-entropy of a classifier that gives probabilities. For a regressor it is
        the mean squared error as a share of the target's variance on the training rows. Training
        rows have the loss and, if their `Metric.train` is set, the objective and metrics of rows.
        """
        metrics = self.task.metrics
        few = {
            name: metric
            for name, metric in metrics.items()
            if metric.train and (name == self.task.objective or metric.over == "rows")
        }
        held_out = self._measured([m.held_out for m in self.members], metrics)
        return held_out, self._measured([m.train for m in self.members], few)

    def state_dict(self) -> dict[str, Any]:
        """The number of fitted units; estimators are not stored, but fitted again."""
        return {"epoch": self.epoch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from `state`; models are fitted again when they are needed."""
        self.epoch = state["epoch"]
        if self._fitted > self.epoch:
            self._restart()

    def _restart(self) -> None:
        self._fitted = 0
        self._models = [
            seeded(self.make_model(member.config, self.shapes), member.seed)
            for member in self.members
        ]
        self._resource = _resource(self._models[0], self.members[0].config)

    def _catch_up(self) -> None:
        """Fit models up to `epoch`."""
        if self._fitted == self.epoch:
            return
        with self._quiet():
            for member, model in zip(self.members, self._models, strict=True):
                if self._resource is not None:
                    units, warm_start = self._resource
                    model.set_params(**{units: self.epoch, warm_start: self._fitted > 0})
                model.fit(self.columns[member.train], self.target[member.train])
                if self._resource is not None:
                    model.set_params(**{warm_start: False})
        self._fitted = self.epoch

    def _predict(self, rows: Sequence[np.ndarray]) -> list[dict[str, np.ndarray]]:
        models = self.models
        with self._quiet():
            return [
                predictions_of(model, self.columns[row], classes=self.task.outputs)
                for model, row in zip(models, rows, strict=True)
            ]

    def _measured(
        self, rows: Sequence[np.ndarray], metrics: Mapping[str, Metric]
    ) -> dict[str, list[float]]:
        by_name: dict[str, list[float]] = {}
        predictions = self._predict(rows)
        with self._quiet():
            for member, row, predicted in zip(self.members, rows, predictions, strict=True):
                target = self.target[row]
                values = {
                    name: measured(name, m, target, predicted) for name, m in metrics.items()
                }
                values[LOSS] = loss_of(target, predicted, self.target[member.train].std(axis=0))
                for name, value in values.items():
                    if value is not None:
                        by_name.setdefault(name, []).append(value)
        return by_name

    @contextmanager
    def _quiet(self) -> Iterator[None]:
        """Run on one thread, so that rounding is the same everywhere; collect warnings."""
        with threadpool_limits(1), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            # it applies only if rows differ from those of the previous fit, which they do not
            warnings.filterwarnings("ignore", message="class_weight presets")
            yield
        for warning in caught:
            first, *_ = str(warning.message).strip().splitlines() or [""]
            self._warned[f"{warning.category.__name__}: {first}"] += 1


def seeded(model: Any, seed: int) -> Any:
    """Set every parameter named `random_state` from a member's seed; return the estimator."""
    state = random_state_of(seed)
    names = [name for name in model.get_params() if name.rpartition("__")[2] == "random_state"]
    return model.set_params(**dict.fromkeys(names, state))


def random_state_of(seed: int) -> int:
    """Value of `random_state` for a member's seed; scikit-learn takes 32 bits."""
    return derive_seed(seed, 0) % 2**32


def _resource(model: Any, config: Any) -> tuple[str, str] | None:
    """Names of the resource and of its `warm_start`, as `set_params` takes them.

    None if the configuration names no resource.

    Raises:
        UserError: If the estimator does not have these two parameters.
    """
    if config.RESOURCE is None:
        return None
    parameters = model.get_params()
    for name in parameters:
        prefix, separator, parameter = name.rpartition("__")
        warm_start = f"{prefix}{separator}warm_start"
        if parameter == config.RESOURCE and warm_start in parameters:
            return name, warm_start
    raise UserError.of(
        "stack-estimators.resource-unknown",
        config=type(config).__name__,
        resource=config.RESOURCE,
        model=type(model).__name__,
    )
