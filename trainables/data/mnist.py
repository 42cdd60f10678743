"""MNIST from four IDX files, whose SHA-256 is checked before they are used."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import platformdirs
import pooch
import requests
from jaxtyping import Float32, UInt8

from foldsweep.errors import UserError
from foldsweep.texts import text
from trainables.data.idx import ContentError, IdxFile, idx_array, stored_content
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
        gz_sha256="f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        num_bytes=10_008,
    ),
    "train_labels": IdxFile(
        name="train-labels-idx1-ubyte",
        sha256="65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        gz_sha256="3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        num_bytes=60_008,
    ),
    "test_images": IdxFile(
        name="t10k-images-idx3-ubyte",
        sha256="0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        gz_sha256="8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        num_bytes=7_840_016,
    ),
    "train_images": IdxFile(
        name="train-images-idx3-ubyte",
        sha256="ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        gz_sha256="440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        num_bytes=47_040_016,
    ),
}


class MnistMissing(UserError):
    """Missing MNIST files; the message is the reason why they could not be downloaded."""


def mnist_folder(data_dir: Path | None = None) -> Path:
    """Folder of the files: `data_dir`, else from the environment, else in the user's cache."""
    chosen = data_dir or os.environ.get(FOLDER_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    return Path(platformdirs.user_cache_dir("foldsweep")) / "mnist"


def mnist_source(
    folder: Path,
    *,
    timeout: tuple[float, float],
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
        timeout: Limits of a download in seconds: until a server accepts the connection, and
            between two parts of its answer.
        mirrors: URLs, ending in a slash, to try in turn; empty to turn downloads off.
        files: Expected files by role, replaced in tests only.
        progress: Whether to show the progress of a download if stderr is a terminal.

    Raises:
        MnistMissing: If a file is missing and cannot be downloaded or stored.
        UserError: If a file cannot be read or does not have MNIST's content, or `folder` is a
            file.
    """
    contents = {role: _stored(folder, file) for role, file in files.items()}
    for role in [role for role, content in contents.items() if content is None]:
        _download(files[role], folder, mirrors=mirrors, timeout=timeout, progress=progress)
        contents[role] = _stored(folder, files[role])
    arrays = {role: idx_array(content) for role, content in contents.items() if content}
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
    file: IdxFile,
    folder: Path,
    *,
    mirrors: Sequence[str],
    timeout: tuple[float, float],
    progress: bool,
) -> None:
    """Download a file from the first mirror that has it.

    Raises:
        MnistMissing: If there is no mirror, no mirror serves the file, or it cannot be stored.
    """
    if not mirrors:
        raise MnistMissing.of("mnist.downloading-off", file=file.name, folder=folder)
    pooch.get_logger().setLevel("WARNING")  # the progress bar says that it downloads
    name, problems = f"{file.name}.gz", []
    for mirror in mirrors:
        downloader = pooch.HTTPDownloader(
            progressbar=progress and sys.stderr.isatty(),
            timeout=timeout,
            headers={"Accept-Encoding": "identity"},  # the hash is that of the compressed file
        )
        try:
            pooch.create(
                path=folder, base_url=mirror, registry={name: f"sha256:{file.gz_sha256}"}
            ).fetch(name, downloader=downloader)
            return
        except (requests.RequestException, ValueError) as error:
            problems.append(f"{urlsplit(mirror).netloc}: {_reason(error)}")
        except OSError as error:
            raise MnistMissing.of(
                "mnist.not-stored", folder=folder, problem=error.strerror or str(error)
            ) from error
    raise MnistMissing.of(
        "mnist.not-delivered", file=file.name, folder=folder, problems="; ".join(problems)
    )


def _reason(error: Exception) -> str:
    """Describe a failed download in a few words, instead of requests' nested representation."""
    match error:
        case requests.HTTPError(response=requests.Response(status_code=code)):
            return text("mnist.http-status", code=code)
        case requests.Timeout():
            return text("mnist.no-answer")
        case requests.ConnectionError() | requests.exceptions.ChunkedEncodingError():
            return text("mnist.connection-failed")
        case ValueError():
            return text("mnist.another-file")
    return type(error).__name__


def _halved(images: UInt8[np.ndarray, "n 28 28"]) -> Float32[np.ndarray, "n 14 14"]:
    """Average 2x2 blocks of pixels; the means are exact in float32."""
    return images.reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4), dtype=np.float32)
