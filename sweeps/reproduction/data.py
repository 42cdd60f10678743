"""Data of rows and grids: pairs of given images, or random points."""

from dataclasses import replace

from trainables.data.pairs import draw_pairs
from trainables.data.source import ImageSource
from trainables.presets.preset import Preset, Protocol
from trainables.tasks import disc
from trainables.tasks.samples import Data
from trainables.variants import VARIANTS

POINTS = disc.TASK.name
"""Name of the dataset of points."""


def dataset_of(preset: Preset, images: str) -> str:
    """Name of the dataset that a row is measured on.

    Args:
        preset: The row.
        images: Name of the loaded dataset of images, for rows that compare digits.
    """
    return POINTS if VARIANTS[preset.variant].task is disc.TASK else images


def draw(
    dataset: str,
    images: ImageSource,
    *,
    seed: int,
    train_pairs: int | None = None,
    test_pairs: int | None = None,
) -> Data:
    """Draw points or pairs of images, by the dataset; fewer are the first of more."""
    if dataset == POINTS:
        return disc.draw(seed, train_pairs, test_pairs)
    return draw_pairs(images, seed=seed, train_pairs=train_pairs, test_pairs=test_pairs)


def scaled(protocol: Protocol, dataset: str, images: ImageSource) -> Protocol:
    """The protocol with as many pairs as a smaller dataset has, in the same proportions."""
    if dataset in (POINTS, "mnist"):
        return protocol
    train = min(protocol.train_pairs, len(images.train) // 2)
    test = min(protocol.test_pairs, len(images.test) // 2)
    return replace(
        protocol,
        train_pairs=train,
        test_pairs=test,
        held_back=protocol.held_back * train // protocol.train_pairs,
        test_from=protocol.test_from * test // protocol.test_pairs,
        fresh_data=False,  # a smaller dataset has no pairs for other rounds
    )
