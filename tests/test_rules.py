"""Records of primitives: what is declared is kept, and what is wrong is named."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
from minigrad.primitives import Primitive

Array = np.ndarray


def _shifted(x: Array, *others: Array, by: int = 1):
    return x + by, ()


def test_what_is_declared_is_kept():
    record = Primitive(_shifted, broadcasts=True, differentiable=False, commutative=True, residuals=["x", "constant"])
    assert (record.name, record.arguments, record.options) == ("shifted", ("x", "others"), ("by",))
    assert (record.broadcasts, record.differentiable, record.commutative, record.entrywise) == (
        True,
        False,
        True,
        False,
    )
    assert record.residuals == ("x", "constant")
    assert record.first_hidden is None
    plain = Primitive(_shifted)
    assert (plain.broadcasts, plain.differentiable, plain.commutative) == (False, True, False)
    assert (plain.residuals, plain.first_hidden, plain.steps) == (None, None, None)
    assert Primitive(lambda x: (x, ()), residuals=("hidden 1",)).first_hidden == 1


def test_inputs_are_named_by_number():
    record = Primitive(_shifted)
    assert record.variadic is True
    assert [record.input_name(i) for i in range(4)] == ["x", "others[0]", "others[1]", "others[2]"]
    assert Primitive(lambda x, y: (x, ())).variadic is False


@pytest.mark.parametrize("residuals", ["x", ["x", 1], [None]])
def test_residuals_that_are_no_names_are_refused(residuals):
    with pytest.raises(TypeError, match=r"primitive shifted: residuals must be a tuple of names"):
        Primitive(_shifted, residuals=residuals)


def test_steps_may_do_without_indices():
    steps = mg.ops.lstm.primitive.steps
    forward = mg.ops.lstm.primitive.forward
    assert Primitive(forward, steps=steps._replace(indices=None)).steps.indices is None
    assert steps.names == ("h", "c")
    assert [steps.start_of(name) for name in ("h", "c", "x", "Wx")] == ["h0", "c0", "x", "Wx"]


@pytest.mark.parametrize(
    ("error", "inputs", "message"),
    [
        (TypeError("NoneType has no len"), (None,), r"not None"),
        (AttributeError("'NoneType' object"), (np.ones(1), None), r"not None"),
        (TypeError("NoneType has no len"), (np.ones(1),), r"NoneType has no len"),
        (TypeError("odd"), (None,), r"odd"),
        (ValueError("of NoneType"), (None,), r"of NoneType"),
    ],
)
def test_an_input_that_is_none_is_named_where_the_forward_stumbled_on_it(error, inputs, message):
    found = Primitive(_shifted).failed(inputs, error)
    assert str(found).startswith("shifted(x: ")
    assert str(found).endswith(message.replace("not None", "expected numbers (bool, integer or real float), not None"))
