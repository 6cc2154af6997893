"""The gradient checker finds wrong VJPs and says where."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
from minigrad.check import GradcheckError
from minigrad.primitives import PRIMITIVES


def cube(factor=3.0, entry=None):
    @mg.primitive
    def cube(base, other):
        return base**3 + other, (base,)

    @cube.vjp
    def _(g, needs, base):
        slope = factor * base**2 * g
        if entry is not None:
            slope[entry] += 0.001
        return slope, g

    del PRIMITIVES[
        f"{__name__}.cube.<locals>.cube" if f"{__name__}.cube.<locals>.cube" in PRIMITIVES else f"{__name__}.cube"
    ]
    return cube


X = np.array([[0.5, -1.5], [1.0, 2.0]])


def test_right_gradients_pass():
    assert mg.gradcheck(cube(), [X, X])
    assert mg.gradcheck(lambda x: cube()(x, X), X)
    assert mg.gradcheck(cube(), [X.astype(np.float32), X.astype(np.float32)])
    assert mg.gradcheck(cube(), (X, X), entries=False)


def test_the_error_names_primitive_argument_and_worst_entry():
    with pytest.raises(GradcheckError, match=r"gradcheck of cube: argument 0 \(base\) at entry \[1, 0\]"):
        mg.gradcheck(cube(entry=(1, 0)), [X, X])
    with pytest.raises(GradcheckError, match=r"cube: argument 0 .*.*gives [-0-9.]+, central differences"):
        mg.gradcheck(cube(factor=3.001), [X, X])


def test_random_directions_alone_find_it_too():
    with pytest.raises(GradcheckError, match="cube"):
        mg.gradcheck(cube(entry=(0, 1)), [X, X], entries=False)


def test_the_primitives_of_a_composition_are_named():
    with pytest.raises(GradcheckError, match="gradcheck of cube/multiply: argument 0"):
        mg.gradcheck(lambda x: mg.multiply(cube(factor=2.0)(x, X), 2.0), [X])


def test_nan_is_wrong():
    with pytest.raises(GradcheckError):
        mg.gradcheck(cube(factor=np.nan), [X, X])


def test_tolerances_are_keyed_by_dtype():
    with pytest.raises(GradcheckError):
        mg.gradcheck(cube(factor=3.0001), [X, X])
    assert mg.gradcheck(cube(factor=3.0001), [X.astype(np.float32), X.astype(np.float32)])


def test_integers_alone_cannot_be_checked():
    with pytest.raises(TypeError, match="no input is of a floating dtype"):
        mg.gradcheck(mg.add, [np.arange(3), np.arange(3)])


def test_no_grad_around_a_check_does_not_stop_it():
    with mg.no_grad():
        assert mg.gradcheck(mg.multiply, [X, X])


def test_functions_that_return_no_tensor_are_refused():
    with pytest.raises(TypeError, match="must return a tensor or a tuple of them, not int"):
        mg.gradcheck(lambda x: 3, X)


def test_integer_inputs_are_constants():
    assert mg.gradcheck(mg.multiply, [X, np.arange(2)])


def test_numerical_gradient():
    np.testing.assert_allclose(mg.numerical_gradient(lambda x: (x * x).sum(), X), 2 * X, rtol=1e-9)
    u = np.ones((2, 2))
    np.testing.assert_allclose(mg.numerical_gradient(lambda x: x * x, X, u), 2 * X, rtol=1e-9)
    with pytest.raises(ValueError, match="needs a cotangent"):
        mg.numerical_gradient(lambda x: x, X)
    with pytest.raises(ValueError, match=r"cotangent \(3,\) does not fit the output \(2, 2\)"):
        mg.numerical_gradient(lambda x: x, X, np.ones(3))


def test_inputs_are_not_changed():
    kept = X.copy()
    mg.gradcheck(cube(), [X, X])
    mg.numerical_gradient(lambda x: (x * x).sum(), X)
    np.testing.assert_array_equal(X, kept)
