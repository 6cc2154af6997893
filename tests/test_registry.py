"""Each primitive has a gradient check, an independent oracle, and a documented example."""

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

# Parts of rules, which are not exported.
INTERNAL = {"conv2d_filters", "recurrent_pullback"}
EXPORTED = sorted(RECORDS.keys() - INTERNAL)
LINALG = set(mg.linalg.__all__) - set(mg.ops.__all__)

# Its gradients are parts of the second derivatives of recurrent layers, which tests/ops/test_recurrent.py checks.
PARTIAL = {"recurrent_pullback"}


@pytest.mark.parametrize("name", sorted(set(DIFFERENTIABLE) - PARTIAL))
def test_gradients_are_checked(name):
    homes = [module.__name__ for module in MODULES if name in getattr(module, "CASES", {})]
    assert len(homes) == 1, f"{name} has gradient-check cases in {homes or 'no file'}: it needs them in one"


def test_every_primitive_has_a_reference_or_is_named_by_a_test():
    tests = "\n".join(inspect.getsource(module) for module in MODULES)
    lacking = {name for name, record in RECORDS.items() if record.reference is None}
    assert {name for name in lacking if not re.search(rf"\b{name}\b", tests)} <= PARTIAL


@pytest.mark.parametrize("name", EXPORTED)
def test_it_is_exported_and_documented_with_an_example(name):
    function = getattr(mg.linalg if name in LINALG else mg, name)
    assert function.primitive is RECORDS[name]
    assert name in LINALG or name in mg.__all__
    assert re.search(rf">>> .*\b{name}\(", inspect.getdoc(function) or ""), f"the example of {name} does not call it"
