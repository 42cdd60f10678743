"""A trial's configuration: frozen, complete, validated; models add their own fields."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Literal, TypeVar, get_type_hints

from foldsweep.checks import MOST, brief, described, fits, is_huge, meant
from foldsweep.choices import tupled
from foldsweep.errors import UserError, first_line, shown_error
from foldsweep.texts import text

LrSchedule = Literal["constant", "cosine"]
Precision = Literal["float32", "bfloat16"]
ClassWeight = Literal["none", "balanced"]
Config = TypeVar("Config", bound="BaseConfig")


@dataclass(frozen=True, kw_only=True)
class BaseConfig:
    """Base class of all configurations: checked fields, and the number of epochs.

    A field's name is also its search-space key and its MLflow parameter.

    Raises:
        UserError: If a value is of the wrong type or outside its range.
    """

    IMPLIED: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Fields that another field determines, by the name of that field; applies if it is not None.
    `from_dict` then ignores their given values."""

    def __post_init__(self) -> None:
        for name, hint in _hints(type(self)).items():
            # plain assignment would raise, since the dataclass is frozen
            object.__setattr__(self, name, _as_typed(name, getattr(self, name), hint))

    def require(self, name: str, holds: bool, rule: str) -> None:
        """Refuse a field's value unless a condition holds.

        Args:
            name: Name of the field.
            holds: Whether the condition holds.
            rule: The condition in words, which follow "must be".

        Raises:
            UserError: Naming field, rule and value.
        """
        if not holds:
            value = brief(getattr(self, name))
            raise UserError.of("config.value-refused", field=name, rule=rule, value=value)

    def require_at_least(self, least: int, **values: float | tuple[int, ...] | None) -> None:
        """Refuse fields whose value, or smallest value, is below `least`; None is accepted.

        Raises:
            UserError: At the first such field.
        """
        for name, value in values.items():
            numbers = value if isinstance(value, tuple) else (value,)
            holds = all(number is None or number >= least for number in numbers)
            self.require(name, holds, text("rules.at-least", least=least))

    def require_amounts(self, *names: str) -> None:
        """Refuse fields whose value is not finite or is below 0.

        Raises:
            UserError: At the first such field.
        """
        for name in names:
            value = getattr(self, name)
            self.require(name, math.isfinite(value) and value >= 0, text("rules.amount"))

    @classmethod
    def from_dict(cls: type[Config], values: Mapping[str, Any]) -> Config:
        """Build from flat keys, as a sampler or a file gives them.

        Raises:
            UserError: If a key is not a field of this class or a value is of wrong type or range.
        """
        known = {field.name: field for field in fields(cls)}
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise UserError.of(
                "config.field-unknown",
                config=cls.__name__,
                unknown=", ".join(unknown),
                known=", ".join(known),
            )
        hints = _hints(cls)
        values = {k: tupled(v) for k, v in values.items()}
        values = {k: _as_typed(k, v, hints.get(k, Any)) for k, v in values.items()}
        for giving, given in cls.IMPLIED.items():
            if values.get(giving) is not None:
                values = {k: v for k, v in values.items() if k not in given}
        try:
            return cls(**values)
        except UserError:
            raise
        except Exception as error:  # a user's class may raise anything when it checks its fields
            what = first_line(error) if isinstance(error, TypeError) else shown_error(error)
            raise UserError.of(
                "config.not-built", config=cls.__name__, given=brief(values), problem=what
            ) from None

    def to_dict(self) -> dict[str, Any]:
        """All fields as a flat dict, which MLflow records and `from_dict` reads back."""
        return asdict(self)

    @property
    def epochs(self) -> int:
        """Epochs of a whole trial, or units of an estimator's resource.

        Networks define it as a field.
        """
        raise NotImplementedError

    @property
    def pretrain_epochs(self) -> int:
        """Number of initial epochs that do not train the objective, whose scores mean nothing."""
        return 0


@dataclass(frozen=True, kw_only=True)
class TrialConfig(BaseConfig):
    """Base configuration of networks: optimisation, regularisation, epochs.

    Raises:
        UserError: If a value is of the wrong type or outside its range.
    """

    lr: float = 1e-3
    """Adam's learning rate in the first epoch."""
    lr_decay: float = 1.0
    """Factor on the learning rate after each epoch."""
    lr_schedule: LrSchedule = "constant"
    """`cosine` lowers the learning rate to 0 over all epochs, in addition to `lr_decay`."""
    weight_decay: float = 0.0
    """Adam's L2 penalty, added to the gradient."""
    batch_size: int = 100
    epochs: int = 30
    """Epochs of a whole trial."""
    dropout: float = 0.0
    shuffle: bool = True
    """Whether rows have a new random order in each epoch, instead of a fixed order."""
    precision: Precision = "float32"
    """Precision of the network's matrix products and convolutions; weights, loss and Adam are
    always float32."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_amounts("lr", "weight_decay")
        self.require("lr_decay", 0.0 < self.lr_decay <= 1.0, text("rules.share"))
        self.require_at_least(1, batch_size=self.batch_size, epochs=self.epochs)
        self.require("epochs", self.epochs <= MOST, text("rules.at-most", most=MOST))
        self.require("dropout", 0.0 <= self.dropout < 1.0, text("rules.part"))

    def lr_at(self, epoch: int) -> float:
        """Learning rate of an epoch, counted from 0."""
        lr = self.lr * self.lr_decay**epoch
        if self.lr_schedule == "cosine":
            lr *= 0.5 * (1.0 + math.cos(math.pi * epoch / self.epochs))
        return lr

    def loss_values_at(self, epoch: int) -> Mapping[str, float]:
        """Keyword arguments of the loss that change with the epoch, counted from 0."""
        return {}

    def frozen_at(self, epoch: int) -> tuple[str, ...]:
        """Parts of the network, by name, that are not trained in an epoch, counted from 0.

        If they change, a new phase begins, with a new optimiser.
        """
        return ()


@dataclass(frozen=True, kw_only=True)
class SmoothedConfig(TrialConfig):
    """Configuration of a network with label smoothing."""

    label_smoothing: float = 0.0
    """Share of a target's probability that is spread evenly over all classes."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("label_smoothing", 0.0 <= self.label_smoothing < 1.0, text("rules.part"))


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig(SmoothedConfig):
    """Configuration of a network that classifies."""

    class_weight: ClassWeight = "none"
    """`balanced` weights rows so that every class counts the same, as in scikit-learn."""


@dataclass(frozen=True, kw_only=True)
class ImageConfig(TrialConfig):
    """Configuration of a network whose training images are augmented at random."""

    shift: float = 0.0
    """Augmentation: largest shift in pixels, each direction."""
    rotation: float = 0.0
    """Augmentation: largest rotation in degrees, either way."""
    scale: float = 0.0
    """Augmentation: largest zoom as a fraction, in or out."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_amounts("shift", "rotation", "scale")


def _as_typed(name: str, given: Any, hint: Any) -> Any:
    """Convert the value of a field to the field's type.

    Raises:
        UserError: If the value is of another type.
    """
    value = meant(given, hint)
    if not fits(value, hint):
        rule = described(hint)
        rule = text("config.not-huge", type=rule) if is_huge(value) else rule
        raise UserError.of("config.value-refused", field=name, rule=rule, value=brief(value))
    return value


def _hints(config: type[BaseConfig]) -> dict[str, Any]:
    """Types of a class's fields; empty if a worker cannot resolve the names of a user's types."""
    try:
        hints = get_type_hints(config)
    except NameError:
        return {}
    return {field.name: hints[field.name] for field in fields(config)}
