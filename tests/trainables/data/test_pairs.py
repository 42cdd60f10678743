import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.refusals import refused
from trainables.data.digits import digits_source
from trainables.data.pairs import draw_pairs
from trainables.data.source import DigitImages, ImageSource
from trainables.tasks.larger_digit import parts


def numbered_images(first, count):
    """Images whose pixels all equal the number of the image; the label is its last digit."""
    numbers = np.arange(first, first + count)
    images = np.broadcast_to(numbers[:, None, None], (count, 14, 14)).astype(np.float32)
    return DigitImages(images=images, labels=numbers % 10)


def numbered_source(num_train, num_test, dataset="mnist"):
    return ImageSource(
        dataset=dataset,
        train=numbered_images(0, num_train),
        test=numbered_images(100_000, num_test),
        origin="test",
    )


seeds = st.integers(0, 2**63)


@given(seed=seeds, num_train=st.integers(2, 60), num_test=st.integers(2, 60), data=st.data())
def test_pairs_never_share_an_image(seed, num_train, num_test, data):
    train_pairs = data.draw(st.integers(1, num_train // 2))
    test_pairs = data.draw(st.integers(1, num_test // 2))
    pair_data = draw_pairs(
        numbered_source(num_train, num_test),
        seed=seed,
        train_pairs=train_pairs,
        test_pairs=test_pairs,
    )
    assert (len(pair_data.train), len(pair_data.test)) == (train_pairs, test_pairs)
    for pairs, first, count in (
        (pair_data.train, 0, num_train),
        (pair_data.test, 100_000, num_test),
    ):
        images, target = pairs.inputs["images"], pairs.targets["target"]
        classes = pairs.targets["classes"]
        numbers = images[:, :, 0, 0].astype(np.int64)
        assert (images == numbers[:, :, None, None]).all()
        assert len(np.unique(numbers)) == numbers.size
        assert (numbers >= first).all()
        assert (numbers < first + count).all()
        np.testing.assert_array_equal(classes, numbers % 10)
        np.testing.assert_array_equal(target, classes[:, 0] <= classes[:, 1])
        assert images.dtype == np.float32
        assert classes.dtype == target.dtype == np.int64


@given(seed=seeds)
def test_pairs_depend_on_the_seed_only(seed):
    source = numbered_source(40, 20)
    assert draw_pairs(source, seed=seed).digest == draw_pairs(source, seed=seed).digest
    assert draw_pairs(source, seed=seed).digest != draw_pairs(source, seed=seed + 1).digest


@given(seed=seeds, few=st.integers(1, 19))
def test_fewer_pairs_are_the_first_of_more(seed, few):
    source = numbered_source(40, 20)
    more, fewer = (draw_pairs(source, seed=seed, train_pairs=num) for num in (20, few))
    images = [[part.inputs["images"] for part in (d.train, d.test)] for d in (more, fewer)]
    np.testing.assert_array_equal(images[1][0], images[0][0][:few])
    np.testing.assert_array_equal(images[1][1], images[0][1])


def test_pairs_default_to_a_thousand_of_mnist():
    pair_data = draw_pairs(numbered_source(3000, 2000), seed=0)
    assert (len(pair_data.train), len(pair_data.test)) == (1000, 1000)


def test_pairs_default_to_all_that_digits_allow():
    pair_data = draw_pairs(digits_source(), seed=0)
    assert pair_data.name == "digits"
    assert (len(pair_data.train), len(pair_data.test)) == (598, 300)
    assert pair_data.train.targets["target"].mean() == pytest.approx(0.55, abs=0.06)


@pytest.mark.parametrize("num_pairs", [-1, 0, 6])
@pytest.mark.parametrize("part", ["train", "test"])
def test_an_impossible_number_of_pairs_is_refused(part, num_pairs):
    source = numbered_source(11, 11, dataset="digits")
    with refused("pairs.number-out-of-range", pairs=str(num_pairs), part=part, most=5):
        draw_pairs(source, seed=0, **{f"{part}_pairs": num_pairs})


def test_a_negative_seed_is_refused():
    with refused("pairs.seed-negative", seed=-1):
        draw_pairs(numbered_source(4, 4), seed=-1)


DIGESTS = {
    (0, None, None): "51e01a891ac9cc3f488386d51e39b130",
    (0, 41, 10): "9d93ea3cfe26748490590976555876a9",
}
"""Permanent digests of pairs of the embedded digits, by (seed, training pairs, test pairs)."""


@pytest.mark.parametrize(("drawn", "digest"), DIGESTS.items())
def test_pairs_keep_their_digest(drawn, digest):
    seed, train_pairs, test_pairs = drawn
    data = draw_pairs(digits_source(), seed=seed, train_pairs=train_pairs, test_pairs=test_pairs)
    assert data.digest == digest


def test_a_digest_tells_any_difference():
    source = numbered_source(40, 20)
    other_image = source.train.images.copy()
    other_image[:, 5, 5] += 1
    other_label = source.train.labels.copy()
    other_label[:] = 9 - other_label
    others = [
        dataclasses.replace(source, dataset="digits"),
        dataclasses.replace(source, train=dataclasses.replace(source.train, images=other_image)),
        dataclasses.replace(source, train=dataclasses.replace(source.train, labels=other_label)),
        dataclasses.replace(source, train=source.test, test=source.train),
    ]
    drawn = [draw_pairs(each, seed=0, train_pairs=10, test_pairs=10) for each in (source, *others)]
    digests = {data.digest for data in drawn}
    assert len(digests) == 5
    assert all(len(digest) == 32 for digest in digests)


def test_single_images_are_what_pairs_are_made_of():
    data = draw_pairs(numbered_source(40, 20), seed=0, train_pairs=20, test_pairs=10)
    train, test = parts(data.train), parts(data.test)
    assert (train.shape, test.shape) == ((40, 196), (20, 196))
    assert np.array_equal(train[1], data.train.inputs["images"][0, 1].ravel())
    assert not np.isin(train[:, 0], test[:, 0]).any()
