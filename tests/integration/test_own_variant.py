"""A user's own variant, in the user's own file, works like those that come with foldsweep."""

import json
import shlex
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from tests.integration.user import TINY, User, check_mlflow, copy_out, until
from tests.refusals import said_as, text
from trainables.data.digits import digits_source
from trainables.tasks.larger_digit import TASK

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(180)]


@dataclass(frozen=True)
class Own:
    """A user who has swept their own variant, the file of the variant, and the sweep's output."""

    user: User
    file: Path
    said: str


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, empty_mlflow: Path) -> Iterator[Own]:
    user = User(tmp_path_factory.mktemp("own"), empty_mlflow)
    folder = user.folder / "somewhere else"
    folder.mkdir()
    file = copy_out("docs/examples/own_variant.py", folder)
    said = user.run(
        *("sweeps/run.py", "--space", "somewhere else/own_variant.py", "--name", "own", *TINY),
        *("--trials", 3, "--epochs", 3, "--scheduler", "none", "--concurrency", 2),
    ).stdout
    yield Own(user, file, said)
    user.clean_up()


def test_a_file_of_ones_own_is_swept_exported_and_measured(own: Own) -> None:
    user, file = own.user, own.file
    assert (
        text("messages.ended-pausing", space="own_difference", complete=3, paused=0, failed=0)
        in own.said
    )
    assert said_as("summary.baseline", trial=0, name="plain").search(own.said)

    trials = user.study("own/own_difference")
    runs = user.mlflow("own/own_difference")
    check_mlflow(runs, trials)
    assert set(trials[1].params) == {"lr", "units", "dropout"}
    for trial in trials:
        run = runs[str(trial.number)]
        assert run.tags["variant"] == "larger_digit/difference"
        assert run.tags["space_file"] == str(file)
        assert run.params["units"] == str(trial.params["units"])

    said = user.run("analysis/export.py", "--space", "own_difference").stdout
    exported = "best-own-own_difference.yaml"
    assert said.startswith(f"{exported}: trial ")
    said = user.run("sweeps/evaluate.py", exported, "--cv").stdout
    assert text("evaluate.equal") in said
    assert text("measurements.code", variant="larger_digit/difference", file=file) in said

    elsewhere = file.rename(file.with_suffix(".txt"))
    said = user.run("sweeps/evaluate.py", exported, code=2).stderr
    reason = "No such file or directory"
    assert said == f"error: {text('recipes.file-unreadable', path=file, reason=reason)}\n"
    elsewhere.rename(file)


@pytest.fixture
def user(tmp_path: Path, empty_mlflow: Path) -> Iterator[User]:
    user = User(tmp_path, empty_mlflow)
    yield user
    user.clean_up()


def post(port: int, request: object) -> dict[str, list]:
    """Send a request to an MLflow model server; return its predictions."""
    asked = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations",
        data=json.dumps(request).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return json.load(answer)["predictions"]


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


@pytest.mark.filterwarnings(r"ignore:`torch\.jit\.load` is deprecated:DeprecationWarning")
def test_a_registered_model_is_served_without_its_file(own: Own, tmp_path: Path) -> None:
    """Runs the printed command in another folder; the variant's code is part of the model."""
    user = own.user
    *_, written, registered, ask, serve = user.run(
        *("analysis/export.py", "--space", "own_difference"),
        *("--register", "mine", "--format", "torchscript"),
    ).stdout.splitlines()
    path = "best-own-own_difference.pt"
    assert said_as("trained.file", path=path, format="torchscript").fullmatch(written)
    first = said_as("model-registry.champion", version=1, name="mine", alias="champion")
    assert first.fullmatch(registered)
    assert said_as("champion.first").search(registered)
    assert ask.endswith("analysis/predict.py mine NEW.csv")
    setting, *words = shlex.split(serve.removeprefix(text("export.serve-champion", command="")))
    name, _, uri = setting.partition("=")
    module = ["-P", "-m", "mlflow", "models", "serve"]
    assert (name, words[1:6]) == ("MLFLOW_TRACKING_URI", module)
    assert words[words.index("--host") + 1] == "127.0.0.1"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words[words.index("--port") + 1] = str(port)

    gone = own.file.rename(own.file.with_suffix(".txt"))
    server = User(tmp_path)
    try:
        process = server.start_command(*words, MLFLOW_TRACKING_URI=uri)
        until(lambda: answers(port), process)
        pairs = digits_source().test.images[:6].reshape(3, 2, 14, 14)
        given = post(port, {"inputs": pairs.tolist()})
        with pytest.raises(urllib.error.HTTPError, match="400"):
            post(port, {"inputs": (pairs / 255).tolist()})
    finally:
        server.clean_up()
        gone.rename(own.file)
    file = torch.jit.load(str(user.folder / "best-own-own_difference.pt"))
    answer, probability = file(torch.from_numpy(pairs))
    named = {f"probability_{name}": i for i, name in enumerate(TASK.classes)}
    assert set(given) == {"prediction", *named}
    assert given["prediction"] == [TASK.classes[i] for i in answer.tolist()]
    for name, i in named.items():
        assert given[name] == pytest.approx(probability[:, i].tolist(), abs=1e-6)


FOR_ANY_DATA = """
import foldsweep as fs
from torch import nn


def net(config, shapes):
    (columns,) = shapes.inputs["numeric"]
    return nn.Linear(columns, shapes.outputs)


def space(task):
    domains = {"lr": fs.tune.loguniform(1e-3, 1e-1), "epochs": 3}
    variant = fs.variant("net", task, net, fs.TrialConfig)
    return fs.SearchSpace(name="net", variant=variant, domains=domains)
"""


@pytest.mark.timeout(400)
def test_a_file_for_any_data_is_swept_measured_registered_and_predicts(user: User) -> None:
    """Beside a built-in space, on the same data; resumed with the settings of the sweep."""
    rows = "\n".join(f"{i % 7},{i % 5},{'ab'[i % 7 > 3]}" for i in range(90))
    (user.folder / "rows.csv").write_text(f"x,z,kind\n{rows}\n")
    (user.folder / "net.py").write_text(FOR_ANY_DATA)
    user.run(
        *("sweeps/run.py", "--data", "rows.csv", "--target", "kind", "--name", "any"),
        *("--space", "net.py", "logistic", "--trials", 2, "--folds", 3, "--concurrency", 2),
    )
    user.run("sweeps/run.py", "--resume", "any", "--trials", 3)
    assert [trial.state.name for trial in user.study("any/net")] == ["COMPLETE"] * 3
    assert len(user.study("any/logistic")) == 3

    user.run("analysis/export.py", "--sweep", "any", "--space", "net")
    said = user.run("sweeps/evaluate.py", "best-any-net.yaml", "--cv").stdout
    assert "equal in every fold and metric, to the last bit" in said
    user.run("analysis/export.py", "--sweep", "any/net", "--register", "any")
    (user.folder / "net.py").unlink()  # the registered model has a copy
    user.run("analysis/predict.py", "any", "rows.csv")
    predicted = (user.folder / "predictions.csv").read_text().splitlines()
    assert predicted[0] == "prediction,probability_a,probability_b"
    assert len(predicted) == 91
