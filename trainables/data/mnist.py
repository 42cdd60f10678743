"""MNIST from four IDX files, whose SHA-256 is checked before they are used."""

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import platformdirs
from jaxtyping import Float32, UInt8

from foldsweep.errors import UserError
from trainables.data.download import (
    DownloadError,
    TimeLimits,
    download_bytes,
    download_progress,
    write_whole,
)
from trainables.data.idx import (
    ContentError,
    IdxFile,
    checked_content,
    idx_array,
    is_gzip,
    stored_content,
)
from trainables.data.source import DigitImages, ImageSource

FOLDER_VARIABLE = "FOLDSWEEP_DATA"
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
ADVICE = (
    f"name a folder with its four files by `--dataset mnist --data-dir DIR` or {FOLDER_VARIABLE}"
)
# Smallest file first, so that a failing download fails early.
FILES: Mapping[str, IdxFile] = {
    "test_labels": IdxFile(
        name="t10k-labels-idx1-ubyte",
        sha256="ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        num_bytes=10_008,
    ),
    "train_labels": IdxFile(
        name="train-labels-idx1-ubyte",
        sha256="65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        num_bytes=60_008,
    ),
    "test_images": IdxFile(
        name="t10k-images-idx3-ubyte",
        sha256="0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        num_bytes=7_840_016,
    ),
    "train_images": IdxFile(
        name="train-images-idx3-ubyte",
        sha256="ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        num_bytes=47_040_016,
    ),
}


class MnistMissing(UserError):
    """Missing MNIST files; the message has the reason why they could not be downloaded."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason}; {ADVICE}, or use `--dataset digits`")
        self.reason = reason


def mnist_folder(data_dir: Path | None = None) -> Path:
    """Folder of the files: `data_dir`, else from the environment, else in the user's cache."""
    chosen = data_dir or os.environ.get(FOLDER_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    return Path(platformdirs.user_cache_dir("foldsweep")) / "mnist"


def mnist_source(
    folder: Path,
    *,
    limits: TimeLimits,
    mirrors: Sequence[str] = MIRRORS,
    files: Mapping[str, IdxFile] = FILES,
    progress: bool = True,
) -> ImageSource:
    """Load MNIST, with its 28x28 images averaged to 14x14.

    Files that are not in the folder are downloaded to it. Every file is checked against its
    SHA-256 on every call; a file that does not match is never used and, if downloaded, never
    stored.

    Args:
        folder: Folder of the files, existing or to be downloaded.
        limits: Time limits of the download.
        mirrors: URLs, ending in a slash, to try in turn; empty to turn downloads off.
        files: Expected files by role, replaced in tests only.
        progress: Whether to show the progress of a download if stderr is a terminal.

    Raises:
        MnistMissing: If a file is missing and cannot be downloaded or stored.
        UserError: If a file cannot be read or does not have MNIST's content, or `folder` is a
            file.
    """
    contents: dict[str, bytes] = {}
    missing: dict[str, IdxFile] = {}
    for role, file in files.items():
        content = _stored(folder, file)
        if content is None:
            missing[role] = file
        else:
            contents[role] = content
    if missing:
        contents |= _download(missing, folder, mirrors=mirrors, limits=limits, progress=progress)
    arrays = {role: idx_array(content) for role, content in contents.items()}
    train, test = (
        DigitImages(
            images=_halved(arrays[f"{part}_images"]),
            labels=arrays[f"{part}_labels"].astype(np.int64),
        )
        for part in ("train", "test")
    )
    return ImageSource(dataset="mnist", train=train, test=test, origin=str(folder))


def _stored(folder: Path, file: IdxFile) -> bytes | None:
    """Return the checked content of a file in the folder; None if there is no such file."""
    path = folder
    try:
        if folder.exists() and not folder.is_dir():
            raise UserError.of("mnist.folder-is-file", folder=folder)
        for path in (folder / spelling for spelling in file.spellings):
            if path.is_file():
                return stored_content(path, file)
    except OSError as error:
        raise UserError.of(
            "mnist.unreadable", path=path, problem=error.strerror, advice=ADVICE
        ) from error
    except ContentError as error:
        raise UserError.of(
            "mnist.damaged", path=path, file=file.name, problem=error, advice=ADVICE
        ) from error
    return None


def _download(
    missing: Mapping[str, IdxFile],
    folder: Path,
    *,
    mirrors: Sequence[str],
    limits: TimeLimits,
    progress: bool,
) -> dict[str, bytes]:
    """Download, check and store files; the mirror that served a file is tried first for the next.

    Raises:
        MnistMissing: If there is no mirror, no mirror serves a file in time, or a file cannot be
            stored.
    """
    what = (
        "MNIST" if len(missing) == len(FILES) else f"MNIST's {next(iter(missing.values())).name}"
    )
    if not mirrors:
        raise MnistMissing.of("mnist.downloading-off", what=what, folder=folder)
    queue = list(mirrors)
    contents: dict[str, bytes] = {}
    with download_progress(wanted=progress) as bar:
        for role, file in missing.items():
            allowed_s = limits.file_s if contents else limits.first_file_s
            deadline = time.monotonic() + allowed_s
            failures = []
            for num_tried, mirror in enumerate(tuple(queue)):
                left_s = max(1e-3, deadline - time.monotonic())
                try:
                    stored = download_bytes(
                        f"{mirror}{file.name}.gz",
                        max_bytes=file.max_stored_bytes,
                        connect_s=limits.connect_s,
                        read_s=limits.read_s,
                        total_s=left_s / (len(queue) - num_tried),
                        bar=bar,
                    )
                    contents[role] = checked_content(stored, file)
                    _store(stored, folder, file)
                except (DownloadError, ContentError) as error:
                    failures.append(f"{urlsplit(mirror).netloc}: {error}")
                    continue
                queue.remove(mirror)
                queue.insert(0, mirror)
                break
            else:
                raise MnistMissing.of(
                    "mnist.not-delivered",
                    what=what,
                    folder=folder,
                    file=file.name,
                    seconds=allowed_s,
                    problems="; ".join(failures),
                )
    return contents


def _store(stored: bytes, folder: Path, file: IdxFile) -> None:
    """Store a checked file as received, gzipped or not, since servers may decompress files.

    Raises:
        MnistMissing: If the file cannot be stored.
    """
    suffix = ".gz" if is_gzip(stored) else ""
    try:
        write_whole(folder / f"{file.name}{suffix}", stored)
    except OSError as error:
        raise MnistMissing.of("mnist.not-stored", folder=folder, problem=error.strerror) from error


def _halved(images: UInt8[np.ndarray, "n 28 28"]) -> Float32[np.ndarray, "n 14 14"]:
    """Average 2x2 blocks of pixels; the means are exact in float32."""
    return images.reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4), dtype=np.float32)
