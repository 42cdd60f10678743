import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from tests.refusals import refused, said_as
from trainables.data.mnist import FILES, MnistMissing, mnist_folder, mnist_source

OFFLINE = (1.0, 1.0)
FIRST, *_, LAST = FILES.values()

MNIST = os.environ.get("FOLDSWEEP_DATA")
needs_mnist = pytest.mark.skipif(
    not (MNIST and list(Path(MNIST).glob("t10k-labels*"))),
    reason="FOLDSWEEP_DATA does not name a folder with the files of MNIST",
)


def tiny_source(tiny_mnist, folder):
    return mnist_source(folder, timeout=OFFLINE, mirrors=(), files=tiny_mnist.files)


def assert_is_tiny(source, tiny_mnist):
    for part, images in (("train", source.train), ("test", source.test)):
        raw = tiny_mnist.arrays[f"{part}_images"].astype(np.float64)
        means = (raw[:, ::2, ::2] + raw[:, ::2, 1::2] + raw[:, 1::2, ::2] + raw[:, 1::2, 1::2]) / 4
        assert images.images.dtype == np.float32
        np.testing.assert_array_equal(images.images, means)
        assert images.labels.dtype == np.int64
        np.testing.assert_array_equal(images.labels, tiny_mnist.arrays[f"{part}_labels"])


@pytest.mark.parametrize("compressed", [True, False])
def test_files_are_averaged_two_by_two(tiny_mnist, tmp_path, compressed):
    tiny_mnist.write(tmp_path, compressed=compressed)
    source = tiny_source(tiny_mnist, tmp_path)
    assert source.dataset == "mnist"
    assert source.origin == str(tmp_path)
    assert_is_tiny(source, tiny_mnist)


def test_files_spelled_with_a_dot_are_found(tiny_mnist, tmp_path):
    tiny_mnist.write(tmp_path, compressed=True)
    for path in list(tmp_path.iterdir()):
        path.rename(tmp_path / path.name.replace("-idx", ".idx"))
    assert_is_tiny(tiny_source(tiny_mnist, tmp_path), tiny_mnist)


def test_made_up_files_are_refused_as_mnist(tiny_mnist, tmp_path):
    tiny_mnist.write(tmp_path, compressed=True)
    with refused("mnist.damaged", path=tmp_path / f"{FIRST.name}.gz") as info:
        mnist_source(tmp_path, timeout=OFFLINE, mirrors=())
    assert "\n" not in str(info.value)


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda raw: raw[:-5] + bytes([raw[-5] ^ 1]) + raw[-4:], said_as("idx.other-content")),
        (lambda raw: raw[:-5], said_as("idx.too-short")),
        (lambda raw: raw + b"\0", said_as("idx.too-long")),
        (lambda raw: gzip.compress(raw)[:-30], said_as("idx.cut-off")),
        (lambda raw: gzip.compress(raw)[:-4] + b"\0\0\0\1", said_as("idx.damaged")),
        (lambda raw: gzip.compress(bytes(50_000_000)), said_as("idx.too-long")),
        (lambda raw: gzip.compress(raw) + b"more", said_as("idx.damaged")),
        (lambda raw: b"", said_as("idx.too-short", found=0)),
    ],
    ids=["wrong", "short", "long", "truncated", "checksum", "bomb", "trailing", "empty"],
)
def test_a_damaged_file_is_refused_by_name(tiny_mnist, tmp_path, spoil, complaint):
    tiny_mnist.write(tmp_path, compressed=False)
    path = tmp_path / LAST.name
    path.write_bytes(spoil(path.read_bytes()))
    with refused("mnist.damaged", path=path, file=LAST.name) as info:
        tiny_source(tiny_mnist, tmp_path)
    assert complaint.fullmatch(str(info.value.values["problem"]))


def test_a_folder_that_is_a_file_is_refused(tiny_mnist, tmp_path):
    path = tmp_path / "data"
    path.write_text("no folder")
    with refused("mnist.folder-is-file", folder=path):
        tiny_source(tiny_mnist, path)


def test_an_unreadable_file_is_refused(tiny_mnist, tmp_path, monkeypatch):
    tiny_mnist.write(tmp_path, compressed=True)

    def denied(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    path = tmp_path / f"{FIRST.name}.gz"
    with refused("mnist.unreadable", path=path, problem="Permission denied"):
        tiny_source(tiny_mnist, tmp_path)


def test_missing_files_without_download_are_an_error(tiny_mnist, tmp_path):
    with refused("mnist.downloading-off", by=MnistMissing, folder=tmp_path):
        tiny_source(tiny_mnist, tmp_path)
    tiny_mnist.write(tmp_path, compressed=True)
    (tmp_path / f"{LAST.name}.gz").unlink()
    with refused("mnist.downloading-off", by=MnistMissing, file=LAST.name):
        tiny_source(tiny_mnist, tmp_path)


def test_folder_comes_from_argument_then_environment_then_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FOLDSWEEP_DATA", str(tmp_path / "environment"))
    assert mnist_folder(tmp_path / "argument") == tmp_path / "argument"
    assert mnist_folder() == tmp_path / "environment"
    monkeypatch.setenv("FOLDSWEEP_DATA", "")
    assert mnist_folder().parts[-2:] == ("foldsweep", "mnist")


@needs_mnist
def test_real_mnist_is_accepted():
    source = mnist_source(mnist_folder(), timeout=OFFLINE, mirrors=())
    assert (len(source.train), len(source.test)) == (60_000, 10_000)
    assert np.bincount(source.test.labels).tolist() == [
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009,
    ]  # fmt: skip
    assert source.train.images.min() == 0
    assert source.train.images.max() == 255
    assert source.train.images.mean(dtype=np.float64) == pytest.approx(33.3184, abs=1e-3)


@needs_mnist
def test_real_mnist_is_accepted_unpacked_and_mixed(tmp_path):
    for path in mnist_folder().iterdir():
        if path.suffix == ".gz" and "labels" in path.name:
            (tmp_path / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
        else:
            (tmp_path / path.name).symlink_to(path.absolute())
    assert len(mnist_source(tmp_path, timeout=OFFLINE, mirrors=()).train) == 60_000
