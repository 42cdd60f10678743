import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foldsweep.errors import UserError
from trainables.data.digits import digits_source
from trainables.data.pairs import disc_points, draw_pairs
from trainables.data.source import DigitImages, ImageSource


def numbered_images(first, count):
    """Images whose pixels all hold the number of the image, labelled by its last digit."""
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
        numbers = pairs.images[:, :, 0, 0].astype(np.int64)
        assert (pairs.images == numbers[:, :, None, None]).all()
        assert len(np.unique(numbers)) == numbers.size
        assert (numbers >= first).all()
        assert (numbers < first + count).all()
        np.testing.assert_array_equal(pairs.classes, numbers % 10)
        np.testing.assert_array_equal(pairs.target, pairs.classes[:, 0] <= pairs.classes[:, 1])
        assert pairs.images.dtype == np.float32
        assert pairs.classes.dtype == pairs.target.dtype == np.int64


@given(seed=seeds)
def test_pairs_depend_on_the_seed_only(seed):
    source = numbered_source(40, 20)
    assert draw_pairs(source, seed=seed).digest == draw_pairs(source, seed=seed).digest
    assert draw_pairs(source, seed=seed).digest != draw_pairs(source, seed=seed + 1).digest


@given(seed=seeds, few=st.integers(1, 19))
def test_fewer_pairs_are_the_first_of_more(seed, few):
    source = numbered_source(40, 20)
    more, fewer = (draw_pairs(source, seed=seed, train_pairs=num) for num in (20, few))
    np.testing.assert_array_equal(fewer.train.images, more.train.images[:few])
    np.testing.assert_array_equal(fewer.test.images, more.test.images)


def test_pairs_default_to_a_thousand_of_mnist():
    pair_data = draw_pairs(numbered_source(3000, 2000), seed=0)
    assert (len(pair_data.train), len(pair_data.test)) == (1000, 1000)


def test_pairs_default_to_all_that_digits_allow():
    pair_data = draw_pairs(digits_source(), seed=0)
    assert pair_data.dataset == "digits"
    assert (len(pair_data.train), len(pair_data.test)) == (598, 300)
    assert pair_data.train.target.mean() == pytest.approx(0.55, abs=0.06)


@pytest.mark.parametrize("num_pairs", [-1, 0, 6])
@pytest.mark.parametrize("part", ["train", "test"])
def test_an_impossible_number_of_pairs_is_refused(part, num_pairs):
    source = numbered_source(11, 11, dataset="digits")
    complaint = f"cannot draw {num_pairs} {part} pairs: .* between 1 and 5"
    with pytest.raises(UserError, match=complaint):
        draw_pairs(source, seed=0, **{f"{part}_pairs": num_pairs})


def test_a_negative_seed_is_refused():
    with pytest.raises(UserError, match="seed is -1"):
        draw_pairs(numbered_source(4, 4), seed=-1)


def test_digest_tells_any_difference():
    pair_data = draw_pairs(numbered_source(40, 20), seed=0)
    train = pair_data.train
    changed_image = train.images.copy()
    changed_image[3, 1, 5, 5] += 1
    changed_target = train.target.copy()
    changed_target[0] ^= 1
    others = [
        dataclasses.replace(pair_data, dataset="digits"),
        dataclasses.replace(pair_data, train=dataclasses.replace(train, images=changed_image)),
        dataclasses.replace(pair_data, train=dataclasses.replace(train, target=changed_target)),
        dataclasses.replace(pair_data, train=pair_data.test, test=train),
    ]
    digests = {pair_data.digest, *(other.digest for other in others)}
    assert len(digests) == 5
    assert all(len(digest) == 32 for digest in digests)


def test_images_that_two_have_in_common_are_found():
    data = draw_pairs(numbered_source(40, 20), seed=0, train_pairs=20, test_pairs=10)
    assert not data.train.shares_images(data.test)
    images = data.test.images.copy()
    images[3, 1] = data.train.images[7, 0]
    one = dataclasses.replace(data.test, images=images)
    for other in (data.train, one):
        assert data.train.shares_images(other)


def test_points_are_the_same_when_both_coordinates_are():
    xy = np.array([[0.1, 0.2], [0.3, 0.4]], dtype=np.float32)
    crossed = np.array([[0.1, 0.4], [0.2, 0.1]], dtype=np.float32)
    assert disc_points(xy).shares_images(disc_points(xy[1:]))
    assert not disc_points(xy).shares_images(disc_points(crossed))
