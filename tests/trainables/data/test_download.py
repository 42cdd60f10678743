import gzip
import os
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.refusals import refused
from trainables.data import download
from trainables.data.download import TimeLimits, write_whole
from trainables.data.mnist import FILES, MnistMissing, mnist_source

LIMITS = TimeLimits(connect_s=2.0, read_s=0.5, first_file_s=5.0, file_s=5.0)
HASTY = TimeLimits(connect_s=0.4, read_s=0.4, first_file_s=0.4, file_s=0.4)
REFUSING = "http://127.0.0.1:9/"
FIRST, *_, LAST = FILES.values()


def tiny_download(tiny_mnist, folder, *mirrors, limits=LIMITS):
    return mnist_source(folder, limits=limits, mirrors=mirrors, files=tiny_mnist.files)


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


def test_what_the_server_unpacked_is_stored_unpacked(tiny_mnist, mirror, tmp_path):
    tiny_download(tiny_mnist, tmp_path, mirror.url("unpacked"))
    assert {path.name for path in tmp_path.iterdir()} == set(tiny_mnist.contents)
    tiny_download(tiny_mnist, tmp_path)


@pytest.mark.parametrize(
    ("manner", "complaint"),
    [
        ("wrong", "SHA-256"),
        ("web-page", "it holds"),
        ("bomb", "more than the expected"),
        ("endless", "more than the expected"),
        ("cut-off", "cut off"),
        ("short", "it is cut off"),
        ("absent", "HTTP status 404"),
        ("mute", "silent for 0.5 s"),
    ],
)
def test_a_bad_answer_is_refused_and_the_next_mirror_asked(
    tiny_mnist, mirror, tmp_path, manner, complaint
):
    with refused("mnist.not-delivered", by=MnistMissing, file=FIRST.name, seconds=5.0) as info:
        tiny_download(tiny_mnist, tmp_path, mirror.url(manner))
    problems = str(info.value.values["problems"])
    assert problems.startswith("127.0.0.1")
    assert complaint in problems
    assert "\n" not in str(info.value)
    assert not list(tmp_path.iterdir())
    tiny_download(tiny_mnist, tmp_path, mirror.url(manner), mirror.url("good"))
    assert len(list(tmp_path.iterdir())) == 4


def test_the_mirror_that_works_is_asked_first_for_the_next_file(tiny_mnist, mirror, tmp_path):
    tiny_download(tiny_mnist, tmp_path, mirror.url("absent"), mirror.url("good"))
    assert [path.split("/")[1] for path in mirror.requests] == ["absent", *["good"] * 4]


@pytest.mark.parametrize("manner", ["trickling", "mute"])
def test_a_slow_server_is_left_within_the_time_limit(tiny_mnist, mirror, tmp_path, manner):
    start = time.monotonic()
    with refused("mnist.not-delivered", by=MnistMissing) as info:
        tiny_download(tiny_mnist, tmp_path, *[mirror.url(manner)] * 2, limits=HASTY)
    assert time.monotonic() - start < 2
    problems = str(info.value.values["problems"])
    assert re.search(r"not finished within 0\.2 s|silent for 0\.4 s", problems)
    time.sleep(0.1)
    assert not list(tmp_path.iterdir())


def test_a_download_that_breaks_off_keeps_only_whole_files(tiny_mnist, mirror, tmp_path):
    with refused("mnist.not-delivered", by=MnistMissing, file="t10k-images-idx3-ubyte"):
        tiny_download(tiny_mnist, tmp_path, mirror.url("images-missing"))
    stored = {path.name for path in tmp_path.iterdir()}
    assert stored == {"t10k-labels-idx1-ubyte.gz", "train-labels-idx1-ubyte.gz"}
    tiny_download(tiny_mnist, tmp_path, mirror.url("good"))


def test_a_refused_connection_is_reported(tiny_mnist, tmp_path, mirror):
    with refused("mnist.not-delivered", by=MnistMissing) as info:
        tiny_download(tiny_mnist, tmp_path, REFUSING)
    assert "127.0.0.1:9: connection failed" in str(info.value.values["problems"])


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


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_write_whole_leaves_nothing_behind(tmp_path, monkeypatch, failure):
    def fail(*args):
        raise failure

    monkeypatch.setattr(os, "fdopen", fail)
    with pytest.raises(type(failure)):
        write_whole(tmp_path / "file", b"content")
    assert not list(tmp_path.iterdir())


def test_interrupting_a_download_leaves_nothing_behind(tiny_mnist, mirror, tmp_path, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(download.Future, "result", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tiny_download(tiny_mnist, tmp_path, mirror.url("good"))
    time.sleep(0.1)
    assert not list(tmp_path.iterdir())
