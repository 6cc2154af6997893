"""Each example runs and reaches its goal."""

from __future__ import annotations

import inspect
import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captioning.pictures.figures import BLUE, ORANGE
from tests.examples import FORGET, example

ROOT = Path(__file__).parent.parent


def remembers(accuracy):
    """Whether the networks that forget stay at chance, and all others learn."""
    return all(share < 0.6 if name in FORGET else share > 0.95 for name, share in accuracy.items())


EXAMPLES = {
    "characters": lambda nats: nats < 3.5,  # guessing costs 4.6
    "digits": lambda accuracy: accuracy > 0.9,
    "gan": lambda found: 0.2 < found["generated"] < 0.8 and 0.2 < found["real"] < 0.8 and 0 < found["after"] <= 1,
    "levenberg_marquardt": lambda distance: distance < 0.05,
    "remember_first_bit": remembers,
    "sorting": lambda share: share > 0,  # nobody sorts ten digits by chance
}
LEARNT = {
    "characters": lambda nats: nats < 1.8,
    "digits": lambda accuracy: accuracy > 0.98,
    "gan": lambda found: found["after"] < found["before"] / 2 and 0.1 < found["generated"] <= found["real"] < 0.9,
    "sorting": lambda share: share > 0.95,
}
"""What the longer examples reach in a minute or two, with --full. Otherwise they run with ``quick``."""


def test_every_example_is_tested():
    """tests/render/test_gallery.py runs the gallery, and reach."""
    assert {path.stem for path in (ROOT / "examples").glob("*.py")} == {*EXAMPLES, "gallery", "reach"}


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = example(name)
    assert EXAMPLES[name](module.main(quick=True) if name in LEARNT else module.main())
    assert name not in LEARNT or [path.name for path in tmp_path.iterdir()] == [f"{name}.png"]


@pytest.mark.slow
@pytest.mark.parametrize("name", LEARNT)
def test_example_learns(name, full, tmp_path):
    if full:
        assert LEARNT[name](example(name).main(out=tmp_path / "picture.png"))


@pytest.mark.parametrize("colour", [BLUE, ORANGE])
def test_the_lines_of_the_gan_have_the_colours_of_its_legend(colour):
    """Too small a palette shifts the colours of thin lines."""
    picture = np.asarray(Image.open(ROOT / "docs/examples/gan.png").convert("RGB")).astype(int)
    near = abs(picture - list(bytes.fromhex(colour[1:]))).max(axis=-1) < 12
    assert near.any(axis=0).mean() > 0.3  # of all columns


def test_the_seed_does_not_decide_who_remembers_the_first_bit(full):
    module = example("remember_first_bit")
    for seed in range(10) if full else (1,):
        networks = module.NETWORKS if full else ("RNN", "LSTM, forget bias 1")
        assert remembers({name: module.train(module.NETWORKS[name], seed) for name in networks})


@pytest.mark.parametrize("name", LEARNT)
def test_help(name, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--help"])
    with pytest.raises(SystemExit):
        runpy.run_path(str(ROOT / "examples" / f"{name}.py"), run_name="__main__")
    text = capsys.readouterr().out
    assert inspect.cleandoc(example(name).__doc__) in text
    assert {"--out", "--quick", "--seed"} <= set(re.findall(r"--\w+", text))


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.delitem(sys.modules, "sklearn.datasets", raising=False)
    with pytest.raises(ModuleNotFoundError, match="pip install scikit-learn"):
        example("digits").main(quick=True)


def test_the_page_of_examples_has_all_of_their_pictures():
    page = (ROOT / "docs/guides/examples.md").read_text()
    pictures = {path.stem: path for path in (ROOT / "docs/examples").glob("*.png")}
    assert set(LEARNT) == set(pictures) == set(re.findall(r"examples/(\w+)\.png", page))
    assert all(path.stat().st_size < 60_000 for path in pictures.values())
