import dataclasses
import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.refusals import refused
from trainables.config import ClassifierConfig, ImageConfig, TrialConfig
from trainables.models import images, perceptron
from trainables.models.backprop import BackpropConfig
from trainables.models.pairs.backprop import PairBackpropConfig
from trainables.models.pairs.conv import ConvConfig, PairConvConfig
from trainables.models.pairs.digit import DeepDigitConfig, DigitConfig
from trainables.models.pairs.distance import DistanceConfig
from trainables.models.pairs.perceptron import PerceptronConfig
from trainables.models.pairs.scores import PairConfig
from trainables.models.pairs.siamese import (
    ConvSiameseConfig,
    PerceptronSiameseConfig,
    TransferConfig,
)
from trainables.variants import VARIANTS

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
    ("precision", "float16"),
    ("channels", 0),
    ("channels", (8, 0)),
    ("kernel", 0),
    ("padding", -1),
    ("conv_layers", -1),
    ("hidden", 0),
    ("hidden_layers", -1),
    ("outputs", 3),
    ("aux_schedule", "step"),
    ("dropout_blocks", "first"),
]
OUT_OF_RANGE_IN_A_FAMILY = [
    (PerceptronConfig, "hidden", 0),
    (PerceptronConfig, "outputs", 3),
    (PairConvConfig, "output_kernel", 0),
    (ConvSiameseConfig, "kernel", 0),
    (ConvSiameseConfig, "head_hidden", 0),
    (ConvSiameseConfig, "head_hidden", (5, 0)),
    (ConvSiameseConfig, "head_hidden_layers", -1),
    (ConvSiameseConfig, "digit_hidden", (0,)),
    (PerceptronSiameseConfig, "hidden", (3, 0)),
    (PerceptronSiameseConfig, "head_hidden", 0),
    (TransferConfig, "pretrain", 0.0),
    (TransferConfig, "pretrain", 1.0),
    (TransferConfig, "digits", "path"),
    (TransferConfig, "epochs", 1),
    (DistanceConfig, "embedding", 0),
    (DistanceConfig, "outputs", 2),
    (DigitConfig, "main_weight", 1.0),
    (DeepDigitConfig, "digit_smoothing", 1.0),
    (DeepDigitConfig, "elastic", -1.0),
    (BackpropConfig, "hidden", 0),
    (BackpropConfig, "hidden_layers", -1),
    (BackpropConfig, "schedule_rate", -0.1),
    (BackpropConfig, "dropout", 0.1),
    (BackpropConfig, "lr_decay", 0.9),
    (BackpropConfig, "lr_schedule", "cosine"),
    (BackpropConfig, "precision", "bfloat16"),
    (PairBackpropConfig, "shift", -1.0),
    (ClassifierConfig, "label_smoothing", 1.0),
    (ImageConfig, "rotation", math.nan),
    (perceptron.PerceptronConfig, "hidden", 0),
    (perceptron.PerceptronConfig, "hidden_layers", -1),
    (perceptron.PerceptronConfig, "embedding", -1),
    (perceptron.PerceptronClassifierConfig, "label_smoothing", -0.1),
    (images.ConvNetConfig, "channels", 0),
    (images.ConvNetClassifierConfig, "scale", -0.1),
]

FIELDS = {
    TrialConfig: (set(), {"label_smoothing", "aux_alpha", "shift", "hidden"}),
    BackpropConfig: ({"schedule"}, {"label_smoothing", "main_weight", "shift"}),
    PairBackpropConfig: ({"schedule", "shift"}, {"label_smoothing", "main_weight"}),
    PairConfig: ({"label_smoothing", "aux_alpha", "shift"}, {"class_weight"}),
    perceptron.PerceptronConfig: ({"embedding"}, {"label_smoothing", "aux_alpha", "rotation"}),
    images.ConvNetConfig: ({"channels", "rotation"}, {"label_smoothing", "aux_alpha"}),
}
"""Some fields that a configuration class has besides `TrialConfig`'s, and some that it lacks."""

