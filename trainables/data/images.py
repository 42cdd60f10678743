"""Images of single digits: MNIST if available, else the digits that scikit-learn embeds."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from foldsweep.errors import UserError
from foldsweep.texts import text
from trainables.data.digits import digits_source
from trainables.data.idx import IdxFile
from trainables.data.mnist import ADVICE, FILES, MIRRORS, MnistMissing, mnist_folder, mnist_source
from trainables.data.source import DigitImages, ImageSource

__all__ = ["DATASETS", "DigitImages", "ImageSource", "load_images"]

DATASETS = ("auto", "mnist", "digits")
_PATIENT = (15.0, 30.0)
"""Limits of a download in seconds, until it begins and between two parts of it."""


def load_images(
    dataset: str,
    *,
    data_dir: Path | None = None,
    answer_s: float = 8.0,
    mirrors: Sequence[str] = MIRRORS,
    files: Mapping[str, IdxFile] = FILES,
    progress: bool = True,
) -> tuple[ImageSource, str]:
    """Load the images of a dataset; return them and a line that names the dataset and the reason.

    `auto` is MNIST if its files exist or a mirror delivers them, else `digits`.
    Damaged files are an error and not a reason to use other data. With the environment variable
    FOLDSWEEP_OFFLINE=1 nothing is downloaded.

    Args:
        dataset: `auto`, `mnist` or `digits`.
        data_dir: Folder of the MNIST files; None for the folder in FOLDSWEEP_DATA, else a folder
            in the user's cache.
        answer_s: How long `auto` waits for each part of a mirror's answer, in seconds. 0 turns
            downloads off. `mnist` waits longer.
        mirrors: URLs of folders to download MNIST from, tried in turn; empty to turn downloads
            off.
        files: Files of MNIST, replaced in tests only.
        progress: Whether to show the progress of a download if stderr is a terminal.

    Raises:
        UserError: If there is no such dataset, MNIST is damaged, or `mnist` is not available.
    """
    if dataset not in DATASETS:
        raise UserError.of("images.dataset-unknown", dataset=dataset, known=", ".join(DATASETS))
    if dataset == "digits":
        return _digits("")
    if os.environ.get("FOLDSWEEP_OFFLINE") == "1":
        mirrors = ()
    timeout = _PATIENT
    if dataset == "auto":
        mirrors = mirrors if answer_s > 0 else ()
        timeout = (min(3.0, answer_s), answer_s)
    folder = mnist_folder(data_dir)
    try:
        source = mnist_source(
            folder, timeout=timeout, mirrors=mirrors, files=files, progress=progress
        )
    except MnistMissing as error:
        if dataset == "mnist":
            raise UserError.of("images.mnist-missing", reason=error, advice=ADVICE) from error
        return _digits(text("images.instead-of-mnist", why=error, advice=ADVICE))
    num_train, num_test = len(source.train), len(source.test)
    return source, text("images.mnist", folder=folder, train=num_train, test=num_test)


def _digits(why: str) -> tuple[ImageSource, str]:
    """Return the embedded digits, and the line that names them."""
    source = digits_source()
    num_images = len(source.train) + len(source.test)
    return source, text("images.digits", images=num_images, why=why)
