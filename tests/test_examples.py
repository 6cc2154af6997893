"""Each example runs and does what it says."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = {
    "characters": lambda nats: nats < 3.5,  # guessing costs 4.6
    "digits": lambda accuracy: accuracy > 0.9,
    "gan": lambda found: 0.2 < found["made"] < 0.8 and 0.2 < found["true"] < 0.8 and 0 < found["after"] <= 1,
    "gallery": lambda written: "gallery.md" in written and "small_network.dot" in written,
    "lbfgs": lambda loss: loss < 1e-4,
    "levenberg_marquardt": lambda distance: distance < 0.05,
    "newton": lambda lengths: lengths[0] > 0.1 and lengths[4] < 1e-4 and lengths[5] < 1e-8 and lengths[6] < 1e-14,
    "quickstart": lambda loss: 0.005 < loss < 0.02,
    "own_primitive": lambda complaint: "gradcheck of wrong: argument 0 (x) at entry [1]" in complaint,
    "remember_first_bit": lambda accuracy: accuracy["LSTM"] > 0.99,
    "sorting": lambda share: share > 0,  # nobody sorts ten digits by chance
}
LEARNT = {
    "characters": lambda nats: nats < 1.8,
    "digits": lambda accuracy: accuracy > 0.98,
    "gan": lambda found: found["after"] < found["before"] / 2 and 0.1 < found["made"] <= found["true"] < 0.9,
    "sorting": lambda share: share > 0.95,
}
"""Examples that take a minute or two, and what they reach then. Here they run with ``quick``; in full with --full."""


def example(name):
    """An example as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_example_is_tested():
    assert {path.stem for path in (ROOT / "examples").glob("*.py")} == set(EXAMPLES)


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name, tmp_path, monkeypatch, full):
    if name == "characters" and not full:
        return
    monkeypatch.chdir(tmp_path)
    module = example(name)
    assert EXAMPLES[name](module.main(quick=True) if name in LEARNT else module.main())
    assert name not in LEARNT or [path.name for path in tmp_path.iterdir()] == [f"{name}.png"]


@pytest.mark.slow
@pytest.mark.parametrize("name", LEARNT)
def test_example_learns(name, full, tmp_path):
    if full:
        assert LEARNT[name](example(name).main(out=tmp_path / "picture.png"))
