"""Rules that must hold for the whole repository."""

import ast
import importlib.metadata
import importlib.util
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import foldsweep

ROOT = Path(__file__).parents[1]
PACKAGES = ("foldsweep", "trainables", "search_spaces", "sweeps", "analysis")


def tracked_files() -> list[Path]:
    """Files that git tracks, or that the next commit may add."""
    if not (ROOT / ".git").exists():
        pytest.skip("needs a git checkout")
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [
        path for name in listing.stdout.split("\0") if name and (path := ROOT / name).is_file()
    ]


def modules_in(name: str) -> list[str]:
    """Dotted names of a package or module and of everything below it, found without importing."""
    path = ROOT.joinpath(*name.split("."))
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
    dotted = [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files]
    return [name.removesuffix(".__init__") for name in dotted]


def source_of(module: str) -> str:
    path = ROOT.joinpath(*module.split("."))
    return (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text()


def loaded_by(modules: Iterable[str]) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after these imports."""
    imports = "\n".join(f"import {name}" for name in modules)
    program = f"{imports}\nimport sys\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return set(run.stdout.splitlines()[-1].split())


# Names ------------------------------------------------------------------------------------------


def third_party_names() -> set[str]:
    installed = importlib.metadata.packages_distributions()
    return {name for name, owners in installed.items() if set(owners) != {"foldsweep"}}


PROGRAM_FOLDERS = ["sweeps", "analysis", "benchmarks", "benchmarks/peer_tools"]


@pytest.mark.parametrize("folder", PROGRAM_FOLDERS)
def test_no_program_folder_shadows_another_module(folder: str) -> None:
    # `python sweeps/run.py` puts sweeps/ first on sys.path, for every import of every library.
    taken = (set(sys.stdlib_module_names) | third_party_names()) - set(PACKAGES)
    own = {
        path.stem for path in (ROOT / folder).iterdir() if path.suffix == ".py" or path.is_dir()
    }
    assert not {name for name in own if not name.startswith("__")} & taken


def test_names_of_other_modules_are_known() -> None:
    assert {"queue", "statistics", "types"} <= set(sys.stdlib_module_names)
    assert {"mlflow", "ray", "yaml"} <= third_party_names()


# Imports ----------------------------------------------------------------------------------------


def test_a_forbidden_import_would_be_seen() -> None:
    assert "optuna" in loaded_by(["trainables", "optuna.storages"])


def test_importing_trainables_is_light() -> None:
    assert not loaded_by(["trainables"]) & {"torch", "ray", "mlflow", "optuna"}


@pytest.mark.slow
def test_analysis_loads_no_scheduler_and_the_searcher_only_to_draw() -> None:
    modules = set(modules_in("analysis"))
    drawing = {
        "analysis.plots.study",
        "analysis.plots.gallery",
        "analysis.figures",
        "analysis.report",
    }
    assert drawing <= modules
    assert not loaded_by(modules - drawing) & {"ray", "optuna"}
    assert "ray" not in loaded_by(drawing)


@pytest.mark.slow
def test_a_sweep_of_what_ships_waits_for_no_scikit_learn() -> None:
    """Importing it takes a second, and only tables and their splits need it."""
    assert not loaded_by(["sweeps.run", "sweeps.launch"]) & {"sklearn", "scipy", "mlflow"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "among"),
    [
        ("The ground is plain Python", {"foldsweep.errors", "foldsweep.names"}),
        (
            "The core knows no scheduler, no sampler and no tracker",
            {"trainables.models", "trainables.stack", "trainables.tasks"},
        ),
    ],
)
def test_what_a_layer_must_not_import_no_library_imports_for_it(
    name: str, among: set[str]
) -> None:
    """The linter checks direct imports only; this also covers imports by other libraries."""
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    contracts = {contract["name"]: contract for contract in tool["importlinter"]["contracts"]}
    contract = contracts[name]
    assert among <= set(contract["source_modules"])
    modules = [module for name in contract["source_modules"] for module in modules_in(name)]
    assert not loaded_by(modules) & set(contract["forbidden_modules"])


@pytest.mark.slow
def test_what_users_import_is_loaded_when_it_is_used() -> None:
    assert not loaded_by(["foldsweep"]) & {"torch", "ray", "mlflow", "optuna", "pandas"}
    in_files = [name for name in foldsweep.__all__ if name not in ("Result", "load")]
    names = "\n".join(f"foldsweep.{name}" for name in in_files)
    program = f"import foldsweep\n{names}\nimport sys\nprint('mlflow' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert (run.stderr, run.stdout) == ("", "False\n")


def test_a_program_that_sweeps_names_waits_for_nothing() -> None:
    """Ray has a process of its own; MLflow is needed for the result only, and torch for models."""
    assert not loaded_by(["foldsweep.api.sweeping"]) & {"ray", "torch", "mlflow", "optuna"}
    assert not loaded_by(["foldsweep.api.result"]) & {"ray", "torch", "optuna"}


# Text -------------------------------------------------------------------------------------------


def text_in_the_locale(source: str) -> list[int]:
    """Lines that read or write text without an explicit encoding, so that the locale decides."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        words = {word.arg for word in node.keywords}
        if name in ("read_text", "write_text"):
            given = len(node.args) > (name == "write_text") or "encoding" in words
        elif name == "open":
            mode = [a.value for a in node.args if isinstance(a, ast.Constant)]
            given = "encoding" in words or any("b" in str(value) for value in mode)
            given |= isinstance(node.func, ast.Attribute) and not mode  # an `open` of another type
        else:
            starts = name in ("run", "Popen", "check_output", "check_call")
            given = not starts or "text" not in words or "encoding" in words
        if not given:
            found.append(node.lineno)
    return found


def test_text_in_the_locale_would_be_seen() -> None:
    wrong = ["p.read_text()", "p.write_text(x)", "open(p)", "p.open('w')", "run(x, text=True)"]
    right = ["p.read_text('utf-8')", "p.open('rb')", "open(p, encoding='utf-8')", "run(x)"]
    assert all(text_in_the_locale(source) for source in wrong)
    assert not any(text_in_the_locale(source) for source in right)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_file_is_text_in_the_locale(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    found = {str(f.relative_to(ROOT)): text_in_the_locale(f.read_text("utf-8")) for f in files}
    assert not {name: lines for name, lines in found.items() if lines}


# Words of one task -------------------------------------------------------------------------------

ONE_TASK = re.compile(r"(?<![a-z])(?:digits?|pairs?|disc)(?![a-z])|(?<![a-z])aux_", re.IGNORECASE)
ANY_TASK = (
    "foldsweep",
    "trainables/stack",
    "trainables/keep",
    *(
        f"trainables/{name}.py"
        for name in ("config", "trial", "trainable", "seeds", "checkpoints")
    ),
    "search_spaces",
    "sweeps",
    "analysis",
)
"""Modules that must not depend on any particular task."""
OF_ONE_TASK = (
    "foldsweep/format1.py",  # files in the format from before tasks had names
    "search_spaces/larger_digit",
    "search_spaces/disc.py",
    "search_spaces/shipped.py",  # lists the spaces of both tasks
    "sweeps/reproduction",
    "analysis/tasks",
)
"""Modules for one task only."""


def below(places: Iterable[str]) -> set[Path]:
    """Python files at or below the given paths."""
    paths = [ROOT / place for place in places]
    missing = [path for path in paths if not path.exists()]
    assert not missing
    return {file for path in paths for file in ([path] if path.is_file() else path.rglob("*.py"))}


def words_of_one_task(files: Iterable[Path], root: Path = ROOT) -> list[str]:
    """Lines that name digits, pairs, the disc or an auxiliary loss, as `file:line: text`."""
    return [
        f"{file.relative_to(root)}:{number}: {line.strip()}"
        for file in sorted(files)
        for number, line in enumerate(file.read_text("utf-8").splitlines(), start=1)
        if ONE_TASK.search(line)
    ]


def test_what_is_for_any_task_names_none() -> None:
    files = below(ANY_TASK) - below(OF_ONE_TASK)
    assert len(files) > 80
    assert not words_of_one_task(files)


def test_words_of_one_task_would_be_seen(tmp_path: Path) -> None:
    names = [
        *("digits", "a digit_accuracy", "train_pairs: int", "Pairs", "num_pairs"),
        *("import disc", "disc_points", "config.aux_alpha", '"val_aux_loss"', "PAIR"),
    ]
    free = ["repairs", "discard", "discover(", "digital", "compared", "itertools.pairwise"]
    (tmp_path / "named.py").write_text("\n".join(names))
    (tmp_path / "free.py").write_text("\n".join(free))
    found = words_of_one_task(tmp_path.glob("*.py"), tmp_path)
    assert found == [f"named.py:{i}: {line}" for i, line in enumerate(names, start=1)]
    assert all(words_of_one_task(below([place])) for place in OF_ONE_TASK)


def test_shapes_in_signatures_are_checked_while_tests_run() -> None:
    """Only modules with shapes are checked: checking all makes the tests three times as slow."""
    shaped = [m for p in PACKAGES for m in modules_in(p) if "from jaxtyping" in source_of(m)]
    assert shaped
    specs = {module: importlib.util.find_spec(module) for module in shaped}
    hook = "jaxtyping._import_hook"
    assert [m for m, spec in specs.items() if type(spec and spec.loader).__module__ != hook] == []


# Documentation ----------------------------------------------------------------------------------

FENCE = re.compile(r"^(`{3,}|~{3,}).*?^\1", re.MULTILINE | re.DOTALL)
INLINE_CODE = re.compile(r"`[^`\n]+`")
LINK = re.compile(r"\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)|^\[[^\]]+\]:\s+(\S+)", re.MULTILINE)
PROGRAM = re.compile(r"\bpython3?\s+((?:sweeps|analysis|benchmarks)/[\w/]+\.py)")
PROGRAM_MODULE = re.compile(r"\bpython3?\s+-m\s+((?:sweeps|analysis|benchmarks)[\w.]*)")
TARGET = re.compile(r"(?:^|[\s;&`])make\s+(?:\w+=\S+\s+)*([a-z][\w-]*)", re.MULTILINE)


def relative_links(markdown: str) -> Iterator[str]:
    """Link targets inside the repository, without anchors; code is skipped."""
    prose = INLINE_CODE.sub("", FENCE.sub("", markdown))
    for inline, reference in LINK.findall(prose):
        target = (inline or reference).partition("#")[0]
        if target and not re.match(r"[a-z]+:", target):
            yield target


def code_in(markdown: str) -> str:
    """Fenced code blocks without their comments, then inline code."""
    fences = [re.sub(r"(^|\s)#.*", "", match[0]) for match in FENCE.finditer(markdown)]
    return "\n".join([*fences, *INLINE_CODE.findall(FENCE.sub("", markdown))])


def user_docs() -> list[Path]:
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_links_and_commands_are_found_in_markdown() -> None:
    text = (
        "[a](docs/x.md#part) ![b](y.png) [c](https://z.org) `[d](no)`\n"
        "```bash\nmake sweep ARGS=1  # then make sure\npython analysis/x.py --all\n```\n"
        "Now make haste, or `make PYTHON=python3 test` and `make test-slow`.\n[e]: docs/z.md\n"
    )
    assert list(relative_links(text)) == ["docs/x.md", "y.png", "docs/z.md"]
    assert TARGET.findall(code_in(text)) == ["sweep", "test", "test-slow"]
    assert PROGRAM.findall(code_in(text)) == ["analysis/x.py"]


def test_relative_links_in_markdown_lead_somewhere() -> None:
    pages = [path for path in tracked_files() if path.suffix == ".md"]
    links = [(page, link) for page in pages for link in relative_links(page.read_text("utf-8"))]
    broken = [f"{page.name}: {link}" for page, link in links if not (page.parent / link).exists()]
    assert pages
    assert not broken


@pytest.mark.parametrize("page", user_docs(), ids=lambda page: page.name)
def test_commands_in_the_documentation_exist(page: Path) -> None:
    code = code_in(page.read_text("utf-8"))
    targets = re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    missing = {f"make {name}" for name in TARGET.findall(code) if name not in targets}
    missing |= {path for path in PROGRAM.findall(code) if not (ROOT / path).is_file()}
    for module in PROGRAM_MODULE.findall(code):
        path = ROOT.joinpath(*module.split("."))
        if not (path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()):
            missing.add(module)
    assert not missing


# Dependencies -----------------------------------------------------------------------------------


def normalised(requirement: str) -> str:
    """Name of a requirement in the normalised form of package indexes."""
    name = re.match(r"[\w.-]+", requirement)
    assert name is not None, requirement
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def requirements() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    return {normalised(requirement) for group in groups for requirement in group}


def pins() -> list[str]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_every_dependency_has_its_reason() -> None:
    table = (ROOT / "docs" / "decisions.md").read_text()
    named = {normalised(name) for name in re.findall(r"^\| `([^`]+)` \| \S", table, re.MULTILINE)}
    site = (ROOT / "docs" / "requirements.txt").read_text().partition("# what these bring")[0]
    for_site = {normalised(line) for line in site.splitlines() if line[0] not in "#-"}
    assert for_site
    assert named == requirements() | for_site


def test_every_dependency_is_locked() -> None:
    assert requirements() <= {normalised(pin) for pin in pins()}


def test_lock_holds_exact_versions_only() -> None:
    loose = [pin for pin in pins() if not re.fullmatch(r"[\w.-]+==[\w.]+", pin)]
    assert not loose


# Portability ------------------------------------------------------------------------------------

ONE_MACHINE = re.compile(rb"(?<![\w.*~])/(?:work|root|home/\w+)/")


def test_no_file_names_a_path_of_one_machine() -> None:
    files = [path for path in tracked_files() if path != ROOT / ".ci" / "run"]
    assert not [path for path in files if ONE_MACHINE.search(path.read_bytes())]


def test_a_path_of_one_machine_would_be_seen() -> None:
    assert ONE_MACHINE.search(b"open('" + b"/root" + b"/data')")
    assert not ONE_MACHINE.search(b"https://x.org/" + b"work/y or ../" + b"root/z")
