"""Records of primitives: what is declared is kept, and what is wrong is named."""

from __future__ import annotations

import numpy as np

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
