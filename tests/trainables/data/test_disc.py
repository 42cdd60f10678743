import math

import numpy as np
import pytest

from foldsweep.errors import UserError
from trainables.data.images import load_images
from trainables.data.pairs import DISC_RADIUS, disc_points, draw_pairs
from trainables.data.source import DiscSource


def test_the_disc_has_half_of_the_squares_area():
    assert math.isclose(math.pi * DISC_RADIUS**2, 0.5)


def test_points_lie_in_the_square_and_about_half_of_them_in_the_disc():
    data = draw_pairs(DiscSource(), seed=3)
    for points in (data.train, data.test):
        assert points.images.shape == (1000, 2, 1, 1)
        assert ((points.images >= 0) & (points.images < 1)).all()
        assert 0.45 < points.target.mean() < 0.55
    assert not np.isin(data.train.images[:, 0], data.test.images[:, 0]).any()


def test_a_points_target_is_1_within_the_radius():
    xy = np.array([[0.5, 0.5], [0.5, 0.5 + DISC_RADIUS - 1e-4], [0.5, 0.5 + DISC_RADIUS + 1e-4]])
    assert disc_points(xy.astype(np.float32)).target.tolist() == [1, 1, 0]


def test_the_draw_depends_on_the_seed_and_fewer_points_are_the_first_of_more():
    many, few = (draw_pairs(DiscSource(), seed=1, train_pairs=n) for n in (50, 20))
    assert np.array_equal(many.train.images[:20], few.train.images)
    assert many.test.target.tolist() == few.test.target.tolist()
    assert draw_pairs(DiscSource(), seed=2, train_pairs=50).digest != many.digest


def test_no_points_are_refused():
    with pytest.raises(UserError, match="cannot draw 0 points"):
        draw_pairs(DiscSource(), seed=0, train_pairs=0)


def test_disc_is_a_dataset_by_name():
    source, said = load_images("disc")
    assert source.dataset == "disc"
    assert "disc" in said
