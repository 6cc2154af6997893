"""No primitive without a proof: each has a gradient check, an independent oracle, a documented example and its name."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import pytest

import minigrad as mg
from minigrad.primitives import PRIMITIVES

MODULES = [
    importlib.import_module(f"tests.ops.{path.stem}") for path in sorted(Path(__file__).parent.glob("ops/test_*.py"))
]
RECORDS = {record.name: record for record in PRIMITIVES.values() if record.module.startswith("minigrad.ops")}
DIFFERENTIABLE = sorted(name for name, record in RECORDS.items() if record.differentiable)
CONSTANT = sorted(RECORDS.keys() - set(DIFFERENTIABLE))

# Parts of rules: checked as all others, but not exported, and so without an example.
INTERNAL = {"conv2d_filters", "recurrent_pullback"}
EXPORTED = sorted(RECORDS.keys() - INTERNAL)
LINALG = set(mg.linalg.__all__) - set(mg.ops.__all__)  # by NumPy's room for them; all others are mg's own names

# A test that compares with NumPy or PyTorch says so in its name.
COMPARES = re.compile(r"agrees?_with_(numpy|pytorch)|_(is|are|follow)_numpys?")
# Oracles of another kind: the test, in the family's file, that knows the answer.
OTHERWISE = {
    "astype": "test_astype_casts_there_and_back",
    "dropout": "test_dropout_keeps_the_mean_and_drops_the_share",  # random: a law instead of values
}


def test_names_are_unique():
    assert len(RECORDS) == sum(record.module.startswith("minigrad.ops") for record in PRIMITIVES.values())


# Its gradients are parts of the second derivatives of recurrent layers, which tests/ops/test_recurrent.py checks.
PARTIAL = {"recurrent_pullback"}


@pytest.mark.parametrize("name", sorted(set(DIFFERENTIABLE) - PARTIAL))
def test_gradients_are_checked(name):
    homes = [module.__name__ for module in MODULES if name in getattr(module, "CASES", {})]
    assert len(homes) == 1, f"{name} has gradient-check cases in {homes or 'no file'}: it needs them in one"
    assert RECORDS[name].vjp != RECORDS[name]._no_vjp, f"{name} has no VJP"


@pytest.mark.parametrize("name", CONSTANT)
def test_constants_are_listed(name):
    assert any(name in getattr(module, "CONSTANT", ()) for module in MODULES), f"{name} is in no file's CONSTANT"


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.__name__)
def test_cases_are_of_primitives(module):
    cases, constant = set(getattr(module, "CASES", ())), set(getattr(module, "CONSTANT", ()))
    assert cases <= set(DIFFERENTIABLE), f"no differentiable primitive: {sorted(cases - set(DIFFERENTIABLE))}"
    assert constant <= set(CONSTANT), f"no constant primitive: {sorted(constant - set(CONSTANT))}"


def compared(test) -> set[str]:
    """The primitives that a test names: in its own name, its parameters, or its text as ``ops.name``."""
    found = {name for name in RECORDS if test.__name__.startswith(f"test_{name}_")}
    found |= set(re.findall(r"\bops\.(\w+)", inspect.getsource(test)))
    for mark in getattr(test, "pytestmark", []):
        if mark.name == "parametrize":
            values = [value if isinstance(value, (tuple, list)) else [value] for value in mark.args[1]]
            found |= {part for value in values for part in value if isinstance(part, str)}
    return found


COMPARED = {
    name
    for module in MODULES
    for title, test in vars(module).items()
    if title.startswith("test_") and COMPARES.search(title)
    for name in compared(test)
}


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_an_independent_oracle_exists(name):
    """A reference (which check_primitive compares with), or a test against NumPy or PyTorch."""
    if name in OTHERWISE:
        assert any(hasattr(module, OTHERWISE[name]) for module in MODULES), f"no test {OTHERWISE[name]}"
    else:
        assert RECORDS[name].reference is not None or name in COMPARED, f"{name} has no reference and no peer"


def test_internal_primitives_are_not_exported():
    assert RECORDS.keys() - set(mg.ops.__all__) - LINALG == INTERNAL


def exported(name):
    return getattr(mg.linalg if name in LINALG else mg.ops, name)


@pytest.mark.parametrize("name", EXPORTED)
def test_it_is_exported_under_its_name(name):
    function = exported(name)
    assert function.primitive is RECORDS[name]
    if name in LINALG:
        return
    assert getattr(mg, name) is function
    assert name in mg.ops.__all__
    assert name in mg.__all__


@pytest.mark.parametrize("name", EXPORTED)
def test_it_is_documented_with_an_example(name):
    text = inspect.getdoc(exported(name)) or ""
    assert ">>> " in text, f"{name} has no example"
    assert re.search(rf">>> .*\b{name}\(", text), f"the example of {name} does not call it"
    prose = text.partition(">>> ")[0]
    assert re.search(r"\bshapes?\b|\(…|\([A-Z]\w*, |\b\d axes\b|\baxis\b|\baxes\b|\bentry by entry\b", prose), (
        f"{name} says no shapes"
    )


def calls_a_primitive(function) -> bool:
    called = [function.__globals__.get(name) for name in function.__code__.co_names]
    return any(hasattr(c, "primitive") or (c in WRAPPERS and calls_a_primitive(c)) for c in called)


WRAPPERS = [f for f in map(mg.ops.__dict__.get, mg.ops.__all__) if not hasattr(f, "primitive")]


@pytest.mark.parametrize("name", mg.ops.__all__)
def test_what_is_exported_is_a_primitive_or_calls_one(name):
    function = getattr(mg.ops, name)
    if not hasattr(function, "primitive"):
        assert calls_a_primitive(function), f"{name} is no primitive and calls none"
    elif name != function.primitive.name:
        assert getattr(mg.ops, function.primitive.name) is function, f"{name} hides a primitive of another name"


def test_nothing_is_exported_twice():
    assert len(set(mg.ops.__all__)) == len(mg.ops.__all__)
