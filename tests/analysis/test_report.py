import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from analysis.report import main, own_setting
from tests.analysis.cases import trial
from tests.refusals import refused, said_as, text

GOOD = (0.95, 0.94, 0.96, 0.95, 0.95)
POOR = (0.80, 0.79, 0.81, 0.80, 0.81)


@pytest.fixture(scope="module")
def filled(make_store):
    filled = make_store()
    filled.add("b/mlp", POOR, tuple(v - 0.02 for v in POOR), "PRUNED", folds=5)
    filled.add("b/cnn", GOOD, tuple(v - 0.03 for v in GOOD), folds=5, origin="<kong>&")
    filled.measure("b/cnn", 0, "evaluation", (0.9, 0.92))
    for name, value in (("", 0.94), ("_low", 0.91), ("_high", 0.96), ("_trials", 2.0)):
        filled.client.log_metric(filled.parents["b/cnn"], f"bootstrap_val_accuracy{name}", value)
    return filled


@pytest.fixture
def run(filled, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def call(*args):
        monkeypatch.setattr(sys, "argv", ["report.py", *args, "--tracking-uri", filled.uri])
        assert main() == 0
        return capsys.readouterr().out

    return call


class Page(HTMLParser):
    """Parser of a page: collects its text and loaded files, and checks that all elements close."""

    VOID = frozenset({"meta", "img", "br", "hr", "link"})

    def __init__(self, html):
        super().__init__()
        self.loaded, self.text, self.open = [], "", []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.loaded += [v for k, v in attrs if k in ("src", "href", "srcset", "action")]
        self.loaded += [tag] * (tag in ("script", "link", "iframe", "object"))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_the_page_stands_alone_and_says_it_first(run, filled):
    said = run("--out", "report.html")
    html = Path("report.html").read_text()
    page = Page(html)
    assert len(html) < 5e6
    assert page.loaded
    assert all(what.startswith("data:image/png;base64,") for what in page.loaded)
    assert "url(" not in html
    assert "@import" not in html
    headline = re.search(r"<h1>(.+?)</h1>", html)[1]
    budgets = f" ({text('analysis-rows.trials', a=2, b=3)})"
    better = said_as("words.better", best="cnn", other="mlp", budgets=budgets)
    assert better.fullmatch(headline)
    assert headline in said
    assert text("words.belief-better") in page.text
    assert "<kong>&" in page.text  # a name is not parsed as markup
    for run_id in (filled.trials["b/cnn", 0], filled.trials["b/mlp", 0], filled.parents["b/cnn"]):
        assert run_id in page.text  # source runs of the numbers
    assert "0.9100 ± 0.0141 (n = 2)" in page.text
    assert text("words.expected") in page.text  # the other row has no bootstrap


def test_a_trial_is_shown_by_its_origin_or_by_the_values_that_differ():
    configs = ({"lr": 0.01, "units": 8}, {"lr": 0.2, "units": 8})
    sampled = [trial(i, (0.9, 0.8), name="s/mlp", config=c) for i, c in enumerate(configs)]
    default = trial(2, (0.9, 0.8), name="s/mlp", config={"lr": 0.1}, origin="kong/w_net")
    assert own_setting(sampled[1], sampled) == "lr=0.2"
    assert own_setting(default, [*sampled, default]) == "kong/w_net"


def test_it_is_attached_to_every_sweep_in_it(run, filled):
    said = run("--sweep", "b")
    logged = said_as("analysis-report.logged", file="report/report.html").search(said)
    assert logged is not None
    for name in ("b/mlp", "b/cnn"):
        assert name in said[logged.start() :]
        files = filled.client.list_artifacts(filled.parents[name], "report")
        assert [file.path for file in files] == ["report/report.html"]


def test_one_sweep_alone_has_a_report_too_and_may_stay_local(run, filled):
    filled.add("lonely/mlp_ws", POOR, GOOD, folds=5)
    said = run("--sweep", "lonely", "--local", "--out", "one.html")
    assert not said_as("analysis-report.logged").search(said)
    assert not filled.client.list_artifacts(filled.parents["lonely/mlp_ws"], "report")
    assert text("words.belief-alone") in Page(Path("one.html").read_text()).text


@pytest.mark.parametrize(
    ("args", "kind", "values"),
    [
        (["--out", "report.pdf"], "analysis-report.out-not-html", {"path": "report.pdf"}),
        (["--out", "no/report.html"], "analysis-report.out-folder-missing", {"folder": "no"}),
        (["--sweep", "nothing"], "analysis-results.name-unknown", {"name": "nothing"}),
        (["--rope", "-1"], "selection.rope-out-of-range", {"rope": -1.0}),
    ],
)
def test_mistakes_end_in_one_line(run, args, kind, values):
    with refused(kind, **values):
        run(*args)


# Other tasks ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def houses(make_store):
    filled = make_store()
    of = {"task": "houses", "dataset": "houses", "measured": "val_rmse", "objective": "val_rmse"}
    of["folds"] = 5
    filled.add("early/mlp", GOOD, folds=5, without=("task",))
    filled.add("s/mlp", (58.0, 57.0, 59.5, 58.0, 60.0), (70.0, 71.0, 69.0, 70.0, 72.0), **of)
    filled.add("s/ridge", (50.0, 49.0, 51.5, 50.2, 52.0), num_params=0.0, **of)
    record = {"name": "houses", "kind": "regression", "split": {"kind": "plain"}, "unit": "homes"}
    record["schema"] = {"target": "price"}
    filled.client.log_dict(filled.parents["s/ridge"], {"record": record}, "task.json")
    run_id = filled.measure("s/ridge", 0, "evaluation", (49.0, 51.0), measured="val_rmse")
    points = [[float(i), i + 0.5] for i in range(50)]
    found = {"rounds": 2, "kind": "regression", "points": points}
    filled.client.log_dict(run_id, found, "evaluation.json")
    return filled


@pytest.mark.parametrize(
    "content",
    [[1], {"record": {"schema": 1, "split": "plain", "classes": 3, "unit": None}}],
)
def test_a_damaged_record_of_the_task_is_left_out(make_store, tmp_path, monkeypatch, content):
    filled = make_store()
    filled.add("s/mlp", GOOD, folds=5)
    filled.client.log_dict(filled.parents["s/mlp"], content, "task.json")
    out = tmp_path / "report.html"
    args = ("--out", str(out), "--local", "--tracking-uri", filled.uri)
    monkeypatch.setattr(sys, "argv", ["report.py", *args])
    assert main() == 0
    page = Page(out.read_text())
    assert "sweep s · larger_digit · 30 training rows" in page.text


def test_a_report_of_errors_speaks_of_errors(houses, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["report.py", "--tracking-uri", houses.uri])
    assert main() == 0
    said = capsys.readouterr().out
    why = text("load.sweep-of-earlier-version")
    assert text("analysis-results.left-out", sweep="early/mlp", why=why) in said
    page = Page(Path("report.html").read_text())
    direction = text("words.direction", metric="rmse", better="lower")
    task = "houses, target price, regression, plain split"
    assert f"sweep s · {task} · 30 training homes · {direction}" in page.text
    better = said_as(
        "words.better",
        best="ridge",
        other="mlp",
        budgets=f" ({text('analysis-rows.trials', a=1, b=2)})",
        score=text("words.expected-score", metric="rmse", score="50.540"),
        gap=text("words.below", difference="8.056", other="mlp"),
    )
    assert better.search(page.text)
    assert "50.000 ± 1.414 (n = 2)" in page.text
    assert text("words.intervals") in page.text
    assert page.text.count(task) == 2
    assert "30 training and 20 test homes" in page.text
    assert "2 rounds on test homes" in page.text
    for word in ("accurac", "Published", "pair", "digit", "report's own"):
        assert word not in page.text, word


def test_settings_are_those_after_the_last_extension(make_store, tmp_path, monkeypatch):
    filled = make_store()
    filled.add("a/mlp", GOOD, folds=5)
    for tag, value in (("foldsweep.trials", "30"), ("foldsweep.scheduler", "asha")):
        filled.client.set_tag(filled.parents["a/mlp"], tag, value)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["report.py", "--local", "--tracking-uri", filled.uri])
    assert main() == 0
    text = Page(Path("report.html").read_text()).text
    assert "scheduler=asha trials=30 folds=5" in text


def test_a_published_figure_has_its_column(make_store, tmp_path, monkeypatch):
    filled = make_store()
    filled.add("a/mlp", GOOD, folds=5)
    filled.client.log_metric(filled.parents["a/mlp"], "reported_accuracy", 0.9)
    filled.client.set_tag(filled.parents["a/mlp"], "foldsweep.preset", "kong/w_net")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["report.py", "--local", "--tracking-uri", filled.uri])
    assert main() == 0
    text = Page(Path("report.html").read_text()).text
    assert "Published: the report's score for" in text
    assert "kong/w_net" in text
    assert "0.9000" in text
