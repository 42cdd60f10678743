"""The task `disc`: points inside and outside a disc."""

import math

import numpy as np
import pytest
import torch

from tests.refusals import refused, text
from trainables.tasks.disc import RADIUS, TASK, draw, points, predict
from trainables.tasks.options import ShippedOptions
from trainables.tasks.task import DataRequest

DIGESTS = {0: "516cf2de77891fbc810ba9d3d58a0902", 3: "8bedf63f1fc717ac84e609c032643f3a"}
"""Permanent digests of 1000 training and 1000 test points, by seed."""


def test_the_disc_has_half_of_the_squares_area():
    assert math.isclose(math.pi * RADIUS**2, 0.5)


def test_points_lie_in_the_square_and_about_half_of_them_in_the_disc():
    data = draw(3)
    for samples in (data.train, data.test):
        xy = samples.inputs["points"]
        assert xy.shape == (1000, 2)
        assert ((xy >= 0) & (xy < 1)).all()
        assert 0.45 < samples.targets["target"].mean() < 0.55
    train, test = data.train.inputs["points"], data.test.inputs["points"]
    assert not np.isin(train[:, 0], test[:, 0]).any()


def test_a_points_target_is_1_within_the_radius():
    xy = np.array([[0.5, 0.5], [0.5, 0.5 + RADIUS - 1e-4], [0.5, 0.5 + RADIUS + 1e-4]])
    assert points(xy.astype(np.float32)).targets["target"].tolist() == [1, 1, 0]


def test_the_draw_depends_on_the_seed_and_fewer_points_are_the_first_of_more():
    many, few = (draw(1, number) for number in (50, 20))
    xy = [data.train.inputs["points"] for data in (many, few)]
    assert np.array_equal(xy[0][:20], xy[1])
    targets = [data.test.targets["target"].tolist() for data in (many, few)]
    assert targets[0] == targets[1]
    assert draw(2, 50).digest != many.digest


@pytest.mark.parametrize("seed", DIGESTS)
def test_points_keep_their_digest(seed):
    assert draw(seed).digest == DIGESTS[seed]


@pytest.mark.parametrize("numbers", [(0, 5), (5, 0), (-1, 5)])
def test_no_points_are_refused(numbers):
    with refused(
        "disc.points-out-of-range", points=str(min(numbers)), choice=text("disc.one-or-more")
    ):
        draw(0, *numbers)


def test_a_negative_seed_is_refused():
    with refused("disc.seed-negative", seed=-1):
        draw(-1)


@pytest.mark.parametrize("dataset", ["auto", "disc"])
def test_data_is_drawn_as_the_options_say(dataset):
    options = ShippedOptions(dataset=dataset, train_pairs=30, test_pairs=7)
    data = TASK.load(DataRequest(seed=4, options=options))
    assert (data.name, data.digest) == ("disc", draw(4, 30, 7).digest)
    assert "disc" in data.said


@pytest.mark.parametrize("dataset", ["mnist", "digits"])
def test_other_data_is_refused(dataset):
    with refused("disc.dataset-not-disc", dataset=dataset):
        TASK.load(DataRequest(seed=0, options=ShippedOptions(dataset=dataset)))


def test_predictions_are_the_larger_score_and_both_probabilities():
    said = predict(torch.tensor([[0.0, 2.0], [1.0, 0.0]]))
    assert said["answer"].tolist() == [1, 0]
    expected = torch.tensor([[0.0, 2.0], [1.0, 0.0]]).softmax(-1)
    torch.testing.assert_close(said["probability"], expected)
