import gzip
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pooch
import pytest

from tests.refusals import refused, text
from trainables.data.mnist import FILES, MnistMissing, mnist_source

PATIENT, HASTY = (2.0, 5.0), (0.4, 0.4)
"""Limits until a server accepts the connection, and between two parts of its answer."""
REFUSING = "http://127.0.0.1:9/"
FIRST, *_, LAST = FILES.values()


def tiny_download(tiny_mnist, folder, *mirrors, timeout=PATIENT):
    return mnist_source(folder, timeout=timeout, mirrors=mirrors, files=tiny_mnist.files)


def test_download_stores_the_files_for_next_time(tiny_mnist, mirror, tmp_path):
    folder = tmp_path / "new" / "cache"
    first = tiny_download(tiny_mnist, folder, mirror.url("good"))
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        f"{file.name}.gz" for file in FILES.values()
    )
    again = tiny_download(tiny_mnist, folder)
    np.testing.assert_array_equal(first.train.images, again.train.images)
    np.testing.assert_array_equal(first.test.labels, again.test.labels)
    assert len(mirror.requests) == 4


def test_download_fetches_only_what_is_missing(tiny_mnist, mirror, tmp_path):
    tiny_mnist.write(tmp_path, compressed=False)
    (tmp_path / LAST.name).unlink()
    tiny_download(tiny_mnist, tmp_path, mirror.url("good"))
    assert mirror.requests == [f"/good/{LAST.name}.gz"]


def test_a_damaged_file_is_refused_before_anything_is_downloaded(tiny_mnist, mirror, tmp_path):
    (tmp_path / LAST.name).write_bytes(b"damaged")
    with refused("mnist.damaged", path=tmp_path / LAST.name, file=LAST.name):
        tiny_download(tiny_mnist, tmp_path, mirror.url("good"))
    assert not mirror.requests


@pytest.mark.parametrize(
    ("manner", "complaint"),
    [
        ("wrong", text("mnist.another-file")),
        ("web-page", text("mnist.another-file")),
        ("unpacked", text("mnist.another-file")),
        ("cut-off", text("mnist.connection-failed")),
        ("short", text("mnist.another-file")),
        ("absent", text("mnist.http-status", code=404)),
        ("mute", text("mnist.no-answer")),
    ],
)
def test_a_bad_answer_is_refused_and_the_next_mirror_asked(
    tiny_mnist, mirror, tmp_path, manner, complaint
):
    timeout = HASTY if manner == "mute" else PATIENT
    with refused("mnist.not-delivered", by=MnistMissing, file=FIRST.name) as info:
        tiny_download(tiny_mnist, tmp_path, mirror.url(manner), timeout=timeout)
    problems = str(info.value.values["problems"])
    assert problems.startswith("127.0.0.1")
    assert complaint in problems
    assert "\n" not in str(info.value)
    assert not list(tmp_path.iterdir())
    mirrors = (mirror.url(manner), mirror.url("good"))
    tiny_download(tiny_mnist, tmp_path, *mirrors, timeout=timeout)
    assert len(list(tmp_path.iterdir())) == 4


def test_a_download_that_breaks_off_keeps_only_whole_files(tiny_mnist, mirror, tmp_path):
    with refused("mnist.not-delivered", by=MnistMissing, file="t10k-images-idx3-ubyte"):
        tiny_download(tiny_mnist, tmp_path, mirror.url("images-missing"))
    stored = {path.name for path in tmp_path.iterdir()}
    assert stored == {"t10k-labels-idx1-ubyte.gz", "train-labels-idx1-ubyte.gz"}
    tiny_download(tiny_mnist, tmp_path, mirror.url("good"))


def test_a_refused_connection_is_reported(tiny_mnist, tmp_path, mirror):
    with refused("mnist.not-delivered", by=MnistMissing) as info:
        tiny_download(tiny_mnist, tmp_path, REFUSING)
    assert f"127.0.0.1:9: {text('mnist.connection-failed')}" in str(info.value.values["problems"])


def test_an_unwritable_folder_is_reported(tiny_mnist, mirror, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    folder = blocked / "sub"
    with refused("mnist.not-stored", by=MnistMissing, folder=folder, problem="Not a directory"):
        tiny_download(tiny_mnist, folder, mirror.url("good"))


def test_simultaneous_downloads_do_not_disturb_each_other(tiny_mnist, mirror, tmp_path):
    barrier = threading.Barrier(4)

    def one(_):
        barrier.wait()
        return tiny_download(tiny_mnist, tmp_path, mirror.url("good"))

    with ThreadPoolExecutor(4) as pool:
        sources = list(pool.map(one, range(4)))
    for source in sources:
        np.testing.assert_array_equal(source.train.images, sources[0].train.images)
    assert len(list(tmp_path.iterdir())) == 4
    for path in tmp_path.iterdir():
        assert gzip.decompress(path.read_bytes()) == tiny_mnist.contents[path.stem]


def test_interrupting_a_download_leaves_nothing_behind(tiny_mnist, mirror, tmp_path, monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tiny_download(tiny_mnist, tmp_path, mirror.url("good"))
    assert not list(tmp_path.iterdir())
