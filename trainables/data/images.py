"""The images a sweep works on: MNIST if available, else the embedded digits."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from foldsweep.errors import UserError
from trainables.data.digits import digits_source
from trainables.data.download import TimeLimits
from trainables.data.idx import IdxFile
from trainables.data.mnist import ADVICE, FILES, MIRRORS, MnistMissing, mnist_folder, mnist_source
from trainables.data.source import DigitImages, ImageSource

__all__ = ["DATASETS", "DigitImages", "ImageSource", "load_images"]

DATASETS = ("auto", "mnist", "digits")
_PATIENT = TimeLimits(connect_s=15.0, read_s=30.0, first_file_s=120.0, file_s=600.0)


def load_images(
    dataset: str,
    *,
    data_dir: Path | None = None,
    download_s: float = 8.0,
    mirrors: Sequence[str] = MIRRORS,
    files: Mapping[str, IdxFile] = FILES,
    progress: bool = True,
) -> tuple[ImageSource, str]:
    """Images of a dataset, and one line that tells the user which and why.

    `auto` is MNIST where its files are there or can be downloaded soon, else `digits`. Files
    that are there but damaged are an error, not a reason to use other data.

    Args:
        dataset: `auto`, `mnist` or `digits`.
        data_dir: Folder of the MNIST files; None means the one that FOLDSWEEP_DATA names, else
            a folder in the user's cache.
        download_s: Seconds that `auto` waits for a first file of MNIST; the others may take
            five times as long each; 0 means not to download. `mnist` waits for minutes.
        mirrors: URLs of folders to download MNIST from, in turn; none means not to download.
        files: Files of MNIST, replaced in tests only.
        progress: Whether to show a download where stderr is a terminal.

    Raises:
        UserError: If there is no such dataset, or MNIST is damaged, or it was asked for by name
            and is not available.
    """
    if dataset not in DATASETS:
        raise UserError(f"unknown dataset {dataset!r}: choose from {', '.join(DATASETS)}")
    if dataset == "digits":
        return _digits("")
    if os.environ.get("FOLDSWEEP_OFFLINE") == "1":
        mirrors = ()
    limits = _PATIENT
    if dataset == "auto":
        mirrors = mirrors if download_s > 0 else ()
        limits = TimeLimits(
            connect_s=min(3.0, download_s),
            read_s=download_s,
            first_file_s=download_s,
            file_s=5 * download_s,
        )
    folder = mnist_folder(data_dir)
    try:
        source = mnist_source(
            folder, limits=limits, mirrors=mirrors, files=files, progress=progress
        )
    except MnistMissing as error:
        if dataset == "mnist":
            raise
        return _digits(
            f", because {error.reason}; results are on `digits`; to use MNIST, {ADVICE}"
        )
    num_train, num_test = len(source.train), len(source.test)
    return source, f"data: MNIST from {folder} ({num_train:,} + {num_test:,} images)"


def _digits(why: str) -> tuple[ImageSource, str]:
    """The embedded digits, with the line that names them."""
    source = digits_source()
    num_images = len(source.train) + len(source.test)
    return source, f"data: digits, {num_images:,} small images in scikit-learn{why}"
