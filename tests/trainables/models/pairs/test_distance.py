import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from trainables.models.pairs.distance import DistanceConfig, DistanceNet
from trainables.models.pairs.losses import MARGIN, comparison_hits

SMALL = {"channels": (3, 4), "hidden": 6}
ROUNDING = 1.1e-3  # root of the constant that keeps the gradient finite at 0
embeddings = st.lists(st.floats(-5, 5, width=32), min_size=3, max_size=3)


class FirstPixels(nn.Module):
    """Encoder that returns the first three pixels of an image as its embedding."""

    def forward(self, image):
        return image[:, 0, 0, :3]


def with_embeddings(left, right, **values):
    """Scores of one pair with the given embeddings."""
    torch.manual_seed(0)
    model = DistanceNet(DistanceConfig(**SMALL, **values))
    model.encoder = nn.ModuleList([FirstPixels()])
    pair = torch.zeros(1, 2, 14, 14)
    pair[0, 0, 0, :3], pair[0, 1, 0, :3] = torch.tensor(left), torch.tensor(right)
    return model(pair)


@pytest.mark.parametrize(
    ("left", "right", "distance"),
    [
        ([3.0, 4.0, 0.0], [0.0, 0.0, 0.0], 5.0),
        ([0.0, 0.0, 0.0], [3.0, 4.0, 0.0], 0.0),
        ([3.0, 0.0, 4.0], [0.0, 9.0, 0.0], 5.0),
        ([2.0, 2.0, 2.0], [2.0, 2.0, 2.0], 0.0),
        ([-1.0, -3.0, 1.0], [-3.0, -1.0, 1.0], 2.0),
    ],
)
def test_the_distance_counts_where_the_left_is_larger(left, right, distance):
    assert with_embeddings(left, right).distance.item() == pytest.approx(distance, abs=ROUNDING)


@given(left=embeddings, right=embeddings)
def test_the_distance_is_directed(left, right):
    both = torch.tensor([left, right])
    there, back = with_embeddings(left, right).distance, with_embeddings(right, left).distance
    assert float(there) <= ROUNDING or not (both[0] <= both[1]).all()
    whole = (there.square() + back.square()).sqrt().item()
    assert whole == pytest.approx(float((both[0] - both[1]).norm()), abs=2 * ROUNDING)


@pytest.mark.parametrize(("distance", "answer"), [(0.3, 1), (0.45, 1), (0.55, 0), (3.0, 0)])
def test_a_pair_nearer_than_half_the_margin_is_in_order(distance, answer):
    scores = with_embeddings([distance, 0.0, 0.0], [0.0, 0.0, 0.0])
    assert MARGIN == 1
    assert comparison_hits(scores, {"target": torch.tensor([answer])}).all()


def test_a_learnt_threshold_is_trained_by_the_usual_loss():
    scores = with_embeddings([0.3, 0.0, 0.0], [0.0, 0.0, 0.0], distance_loss="logistic")
    assert scores.distance is None
    assert scores.comparison.item() == pytest.approx(MARGIN / 2 - 0.3, abs=ROUNDING)


@pytest.mark.parametrize("loss", ["contrastive", "logistic"])
def test_the_gradient_is_finite_where_the_distance_is_zero(loss):
    model = DistanceNet(DistanceConfig(**SMALL, distance_loss=loss))
    image = torch.randn(5, 1, 14, 14)
    model(torch.cat([image, image], dim=1)).comparison.sum().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())
