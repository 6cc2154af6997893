"""Minimisation by SciPy's methods, with the value and all derivatives that they ask for.

To SciPy the parameters, in whatever structure, are one vector of float64, which :func:`minigrad.split` cuts into
parts. So the function to minimise is one of a vector, and the transforms give its derivatives.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core import Tensor, plain
from ..higher_order import leaves_graph
from ..ops import reshape, split
from ..runtime.extras import require
from ..spec import Array, describe
from ..transforms import hessian, hvp, value_and_grad
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
    """Minimise a function of parameters by ``scipy.optimize.minimize``, with its derivatives.

    Methods that use a gradient get it. Those that use second derivatives get products of the Hessian with vectors
    (Newton-CG, trust-ncg, trust-krylov, trust-constr: :func:`minigrad.hvp`) or the Hessian (dogleg, trust-exact:
    :func:`minigrad.hessian`). All is computed in float64, whatever the parameters' dtype.

    Args:
        f: a function of one argument, ``x0`` with other leaves, that returns a tensor of one entry. It must give the
            same each time: put modules with dropout into evaluation mode.
        x0: the start: a floating tensor, array or number; a nested list, tuple or dict of these; or a module, of which
            the parameters that require a gradient are what is minimised in.
        method: SciPy's name of a method, in small or capital letters; None leaves the choice to SciPy (BFGS, with
            bounds L-BFGS-B, with constraints SLSQP).
        bounds, constraints, tol, callback, options: SciPy's own, for methods that know them. What they say of the
            parameters is said of the vector of all their entries, leaf by leaf.

    Returns:
        SciPy's ``OptimizeResult``, with ``x`` in the structure of ``x0``: float64 tensors, for a module a dict by the
        names of its parameters. What else it holds (``jac``, ``hess_inv``) is about the vector. A module's parameters
        are written once, at the end, in their own dtype; until then, and if an error is raised, they hold what they
        held.

    Raises:
        TypeError: if a parameter is not floating, or f does not return a tensor, or f depends, within a transform, on
            what that differentiates in.
        ValueError: if the method is unknown, f returns more than one number, or there is nothing to minimise in.
        ModuleNotFoundError: if SciPy is not installed; says how to get it.

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
        given["hess"] = lambda x: np.array(hessian(vector)(x).data)
    if known in _WITH_PRODUCTS:
        given["hessp"] = lambda x, v: np.array(hvp(vector, [x], [v])[0].data)
    if known in _WITHOUT_GRADIENT:
        result = scipy_minimize(lambda x: _number(vector(Tensor(x))), vector.start, method=method, **given)
    else:
        result = scipy_minimize(vector.value_and_gradient, vector.start, method=method, jac=True, **given)
    result.x = vector.written(result.x)
    return result


class _Vector:
    """A function of a structure as one of a vector of float64.

    Attributes:
        start: the vector of the structure as it was given.
        parameters: the leaves that are parameters of modules, by their numbers.
    """

    def __init__(self, f: Callable[[Any], Any], structure: Any) -> None:
        self.f, self.structure = f, structure
        named = list(leaves(structure))
        arrays = [_floating(path, value) for path, value in named]
        self.shapes = [x.shape for x in arrays]
        self.ends = list(itertools.accumulate(x.size for x in arrays))
        if not self.ends or not self.ends[-1]:
            raise ValueError("minimize: x0 holds no number to minimise in")
        self.parameters = {i: p for i, (path, p) in enumerate(named) if path and not path.endswith("]")}
        if len(set(map(id, self.parameters.values()))) < len(self.parameters):
            raise ValueError("minimize: x0 holds a module's parameter twice")
        self.start = np.concatenate([x.ravel() for x in arrays])

    def parts(self, x: Any) -> list[Tensor]:
        """The part of the vector for each leaf of the structure."""
        return [reshape(part, shape) for part, shape in zip(split(x, self.ends[:-1]), self.shapes, strict=True)]

    def __call__(self, x: Tensor) -> Tensor:
        parts = self.parts(x)
        before = [(p, p.data, p.node, p.index) for p in self.parameters.values()]
        try:
            for i, p in self.parameters.items():
                p.data, p.node, p.index = parts[i].data, parts[i].node, parts[i].index
            y = self.f(replace_leaves(self.structure, parts))
        finally:
            for p, data, node, index in before:
                p.data, p.node, p.index = data, node, index
        if not isinstance(y, Tensor):
            raise TypeError(f"minimize: the function must return a tensor, not {type(y).__name__}")
        if y.size != 1:
            raise ValueError(f"minimize: the function must return one number, not shape {y.shape}")
        return y

    def value_and_gradient(self, x: Array) -> tuple[float, Array]:
        value, gradient = value_and_grad(self)(x)
        return _number(value), np.array(gradient.data)

    def written(self, x: Array) -> Any:
        """The vector in the structure, also written into the parameters of modules."""
        parts = self.parts(Tensor(x, np.float64))
        for i, parameter in self.parameters.items():
            written(parameter.data)
            parameter.data[...] = parts[i].data
        return unflatten(self.structure, [Tensor(part) for part in parts])


def _number(value: Tensor) -> float:
    """A value as a number; an error if it depends on a tensor that an outer transform differentiates in."""
    if leaves_graph() and value.requires_grad:
        raise TypeError(
            "minimize: f depends on a tensor that is differentiated in, and its minimum cannot be. Pass f .detach() "
            "of it, for a constant (docs/derivatives.md shows implicit differentiation)."
        )
    return float(value.item())


def _floating(path: str, value: Any) -> Array:
    """A leaf as an array of float64."""
    array = plain(value if isinstance(value, Tensor) else Tensor(value))
    if array.dtype.kind != "f":
        raise TypeError(f"minimize: parameters must be floating, not {describe(array)} in x0{path}")
    return array.astype(np.float64)  # type: ignore[no-any-return]
