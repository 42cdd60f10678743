"""Stand-alone files of a trained model, which map raw inputs to predictions without foldsweep.

A file gives the predictions of `KeptModel.predict`, for any number of rows.
"""

import contextlib
import inspect
import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from foldsweep.errors import UserError
from foldsweep.recipe import ModelFormat
from trainables.keep.ensemble import Ensemble
from trainables.keep.model import KeptModel, load_estimators
from trainables.keep.network import Predictor, tensor_of
from trainables.tasks.samples import Samples

SUFFIXES: dict[ModelFormat, str] = {
    "torchscript": ".pt",
    "onnx": ".onnx",
    "pt2": ".pt2",
    "skops": ".skops",
}
TOLERANCE = 1e-5
"""Largest allowed difference between predictions of the file and of the original: absolute if all
are at most 1, else relative to the largest. Whole numbers must be equal."""
_CHECK_BATCH = 500


def write_standalone(model: KeptModel, path: Path, kind: ModelFormat, samples: Samples) -> float:
    """Write a file, and read it again to compare it with the original.

    Args:
        model: Model to write.
        path: File to write; replaced only if the new file agrees with the original.
        kind: Format of the file: skops for estimators, the others for networks.
        samples: Rows to compare on, all of them and the first alone.

    Returns:
        The largest difference between predictions, measured as for `TOLERANCE`.

    Raises:
        UserError: If the model cannot be expressed in the format, or the file's predictions differ
            from those of the original.
    """
    check_format(model.predictor is not None, kind, model.variant.name, model.size)
    try:
        with tempfile.TemporaryDirectory(dir=path.parent) as folder, _quiet():
            part = Path(folder) / path.name
            try:
                difference = _written(model, part, kind, samples)
            except Exception as error:  # torch, onnx or a user's own layer may raise anything
                raise UserError.of(
                    "keep-formats.not-expressible",
                    variant=model.variant.name,
                    format=kind,
                    reason=_reason(error),
                ) from error
            if not difference <= TOLERANCE:
                raise UserError.of(
                    "keep-formats.differs-from-original",
                    variant=model.variant.name,
                    format=kind,
                    difference=difference,
                    tolerance=TOLERANCE,
                )
            part.replace(path)
    except OSError as error:
        raise UserError.of(
            "keep-formats.file-not-writable", path=path, reason=error.strerror
        ) from None
    return difference


def check_format(network: bool, kind: ModelFormat, name: str, size: int = 1) -> None:
    """Refuse a format that does not suit a model.

    Args:
        network: Whether the model is a network; else it is an estimator.
        kind: The format.
        name: Name of the variant.
        size: Number of models in an ensemble; 1 for a single model.

    Raises:
        UserError: If the format does not suit the model.
    """
    if network and kind == "skops":
        raise UserError.of("keep-formats.network-for-skops", variant=name)
    if not network and kind != "skops":
        raise UserError.of("keep-formats.estimator-without-skops", variant=name, format=kind)
    if not network and size > 1:
        raise UserError.of("keep-formats.ensemble-for-skops", variant=name)


def _written(model: KeptModel, path: Path, kind: ModelFormat, samples: Samples) -> float:
    if model.predictor is None:
        model.save_estimators(path)
        read = KeptModel(
            recipe=model.recipe,
            variant=model.variant,
            estimators=load_estimators(path, own=model.code is not None),
            raw=model.raw,
        )
        wanted, given = (m.predict(samples.inputs) for m in (model, read))
        return _difference([*wanted.values()], [*given.values()])
    inputs = {k: tensor_of(a) for k, a in model.checked(samples.inputs).items()}
    # a traced program may contain its example inputs, so they are zeros and no real rows
    two = tuple(torch.zeros_like(tensor[:1]).repeat_interleave(2, 0) for tensor in inputs.values())
    outputs = tuple(model.predictor.named(*two))
    _write(_with_names(model.predictor, tuple(inputs)), path, kind, two, outputs)
    answers = _Answers(path, kind, tuple(inputs))
    whole = tuple(inputs.values())
    batches = zip(*(tensor.split(_CHECK_BATCH) for tensor in whole), strict=True)
    parts = [tuple(tensor[:1] for tensor in whole), *batches]
    return max(
        _difference([a.numpy() for a in model.predictor(*part)], answers(part)) for part in parts
    )


