"""The notebooks of examples/cs231n: kept without outputs, and run from top to bottom."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "examples/cs231n"
NOTEBOOKS = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
real_data = pytest.mark.skipif("CAPTIONING_DATA" not in os.environ, reason="no real data: CAPTIONING_DATA is unset")


def contents(name):
    return json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_kept_without_outputs(name):
    notebook = contents(name)
    assert notebook["metadata"].keys() == {"kernelspec", "language_info"}
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] or cell["execution_count"] or cell["metadata"] for cell in code)
    assert "from captioning.cs231n import *" in "".join("".join(cell["source"]) for cell in code)


def run(name, place, monkeypatch, timeout, **environment):
    """Run a notebook in a folder of its own, with nothing of the user's Jupyter; the notebook with its outputs."""
    nbclient = pytest.importorskip("nbclient", reason="no jupyter: nbclient is not installed")
    pytest.importorskip("ipykernel", reason="no jupyter: ipykernel is not installed")
    nbformat = pytest.importorskip("nbformat", reason="no jupyter: nbformat is not installed")
    monkeypatch.delenv("CAPTIONING_DATA", raising=False)
    for variable in ("JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(variable, str(place / variable.lower()))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    (place / "work").mkdir()
    client = nbclient.NotebookClient(
        notebook, timeout=timeout, kernel_name="python3", resources={"metadata": {"path": str(place / "work")}}
    )
    return client.execute()


def check_outputs(notebook):
    """Every picture is there, and no cell has warned."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) >= 5
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs_from_top_to_bottom(name, tmp_path, monkeypatch, full):
    """By default the RNN's, and both with --full."""
    if full or name == "RNN_Captioning":
        check_outputs(run(name, tmp_path, monkeypatch, timeout=600))
        assert list((tmp_path / "work").iterdir()) == []  # it writes nothing beside itself


@real_data
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs_on_real_data(name, tmp_path, monkeypatch):
    check_outputs(run(name, tmp_path, monkeypatch, 1200, CAPTIONING_DATA=os.environ["CAPTIONING_DATA"]))
