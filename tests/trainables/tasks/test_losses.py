import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.utils.class_weight import compute_class_weight

from trainables.tasks import losses
from trainables.tasks.samples import Samples

M, B, K, T = 3, 5, 4, 2
RANDOM = torch.Generator().manual_seed(0)
OUTPUT = torch.randn(M, B, K, generator=RANDOM)
TARGET = torch.randint(0, K, (M, B), generator=RANDOM)
SMOOTHING = torch.tensor([0.0, 0.1, 0.4])
WEIGHTS = torch.rand(M, K, generator=RANDOM)


def samples(target):
    rows = np.zeros((len(target), 1))
    return Samples(inputs={"numeric": rows}, targets={"y": np.asarray(target)})


@pytest.mark.parametrize("smoothed", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_is_torchs(smoothed, weighted):
    values = {"label_smoothing": SMOOTHING[:, None]} if smoothed else {}
    values |= {"class_weights": WEIGHTS[:, None]} if weighted else {}
    stacked = losses.cross_entropy(OUTPUT, TARGET, **values)
    for m in range(M):
        expected = F.cross_entropy(
            OUTPUT[m],
            TARGET[m],
            weight=WEIGHTS[m] if weighted else None,
            label_smoothing=float(SMOOTHING[m]) if smoothed else 0.0,
            reduction="none",
        )
        torch.testing.assert_close(stacked[m], expected)
        alone = losses.cross_entropy(
            OUTPUT[m], TARGET[m], **{name: value[m] for name, value in values.items()}
        )
        torch.testing.assert_close(alone, expected)


def test_squared_error_is_in_deviations_of_the_training_target():
    target = torch.randn(M, B, generator=RANDOM)
    mean, std = torch.tensor([[1.0], [2], [3]]), torch.tensor([[2.0], [1], [4]])
    output = torch.randn(M, B, 1, generator=RANDOM)
    found = losses.scaled_squared_error(output, target, target_mean=mean, target_std=std)
    torch.testing.assert_close(found, (output[..., 0] - (target - mean) / std) ** 2)
    for given in (output, output[..., 0]):
        alone = losses.scaled_squared_error(
            given[1], target[1], target_mean=mean[1], target_std=std[1]
        )
        torch.testing.assert_close(alone, found[1])


def test_predictions_undo_the_scale():
    target = torch.randn(M, B, generator=RANDOM)
    mean, std = torch.tensor([[1.0], [2], [3]]), torch.tensor([[2.0], [1], [4]])
    output = ((target - mean) / std).unsqueeze(-1)
    value = losses.unscaled(output, target_mean=mean, target_std=std)["value"]
    torch.testing.assert_close(value, target)
    alone = losses.unscaled(output[0], target_mean=mean[0], target_std=std[0])["value"]
    torch.testing.assert_close(alone, target[0])


def test_several_values():
    target = torch.randn(M, B, T, generator=RANDOM)
    mean, std = torch.randn(M, 1, T), torch.rand(M, 1, T) + 0.5
    output = (target - mean) / std
    found = losses.scaled_squared_errors(output + 1, target, target_mean=mean, target_std=std)
    torch.testing.assert_close(found, torch.ones(M, B))
    value = losses.unscaled_values(output, target_mean=mean, target_std=std)["value"]
    torch.testing.assert_close(value, target)


def test_scale_of_a_target():
    found = losses.target_scale(samples([1.0, 3.0, 5.0]), target="y")
    assert found == {"target_mean": 3.0, "target_std": pytest.approx(np.std([1, 3, 5]))}
    assert losses.target_scale(samples([0.1] * 3), target="y")["target_std"] == 1.0
    several = losses.target_scale(samples([[1.0, 2.0], [3.0, 2.0]]), target="y")
    np.testing.assert_array_equal(several["target_mean"], [2, 2])
    np.testing.assert_array_equal(several["target_std"], [1, 1])


def test_balance_of_classes_is_scikit_learns():
    target = np.array([0, 0, 0, 1, 2, 2])
    found = losses.class_balance(samples(target), target="y", num_classes=3)["class_weights"]
    expected = compute_class_weight("balanced", classes=np.arange(3), y=target)
    np.testing.assert_allclose(found, expected)


def test_a_class_without_rows_counts_1():
    found = losses.class_balance(samples([0, 0, 1]), target="y", num_classes=3)["class_weights"]
    np.testing.assert_allclose(found, [0.75, 1.5, 1])
