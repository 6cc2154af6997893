"""Minimisation by SciPy's methods, which are handed the value and all derivatives that they ask for.

The parameters, in whatever structure, are one vector of float64 to SciPy, cut into pieces by :func:`minigrad.split`.
So the function that is minimised is one of a vector, and its derivatives are those of the transforms.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import Any

import numpy as np

from ..core import Tensor, plain
from ..higher_order import leaves_graph
from ..nn import Parameter
from ..ops import reshape, split
from ..runtime.extras import require
from ..spec import Array, describe
from ..transforms import hessian, hvp, value_and_grad
from ..trees import filled, leaves, like
from ..writes import written

__all__ = ["minimize"]

_WITHOUT = ("nelder-mead", "powell", "cobyla", "cobyqa")
_GRADIENT = ("cg", "bfgs", "l-bfgs-b", "tnc", "slsqp")
_HESSIAN = ("dogleg", "trust-exact")
_PRODUCTS = ("newton-cg", "trust-ncg", "trust-krylov", "trust-constr")
_METHODS = (*_GRADIENT, *_PRODUCTS, *_HESSIAN, *_WITHOUT)


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
    known = _checked_method(method)
    scipy_minimize = require("scipy.optimize", "scipy").minimize
    vector = _Vector(f, x0)
    derivatives: dict[str, Any] = {} if known in _WITHOUT else {"jac": True}
    if known in _HESSIAN:
        derivatives["hess"] = vector.hessian
    if known in _PRODUCTS:
        derivatives["hessp"] = vector.product
    given = {"bounds": bounds, "constraints": constraints, "tol": tol, "callback": callback, "options": options}
    given = {name: value for name, value in given.items() if value is not None}
    function = vector.value if known in _WITHOUT else vector.value_and_gradient
    result = scipy_minimize(function, vector.start, method=method, **derivatives, **given)
    result.x = vector.written(result.x)
    return result


def _checked_method(method: Any) -> str | None:
    """The name of a method in small letters."""
    if method is None:
        return None
    if not isinstance(method, str):
        raise TypeError(f"minimize: method must be the name of one of SciPy's methods, not {describe(method)}")
    if method.lower() not in _METHODS:
        raise ValueError(f"minimize: method {method!r} is unknown: it must be one of {', '.join(_METHODS)}")
    return method.lower()


class _Vector:
    """A function of a structure as one of a vector of float64, with its derivatives.

    Attributes:
        start: the vector of the structure as it was given.
    """

    def __init__(self, f: Callable[[Any], Any], structure: Any) -> None:
        self.f, self.structure = f, structure
        self.leaves = [value for _, value in leaves(structure)]
        arrays = [_floating(path, value) for path, value in leaves(structure)]
        self.shapes = [x.shape for x in arrays]
        self.ends = list(itertools.accumulate(map(prod, self.shapes)))
        if not self.ends or not self.ends[-1]:
            raise ValueError("minimize: x0 holds no number to minimise in")
        owned = [id(p) for p in self._parameters(self.leaves)]
        if len(set(owned)) < len(owned):
            raise ValueError("minimize: x0 holds a module's parameter twice")
        self.start = np.concatenate([x.ravel() for x in arrays])

    def _parameters(self, values: Sequence[Any]) -> list[Any]:
        """Of values, one for each leaf, those whose leaf is a parameter that a module holds."""
        paths = (path for path, _ in leaves(self.structure))
        return [value for path, value in zip(paths, values, strict=True) if path and not path.endswith("]")]

    def pieces(self, x: Any) -> list[Tensor]:
        """A leaf of the structure for each of the vector's pieces."""
        return [reshape(part, shape) for part, shape in zip(split(x, self.ends[:-1]), self.shapes, strict=True)]

    def __call__(self, x: Tensor) -> Tensor:
        pieces = self.pieces(x)
        with _in_place_of(self._parameters(self.leaves), self._parameters(pieces)):
            y = self.f(filled(self.structure, pieces))
        if not isinstance(y, Tensor):
            raise TypeError(f"minimize: the function must return a tensor, not {type(y).__name__}")
        if y.size != 1:
            raise ValueError(f"minimize: the function must return one number, not shape {y.shape}")
        return y

    def value(self, x: Array) -> float:
        return float(_constant(self(Tensor(x))).item())

    def value_and_gradient(self, x: Array) -> tuple[float, Array]:
        value, gradient = value_and_grad(self)(x)
        _constant(value)
        return float(value.item()), np.array(gradient.data)

    def product(self, x: Array, v: Array) -> Array:
        return np.array(hvp(self, [x], [v])[0].data)

    def hessian(self, x: Array) -> Array:
        return np.array(hessian(self)(x).data)

    def written(self, x: Array) -> Any:
        """The vector in the structure, also written into the parameters of modules."""
        pieces = self.pieces(Tensor(x, np.float64))
        for parameter, piece in zip(self._parameters(self.leaves), self._parameters(pieces), strict=True):
            written(parameter.data)
            parameter.data[...] = piece.data
        return like(self.structure, [Tensor(piece) for piece in pieces])


def _constant(value: Tensor) -> Tensor:
    """A value that depends on nothing that somebody differentiates in."""
    if leaves_graph() and value.requires_grad:
        raise TypeError(
            "minimize: f depends on a tensor that is differentiated in, and what it finds cannot be: give f .detach() "
            "of it, for a constant (docs/derivatives.md shows implicit differentiation)"
        )
    return value


def _floating(path: str, value: Any) -> Array:
    """A leaf as an array of float64."""
    array = plain(value if isinstance(value, Tensor) else Tensor(value))
    if array.dtype.kind != "f":
        raise TypeError(
            f"minimize: can only minimise in floating parameters, not {array.dtype} {array.shape} in x0{path}"
        )
    return array.astype(np.float64)  # type: ignore[no-any-return]


@contextmanager
def _in_place_of(parameters: Sequence[Parameter], tensors: Sequence[Tensor]) -> Iterator[None]:
    """Within this context parameters are the given tensors."""
    before = [(p.data, p.node, p.index) for p in parameters]
    try:
        for p, tensor in zip(parameters, tensors, strict=True):
            p.data, p.node, p.index = tensor.data, tensor.node, tensor.index
        yield
    finally:
        for p, (data, node, index) in zip(parameters, before, strict=True):
            p.data, p.node, p.index = data, node, index
