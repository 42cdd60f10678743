"""Makes the documentation's screenshots: `python docs/screenshots.py --sweep NAME/SPACE`.

Needs the development dependencies and Chromium (on Debian and Ubuntu: `apt install chromium`).
The steps through MLflow's UI are those that a test takes too.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import (
    Browser,
    FrameLocator,
    Locator,
    Page,
    ViewportSize,
    sync_playwright,
)

from analysis.load import Store, complete_trials, find_runs, open_store
from foldsweep.errors import UserError
from foldsweep.programs import console, parse, run_program
from foldsweep.tracking import tracking_uri
from foldsweep.views import SWEEPS, TRIALS

ROOT = Path(__file__).parents[1]
SIZE: ViewportSize = {"width": 1400, "height": 900}
REPORT_SIZE: ViewportSize = {"width": 1000, "height": 1000}
"""As wide as a page shows it without making the letters small."""
COMPARED = 6
"""Trials that are compared."""
REPORT = "report/report.html"
"""Artifact of a sweep's run."""
WAIT_MS = 30_000
POLL_S = 0.1
_QUIET = """
localStorage.setItem("mlflow.assistant.fab.autoOpenedOnFirstLoad_v1", "true");
localStorage.setItem("mlflow.workflowType_v1", '"machine_learning"');
"""
"""What the UI remembers of somebody who has used it before: no assistant, no tracing of agents."""

_PLAIN = (
    "[data-assistant-ui] { display: none } .ag-cell-focus { border-color: transparent !important }"
)
"""What is left out of the pictures: a button that covers the table, a frame around a cell."""


@dataclass(frozen=True, kw_only=True)
class ScreenshotSettings:
    """Screenshots of one sweep in MLflow's UI and in Optuna's dashboard."""

    sweep: str
    """NAME/SPACE of the sweep; analysis/report.py should have written its report."""
    report: str | None = None
    """NAME/SPACE of the sweep whose report is shown by itself [--sweep]."""
    storage: Path = Path("runs")
    """Folder of sweeps."""
    out: Path = ROOT / "docs" / "images"
    """Folder to write to."""
    experiment: str = "foldsweep"
    """MLflow experiment."""
    tracking_uri: str | None = None
    """MLflow store [MLFLOW_TRACKING_URI, else mlflow.db in this folder]."""


class MlflowUi:
    """A page of MLflow's UI and the steps that a user takes on it."""

    def __init__(self, page: Page):
        self.page = page

    def open_runs(self, address: str, run_id: str) -> None:
        """The table of runs that `analysis/ui.py` names, with a run in it."""
        self.page.goto(address)
        self.row(run_id).wait_for()
        self.page.get_by_role("button", name="Hide banner").click()

    def row(self, run_id: str) -> Locator:
        """The part of a run's row that holds its name; its values are in another part."""
        return self.page.locator(f'[row-id="{run_id}"]').first

    def cell(self, run_id: str, column: str) -> Locator:
        """A cell in the row of a run, such as that of column ``metrics.`val_accuracy` ``."""
        return self.page.locator(f'[row-id="{run_id}"] [col-id="{column}"]')

    def expand(self, run_id: str, child_id: str) -> None:
        """Show what is nested below a run."""
        self.cell(run_id, "attributes.`Run Name`").get_by_role("button").click()
        self.row(child_id).wait_for()

    def compare(self, run_ids: Sequence[str]) -> None:
        """Select runs and open their comparison, which begins with parallel coordinates."""
        for run_id in run_ids:
            self.row(run_id).get_by_role("checkbox", name="toggle row selection").check()
        self.page.get_by_test_id("runs-compare-button").click()
        self.page.locator(".parcoords .axis-title", has_text="val_accuracy").wait_for()

    def add_axis(self, param: str) -> None:
        """Another parameter in the parallel coordinates."""
        self.page.get_by_role("combobox").first.click(force=True)
        self.page.get_by_title(param, exact=True).click()
        self.page.keyboard.press("Escape")
        self.page.locator(".parcoords .axis-title", has_text=param).wait_for()

    def open_artifact(self, address: str, run_id: str, path: str) -> FrameLocator:
        """Go to a run, click through its artifacts to an HTML file, and look into it."""
        self.page.goto(f"{address.partition('/runs?')[0]}/runs/{run_id}")
        self.page.get_by_role("tab", name="Artifacts").click()
        for part in path.split("/"):
            self.page.get_by_text(part, exact=True).click()
        return self.page.frame_locator("iframe")


