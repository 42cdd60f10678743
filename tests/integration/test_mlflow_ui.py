"""MLflow's pages after `make ui`, as a user sees them in a real Chromium."""

import html
import os
import re
import shlex
import signal
import socket
import subprocess
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from mlflow import MlflowClient
from playwright.sync_api import Page, expect

from docs.screenshots import REPORT, WAIT_MS, MlflowUi, chromium, quiet_page
from foldsweep.views import SWEEPS, TRIALS
from tests.integration.user import REPOSITORY, RunRow, User

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(240)]

SWEEP = "reference/mlp"


def free_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


def make_ui(port: int) -> list[str]:
    """Program that `make ui PORT=...` runs, and its arguments."""
    # a surrounding `make test ARGS=...` passes its options to every nested make
    outer = ("MAKEFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "ARGS")
    made = subprocess.run(
        ["make", "--no-print-directory", "-n", "-o", ".venv/installed", "ui", f"PORT={port}"],
        cwd=REPOSITORY,
        env={key: value for key, value in os.environ.items() if key not in outer},
        capture_output=True,
        text=True,
        check=True,
    )
    python, *command = shlex.split(made.stdout.splitlines()[-1])
    assert python == ".venv/bin/python"
    return command


@pytest.fixture(scope="module")
def address(reference: User) -> Iterator[str]:
    """Address that `make ui` prints; when stopped, the program leaves no process behind."""
    process = reference.start(*make_ui(free_port()))
    assert process.stdout is not None
    said = next((line for line in process.stdout if line.startswith("open ")), "")
    assert said, process.communicate()
    yield said.split()[1]
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM
    assert not reference.left_running()


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """A page on which every request goes to this machine."""
    program = chromium()
    if program is None:
        pytest.skip("needs Chromium (on Debian and Ubuntu: apt install chromium)")
    expect.set_options(timeout=WAIT_MS)
    with quiet_page(program) as page:
        hosts = set()
        page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
        yield page
        assert hosts - {None} == {"127.0.0.1"}


@pytest.fixture
def ui(page: Page) -> MlflowUi:
    return MlflowUi(page)


@pytest.fixture(scope="module")
def runs(reference: User) -> dict[str, RunRow]:
    return reference.mlflow(SWEEP)


@pytest.fixture(scope="module")
def report(reference: User) -> str:
    """Heading of the report, which also becomes an artifact of the sweep's run."""
    reference.run("analysis/report.py", "--sweep", "reference", "--out", "report.html")
    page = (reference.folder / "report.html").read_text("utf-8")
    heading = re.search(r"<h1[^>]*>(.+?)</h1>", page, re.DOTALL)
    assert heading is not None
    return html.unescape(heading[1])


def test_the_table_has_mean_and_std_of_a_sweep_and_of_its_trials(
    ui: MlflowUi, address: str, runs: dict[str, RunRow]
) -> None:
    sweep = runs[""].run_id
    trials = {number: run for number, run in runs.items() if number}
    ui.open_runs(address, sweep)
    expect(ui.row(sweep)).to_contain_text(SWEEP)
    expect(ui.row(trials["0"].run_id)).to_have_count(0)
    ui.expand(sweep, trials["0"].run_id)
    for column in ("val_accuracy", "val_accuracy_std"):
        expect(ui.page.get_by_test_id(f"sort-header-{column}")).to_be_visible()
        for run in runs.values():
            expect(ui.cell(run.run_id, f"metrics.`{column}`")).to_have_text(str(run.last(column)))
    for run in trials.values():
        expect(ui.cell(run.run_id, "tags.`foldsweep.state`")).to_have_text("COMPLETE")
    best = max(run.last("val_accuracy") for run in trials.values())
    assert runs[""].last("val_accuracy") == best


def test_selected_trials_are_compared_in_parallel_coordinates(
    ui: MlflowUi, address: str, runs: dict[str, RunRow]
) -> None:
    trials = [run for number, run in runs.items() if number]
    best = sorted(trials, key=lambda run: -run.last("val_accuracy"))[:3]
    ui.open_runs(address.replace(SWEEPS, TRIALS), best[0].run_id)
    names = [f"mlp-{int(run.tags['foldsweep.trial']):05d}" for run in best]
    first = ui.page.locator("[row-index='0'] [col-id='attributes.`Run Name`']")
    expect(first).to_have_text(re.compile(names[0]))
    expect(ui.row(runs[""].run_id)).to_have_count(0)

    ui.compare([run.run_id for run in best])
    expect(ui.page.get_by_text("Comparing 3 Runs from 1 Experiment")).to_be_visible()
    for name in names:
        expect(ui.page.get_by_role("cell", name=name)).to_be_visible()
    ui.add_axis("lr")
    axes = ui.page.locator(".parcoords .axis-title")
    assert {"lr", "val_accuracy"} < set(axes.all_text_contents())
    assert ui.page.get_by_text("WebGL is not supported").count() == 0


def test_the_report_opens_among_the_artifacts(
    ui: MlflowUi, address: str, runs: dict[str, RunRow], report: str
) -> None:
    inside = ui.open_artifact(address, runs[""].run_id, REPORT)
    expect(inside.get_by_role("heading", level=1)).to_have_text(report)
    figure = inside.get_by_role("img").first
    expect(figure).to_have_js_property("complete", True)
    assert figure.evaluate("image => image.naturalWidth") > 0


def test_filters_in_the_documentation_find_runs(reference: User) -> None:
    page = (REPOSITORY / "docs" / "mlflow.md").read_text("utf-8")
    filters = page.partition("## Filter")[2].split("```")[1].split("\n")[1:-1]
    assert len(filters) > 5
    client = MlflowClient(tracking_uri=f"sqlite:///{reference.folder}/mlflow.db")
    experiment = client.get_experiment_by_name("foldsweep").experiment_id
    found = {text: len(client.search_runs([experiment], text)) for text in filters}
    assert found["tags.`foldsweep.kind` = 'sweep'"] == 1
    mlp = "tags.variant = 'larger_digit/mlp' and tags.dataset = 'digits' and tags.seed = '7'"
    assert found[mlp] == 7


def test_a_server_that_is_there_is_not_started_again(reference: User, address: str) -> None:
    server = address.partition("/#")[0]
    said = reference.run("analysis/ui.py", "--tracking-uri", server).stdout
    assert said == f"open {address}\n"
