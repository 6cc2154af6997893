"""CONTRIBUTING.md: its examples, put into the files that it names, do what it says."""

from __future__ import annotations

import doctest
import inspect
import re
import textwrap
import types
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given

import minigrad as mg
from minigrad.nn import layers
from minigrad.ops import activations
from minigrad.primitives import PRIMITIVES
from minigrad.render import picture as picture_module
from minigrad.render.nodes import picture_of
from tests.checks import Case, check_primitive
from tests.nn import test_layers
from tests.ops import test_activations
from tests.render.pictures import check
from theory import Refuted
from theory.parity import checks, statements

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def blocks(heading: str) -> list[str]:
    """The Python of a section."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    found = re.findall(r"^ *```python\n(.*?)^ *```", section, re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(text) for text in found]


def run_within(module: object, code: str, **besides: object) -> dict[str, object]:
    """What the names are after code that stands at the end of a module's file."""
    names = dict(vars(module)) | besides
    exec(compile(code, "CONTRIBUTING.md", "exec"), names)
    return names


def run_example(name: str, names: dict[str, object]) -> None:
    """The example in a docstring."""
    test = doctest.DocTestParser().get_doctest(inspect.getdoc(names[name]), names, name, None, None)
    assert test.examples
    assert doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test).failed == 0


@pytest.fixture
def softsign():
    names = run_within(activations, blocks("Adding a primitive")[0])
    yield names
    del PRIMITIVES["minigrad.ops.activations.softsign"]


def test_the_primitive(softsign):
    run_example("softsign", softsign)
    function = softsign["softsign"]
    assert function.primitive.reference is not None
    for x in (np.linspace(-3, 3, 8).reshape(2, 4), np.array(0.5), np.zeros((0, 2))):
        check_primitive(function, Case([x]))
    x = mg.tensor(np.array([1e30, -1e30], np.float32), requires_grad=True)
    with np.errstate(all="raise", under="ignore"):
        function(x).sum().backward()
    assert not x.grad.any()
    half = function(mg.tensor([1.0, -3.0], dtype="float16"))
    assert half.dtype == np.float16
    np.testing.assert_array_equal(half.data, [0.5, -0.75])


def test_the_rows_of_tests_of_the_primitive(softsign):
    _, row, peers = blocks("Adding a primitive")
    cases = eval(f"{{{row}}}", vars(test_activations))
    assert list(cases) == ["softsign"]

    @given(cases["softsign"])
    def check(case):
        check_primitive(softsign["softsign"], case)

    check()
    assert {len(row) for row in (*test_activations.PEERS, *eval(f"[{peers}]"))} == {4}


def test_the_layer(monkeypatch):
    code, test = blocks("Adding a layer")
    names = run_within(layers, code)
    run_example("Scale", names)
    layer = names["Scale"](3)
    assert repr(layer) == "Scale(3)"
    assert layer.weight.dtype == np.float32
    monkeypatch.setattr(mg.nn, "Scale", names["Scale"], raising=False)
    tests = run_within(test_layers, test)

    def check(peer, key, layer, mine, theirs, x):
        """As that of the file, with NumPy in place of PyTorch, whose answers no file has."""
        weights = {name: p.data for name, p in layer.named_parameters()}
        np.testing.assert_allclose(mine(layer, mg.tensor(x)).data, theirs(None, weights, x))

    tests["check"] = check
    tests["test_scale"]()


def test_the_claim():
    code, claim = blocks("Adding a claim")
    names = run_within(checks, code)
    own = types.SimpleNamespace(**names)
    made = run_within(statements, f"checks = own\n{claim}", own=own)["CLAIM_3_1_BACK"]
    assert made.check(50).as_expected
    assert made.show().startswith("bits")
    wrong = run_within(checks, code.replace("sequence[::-1]", "sequence[:-1] + [0]"))["keeps_its_parity_backwards"]
    with pytest.raises(Refuted, match="1 forwards, 0 backwards"):
        wrong([0, 1])


def test_the_drawing_pass():
    (code,) = blocks("Adding a drawing pass")
    without_scopes = run_within(picture_module, code)["without_scopes"]
    net = mg.nn.Sequential(mg.nn.Linear(2, 3), mg.nn.Tanh())
    picture = picture_of([net(mg.tensor([[1.0, 2.0]]))], {})
    plain = check(without_scopes(picture))
    assert any(vertex.scope for vertex in picture.vertices)
    assert not any(vertex.scope for vertex in plain.vertices)
    assert [vertex.label for vertex in plain.vertices] == [vertex.label for vertex in picture.vertices]


@pytest.mark.parametrize("command", re.findall(r"^make (\w+)", PAGE, re.MULTILINE))
def test_the_commands_are_there(command):
    assert re.search(rf"^{command}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
