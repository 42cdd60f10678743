import dataclasses
import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainables.config import TrialConfig
from trainables.errors import UserError
from trainables.models.conv import ConvConfig
from trainables.models.perceptron import PerceptronConfig

OUT_OF_RANGE = [
    ("lr", -1e-3),
    ("lr", math.inf),
    ("lr", math.nan),
    ("lr_decay", 0.0),
    ("lr_decay", 1.1),
    ("lr_schedule", "step"),
    ("weight_decay", -1.0),
    ("batch_size", 0),
    ("epochs", 0),
    ("dropout", 1.0),
    ("dropout", -0.1),
    ("label_smoothing", 1.0),
    ("aux_alpha", 1.5),
    ("aux_alpha", -0.5),
    ("main_weight", -1.0),
    ("aux_weight", math.nan),
    ("shift", -1.0),
    ("rotation", math.inf),
    ("scale", -0.1),
    ("channels", 0),
    ("channels", (8, 0)),
    ("kernel", 0),
    ("padding", -1),
    ("conv_layers", -1),
    ("hidden", 0),
    ("hidden_layers", -1),
    ("outputs", 3),
]

configs = st.builds(
    TrialConfig,
    lr=st.floats(0, 1),
    lr_decay=st.floats(0.1, 1),
    lr_schedule=st.sampled_from(["constant", "cosine"]),
    weight_decay=st.floats(0, 1),
    batch_size=st.integers(1, 1000),
    epochs=st.integers(1, 100),
    dropout=st.floats(0, 0.99),
    label_smoothing=st.floats(0, 0.99),
    aux_alpha=st.none() | st.floats(0, 1),
    shift=st.floats(0, 5),
)


@given(configs)
def test_a_configuration_survives_its_dict(config):
    assert TrialConfig.from_dict(config.to_dict()) == config


def test_a_configuration_is_frozen_and_its_dict_is_flat():
    config = ConvConfig(channels=(4, 8))
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.lr = 0.1
    assert config.to_dict()["channels"] == (4, 8)
    assert set(config.to_dict()) == {field.name for field in dataclasses.fields(ConvConfig)}


@pytest.mark.parametrize(("name", "value"), OUT_OF_RANGE)
def test_a_value_out_of_range_is_refused_by_name(name, value):
    with pytest.raises(UserError, match=name) as caught:
        ConvConfig.from_dict({name: value})
    assert "\n" not in str(caught.value).split(": ", 1)[0]


def test_an_unknown_key_is_refused_with_the_known_ones():
    with pytest.raises(UserError, match="PerceptronConfig has no field bogus, width; it has lr, "):
        PerceptronConfig.from_dict({"width": 3, "bogus": 1})


WRONG_TYPES = """
from trainables.errors import UserError
from trainables.models.siamese import SiameseConfig

for name, value in [
    ("lr", "fast"), ("lr", None), ("lr", True), ("lr", (0.1,)), ("batch_size", 2.5),
    ("epochs", "3"), ("batch_norm", True), ("activation", "gelu"), ("channels", "32"),
    ("channels", [8, 2.5]), ("hidden", None), ("squash", 1), ("digits", "beside"), ("pooled", 1.0),
    ("head_hidden", 3),
]:
    try:
        SiameseConfig.from_dict({name: value})
    except UserError as error:
        assert str(error).startswith(f"{name} must be "), error
        assert "\\n" not in str(error), error
    else:
        raise SystemExit(f"{name}={value!r} was accepted")
SiameseConfig.from_dict({"lr": 1, "dropout": 0, "pooled": None, "channels": [], "aux_alpha": 0})
"""


def test_a_value_of_the_wrong_type_is_refused():
    """In a process of its own: here the checker of shapes would refuse it before we do."""
    subprocess.run([sys.executable, "-c", WRONG_TYPES], check=True, timeout=50)


def test_lists_become_tuples():
    config = ConvConfig.from_dict({"channels": [4, 8], "kernel": [3, 5]})
    assert (config.channels, config.kernel) == ((4, 8), (3, 5))


@given(alpha=st.floats(0, 1))
def test_aux_alpha_sets_both_weights(alpha):
    config = TrialConfig.from_dict({"aux_alpha": alpha, "main_weight": 9.0, "aux_weight": 9.0})
    assert config.main_weight == 1 - alpha
    assert config.aux_weight == alpha / 2
    assert config.main_weight + 2 * config.aux_weight == pytest.approx(1)


def test_weights_stand_without_aux_alpha():
    config = TrialConfig(main_weight=2.0, aux_weight=0.5)
    assert (config.main_weight, config.aux_weight) == (2.0, 0.5)


@given(config=configs, epoch=st.integers(0, 99))
def test_the_learning_rate_never_exceeds_its_first_value(config, epoch):
    assert config.lr_at(0) == config.lr
    assert 0 <= config.lr_at(epoch % config.epochs) <= config.lr


def test_the_learning_rate_follows_its_schedule():
    constant = TrialConfig(lr=0.1, epochs=4)
    assert [constant.lr_at(e) for e in range(4)] == [0.1] * 4
    decay = TrialConfig(lr=0.1, lr_decay=0.5, epochs=4)
    assert [decay.lr_at(e) for e in range(4)] == pytest.approx([0.1, 0.05, 0.025, 0.0125])
    cosine = TrialConfig(lr=0.1, lr_schedule="cosine", epochs=4)
    expected = [0.1, 0.1 * (0.5 + 0.5**1.5), 0.05, 0.1 * (0.5 - 0.5**1.5)]
    assert [cosine.lr_at(e) for e in range(4)] == pytest.approx(expected)
    assert cosine.lr_at(4) == pytest.approx(0)
    both = TrialConfig(lr=0.1, lr_schedule="cosine", lr_decay=0.5, epochs=4)
    assert both.lr_at(2) == pytest.approx(0.05 * 0.25)