configs = st.builds(
    PairConfig,
    lr=st.floats(0, 1),
    lr_decay=st.floats(0.1, 1),
    lr_schedule=st.sampled_from(["constant", "cosine"]),
    precision=st.sampled_from(["float32", "bfloat16"]),
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
    assert PairConfig.from_dict(config.to_dict()) == config


@pytest.mark.parametrize("config", FIELDS)
def test_a_configuration_has_the_fields_of_its_kind_only(config):
    known = {field.name for field in dataclasses.fields(config)}
    more, less = FIELDS[config]
    assert {field.name for field in dataclasses.fields(TrialConfig)} | more <= known
    assert not less & known


def test_a_configuration_is_frozen_and_its_dict_is_flat():
    config = ConvConfig(channels=(4, 8))
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.lr = 0.1
    assert config.to_dict()["channels"] == (4, 8)
    assert set(config.to_dict()) == {field.name for field in dataclasses.fields(ConvConfig)}


@pytest.mark.parametrize(("name", "value"), OUT_OF_RANGE)
def test_a_value_out_of_range_is_refused_by_name(name, value):
    with refused("config.value-refused", field=name) as caught:
        ConvConfig.from_dict({name: value})
    assert "\n" not in str(caught.value).split(": ", 1)[0]


@pytest.mark.parametrize(("family", "name", "value"), OUT_OF_RANGE_IN_A_FAMILY)
def test_a_familys_value_out_of_range_is_refused_by_name(family, name, value):
    family()
    with refused("config.value-refused", field=name):
        family.from_dict({name: value})


def test_an_unknown_key_is_refused_with_the_known_ones():
    with refused(
        "config.field-unknown", config="PerceptronConfig", unknown="bogus, width"
    ) as caught:
        PerceptronConfig.from_dict({"width": 3, "bogus": 1})
    assert str(caught.value.values["known"]).startswith("lr, ")


WRONG_TYPES = """
from foldsweep.errors import UserError
from trainables.variants import VARIANTS
from trainables.models.pairs.siamese import ConvSiameseConfig as Config

for name, value in [
    ("lr", "fast"), ("lr", None), ("lr", True), ("lr", (0.1,)), ("batch_size", 2.5),
    ("epochs", "3"), ("batch_norm", True), ("activation", "gelu"), ("channels", "32"),
    ("channels", [8, 2.5]), ("hidden", None), ("squash", 1), ("digits", "beside"), ("pooled", 1.5),
    ("head_hidden", 2.5), ("digit_hidden", 3), ("shuffle", 1), ("aux_schedule", "cosine"),
    ("precision", "float16"), ("precision", None),
]:
    try:
        Config.from_dict({name: value})
    except UserError as error:
        assert (error.kind, error.values["field"]) == ("config.value-refused", name), error
        assert "\\n" not in str(error), error
    else:
        raise SystemExit(f"{name}={value!r} was accepted")
Config.from_dict({"lr": 1, "dropout": 0, "pooled": None, "channels": [], "aux_alpha": 0})
Config.from_dict({"head_hidden": 3, "shuffle": False, "aux_schedule": "linear"})
"""


def test_a_value_of_the_wrong_type_is_refused():
    """Runs in another process: in this one, the tests' type checker would refuse it first."""
    subprocess.run([sys.executable, "-c", WRONG_TYPES], check=True, timeout=50)


def test_lists_become_tuples():
    config = ConvConfig.from_dict({"channels": [4, 8], "kernel": [3, 5]})
    assert (config.channels, config.kernel) == ((4, 8), (3, 5))


@given(alpha=st.floats(0, 1))
def test_aux_alpha_sets_both_weights(alpha):
    config = PairConfig.from_dict({"aux_alpha": alpha, "main_weight": 9.0, "aux_weight": 9.0})
    assert config.main_weight == 1 - alpha
    assert config.aux_weight == alpha / 2
    assert config.main_weight + 2 * config.aux_weight == pytest.approx(1)


def test_weights_stand_without_aux_alpha():
    config = PairConfig(main_weight=2.0, aux_weight=0.5)
    assert (config.main_weight, config.aux_weight) == (2.0, 0.5)


def test_weights_are_constant_unless_annealed():
    config = PairConfig(main_weight=0.6, aux_weight=0.2, epochs=4)
    assert [config.loss_weights_at(epoch) for epoch in range(4)] == [(0.6, 0.2)] * 4


def test_annealed_weights_move_from_the_digits_to_the_comparison():
    config = PairConfig(main_weight=1.0, aux_weight=2.0, aux_schedule="linear", epochs=4)
    weights = [config.loss_weights_at(epoch) for epoch in range(4)]
    assert weights == [(0.0, 2.0), (0.25, 1.5), (0.5, 1.0), (0.75, 0.5)]


@given(config=configs)
def test_the_annealed_share_falls_from_1_to_one_epochs_part(config):
    annealed = dataclasses.replace(
        config, aux_schedule="linear", aux_alpha=None, main_weight=1.0, aux_weight=1.0
    )
    weights = [annealed.loss_weights_at(epoch) for epoch in range(config.epochs)]
    assert weights[0] == (0.0, 1.0)
    assert weights[-1][1] == pytest.approx(1 / config.epochs)
    assert all(main + aux == pytest.approx(1) for main, aux in weights)


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


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("cnn_digit", {"outputs": 1}),
        ("cnn_digit", {"squash": True}),
        ("cnn_transfer", {"aux_schedule": "linear"}),
    ],
)
def test_a_setting_that_a_variant_would_ignore_is_refused(name, values):
    with refused("config.value-refused", field=next(iter(values))):
        VARIANTS[name].config(**values)
