"""Each example runs, and does what it says; so does the Python in the README."""

from __future__ import annotations

import importlib.util
import re
import shutil
from pathlib import Path

import pytest

from minigrad.primitives import PRIMITIVES

ROOT = Path(__file__).parent.parent
EXAMPLES = {
    "gallery": lambda written: "gallery.md" in written and "small_network.dot" in written,
    "lbfgs": lambda loss: loss < 1e-4,
    "levenberg_marquardt": lambda distance: distance < 0.05,
    "newton": lambda lengths: lengths[0] > 0.1 and lengths[4] < 1e-4 and lengths[5] < 1e-8 and lengths[6] < 1e-14,
    "quickstart": lambda loss: 0.005 < loss < 0.02,
    "own_primitive": lambda complaint: "gradcheck of wrong: argument 0 (x) at entry [1]" in complaint,
    "remember_first_bit": lambda accuracy: accuracy["LSTM"] > 0.99,
}


@pytest.fixture(autouse=True)
def _registry(monkeypatch):
    """Primitives that examples declare do not stay."""
    before = dict(PRIMITIVES)
    yield
    PRIMITIVES.clear()
    PRIMITIVES.update(before)


def test_every_example_is_tested():
    assert {path.stem for path in (ROOT / "examples").glob("*.py")} == set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert EXAMPLES[name](module.main())


@pytest.mark.parametrize("number", range(5))
def test_readme(number, tmp_path, monkeypatch, capsys):
    readme = (ROOT / "README.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```(?:\n\n```\n(.*?)```)?", readme, re.DOTALL)
    assert len(blocks) == 5
    code, printed = blocks[number]
    if "render.draw" in code and shutil.which("dot") is None and shutil.which("graphviz-pure") is None:
        pytest.skip("no dot")
    monkeypatch.chdir(tmp_path)
    exec(compile("import minigrad as mg\n" + code, f"README block {number}", "exec"), {})
    for name in re.findall(r'"(\w+\.\w+)"', code):
        assert (tmp_path / name).stat().st_size
    assert not printed or capsys.readouterr().out == printed