def _with_names(predictor: Predictor | Ensemble, names: Sequence[str]) -> nn.Module:
    """The predictor as a module whose arguments have the names of the inputs.

    Exporters read the names from the signature of `forward`.
    """

    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.predictor = predictor

        def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
            return self.predictor(*inputs)

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    own = [inspect.Parameter(name, kind) for name in ("self", *names)]
    Named.forward.__signature__ = inspect.Signature(own)  # type: ignore[attr-defined]
    return Named().eval()


def _write(
    module: nn.Module,
    path: Path,
    kind: ModelFormat,
    two: tuple[Tensor, ...],
    outputs: tuple[str, ...],
) -> None:
    names = list(inspect.signature(module.forward).parameters)
    rows = torch.export.Dim("n")
    any_number = {name: {0: rows} for name in names}
    if kind == "torchscript":
        torch.jit.trace(module, two, check_trace=False).save(str(path))
    elif kind == "pt2":
        _reallocate_empty(module)
        program = torch.export.export(module, two, dynamic_shapes=any_number)
        torch.export.save(program, path)
    else:
        torch.onnx.export(
            module,
            two,
            path,
            input_names=names,
            output_names=outputs,
            dynamic_shapes=any_number,
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def _reallocate_empty(module: nn.Module) -> None:
    """Give each empty buffer an empty storage; torch cannot save a program with others."""
    for part in module.modules():
        for name, buffer in part.named_buffers(recurse=False):
            if buffer.numel() == 0:
                setattr(part, name, torch.zeros_like(buffer))


class _Answers:
    """Predictions of a written file, which is read once."""

    def __init__(self, path: Path, kind: ModelFormat, names: tuple[str, ...]):
        self.names = names
        self.program: Any = None
        self.evaluator: Any = None
        if kind == "torchscript":
            self.program = torch.jit.load(str(path))
        elif kind == "pt2":
            self.program = torch.export.load(path).module()
        else:
            from onnx.reference import ReferenceEvaluator  # slow to import, and needed here only

            self.evaluator = ReferenceEvaluator(str(path))

    def __call__(self, inputs: Sequence[Tensor]) -> list[np.ndarray]:
        if self.program is not None:
            return [tensor.numpy() for tensor in self.program(*inputs)]
        arrays = [tensor.numpy() for tensor in inputs]
        named: Mapping[str, np.ndarray] = dict(zip(self.names, arrays, strict=True))
        return [np.asarray(array) for array in self.evaluator.run(None, named)]


def _difference(wanted: Sequence[np.ndarray], given: Sequence[np.ndarray]) -> float:
    """The largest difference; infinite if arrays differ in shape or whole numbers differ."""
    if [w.shape for w in wanted] != [g.shape for g in given]:
        return float("inf")
    return max(_apart(w, g) for w, g in zip(wanted, given, strict=True))


def _apart(wanted: np.ndarray, given: np.ndarray) -> float:
    if wanted.dtype.kind != "f":
        return 0.0 if np.array_equal(wanted, given) else float("inf")
    scale = max(1.0, float(np.abs(wanted).max()))
    return float(np.abs(wanted - given).max()) / scale


def _reason(error: BaseException) -> str:
    """Type and first line of an error's root cause."""
    while (cause := error.__cause__) is not None:
        error = cause
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress torch's notices about tracing and future changes: the written file is compared."""
    exporter = logging.getLogger("torch.onnx")
    level = exporter.level
    exporter.setLevel(logging.ERROR)  # it warns that torchvision, which is not needed, is missing
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        exporter.setLevel(level)
