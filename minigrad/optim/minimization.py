"""Minimise functions with SciPy's methods, and provide the derivatives that they use.

SciPy sees the parameters, in any structure, as one vector of float64, which :func:`minigrad.split` cuts into parts. So
the function to minimise takes a vector, and the transforms compute its derivatives.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..core import Tensor, plain
from ..higher_order import builds_graph
from ..jacobians import hessian
from ..ops import reshape, split
from ..runtime.extras import require
from ..spec import Array, as_array, describe
from ..transforms import hvp, value_and_grad
from ..trees import leaves, replace_leaves, unflatten
from ..writes import written

__all__ = ["minimize"]

_WITHOUT_GRADIENT = ("nelder-mead", "powell", "cobyla", "cobyqa")
_WITH_HESSIAN = ("dogleg", "trust-exact")
_WITH_PRODUCTS = ("newton-cg", "trust-ncg", "trust-krylov", "trust-constr")


def minimize(
    f: Callable[[Any], Any],
    x0: Any,
    method: str | None = None,
    *,
    bounds: Any = None,
    constraints: Any = None,
    tol: float | None = None,
    callback: Callable[..., Any] | None = None,
    options: dict[str, Any] | None = None,
) -> Any:
    """Minimise a function of parameters with ``scipy.optimize.minimize`` and its derivatives.

    Methods that use a gradient get it. Methods that use second derivatives get products of the Hessian with vectors
    (Newton-CG, trust-ncg, trust-krylov, trust-constr: :func:`minigrad.hvp`) or the Hessian (dogleg, trust-exact:
    :func:`minigrad.hessian`). Everything is computed in float64, whatever the dtype of the parameters.

    Args:
        f: a function of one argument, ``x0`` with other leaves, that returns a tensor of one entry. It must be
            deterministic: put modules with dropout into evaluation mode.
        x0: the start: a floating tensor, array or number; a nested list, tuple or dict of these; or a module, whose
            trainable parameters are optimised.
        method: SciPy's name of a method, in any case; by default SciPy chooses (BFGS, with bounds L-BFGS-B, with
            constraints SLSQP).
        bounds, constraints, tol, callback, options: passed to SciPy, for methods that support them. They refer to the
            vector of all entries, leaf by leaf.

    Returns:
        SciPy's ``OptimizeResult``, with ``x`` in the structure of ``x0``: float64 tensors, or for a module a dict by
        the names of its parameters. Its other entries (``jac``, ``hess_inv``) refer to the vector. A module's
        parameters are written once, at the end, in their own dtype; on an error, they keep their values.

    Raises:
        TypeError: if a parameter is not floating, or f does not return a tensor, or f, inside a transform, depends on
            the transform's variables.
        ValueError: if the method is unknown, f returns more than one number, or there is nothing to optimise.
        ModuleNotFoundError: if SciPy is not installed; the message says how to install it.

    >>> import minigrad as mg
    >>> f = lambda p: (p["a"] - 3.0) ** 2 + (p["a"] * p["b"] - 6.0) ** 2
    >>> found = minimize(f, {"a": 1.0, "b": 1.0}, "Newton-CG")
    >>> {name: round(value.item(), 6) for name, value in found.x.items()}
    {'a': 3.0, 'b': 2.0}
    """
    if not (method is None or isinstance(method, str)):
        raise TypeError(f"minimize: method must be the name of one of SciPy's methods, not {describe(method)}")
    known = (method or "").lower()
    scipy_minimize = require("scipy.optimize", "scipy").minimize
    vector = _Vector(f, x0)
    given = {"bounds": bounds, "constraints": constraints, "tol": tol, "callback": callback, "options": options}
    given = {name: value for name, value in given.items() if value is not None}
    if known in _WITH_HESSIAN:
        given["hess"] = vector.restoring()(lambda x: np.array(hessian(vector)(x).data))
    if known in _WITH_PRODUCTS:
        given["hessp"] = vector.restoring()(lambda x, v: np.array(hvp(vector, [x], [v])[0].data))
    jac = None if known in _WITHOUT_GRADIENT else True
    compute = vector.value_and_gradient if jac else lambda x: _number(vector(Tensor(x)))
    result = scipy_minimize(vector.restoring()(compute), vector.start, method=method, jac=jac, **given)
    result.x = vector.written(result.x)
    return result


class _Vector:
    """A function of a structure as a function of a float64 vector.

    Attributes:
        start: the vector of the initial structure.
        parameters: the leaves that are parameters of modules, by their numbers.
    """

    def __init__(self, f: Callable[[Any], Any], structure: Any) -> None:
        self.f, self.structure = f, structure
        named = list(leaves(structure))
        arrays = [_floating(path, value) for path, value in named]
        self.shapes = [x.shape for x in arrays]
        self.ends = list(itertools.accumulate(x.size for x in arrays))
        if not self.ends or not self.ends[-1]:
            raise ValueError("minimize: x0 contains no numbers to optimise")
        self.parameters = {i: p for i, (path, p) in enumerate(named) if path and not path.endswith("]")}
        if len(set(map(id, self.parameters.values()))) < len(self.parameters):
            raise ValueError("minimize: x0 contains a module's parameter twice")
        self.start = np.concatenate([x.ravel() for x in arrays])

    def parts(self, x: Any) -> list[Tensor]:
        """Return the part of the vector for each leaf of the structure."""
        return [reshape(part, shape) for part, shape in zip(split(x, self.ends[:-1]), self.shapes, strict=True)]

    @contextmanager
    def restoring(self) -> Iterator[None]:
        """Restore the parameters of modules at the end, also after the backward pass, which may run f again."""
        before = [(p, p._array, p.node, p.index) for p in self.parameters.values()]
        try:
            yield
        finally:
            for p, data, node, index in before:
                p._array, p.node, p.index = data, node, index

    def __call__(self, x: Tensor) -> Tensor:
        """Call f with parts of x in place of the parameters, which stay there: see `restoring`."""
        parts = self.parts(x)
        for i, p in self.parameters.items():
            p._array, p.node, p.index = parts[i]._array, parts[i].node, parts[i].index
        y = self.f(replace_leaves(self.structure, parts))
        if not isinstance(y, Tensor):
            raise TypeError(f"minimize: the function must return a tensor, not {type(y).__name__}")
        if y.size != 1:
            raise ValueError(f"minimize: the function must return one number, not shape {y.shape}")
        return y

    def value_and_gradient(self, x: Array) -> tuple[float, Array]:
        value, gradient = value_and_grad(self)(x)
        return _number(value), np.array(gradient.data)

    def written(self, x: Array) -> Any:
        """Return the vector in the structure, and write it into the parameters of modules."""
        parts = self.parts(Tensor(x, np.float64))
        for i, parameter in self.parameters.items():
            written(parameter.data)
            parameter.data[...] = parts[i].data
        return unflatten(self.structure, [Tensor(part) for part in parts])


def _number(value: Tensor) -> float:
    """Return a value as a number; raise if it depends on a tensor that an outer transform differentiates."""
    if builds_graph() and value.requires_grad:
        raise TypeError(
            "minimize: f depends on a tensor that an outer transform differentiates, but the minimum is not "
            "differentiable. Pass .detach() of the tensor to treat it as a constant (docs/guides/derivatives.md shows "
            "implicit differentiation)."
        )
    return float(value.item())


def _floating(path: str, value: Any) -> Array:
    """Return a leaf as a float64 array."""
    array = as_array(plain(value))
    if array.dtype.kind != "f":
        raise TypeError(f"minimize: parameters must be floating, not {describe(array)} in x0{path}")
    return array.astype(np.float64)
