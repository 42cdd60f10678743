"""A trial's configuration: frozen, complete, validated; families add their own fields."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from foldsweep.errors import UserError

LrSchedule = Literal["constant", "cosine"]
AuxSchedule = Literal["constant", "linear"]
Precision = Literal["float32", "bfloat16"]
Config = TypeVar("Config", bound="TrialConfig")


@dataclass(frozen=True, kw_only=True)
class TrialConfig:
    """What every variant has: optimisation, regularisation, loss weights, augmentation.

    Each family extends it by the fields of its architecture. A field's name is also its
    search-space key and its MLflow parameter.

    Raises:
        UserError: If a value is of the wrong type or outside its range.
    """

    lr: float = 1e-3
    """Adam's learning rate in the first epoch."""
    lr_decay: float = 1.0
    """Factor on the learning rate after each epoch."""
    lr_schedule: LrSchedule = "constant"
    """`cosine` brings the learning rate down to 0 over all epochs, on top of `lr_decay`."""
    weight_decay: float = 0.0
    """Adam's L2 penalty, added to the gradient."""
    batch_size: int = 100
    epochs: int = 30
    dropout: float = 0.0
    label_smoothing: float = 0.0
    """Share of the main target's probability mass spread evenly over both outcomes."""
    aux_alpha: float | None = None
    """Auxiliary share: means `main_weight = 1 - aux_alpha` and `aux_weight = aux_alpha / 2`."""
    main_weight: float = 1.0
    """Weight of the comparison loss."""
    aux_weight: float = 0.0
    """Weight of each of the two digit losses."""
    aux_schedule: AuxSchedule = "constant"
    """`linear` moves the loss from the digits to the comparison, see `loss_weights_at`."""
    shuffle: bool = True
    """A new order of the pairs in each epoch, instead of one order for all."""
    shift: float = 0.0
    """Augmentation: largest shift in pixels, each direction."""
    rotation: float = 0.0
    """Augmentation: largest rotation in degrees, either way."""
    scale: float = 0.0
    """Augmentation: largest zoom as a fraction, in or out."""
    precision: Precision = "float32"
    """Of the network's products and convolutions; weights, loss and Adam are always float32."""

    def __post_init__(self) -> None:
        for name, hint in _hints(type(self)).items():
            self.require(name, _fits(getattr(self, name), hint), _described(hint))
        if self.aux_alpha is not None:
            self.require("aux_alpha", 0.0 <= self.aux_alpha <= 1.0, "between 0 and 1")
            object.__setattr__(self, "main_weight", 1.0 - self.aux_alpha)
            object.__setattr__(self, "aux_weight", self.aux_alpha / 2)
        amounts = ("lr", "weight_decay", "main_weight", "aux_weight", "shift", "rotation", "scale")
        for name in amounts:
            value = getattr(self, name)
            self.require(name, math.isfinite(value) and value >= 0, "finite and at least 0")
        self.require("lr_decay", 0.0 < self.lr_decay <= 1.0, "above 0 and at most 1")
        self.require(
            "lr_schedule", self.lr_schedule in ("constant", "cosine"), "constant or cosine"
        )
        self.require(
            "aux_schedule", self.aux_schedule in ("constant", "linear"), "constant or linear"
        )
        self.require("batch_size", self.batch_size >= 1, "at least 1")
        self.require("epochs", self.epochs >= 1, "at least 1")
        self.require("dropout", 0.0 <= self.dropout < 1.0, "at least 0 and below 1")
        self.require(
            "label_smoothing", 0.0 <= self.label_smoothing < 1.0, "at least 0 and below 1"
        )

    def require(self, name: str, holds: bool, rule: str) -> None:
        """Refuse a field's value, in words, unless a condition holds.

        Raises:
            UserError: Naming field, rule and value.
        """
        if not holds:
            raise UserError(f"{name} must be {rule}, but is {getattr(self, name)!r}")

    @classmethod
    def from_dict(cls: type[Config], values: Mapping[str, Any]) -> Config:
        """Build from flat keys, as a sampler or a file gives them.

        Raises:
            UserError: If a key is not a field of this class or a value is of wrong type or range.
        """
        known = {field.name: field for field in fields(cls)}
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise UserError(
                f"{cls.__name__} has no field {', '.join(unknown)}; it has {', '.join(known)}"
            )
        values = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        if values.get("aux_alpha") is not None:
            values.pop("main_weight", None)
            values.pop("aux_weight", None)
        try:
            return cls(**values)
        except TypeError as error:
            raise UserError(f"{cls.__name__} cannot be built from {values}: {error}") from None

    def to_dict(self) -> dict[str, Any]:
        """All fields, flat; what MLflow records and what `from_dict` reads back."""
        return asdict(self)

    def lr_at(self, epoch: int) -> float:
        """Learning rate of an epoch, counted from 0."""
        lr = self.lr * self.lr_decay**epoch
        if self.lr_schedule == "cosine":
            lr *= 0.5 * (1.0 + math.cos(math.pi * epoch / self.epochs))
        return lr

    @property
    def pretrain_epochs(self) -> int:
        """Epochs, from the first, that do not train the comparison; its score says nothing yet."""
        return 0

    def loss_weights_at(self, epoch: int) -> tuple[float, float]:
        """Weights of the comparison loss and of each digit loss in an epoch, counted from 0.

        With `aux_schedule="linear"` the digits' share is (epochs - epoch) / epochs: 1 in the first
        epoch, 1 / epochs in the last.
        """
        if self.aux_schedule == "constant":
            return self.main_weight, self.aux_weight
        share = (self.epochs - epoch) / self.epochs
        return (1.0 - share) * self.main_weight, share * self.aux_weight

    def frozen_at(self, epoch: int) -> tuple[str, ...]:
        """Parts of the network, by name, that are not trained in an epoch, counted from 0.

        Where they change a new phase begins, with a new optimiser.
        """
        return ()


def _hints(config: type[TrialConfig]) -> dict[str, Any]:
    """Types of a class's fields; none where a user's own names cannot be looked up in a worker."""
    try:
        hints = get_type_hints(config)
    except NameError:
        return {}
    return {field.name: hints[field.name] for field in fields(config)}


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of an annotated type; a type that is not known here fits anything."""
    args = get_args(hint)
    match get_origin(hint):
        case origin if origin in (Union, UnionType):
            return any(_fits(value, choice) for choice in args)
        case origin if origin is Literal:
            return any(type(value) is type(choice) and value == choice for choice in args)
        case origin if origin is tuple and args[-1] is Ellipsis:
            return isinstance(value, tuple) and all(_fits(v, args[0]) for v in value)
    if hint in (int, float):
        numbers = int if hint is int else (int, float)
        return isinstance(value, numbers) and not isinstance(value, bool)
    return isinstance(value, hint) if hint in (bool, str, NoneType) else True


def _described(hint: Any) -> str:
    if get_origin(hint) in (Union, UnionType, Literal):
        return " or ".join(_described(choice) for choice in get_args(hint))
    return hint.__name__ if type(hint) is type else str(hint)
