"""Notebooks of docs/examples: in a real kernel, they give the outputs that are saved in them."""

import base64
import re
import shutil
import socket
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.docs.notebooks import NOTEBOOKS, executed
from tests.refusals import said_as

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]

ROOT = Path(__file__).parents[2]
MOST_BYTES = 100_000
MOST_OF_A_PICTURE = 50_000


def saved(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def outputs_of(notebook: Any) -> list[list[Any]]:
    return [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]


def kinds(notebook: Any) -> list[list[tuple[str, ...]]]:
    """Types of each output, without printed text, which depends on the durations."""
    return [
        [(o.output_type, *sorted(o.data)) for o in outputs if o.output_type != "stream"]
        for outputs in outputs_of(notebook)
    ]


def text_of(notebook: Any) -> str:
    return "\n".join(
        output.get("text") or output.data.get("text/plain", "")
        for outputs in outputs_of(notebook)
        for output in outputs
    )


SHOWN = {
    "first_sweep": (
        said_as("messages.ended-pausing", space="mlp", failed=0).pattern,
        r"<Trial \d of first_sweep/mlp: accuracy 0\.9\d{3} ± 0\.\d{4} over 5 folds; lr=",
        r"19  logistic +9  COMPLETE",
        r"\bmlp\b.*\blogistic\b.*\+0\.0\d{3}\b",
        r"\(0\.9\d+, array\(\[0, 1, 2, 3, 4, 5, 6, 7, 8, 9\]\)\)",
    ),
    "own_data": (
        said_as("messages.ended-pausing", space="net", failed=0).pattern,
        r"lr=\S+ hidden=False\n",
        r"\b(net|logistic)\b.*\b(net|logistic)\b.* -0\.\d{4}\b",
        r"cost on the test rows: 0\.\d{3}",
        r"array\(\['tumour', 'tumour',",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_and_shows_what_is_saved(
    path: Path, tmp_path: Path, empty_mlflow: Path
) -> None:
    shutil.copy(empty_mlflow, tmp_path / "mlflow.db")
    notebook = executed(path, tmp_path)
    assert kinds(notebook) == kinds(saved(path))
    for shown in (text_of(notebook), text_of(saved(path))):
        for pattern in SHOWN[path.stem]:
            assert re.search(pattern, shown), pattern
    outputs = [output for outputs in outputs_of(notebook) for output in outputs]
    assert not [output.text for output in outputs if output.get("name") == "stderr"]
    pictures = [o.data["image/png"] for o in outputs if "image/png" in o.get("data", {})]
    assert len(pictures) == (path.stem == "first_sweep")
    assert all(base64.b64decode(png).startswith(b"\x89PNG") for png in pictures)
    if path.stem == "first_sweep":
        assert (tmp_path / "digits_model" / "recipe.yaml").is_file()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_small_and_names_no_machine(path: Path) -> None:
    text = path.read_text()
    assert len(text) < MOST_BYTES
    pictures = re.findall(r'"image/png": "([^"]+)"', text)
    assert all(len(picture) < MOST_OF_A_PICTURE for picture in pictures)
    for picture in pictures:
        text = text.replace(picture, "")
    places = {str(ROOT), str(Path.home()), "/tmp/", "/home/", socket.gethostname()} - {"/"}
    assert [place for place in places if place in text] == []
    for cell in saved(path).cells:
        assert cell.metadata == {}


def test_notebooks_are_linked_from_the_readme_and_all_are_known() -> None:
    readme = (ROOT / "README.md").read_text()
    assert {path.stem for path in NOTEBOOKS} == set(SHOWN)
    assert [p.name for p in NOTEBOOKS if f"(docs/examples/{p.name})" not in readme] == []
