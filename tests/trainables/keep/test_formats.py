"""Stand-alone files give the predictions of the original model."""

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import skops.io
import torch
from torch import nn

from tests.refusals import refused
from tests.trainables.keep.cases import CASES, ESTIMATORS, NETWORKS, Case
from trainables.config import TrialConfig
from trainables.keep.estimator import TRUSTED
from trainables.keep.formats import SUFFIXES, TOLERANCE, write_standalone
from trainables.models.estimators.columns import columns_of
from trainables.models.pairs.variants import CNN_DIGIT, CNN_WS_AUX, MLP_BACKPROP
from trainables.tasks import disc
from trainables.tasks.task import Variant
from trainables.variants import VARIANTS

SMALL = {"epochs": 2, "batch_size": 9}
IN_SHORT = (CNN_WS_AUX, CNN_DIGIT, MLP_BACKPROP)
"""Variants that cover most layers; each other one takes a second, so it is a slow test."""

ONNX_IN_SHORT = ("table classes", CNN_WS_AUX.name)
"""Networks whose ONNX files are written in the default run; each takes seconds."""


def shipped(name, case_of, full_config):
    """Case of a shipped variant."""
    variant = VARIANTS[name]
    data = case_of(variant.task.name).data
    return Case(variant=variant, config=full_config(variant, epochs=2), data=data)


def in_short():
    """Parameters for every shipped variant; most of them are marked as slow."""
    for variant in VARIANTS.values():
        slow = () if variant in IN_SHORT else pytest.mark.slow
        yield pytest.param(variant.name, id=variant.name, marks=slow)


NETWORK = [*(pytest.param(n, id=n) for n in NETWORKS), *in_short()]
IN_ONNX = [
    pytest.param(*one.values, id=one.id, marks=() if one.id in ONNX_IN_SHORT else pytest.mark.slow)
    for one in NETWORK
]


@pytest.fixture
def written(case_of, model_of, full_config, tmp_path):
    """Function that writes a model of a case; returns model, file and inputs to compare."""

    def write(name, kind):
        if name in CASES:
            case, model = case_of(name), model_of(name)
        else:
            case = shipped(name, case_of, full_config)
            model = case.fit()
        path = tmp_path / f"model{SUFFIXES[kind]}"
        difference = write_standalone(model, path, kind, case.rows)
        assert difference <= TOLERANCE
        assert list(tmp_path.iterdir()) == [path]
        return model, path, case.data.train.inputs

    return write


def check(model, inputs, given):
    """Assert that the outputs of a file for these inputs equal the model's predictions."""
    wanted = model.predict(inputs)
    assert len(given) == len(wanted)
    for values, array in zip(wanted.values(), given, strict=True):
        array = np.asarray(array)
        assert array.dtype == values.dtype
        if values.dtype.kind == "i":
            np.testing.assert_array_equal(array, values)
        else:
            scale = max(1.0, np.abs(values).max())
            np.testing.assert_allclose(array, values, atol=TOLERANCE * scale)


def tensors(inputs):
    return {name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in inputs.items()}


@pytest.mark.parametrize("name", NETWORK)
@pytest.mark.filterwarnings(r"ignore:`torch\.jit\.load` is deprecated:DeprecationWarning")
def test_torchscript_gives_the_same_by_names_and_in_order(name, written):
    model, path, inputs = written(name, "torchscript")
    loaded = torch.jit.load(str(path))
    check(model, inputs, loaded(*tensors(inputs).values()))
    check(model, inputs, loaded(**tensors(inputs)))


@pytest.mark.parametrize("name", NETWORK)
def test_exported_program_gives_the_same(name, written):
    model, path, inputs = written(name, "pt2")
    program = torch.export.load(path)
    check(model, inputs, program.module()(*tensors(inputs).values()))
    assert program.graph_signature.user_inputs == tuple(model.raw)


@pytest.mark.parametrize("name", IN_ONNX)
def test_onnx_gives_the_same_by_its_names(name, written):
    model, path, inputs = written(name, "onnx")
    session = onnxruntime.InferenceSession(str(path))
    assert [i.name for i in session.get_inputs()] == list(model.raw)
    given = session.run(None, dict(inputs))
    check(model, inputs, given)
    assert [output.name for output in session.get_outputs()] == list(model.predict(inputs))


def test_table_s_file_takes_missing_numbers_and_categories(written):
    model, path, inputs = written("table classes", "onnx")
    session = onnxruntime.InferenceSession(str(path))
    types = {i.name: i.type for i in session.get_inputs()}
    assert types == {"numeric": "tensor(double)", "categories": "tensor(int64)"}
    assert np.isnan(inputs["numeric"]).any()
    holes = {
        "numeric": np.full_like(inputs["numeric"], np.nan),
        "categories": np.full_like(inputs["categories"], -1),
    }
    check(model, holes, session.run(None, holes))


