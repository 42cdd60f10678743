import pytest

from trainables.models.layers import num_params
from trainables.presets import PRESETS
from trainables.variants import VARIANTS

PARAMETERS = {
    "aguet2019/auxiliary": 69_428,
    "aguet2019/deep_cnn": 69_666,
    "aguet2019/fc_dropout": 12_642,
    "lenet_transfer/weight_sharing": 63_242,
}
"""As the reports give them."""


@pytest.mark.parametrize(("name", "expected"), PARAMETERS.items())
def test_a_preset_has_as_many_parameters_as_its_report_says(name, expected):
    preset = PRESETS[name]
    variant = VARIANTS[preset.variant]
    assert num_params(variant.model(variant.config.from_dict(preset.config))) == expected


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_a_complete_configuration_of_a_known_variant(name):
    preset = PRESETS[name]
    assert preset.name == name
    assert name.count("/") == 1
    config = VARIANTS[preset.variant].config.from_dict(preset.config)
    assert type(config).from_dict(config.to_dict()) == config
    assert (config.aux_weight > 0) == VARIANTS[preset.variant].auxiliary
    for field in ("lr", "batch_size", "epochs", "dropout"):
        assert field in preset.config


def test_every_variant_has_a_preset():
    assert {preset.variant for preset in PRESETS.values()} >= set(VARIANTS)
