"""Stand-alone files of a trained model: raw images in, probabilities out, none of our code needed.

What is written gives what `PairClassifier` gives, for any number of pairs in single precision.
"""

import contextlib
import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from foldsweep.errors import UserError
from trainables.keep.classifier import PairClassifier
from trainables.keep.model import FittedModel
from trainables.recipe import ModelFormat

SUFFIXES: dict[ModelFormat, str] = {"torchscript": ".pt", "onnx": ".onnx", "pt2": ".pt2"}
TOLERANCE = 1e-5
"""Largest difference between a probability of the file and one of the original."""
INPUT = "images"
OUTPUTS = ("probability", "digit_probabilities")
"""Names in an ONNX file; the second is there where the variant names digits."""
_CHECK_BATCH = 500


def write_standalone(
    model: FittedModel, path: Path, kind: ModelFormat, pairs: Float32[np.ndarray, "n 2 h w"]
) -> float:
    """Write a file, and read it again to compare it with the original.

    Args:
        model: What to write.
        path: Replaced once the file is found to be right.
        kind: ModelFormat of the file.
        pairs: Raw images to compare on, all of them and one alone.

    Returns:
        The largest difference of a probability.

    Raises:
        UserError: If the network cannot be expressed in the format, or the file says something
            else than the original.
    """
    images = torch.from_numpy(pairs)
    try:
        with tempfile.TemporaryDirectory(dir=path.parent) as folder, _quiet():
            part = Path(folder) / path.name
            try:
                _write(model.classifier, part, kind, images[:2].clone())
                difference = max(
                    _difference(model.classifier(batch), _answers(part, kind, batch))
                    for batch in (images[:1], *images.split(_CHECK_BATCH))
                )
            except Exception as error:  # whatever torch, onnx or a user's own layer raises
                raise UserError(
                    f"{model.variant.name} cannot be written as {kind}: {_reason(error)}"
                ) from error
            if not difference <= TOLERANCE:
                raise UserError(
                    f"{model.variant.name} as {kind} differs from the original by"
                    f" {difference:.2g} on the test pairs, more than {TOLERANCE:g}: not written"
                )
            part.replace(path)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from None
    return difference


def _write(classifier: PairClassifier, path: Path, kind: ModelFormat, two_pairs: Tensor) -> None:
    any_number = ({0: torch.export.Dim("n")},)
    if kind == "torchscript":
        torch.jit.trace(classifier, two_pairs, check_trace=False).save(str(path))
    elif kind == "pt2":
        program = torch.export.export(classifier, (two_pairs,), dynamic_shapes=any_number)
        torch.export.save(program, path)
    else:
        torch.onnx.export(
            classifier,
            (two_pairs,),
            path,
            input_names=[INPUT],
            output_names=OUTPUTS[: len(classifier(two_pairs))],
            dynamic_shapes=any_number,
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def _answers(path: Path, kind: ModelFormat, images: Tensor) -> Sequence[Tensor]:
    """What a file says of pairs."""
    if kind == "torchscript":
        return torch.jit.load(str(path))(images)
    if kind == "pt2":
        return torch.export.load(path).module()(images)
    from onnx.reference import ReferenceEvaluator  # slow to import, and needed for ONNX only

    said = ReferenceEvaluator(str(path)).run(None, {INPUT: images.numpy()})
    return [torch.from_numpy(np.asarray(array)) for array in said]


def _difference(wanted: Sequence[Tensor], given: Sequence[Tensor]) -> float:
    """The largest one; infinite where there is nothing to compare, NaN where there is NaN."""
    if [w.shape for w in wanted] != [g.shape for g in given]:
        return float("inf")
    return max(float((w - g).abs().max()) for w, g in zip(wanted, given, strict=True))


def _reason(error: BaseException) -> str:
    """The first line of what an error goes back to."""
    while (cause := error.__cause__) is not None:
        error = cause
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the notices of torch to its own developers and about tracing, which we check."""
    registry = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = registry.level
    registry.setLevel(logging.ERROR)  # torchvision is not installed, and not needed
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is deprecated")
            warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated")
            warnings.simplefilter("ignore", torch.jit.TracerWarning)
            yield
    finally:
        registry.setLevel(level)