@pytest.mark.parametrize("name", ESTIMATORS)
def test_skops_gives_the_same(name, written, case_of):
    model, path, inputs = written(name, "skops")
    pipeline = skops.io.load(path, trusted=list(TRUSTED))
    columns = columns_of(case_of(name).data.train)
    wanted = model.predict(inputs)
    key = "value" if "value" in wanted else "answer"
    np.testing.assert_array_equal(pipeline.predict(columns), wanted[key])


@pytest.mark.parametrize("kind", ["pt2", "torchscript", "onnx"])
def test_file_holds_no_rows(kind, written, case_of):
    """Programs contain the example that traced them, which must not be a row of the data."""
    _, path, inputs = written("larger_digit", kind)
    content = path.read_bytes()
    for row in (*inputs["images"][:3], *case_of("larger_digit").rows.inputs["images"][:3]):
        assert row.tobytes() not in content


# Refused models --------------------------------------------------------------------------------


class Undecided(nn.Module):
    """Network whose control flow depends on the values of its input."""

    def __init__(self, config, shapes):
        super().__init__()
        self.output = nn.Linear(2, 2)

    def forward(self, points):
        scores = self.output(points)
        return scores if points[0].sum() > 1 else scores.flip(1)


class Lonely(nn.Module):
    """Network whose output depends on the number of rows."""

    def __init__(self, config, shapes):
        super().__init__()
        self.output = nn.Linear(2, 2)

    def forward(self, points):
        return self.output(points) * int(points.shape[0])


class Special(nn.Module):
    """Network with a function that ONNX lacks."""

    def __init__(self, config, shapes):
        super().__init__()
        self.output = nn.Linear(2, 2)

    def forward(self, points):
        return torch.lgamma(self.output(points).exp() + 1)


@pytest.mark.parametrize(
    ("network", "kind", "mistake", "said"),
    [
        (Undecided, "pt2", "not-expressible", ""),
        (Lonely, "torchscript", "differs-from-original", ""),
        (Special, "onnx", "not-expressible", "lgamma"),
    ],
)
def test_network_that_a_format_cannot_express_is_refused(
    network, kind, mistake, said, case_of, tmp_path
):
    data = case_of("disc").data
    own = Variant(name="own", task=disc.TASK, model=network, config=TrialConfig)
    model = Case(variant=own, config=TrialConfig(**SMALL), data=data).fit()
    path = tmp_path / f"model{SUFFIXES[kind]}"
    path.write_text("what was there")
    with refused(f"keep-formats.{mistake}", variant="own", format=kind) as caught:
        write_standalone(model, path, kind, data.test_rows)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [f.name for f in tmp_path.iterdir()] == [path.name]
    assert path.read_text() == "what was there"


def many_figures(output, **_):
    probability = output.softmax(-1)
    return {"answer": (probability[:, 0] * 1e9).long(), "probability": probability}


def test_whole_numbers_are_compared_exactly(case_of, tmp_path):
    """Rounding may change probabilities, but not integer answers, even if computed from them."""
    case = case_of("table classes")
    own = replace(case.variant, predict=many_figures)
    model = Case(variant=own, config=case.config, data=case.data).fit()
    different = {"difference": np.inf, "tolerance": 1e-5}
    with refused("keep-formats.differs-from-original", **different):
        write_standalone(model, tmp_path / "model.onnx", "onnx", case.data.train)


@pytest.mark.parametrize("kind", ["torchscript", "onnx", "pt2"])
def test_estimator_is_written_by_skops_alone(kind, case_of, model_of, tmp_path):
    rows = case_of("estimator classes").rows
    wrong = {"variant": "random_forest", "format": kind}
    with refused("keep-formats.estimator-without-skops", **wrong):
        write_standalone(model_of("estimator classes"), tmp_path / "model", kind, rows)
    assert not list(tmp_path.iterdir())


def test_network_is_not_written_by_skops(case_of, model_of, tmp_path):
    rows = case_of("table classes").rows
    with refused("keep-formats.network-for-skops", variant="mlp"):
        write_standalone(model_of("table classes"), tmp_path / "model", "skops", rows)


@pytest.mark.parametrize(
    ("name", "kind"), [("larger_digit", "torchscript"), ("estimator classes", "skops")]
)
def test_folder_that_is_not_there_is_named(name, kind, case_of, model_of, tmp_path):
    path = tmp_path / "missing" / "model.pt"
    reason = "No such file or directory"
    with refused("keep-formats.file-not-writable", path=path, reason=reason):
        write_standalone(model_of(name), path, kind, case_of(name).rows)


def test_every_format_has_a_suffix_of_its_own():
    assert len(set(SUFFIXES.values())) == len(SUFFIXES) == 4
    assert TOLERANCE < 1e-4
