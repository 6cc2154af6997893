"""Functional transforms: take functions of tensors and return their derivatives, as functions, of any order.

``f`` takes tensors, numbers and arrays, and trees of these (:mod:`minigrad.trees`), such as dicts or modules. Other
arguments and keyword arguments pass through untouched. *Variables* replace the arguments to differentiate with respect
to: fresh leaves, nodes on top of outer variables, or a module's own parameters. Transforms do not differentiate with
respect to tensors that ``f`` closes over.

Transforms nest to any order. Within the function of a transform, the transforms inside leave a graph
(:mod:`minigrad.higher_order`), as they do within :func:`minigrad.create_graph`. Everywhere else a pass on arrays
computes the results, without a graph. You can read them like constants. But they may depend on *outer* tensors, which
require a gradient and which ``f`` took as arguments or from a closure. Then a pass that would have to go through the
results raises an error (:class:`.Boundary`), because treating them as constants would be silently wrong. Inside
``no_grad`` the results are constants.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from typing import Any, cast

import numpy as np

from .backward import reverse_pass, seed_of
from .core import Boundary, Leaf, Node, Tensor, enable_grad, grad_enabled, in_transform, plain, untracked
from .higher_order import builds_graph, create_graph, differentiable_pass, variable
from .observers import setting
from .spec import Array
from .trees import leaves, matching_leaves, replace_leaves, structure_of, unflatten, unflatten_each
from .writes import clock

__all__ = ["Differentiation", "grad", "hvp", "jvp", "linearize", "value_and_grad", "vjp"]


class Differentiation:
    """One call of a transform: its variables, the function's outputs, and passes from the outputs to the variables.

    ``name`` is the name of the transform, for messages.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.born = next(clock)
        self.differentiable = builds_graph()  # whether the results may be differentiated
        self.variables: list[Tensor] = []
        self.sources: list[Node] = []  # the nodes of the variables
        self.boundaries: list[tuple[Boundary, bool]] = []  # of variables, and whether their primals have a node
        self.primals_have_nodes = False
        self.outputs: list[Tensor] = []
        self.outer = False  # whether the outputs may depend on an outer tensor

    def variables_for(self, structure: Any, place: str) -> Any:
        """Replace each leaf of a structure by a variable."""
        fresh = [self._variable_for(value, path, place) for path, value in leaves(structure)]
        return replace_leaves(structure, fresh)

    def _variable_for(self, value: Any, path: str, place: str) -> Tensor:
        if path and not path.endswith("]"):  # a module's parameter, which the module uses itself
            if not isinstance(value, Tensor) or not isinstance(value.node, Leaf):
                raise TypeError(f"{self.name}: {place}{path} must be a tensor made with requires_grad=True")
            if any(value is other for other in self.variables):
                raise ValueError(f"{self.name}: a module's parameter occurs twice, also in {place}{path}")
            self.variables.append(value)
            self.sources.append(value.node)
            return value
        primal = value if isinstance(value, Tensor) else Tensor(value)
        if primal.dtype.kind != "f":
            raise TypeError(
                f"{self.name}: can only differentiate with respect to floating arguments, not "
                f"{primal.dtype} {primal.shape} in {place}{path}"
            )
        has_node = primal.node is not None
        self.primals_have_nodes |= has_node
        if self.differentiable and has_node:
            fresh: Tensor = variable(primal)
        else:
            fresh = primal.detach()
            fresh.node = boundary = Boundary(fresh.data)
            self.boundaries.append((boundary, has_node))
        self.variables.append(fresh)
        self.sources.append(cast(Node, fresh.node))
        return fresh

    def call(self, f: Callable[..., Any], args: Iterable[Any], kwargs: dict[str, Any], has_aux: bool = False) -> Any:
        """Call the function; return its output and its auxiliary output (None without ``has_aux``)."""
        try:
            return self._call(f, args, kwargs, has_aux)
        except BaseException:
            self.close()  # the function may have stored tensors elsewhere
            raise

    def _call(self, f: Callable[..., Any], args: Iterable[Any], kwargs: dict[str, Any], has_aux: bool) -> Any:
        with enable_grad(), create_graph(), setting(in_transform, lambda _: True):
            out = f(*args, **kwargs)
        aux = None
        if has_aux:
            if not (isinstance(out, tuple) and len(out) == 2):
                raise TypeError(f"{self.name}: with has_aux the function must return a pair (output, aux)")
            out, aux = out
        for path, y in leaves(out):
            if not isinstance(y, Tensor):
                raise TypeError(
                    f"{self.name}: the function must return a tensor, not {type(y).__name__}"
                    + (f" at {path}" if path else "")
                )
            self.outputs.append(y)
        if not self.outputs:
            raise TypeError(f"{self.name}: the function must return a tensor, not {type(out).__name__}")
        self.outer = self.uses_outer(self.outputs)
        return out, aux

    def close(self, all: bool = True) -> None:
        """Close the boundaries of the variables: all, or only of those whose primal has a node."""
        for boundary, has_node in self.boundaries:
            boundary.closed = not self.differentiable and (all or has_node)

    def uses_outer(self, tensors: Iterable[Tensor]) -> bool:
        """Return whether a primal has a node, or tensors depend on a leaf or on a node from before this call.

        The walk stops there, so its time does not depend on the graph outside.
        """
        if self.primals_have_nodes:
            return True
        stack = [t.node for t in tensors if t.node is not None]
        seen = set(stack)
        while stack:
            node = stack.pop()
            if node.born < self.born or type(node) is Leaf:
                return True
            stack += (new := [parent for parent in node.parents if parent not in seen])
            seen.update(new)
        return False

    def results(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Return the tensors as the user gets them: with a graph only if a pass may go through it."""
        outer = self.outer if tensors is self.outputs else self.uses_outer(tensors)
        return list(tensors) if outer and self.differentiable else as_results([t._array for t in tensors], outer)

    def backward(self, outputs: Sequence[Tensor], cotangents: Sequence[Tensor], retain_graph: bool) -> list[Tensor]:
        """Return the cotangents of the variables; zeros for a variable that no output depends on."""
        outer = self.outer or any(g.node is not None for g in cotangents)
        if outer and (self.differentiable or builds_graph()):
            return self.differentiable_backward(outputs, cotangents)
        seeds = [seed_of(y, g) for y, g in zip(outputs, cotangents, strict=True) if y.node is not None]
        found = reverse_pass(seeds, retain_graph, self.sources) if seeds else {}
        pairs = zip(self.sources, self.variables, strict=True)
        return as_results([found[node] if node in found else np.zeros_like(v._array) for node, v in pairs], outer)

    def differentiable_backward(self, outputs: Sequence[Tensor], cotangents: Sequence[Tensor]) -> list[Tensor]:
        """Return the result of `backward` as tensors with a graph."""
        seeds = [
            (y.node, y.index, g if g.dtype == y.dtype else g.astype(y.dtype))
            for y, g in zip(outputs, cotangents, strict=True)
            if y.node is not None
        ]
        found = differentiable_pass(seeds, self.sources) if seeds else {}
        pairs = zip(self.sources, self.variables, strict=True)
        return [found.get(node, untracked(np.zeros_like(v.data))) for node, v in pairs]

    def transposed(self) -> Differentiation:
        """Return the map from weights u of the outputs to u'J, as a call that can be differentiated."""
        twin = copy(self)
        twin.variables = [_weight(y) for y in self.outputs]
        twin.sources = [cast(Node, u.node) for u in twin.variables]
        twin.outputs = self.differentiable_backward(self.outputs, twin.variables)
        twin.outer = twin.uses_outer(twin.outputs)
        return twin

    def unit_cotangent(self) -> Tensor:
        """Return the cotangent 1 of an output that is a single number."""
        (y, *more) = self.outputs
        if more or y.size != 1:
            self.close()
            what = f"{1 + len(more)} tensors" if more else f"shape {y.shape}"
            raise ValueError(f"{self.name}: the function must return one number, not {what}")
        return untracked(np.ones(y.shape, y.dtype))


def as_results(arrays: Sequence[Array], outer: bool) -> list[Tensor]:
    """Return arrays as constants, at closed boundaries if they depend on outer tensors."""
    results = list(map(untracked, arrays))
    if outer and grad_enabled():
        for result in results:
            if result._array.dtype.kind == "f":
                result.node = Boundary(result._array, closed=True)
    return results


def _fitting(name: str, kind: str, place: str, structures: Sequence[Any], given: Sequence[Any]) -> list[Tensor]:
    """Return cotangents or tangents for the leaves of structures of tensors; raise unless they fit."""
    if len(given) != len(structures):
        raise ValueError(f"{name}: expected one {kind} for each {place}, {len(structures)} in all, not {len(given)}")
    tensors = []
    for i, (structure, values) in enumerate(zip(structures, given, strict=True)):
        where = f"{name}: the {kind} of {place} {i}"
        for (path, model), value in zip(leaves(structure), matching_leaves(where, structure, values), strict=True):
            x = value if isinstance(value, Tensor) else Tensor(value)
            shape = np.shape(plain(model))
            if x.shape != shape:
                raise ValueError(f"{where}{path} must have the shape {shape}, not {x.shape}")
            tensors.append(x)
    return tensors


# --- reverse mode: from cotangents of outputs to cotangents of inputs --------------------------------


def vjp(f: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """Compute a function's value and the map from a cotangent of the output to those of the inputs.

    Args:
        f: a function of tensors, or structures of them, that returns a tensor or a structure of tensors.
        primals: floating tensors, ndarrays or numbers of any shapes; structures of these; or modules.
        has_aux: whether ``f`` returns ``(output, aux)``, of which only the output is differentiated.

    Returns:
        ``(out, pullback)``, or ``(out, pullback, aux)`` with ``has_aux``. ``pullback`` takes the cotangent in the
        structure of the output. If the output is a tuple, it takes one argument for each entry. It returns a tuple with
        one entry for each primal, in the primal's structure, shapes and dtypes. You may call it repeatedly.

    Raises:
        TypeError: if a primal is not floating, or an output is not a tensor.
        ValueError: from ``pullback``, if a cotangent does not fit.

    >>> import minigrad as mg
    >>> out, pullback = vjp(lambda x, y: x * y, 2.0, 3.0)
    >>> [t.item() for t in pullback(1.0)]
    [3.0, 2.0]
    """
    run, primals, out, aux = _run("vjp", f, primals, has_aux)

    def pullback(*cotangents: Any) -> tuple[Any, ...]:
        weights = _fitting("vjp", "cotangent", "output", out if isinstance(out, tuple) else (out,), cotangents)
        return unflatten_each(primals, run.backward(run.outputs, weights, retain_graph=True))

    values = unflatten(out, run.results(run.outputs))
    # Leave variables of constant primals open: the user may differentiate the pullback with respect to its cotangents.
    run.close(all=False)
    return (values, pullback, auxiliary_of(run, aux)) if has_aux else (values, pullback)


def _run(
    name: str, f: Callable[..., Any], primals: Sequence[Any], has_aux: bool = False
) -> tuple[Differentiation, tuple[Any, ...], Any, Any]:
    """Call a function with variables for its primals.

    Returns:
        the call, the structures of the primals, the structure of the output, and the auxiliary output.
    """
    run = Differentiation(name)
    structures = tuple(map(structure_of, primals))
    args = [run.variables_for(p, f"primal {i}") for i, p in enumerate(primals)]
    out, aux = run.call(f, args, {}, has_aux)
    return run, structures, structure_of(out), aux


def auxiliary_of(run: Differentiation, aux: Any) -> Any:
    """Return a function's auxiliary output, in which tensors are results like the value."""
    found = list(leaves(aux))
    tensors = iter(run.results([value for _, value in found if isinstance(value, Tensor)]))
    return replace_leaves(aux, [next(tensors) if isinstance(value, Tensor) else value for _, value in found])


def value_and_grad(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """Make a function that returns ``(f(...), gradient)``, for a function whose value is a single number.

    Args:
        f: a function that returns a tensor of one entry.
        argnums: the number of the argument to differentiate with respect to, or several numbers. An argument may be a
            tensor, a structure of tensors, or a module, which stands for its parameters.
        has_aux: whether ``f`` returns ``(value, aux)``; then the first result is that pair.

    Returns:
        a function. The gradient has the structure, shapes and dtypes of the argument; for a module it is a dict by
        the names of the parameters. If ``argnums`` is a sequence, it is a tuple with a gradient for each argument.

    Raises:
        ValueError: if the value is not a single number, or if ``argnums`` does not fit the arguments.
        TypeError: if an argument to differentiate with respect to is not floating.

    >>> import minigrad as mg
    >>> value, gradient = value_and_grad(lambda x: (x * x).sum())(mg.tensor([1.0, 2.0]))
    >>> value.item(), gradient
    (5.0, tensor([2., 4.]))
    """
    return _value_and_grad("value_and_grad", f, argnums, has_aux)


def _value_and_grad(
    name: str, f: Callable[..., Any], argnums: int | Sequence[int], has_aux: bool
) -> Callable[..., Any]:
    numbers = argument_numbers(argnums)

    def evaluate(*args: Any, **kwargs: Any) -> Any:
        run = Differentiation(name)
        chosen, arguments = with_variables(run, numbers, args)
        _, aux = run.call(f, arguments, kwargs, has_aux)
        g = run.unit_cotangent()
        (value,) = run.results(run.outputs)
        grads = unflatten_each(chosen, run.backward(run.outputs, [g], retain_graph=False))
        result = grads if isinstance(argnums, Sequence) else grads[0]
        run.close()
        return ((value, auxiliary_of(run, aux)) if has_aux else value), result

    return evaluate


def argument_numbers(argnums: int | Sequence[int]) -> tuple[int, ...]:
    """Convert ``argnums`` to a tuple."""
    try:
        return tuple(map(operator.index, argnums if isinstance(argnums, Sequence) else (argnums,)))
    except TypeError:
        raise TypeError(f"argnums must be an integer, or a list or tuple of integers, not {argnums!r}") from None


def with_variables(run: Differentiation, numbers: tuple[int, ...], args: tuple[Any, ...]) -> tuple[Any, list[Any]]:
    """Return the structures of the chosen arguments, and all arguments with variables in their place."""
    if any(not -len(args) <= n < len(args) for n in numbers):
        raise ValueError(f"{run.name}: argnums {numbers} do not fit {len(args)} arguments")
    if len({n % len(args) for n in numbers}) < len(numbers):
        raise ValueError(f"{run.name}: argnums {numbers} contain an argument twice")
    structures, arguments = tuple(structure_of(args[n]) for n in numbers), list(args)
    for n in numbers:
        arguments[n] = run.variables_for(args[n], f"argument {n}")
    return structures, arguments


def grad(f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Callable[..., Any]:
    """Make a function that returns the gradient of ``f``, whose value is a single number.

    The arguments are those of :func:`value_and_grad`. With ``has_aux`` it returns ``(gradient, aux)``.

    >>> grad(lambda x: x * x)(3.0)
    tensor(6.)
    >>> grad(grad(lambda x: x * x * x))(3.0)
    tensor(18.)
    """
    return gradient_of("grad", f, argnums, has_aux)


def gradient_of(name: str, f: Callable[..., Any], argnums: int | Sequence[int], has_aux: bool) -> Callable[..., Any]:
    evaluate = _value_and_grad(name, f, argnums, has_aux)

    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, grads = evaluate(*args, **kwargs)
        return (grads, value[1]) if has_aux else grads

    return gradient


# --- forward mode: from tangents of inputs to tangents of outputs ------------------------------------


def linearize(f: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """Compute a function's value and its derivative, a map from tangents of the inputs to a tangent of the output.

    The derivative along v is J v. Two reverse passes compute it: the first gives u'J, which is linear in u, and the
    second gives the transpose of that map, J. So VJPs suffice, and a call costs about as much as a reverse pass.

    Args:
        f, primals: as for :func:`vjp`.

    Returns:
        ``(out, push)``. ``push`` takes one tangent for each primal, in the primal's structure. It returns a tangent in
        the structure of the output. You may call it repeatedly.

    >>> import minigrad as mg
    >>> out, push = linearize(lambda x, y: x * y, 2.0, 3.0)
    >>> out.item(), push(1.0, 0.0).item(), push(0.0, 1.0).item()
    (6.0, 3.0, 2.0)
    """
    return _linearize("linearize", f, primals)


def _linearize(name: str, f: Callable[..., Any], primals: Sequence[Any]) -> tuple[Any, Callable[..., Any]]:
    run, primals, out, _ = _run(name, f, primals)
    transposed = run.transposed()

    def push(*tangents: Any) -> Any:
        given = _fitting(name, "tangent", "primal", primals, tangents)
        return unflatten(out, transposed.backward(transposed.outputs, given, retain_graph=True))

    run.close(all=False)
    return unflatten(out, run.results(run.outputs)), push


def _listed(name: str, several: Any) -> Sequence[Any]:
    if not isinstance(several, (list, tuple)):
        what = "primals, tangents and vectors must be lists or tuples with an entry for each argument"
        raise TypeError(f"{name}: {what}, not {type(several).__name__}")
    return several


def _weight(y: Tensor) -> Tensor:
    """Return a variable u for an output's cotangent. Its value is arbitrary, because u'J is linear in u."""
    fresh = untracked(np.zeros(y.shape, y.dtype if y.dtype.kind == "f" else np.float64))  # integers have no tangent
    fresh.node = Boundary(fresh._array)
    return fresh


def jvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """Compute a function's value and its derivative along a direction, J v.

    Args:
        f: a function that takes one tensor, or structure of tensors, for each primal.
        primals: a list or tuple of the inputs, as for :func:`vjp`.
        tangents: a list or tuple of the directions v, in the structures of the primals.

    Returns:
        ``(out, tangent)``; both have the same structure.

    Raises:
        TypeError: if a primal is not floating.
        ValueError: if a tangent does not fit.

    >>> import minigrad as mg
    >>> out, tangent = jvp(lambda x: x * x, [3.0], [1.0])
    >>> out.item(), tangent.item()
    (9.0, 6.0)
    """
    out, push = _linearize("jvp", f, _listed("jvp", primals))
    return out, push(*_listed("jvp", tangents))


# --- second derivatives along a direction ------------------------------------------------------------


def hvp(f: Callable[..., Any], primals: Sequence[Any], vectors: Sequence[Any]) -> tuple[Any, ...]:
    """Multiply the Hessian of a function, whose value is a single number, by a vector, without building the Hessian.

    The product is the gradient of (gradient · vector). It costs about three times as much as a gradient.

    Args:
        f: a function that takes one tensor, structure of tensors, or module for each primal.
        primals: a list or tuple of the inputs.
        vectors: a list or tuple of the factors, in the structures of the primals.

    Returns:
        a tuple with one product for each primal, in the primal's structure.

    Raises:
        TypeError: if a primal is not floating.
        ValueError: if a vector does not fit.

    >>> import minigrad as mg
    >>> hvp(lambda x, y: (x * x * y).sum(), [2.0, 3.0], [1.0, 0.0])
    (tensor(6.), tensor(4.))
    """
    run, primals, _, _ = _run("hvp", f, _listed("hvp", primals))
    gradient = run.differentiable_backward(run.outputs, [run.unit_cotangent()])
    given = _fitting("hvp", "vector", "primal", primals, _listed("hvp", vectors))
    products = unflatten_each(primals, run.backward(gradient, given, retain_graph=False))
    run.close()
    return products
