import os
import subprocess
import sys
from dataclasses import fields

import numpy as np
import pandas as pd
import pytest
from ray import cloudpickle

from foldsweep.errors import CodeError
from search_spaces.loading import ANY_TASK, SPACES, TUNED, load_space, load_variant, takes_task
from tests.refusals import refused, text
from trainables.config import TrialConfig
from trainables.data.digits import digits_source
from trainables.data.folds import stratified_folds
from trainables.data.pairs import draw_pairs
from trainables.tasks.kinds import classification
from trainables.tasks.samples import Data
from trainables.trainable import trainable_for
from trainables.trial import Context
from trainables.variants import VARIANTS

OWN = '''
"""A user's own network, as the README has it."""

from dataclasses import dataclass

from ray import tune
from torch import nn

from search_spaces.space import SearchSpace
from trainables.config import TrialConfig
from trainables.tasks.larger_digit import TASK
from trainables.tasks.task import Variant


@dataclass(frozen=True, kw_only=True)
class MyConfig(TrialConfig):
    width: int = 8


class MyNet(nn.Module):
    def __init__(self, config, shapes):
        super().__init__()
        layers = nn.Linear(392, config.width), nn.Linear(config.width, shapes.outputs)
        self.net = nn.Sequential(nn.Flatten(), *layers)

    def forward(self, pair):
        return self.net(pair)


MINE = Variant(name="mine", task=TASK, model=MyNet, config=MyConfig)


def space():
    return SearchSpace(
        name="mine", variant=MINE, domains={"width": tune.randint(4, 16), "epochs": 2}
    )
'''


@pytest.fixture
def write(tmp_path):
    """Function that writes a space file with the given name and returns its path."""

    def to_file(text, name="own.py"):
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return to_file


@pytest.mark.parametrize("name", SPACES)
def test_a_known_name_gives_its_space(name):
    assert load_space(name).name == name


@pytest.mark.parametrize("name", ["resnet", "", "MLP", "mlp.yaml"])
def test_an_unknown_name_is_refused_with_the_known_ones(name):
    with refused("loading.space-unknown", space=name, known=", ".join(TUNED)):
        load_space(name)


@pytest.mark.parametrize("relative", [False, True], ids=["absolute", "relative"])
def test_a_file_of_ones_own_gives_its_space(relative, write, monkeypatch, tmp_path):
    path = write(OWN)
    monkeypatch.chdir(tmp_path)
    space = load_space("own.py" if relative else path)
    assert space.name == "mine"
    assert space.complete({"width": 5}).to_dict()["width"] == 5
    assert os.path.samefile(space.file, path)


def test_a_file_may_be_loaded_twice_and_two_may_have_one_name(write, tmp_path):
    (tmp_path / "other").mkdir()
    first, again = load_space(write(OWN)), load_space(write(OWN))
    other = load_space(write(OWN.replace("width: int = 8", "width: int = 9"), "other/own.py"))
    assert first.complete({}).width == again.complete({}).width == 8
    assert other.complete({}).width == 9


BROKEN = [
    ("def space(:\n", r"line 1: SyntaxError"),
    ("\nimport no_such_module_of_anyone\n", r"line 2: ModuleNotFoundError: No module named"),
    ("space = 3\n", r"TypeError: 'int' object is not callable"),
    ("def space():\n    return 1 / 0\n", r"line 2: ZeroDivisionError: division by zero"),
    ("def space():\n    import os\n    return os.nothing\n", r"line 3: AttributeError: .*nothing"),
    ("raise ValueError('two\\nlines')\n", r"line 1: ValueError: two lines"),
    ("raise SystemExit(3)\n", r"line 1: SystemExit: 3"),
    ("import missing_here\n", r"line 1: ModuleNotFoundError"),
]


RELATIVE = pytest.mark.parametrize("relative", [False, True], ids=["absolute", "relative"])


@pytest.mark.parametrize(("code", "cause"), BROKEN, ids=[cause for _, cause in BROKEN])
@RELATIVE
def test_a_broken_file_is_refused_in_one_line_with_file_and_cause(
    code, cause, relative, write, monkeypatch, tmp_path
):
    path = write(code)
    monkeypatch.chdir(tmp_path)
    given = "own.py" if relative else path
    with pytest.raises(CodeError, match=cause) as caught:
        load_space(given)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"space file {given}")


def unusable(kind, **values):
    """Kind and values of a file whose space cannot be used, for a mistake of another kind."""
    reason = text("space.cannot-be-used", space="mine", reason=text(kind, **values))
    return "file-cannot-be-used", {"reason": reason}


WIDTHS = {
    "where": "domains",
    "unknown": "depth",
    "config": "MyConfig",
    "known": ", ".join(sorted(["width", *(field.name for field in fields(TrialConfig))])),
}
NO_SPACE = [
    ("x = 1\n", "function-missing", {}),
    ("def space():\n    return {'lr': 1}\n", "not-a-space", {"found": "dict"}),
    (OWN.replace('name="mine", variant', 'name="mlp", variant'), "name-taken", {"name": "mlp"}),
    (OWN.replace('"width": tune', '"depth": tune'), *unusable("space.key-unknown", **WIDTHS)),
    (
        OWN.replace('"width": tune.randint(4, 16)', '"width": 4'),
        *unusable("space.nothing-searched"),
    ),
]


@pytest.mark.parametrize(("code", "kind", "values"), NO_SPACE)
@RELATIVE
def test_a_file_without_a_space_that_can_be_used_is_refused(
    code, kind, values, relative, write, monkeypatch, tmp_path
):
    path = write(code)
    monkeypatch.chdir(tmp_path)
    given = "own.py" if relative else path
    with refused(f"loading.{kind}", path=given, **values) as caught:
        load_space(given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["none.py", "folder.py"])