def chromium() -> str | None:
    """Path of an installed Chromium."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


@contextmanager
def open_browser(program: str) -> Iterator[Browser]:
    """An installed Chromium without a window."""
    with sync_playwright() as playwright:
        as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=program, args=as_root)
        yield browser
        browser.close()


@contextmanager
def quiet_page(program: str) -> Iterator[Page]:
    """A page in a new browser whose user has used the UI before."""
    with open_browser(program) as browser:
        context = browser.new_context(viewport=SIZE)
        context.set_default_timeout(WAIT_MS)
        context.add_init_script(_QUIET)
        yield context.new_page()


def main() -> int:
    """Make all screenshots; returns the exit code."""
    settings = parse(ScreenshotSettings, sys.argv[1:], prog="docs/screenshots.py")
    program = chromium()
    if program is None:
        raise UserError("no Chromium is installed (on Debian and Ubuntu: apt install chromium)")
    study = settings.storage / settings.sweep / "study.journal"
    if not study.is_file():
        raise UserError(f"{study} does not exist: give --sweep NAME/SPACE and --storage")
    settings.out.mkdir(parents=True, exist_ok=True)
    store = open_store(tracking_uri(settings.tracking_uri), settings.experiment)
    with quiet_page(program) as page:
        with _mlflow_ui(store) as address:
            _shoot_mlflow(MlflowUi(page), address, store, settings)
        with _dashboard(study) as address:
            page.goto(f"{address}/dashboard/studies/0")
            for title in ("History", "Hyperparameter Importance", "Timeline"):
                page.get_by_role("heading", name=title).wait_for()
            page.locator(".barlayer .bars").nth(1).wait_for()
            _shoot(page, settings.out / "dashboard.png")
        _shoot_report(page, store, settings)
    return 0


def _shoot_mlflow(ui: MlflowUi, address: str, store: Store, settings: ScreenshotSettings) -> None:
    (parent,) = find_runs(store, foldsweep__sweep=settings.sweep, foldsweep__kind="sweep")
    best = [run.info.run_id for run in complete_trials(store, settings.sweep)[:COMPARED]]
    trials = find_runs(store, foldsweep__sweep=settings.sweep, foldsweep__kind="trial")
    ui.open_runs(address, parent.info.run_id)
    ui.expand(parent.info.run_id, next(trials).info.run_id)
    _shoot(ui.page, settings.out / "mlflow-runs.png")
    ui.open_runs(address.replace(SWEEPS, TRIALS), best[0])
    ui.compare(best)
    ui.add_axis("lr")
    _shoot(ui.page, settings.out / "mlflow-compare.png")
    ui.open_artifact(address, parent.info.run_id, REPORT).locator("h1").wait_for()
    # where the file lies on this machine
    path = ui.page.get_by_text("Path: ").locator("..")
    path.evaluate("element => element.style.visibility = 'hidden'")
    _shoot(ui.page, settings.out / "mlflow-report.png")


def _shoot_report(page: Page, store: Store, settings: ScreenshotSettings) -> None:
    shown = settings.report or settings.sweep
    (parent,) = find_runs(store, foldsweep__sweep=shown, foldsweep__kind="sweep")
    page.set_viewport_size(REPORT_SIZE)
    with TemporaryDirectory() as folder:
        file = store.client.download_artifacts(parent.info.run_id, REPORT, folder)
        page.goto(Path(file).as_uri())
        _shoot(page, settings.out / "report.png")


def _shoot(page: Page, path: Path) -> None:
    page.mouse.move(0, 0)  # away from what would be highlighted
    page.screenshot(path=path, animations="disabled", style=_PLAIN)
    console.print(path)


@contextmanager
def _mlflow_ui(store: Store) -> Iterator[str]:
    """The address that `analysis/ui.py` says."""
    command = [sys.executable, ROOT / "analysis/ui.py", "--port", str(_free_port())]
    command += ["--tracking-uri", store.tracking_uri, "--experiment", store.experiment]
    with _ending(subprocess.Popen(command, stdout=subprocess.PIPE, text=True)) as server:
        assert server.stdout is not None
        said = next((line for line in server.stdout if line.startswith("open ")), "")
        if not said:
            raise UserError("analysis/ui.py has ended")
        yield said.split()[1]


@contextmanager
def _dashboard(study: Path) -> Iterator[str]:
    port = _free_port()
    program = Path(sys.executable).with_name("optuna-dashboard")
    command = [program, study, "--port", str(port), "--quiet"]
    with _ending(subprocess.Popen(command)) as server:
        while server.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(POLL_S)
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _ending(server: subprocess.Popen) -> Iterator[subprocess.Popen]:
    with server:
        try:
            yield server
        finally:
            server.terminate()


def _free_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


if __name__ == "__main__":
    run_program(main)
