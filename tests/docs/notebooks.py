"""Execution of the notebooks in docs/examples; `python -m tests.docs.notebooks` saves outputs."""

import tempfile
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

from tests.integration.kernel import private_places

NOTEBOOKS = sorted((Path(__file__).parents[2] / "docs" / "examples").glob("*.ipynb"))


def executed(path: Path, folder: Path) -> Any:
    """Run all cells of a notebook in a folder, and return the notebook with their outputs."""
    notebook = nbformat.read(path, as_version=4)
    with private_places() as env:
        manager = AsyncKernelManager(
            kernel_name="python3",
            transport="ipc",
            connection_file=f"{env['JUPYTER_RUNTIME_DIR']}/kernel.json",
        )
        client = NotebookClient(
            notebook,
            km=manager,
            resources={"metadata": {"path": str(folder)}},
            timeout=None,
            shutdown_kernel="immediate",
            record_timing=False,
        )
        client.execute(env=env, cleanup_kc=True)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = _joined(cell.outputs)
    notebook.metadata.pop("language_info", None)  # contains the version of this Python
    return notebook


def _joined(outputs: list[Any]) -> list[Any]:
    """Join consecutive texts of the same stream, as a browser shows them."""
    joined: list[Any] = []
    for output in outputs:
        before = joined[-1] if joined else None
        if before and output.output_type == "stream" and before.get("name") == output.name:
            before.text += output.text
        else:
            joined.append(output)
    return joined


if __name__ == "__main__":
    for file in NOTEBOOKS:
        with tempfile.TemporaryDirectory() as place:
            nbformat.write(executed(file, Path(place)), file)
