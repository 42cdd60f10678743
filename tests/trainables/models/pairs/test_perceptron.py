import pytest
import torch

from tests.refusals import refused, text
from trainables.models.layers import num_params
from trainables.models.pairs.perceptron import Perceptron, PerceptronConfig


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("hidden", [(), (5,), (7, 3)])
def test_a_perceptron_has_the_widths_of_its_configuration(hidden, outputs):
    model = Perceptron(PerceptronConfig(hidden=hidden, outputs=outputs))
    widths = (392, *hidden, outputs)
    expected = sum((i + 1) * o for i, o in zip(widths, widths[1:], strict=False))
    assert num_params(model) == expected
    scores = model(torch.randn(4, 2, 14, 14))
    assert scores.comparison.shape == (4, outputs)
    assert scores.digits is None


def test_a_number_means_that_many_equal_layers():
    equal = Perceptron(PerceptronConfig(hidden=6, hidden_layers=3))
    assert num_params(equal) == num_params(Perceptron(PerceptronConfig(hidden=(6, 6, 6))))


def test_squashed_scores_are_between_0_and_1():
    model = Perceptron(PerceptronConfig(squash=True))
    scores = model(100 * torch.randn(20, 2, 14, 14)).comparison
    assert 0 <= scores.min() <= scores.max() <= 1


def test_one_squashed_unit_is_refused():
    with refused(
        "config.value-refused", field="outputs", rule=text("perceptron.outputs"), value="1"
    ):
        PerceptronConfig(outputs=1, squash=True)
