import numpy as np
import pytest
from sklearn.datasets import load_digits

from trainables.data.digits import digits_source
from trainables.data.pairs import draw_pairs


@pytest.fixture(scope="module")
def source():
    return digits_source()


def test_digits_have_the_size_and_range_of_mnist(source):
    assert (len(source.train), len(source.test)) == (1197, 600)
    for part in (source.train, source.test):
        assert part.images.shape == (len(part), 14, 14)
        assert part.images.dtype == np.float32
        assert part.images.min() == 0
        assert 250 < part.images.max() <= 255
        assert part.labels.dtype == np.int64
    assert (source.dataset, source.origin) == ("digits", "scikit-learn")


def test_digits_split_every_class_alike(source):
    share = np.bincount(source.test.labels) / np.bincount(source.train.labels)
    np.testing.assert_allclose(share, 600 / 1197, atol=0.01)


def test_digits_use_every_image_once(source):
    labels = np.concatenate((source.train.labels, source.test.labels))
    assert np.bincount(labels).tolist() == np.bincount(load_digits().target).tolist()
    images = np.concatenate((source.train.images, source.test.images))
    assert len(np.unique(images, axis=0)) == len(np.unique(load_digits().images, axis=0))


def test_digits_keep_the_brightness_of_the_small_images(source):
    images = np.concatenate((source.train.images, source.test.images))
    assert images.mean() == pytest.approx(load_digits().images.mean() * 255 / 16, rel=0.02)


def test_digits_are_the_same_on_every_machine(source):
    assert draw_pairs(source, seed=0).digest == "51e01a891ac9cc3f488386d51e39b130"
