"""Networks on tables and arrays: all inputs of a row as one vector."""

import torch
from torch import nn

from trainables.models.perceptron import Features, Perceptron, PerceptronConfig
from trainables.tasks.task import Shapes

TABLE = Shapes(inputs={"numeric": (2,), "categories": (2,)}, outputs=3, levels=(2, 3))
NUMERIC = torch.tensor([[0.5, -1.0], [2.0, 0.0]])
CATEGORIES = torch.tensor([[1, 0], [0, 2]])


def test_categories_are_one_hot_encoded_after_the_numbers() -> None:
    features = Features(TABLE)
    vector = features(numeric=NUMERIC, categories=CATEGORIES)
    assert features.num_features == 2 + 2 + 3
    assert vector.tolist() == [[0.5, -1, 0, 1, 1, 0, 0], [2, 0, 1, 0, 0, 0, 1]]


def test_categories_may_be_embedded() -> None:
    features = Features(TABLE, embedding=4)
    vector = features(numeric=NUMERIC, categories=CATEGORIES)
    assert features.num_features == 2 + 2 * 4
    tables = [module for module in features.modules() if isinstance(module, nn.Embedding)]
    assert [table.num_embeddings for table in tables] == [2, 3]
    codes = [table(CATEGORIES[:, i]) for i, table in enumerate(tables)]
    assert torch.equal(vector, torch.cat([NUMERIC, *codes], dim=1))


def test_a_single_input_is_given_by_position_and_flattened() -> None:
    features = Features(Shapes(inputs={"images": (1, 2, 2)}, outputs=3))
    images = torch.arange(8.0).reshape(2, 1, 2, 2)
    assert features.num_features == 4
    assert torch.equal(features(images), images.flatten(1))


def test_a_perceptron_without_hidden_layers_is_linear_in_the_features() -> None:
    model = Perceptron(PerceptronConfig(hidden_layers=0), TABLE)
    vector = Features(TABLE)(numeric=NUMERIC, categories=CATEGORIES)
    expected = vector @ model.output.weight.T + model.output.bias
    assert torch.allclose(model(numeric=NUMERIC, categories=CATEGORIES), expected)
