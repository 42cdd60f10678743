import numpy as np
import pytest

from tests.refusals import refused, said_as, text
from trainables.data.images import load_images
from trainables.data.mnist import ADVICE, MnistMissing

REFUSING = ("http://127.0.0.1:9/", "http://127.0.0.1:10/")


@pytest.fixture(autouse=True)
def _direct(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def test_an_unknown_dataset_is_refused_with_the_known_ones():
    with refused("images.dataset-unknown", dataset="cifar", known="auto, mnist, digits"):
        load_images("cifar")


def test_digits_come_without_looking_for_mnist(tmp_path):
    source, line = load_images("digits", data_dir=tmp_path / "absent")
    assert source.dataset == "digits"
    assert line == text("images.digits", images=1797, why="")


@pytest.mark.parametrize("dataset", ["auto", "mnist"])
def test_mnist_is_used_where_it_is(tiny_mnist, tmp_path, dataset):
    tiny_mnist.write(tmp_path, compressed=True)
    source, line = load_images(
        dataset, data_dir=tmp_path, files=tiny_mnist.files, mirrors=REFUSING
    )
    assert source.dataset == "mnist"
    assert line == text("images.mnist", folder=tmp_path, train=30, test=20)


@pytest.mark.parametrize("dataset", ["auto", "mnist"])
def test_mnist_is_downloaded_where_that_works(tiny_mnist, mirror, tmp_path, dataset):
    source, line = load_images(
        dataset, data_dir=tmp_path, files=tiny_mnist.files, mirrors=(mirror.url("good"),)
    )
    assert source.dataset == "mnist"
    assert str(tmp_path) in line
    assert len(list(tmp_path.iterdir())) == 4


def test_auto_finds_mnist_through_the_environment(tiny_mnist, tmp_path, monkeypatch):
    tiny_mnist.write(tmp_path, compressed=False)
    monkeypatch.setenv("FOLDSWEEP_DATA", str(tmp_path))
    source, _ = load_images("auto", files=tiny_mnist.files, mirrors=())
    assert source.origin == str(tmp_path)


def test_auto_falls_back_to_digits_and_says_so(tiny_mnist, tmp_path):
    folder = tmp_path / "absent"
    source, line = load_images("auto", data_dir=folder, files=tiny_mnist.files, mirrors=REFUSING)
    assert source.dataset == "digits"
    assert "\n" not in line
    reason = text(
        "mnist.not-delivered",
        folder=folder,
        file="t10k-labels-idx1-ubyte",
        problems="127.0.0.1:9: ",
    )
    assert reason.removesuffix(")") in line
    assert said_as("images.instead-of-mnist", advice=ADVICE).search(line)
    assert not [*folder.iterdir()]


def test_auto_leaves_silent_mirrors(tiny_mnist, mirror, tmp_path):
    mirrors = (mirror.url("mute"),) * 2
    source, _ = load_images(
        "auto", data_dir=tmp_path, answer_s=0.4, files=tiny_mnist.files, mirrors=mirrors
    )
    assert source.dataset == "digits"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("dataset", ["auto", "mnist"])
def test_nothing_is_downloaded_where_the_environment_says_so(
    dataset, tiny_mnist, mirror, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("FOLDSWEEP_OFFLINE", "1")
    given = {"data_dir": tmp_path, "files": tiny_mnist.files, "mirrors": (mirror.url("good"),)}
    if dataset == "mnist":
        with refused("images.mnist-missing"):
            load_images(dataset, **given)
    else:
        assert load_images(dataset, **given)[0].dataset == "digits"
    assert not any(tmp_path.iterdir())


def test_auto_without_time_does_not_ask_the_mirrors(tiny_mnist, mirror, tmp_path):
    mirrors = (mirror.url("good"),)
    source, line = load_images(
        "auto", data_dir=tmp_path, answer_s=0.0, files=tiny_mnist.files, mirrors=mirrors
    )
    assert source.dataset == "digits"
    assert text("mnist.downloading-off", file="t10k-labels-idx1-ubyte", folder=tmp_path) in line
    assert not mirror.requests


@pytest.mark.parametrize("dataset", ["auto", "mnist"])
def test_damaged_mnist_is_an_error_rather_than_other_data(tiny_mnist, tmp_path, dataset):
    tiny_mnist.write(tmp_path, compressed=True)
    name = "train-images-idx3-ubyte.gz"
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-20])
    with refused("mnist.damaged", path=tmp_path / name, problem=text("idx.cut-off")):
        load_images(dataset, data_dir=tmp_path, files=tiny_mnist.files, mirrors=REFUSING)


def test_mnist_by_name_never_becomes_digits(tiny_mnist, tmp_path):
    with refused("images.mnist-missing", advice=ADVICE) as caught:
        load_images("mnist", data_dir=tmp_path, files=tiny_mnist.files, mirrors=REFUSING)
    assert isinstance(caught.value.__cause__, MnistMissing)


def test_images_are_those_of_the_files(tiny_mnist, tmp_path):
    tiny_mnist.write(tmp_path, compressed=True)
    source, _ = load_images("mnist", data_dir=tmp_path, files=tiny_mnist.files, mirrors=())
    np.testing.assert_array_equal(source.test.labels, tiny_mnist.arrays["test_labels"])
