"""The notebooks of examples/cs231n: kept without outputs, and run from top to bottom."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "examples/cs231n"
NOTEBOOKS = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
real_data = pytest.mark.skipif("CAPTIONING_DATA" not in os.environ, reason="no real data: CAPTIONING_DATA is unset")


def contents(name):
    return json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))


def kept_results(notebook):
    """What a run has left in a notebook, and ids that would not be the same after the next edit."""
    found = [f"metadata {key}" for key in notebook["metadata"].keys() - {"kernelspec", "language_info"}]
    found += [f"the version {key}" for key in notebook["metadata"]["language_info"].keys() - {"name"}]
    ids = [cell.get("id", "") for cell in notebook["cells"]]
    found += [f"the id {name!r} twice" for name in ids if ids.count(name) > 1]
    for cell, name in zip(notebook["cells"], ids, strict=True):
        found += [f"outputs of {name}"] if cell.get("outputs") else []
        found += [f"a count of {name}"] if cell.get("execution_count") is not None else []
        found += [f"metadata of {name}"] if cell["metadata"] else []
        found += [f"the id {name!r}, which says nothing"] if not re.fullmatch(r"[a-z]+(-[a-z]+)*", name) else []
    return found


def test_both_exercises_are_there():
    assert NOTEBOOKS == ["LSTM_Captioning", "RNN_Captioning"]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_kept_without_what_a_run_leaves(name):
    assert kept_results(contents(name)) == []


def test_what_a_run_leaves_is_noticed():
    notebook = contents("RNN_Captioning")
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    cells[0]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "hello"}]
    cells[1]["execution_count"] = 7
    cells[2]["id"] = "3f2a9c01"
    cells[3]["id"] = cells[4]["id"]
    cells[5]["metadata"] = {"scrolled": True}
    notebook["metadata"]["language_info"]["version"] = "3.11.7"
    notebook["metadata"]["widgets"] = {}
    found = " ".join(kept_results(notebook))
    said = ("outputs of", "a count of", "'3f2a9c01', which says nothing", "twice", "metadata of", "version", "widgets")
    assert [part for part in said if part not in found] == []


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_imports_the_facade_whole_and_asserts(name):
    code = "\n".join("".join(cell["source"]) for cell in contents(name)["cells"] if cell["cell_type"] == "code")
    assert "from captioning.cs231n import *" in code
    assert code.count("assert ") + code.count("compare(") >= 15


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


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs_from_top_to_bottom(name, tmp_path, monkeypatch):
    check_outputs(run(name, tmp_path, monkeypatch, timeout=600))
    assert list((tmp_path / "work").iterdir()) == []  # it writes nothing beside itself


@real_data
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs_on_real_data(name, tmp_path, monkeypatch):
    check_outputs(run(name, tmp_path, monkeypatch, 1200, CAPTIONING_DATA=os.environ["CAPTIONING_DATA"]))