def test_a_file_that_does_not_exist_is_refused(name, tmp_path):
    (tmp_path / "folder.py").mkdir()
    with refused("loading.file-missing", path=tmp_path / name):
        load_space(str(tmp_path / name))


OWN_LATER = "from __future__ import annotations\nfrom typing import Literal\n" + OWN.replace(
    "width: int = 8", "width: int = 8\n    act: Literal['relu'] = 'relu'"
)
ELSEWHERE = """
import pickle, sys
for parcel in sys.argv[1:]:
    cls, context = pickle.load(open(parcel, "rb"))
    trainable = cls.__new__(cls)
    trainable.setup({"width": 5, "epochs": 2, "trial_number": 0}, context)
    result = trainable.step()
    print(trainable.variant.config.__name__, result["epoch"], result["num_params"])
"""


@pytest.mark.slow
def test_what_a_file_defines_travels_to_workers_without_the_file(write, tmp_path):
    """Also if the annotations in the file are strings."""
    data = draw_pairs(digits_source(), seed=0, train_pairs=40, test_pairs=10)
    folds = stratified_folds(data.train.targets["target"], num_folds=2, seed=0)
    context = Context(data=data, folds=folds, seed=0)
    parcels = []
    for name, code in [("plain", OWN), ("later", OWN_LATER)]:
        path = write(code, f"{name}.py")
        parcels.append(tmp_path / f"{name}.pkl")
        cls = trainable_for(load_space(path).variant)
        parcels[-1].write_bytes(cloudpickle.dumps((cls, context)))
        os.remove(path)
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, *map(str, parcels)],
        check=True,
        capture_output=True,
        text=True,
        timeout=50,
        cwd=tmp_path,
    )
    assert done.stdout.split() == ["MyConfig", "2", str(393 * 5 + 6 * 2)] * 2


def test_a_variant_is_found_by_name_or_in_a_file(write):
    assert load_variant("cnn", "cnn") is VARIANTS["cnn"]
    assert load_variant("cnn", "larger_digit/cnn") is VARIANTS["cnn"]
    for name in ("mine", "larger_digit/mine"):
        assert load_variant(write(OWN), name).name == "mine"


def test_a_variant_that_is_not_there_is_refused(write):
    with refused("variants.unknown", variant="resnet", known=", ".join(VARIANTS)):
        load_variant("mlp", "resnet")
    path = write(OWN)
    with refused("loading.other-variant", space=path, found="larger_digit/mine", wanted="mlp"):
        load_variant(path, "mlp")


@pytest.fixture
def table():
    """User-defined task: rows of three classes with two columns."""
    x = np.random.default_rng(0).normal(size=(60, 2))
    frame = pd.DataFrame({"a": x[:, 0], "b": x[:, 1]})
    target = np.digitize(x[:, 0], [-0.4, 0.4])
    return classification("mine", Data.of(frame, pd.Series(target), holdout=0.0, name="mine"))


@pytest.mark.parametrize("name", ["mlp", "random_forest", "knn"])
def test_a_space_for_any_task_is_one_for_the_users(name, table):
    space = load_space(name, table)
    assert space.name == name
    assert space.variant.full_name == f"mine/{name}"
    assert space.variant.task is table
    assert load_variant(name, f"mine/{name}", table).full_name == f"mine/{name}"


def test_names_that_are_for_other_tasks_are_refused_with_what_is_missing(table):
    with refused("loading.space-for-own-data", space="knn"):
        load_space("knn")
    with refused("loading.space-for-shipped-task", space="cnn_ws_aux"):
        load_space("cnn_ws_aux", table)
    with refused("loading.space-unknown-for-data", space="resnet", known=", ".join(ANY_TASK)):
        load_space("resnet", table)


FOR_ANY = """
import foldsweep as fs
from torch import nn


def net(config, shapes):
    (columns,) = shapes.inputs["numeric"]
    return nn.Linear(columns, shapes.outputs)


def space(task):
    domains = {"lr": fs.tune.loguniform(1e-4, 1e-1)}
    net_of_task = fs.variant("net", task, net, fs.TrialConfig)
    return fs.SearchSpace(name="net", variant=net_of_task, domains=domains)
"""


def test_a_file_may_define_a_space_for_the_task_of_any_data(write, table):
    path = write(FOR_ANY)
    space = load_space(path, table)
    assert (space.name, space.file) == ("net", path)
    assert space.variant.task is table
    assert load_variant(path, "mine/net", table).full_name == "mine/net"
    assert takes_task(path)


def test_a_space_for_the_task_of_any_data_needs_one(write):
    path = write(FOR_ANY)
    with refused("loading.task-missing", path=path):
        load_space(path)


def test_an_argument_with_a_default_is_not_filled(write, table):
    path = write(OWN.replace("def space():", "def space(epochs=2):"))
    assert not takes_task(path)
    assert load_space(path, table).variant.task is not table


def test_a_space_of_another_task_than_it_is_given_is_refused(write, table):
    path = write(OWN.replace("def space():", "def space(task):"))
    with refused("loading.other-task", path=path, found="larger_digit"):
        load_space(path, table)


def test_a_space_of_a_task_that_fails_names_its_file_and_line(write, table):
    path = write(FOR_ANY.replace("    domains = {", "    domains = tsak or {"))
    with pytest.raises(CodeError) as caught:
        load_space(path, table)
    assert "line 12" in str(caught.value)
    assert "tsak" in caught.value.traceback
