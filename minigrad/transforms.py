"""Functional transforms: derivatives of functions of tensors, as functions, of any order.

``f`` takes tensors, numbers and arrays, and trees of these (:mod:`minigrad.trees`), such as dicts or modules. Other
arguments pass through untouched, and so do keyword arguments. *Variables*, fresh leaves, replace the arguments to
differentiate with respect to; a module's parameters are variables themselves. ``f`` is not differentiated with respect
to tensors that it closes over.

Transforms nest to any order. Within the function of a transform, the transforms inside leave a graph
(:mod:`minigrad.higher_order`), as they do within :func:`minigrad.create_graph`. Everywhere else the fast pass computes
results. If ``f`` met a tensor that requires a gradient, as an argument or through a closure, these results depend on
it. A backward pass that reaches them raises: to take them for constants would make it silently wrong. Inside
``no_grad`` transforms work as outside, and their results are constants.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, cast

import numpy as np

from . import writes
from .backward import graph_of, pull_back, reverse_pass, seed_of
from .core import Leaf, Node, Tensor, current_scope, enable_grad, plain, set_outputs, untracked
from .higher_order import differentiating, leaves_graph, recorded_pass, variable
from .primitives import Primitive, primitive
from .spec import Array
from .trees import each_like, filled, leaves, like, matched, outline

__all__ = ["grad", "hessian", "hvp", "jacobian", "jvp", "linearize", "value_and_grad", "vjp"]

_LARGEST = 2**22  # entries of the cotangents of one node at a time: 16 MB in single precision


@primitive
def _derivative(*met: Array) -> Any:
    """A transform's results, as a vertex of the graph: it depends on the tensors that the transform met."""
    raise NotImplementedError("made by transforms alone")


@_derivative.vjp
def _(g: Any, needs: Any) -> Any:
    raise TypeError(
        "backward came to the result of mg.grad or another transform, which was computed without a graph: compute it "
        "within mg.create_graph() to differentiate it, or call .detach() on it for a constant"
    )


class _Variable(Leaf):
    """The leaf that a transform puts in place of an argument."""

    __slots__ = ()


class _Differentiation:
    """One call of a transform: variables, the function's outputs, and passes from these to those.

    The name is the transform's, for messages.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.recorded = leaves_graph()  # whether somebody may differentiate the results
        self.variables: list[Tensor] = []
        self.sources: list[Node] = []  # their nodes
        self.primals: list[Tensor] = []
        self.outputs: list[Tensor] = []
        self.own: set[Node] = set()  # leaves made here, which nobody else can differentiate in
        self.foreign: list[Leaf] | None = None

    def variables_for(self, structure: Any, place: str) -> Any:
        """The structure with a fresh variable for each leaf."""
        fresh = [self._variable(value, path, place) for path, value in leaves(structure)]
        return filled(structure, fresh)

    def _variable(self, value: Any, path: str, place: str) -> Tensor:
        if path and not path.endswith("]"):  # a module's parameter: the module uses it itself
            if any(value is other for other in self.variables):
                raise ValueError(f"{self.name}: a module's parameter is there twice, in {place}{path} too")
            self.variables.append(value)
            self.sources.append(value.node)
            return value  # type: ignore[no-any-return]
        primal = value if isinstance(value, Tensor) else Tensor(value)
        if primal.dtype.kind != "f":
            raise TypeError(
                f"{self.name}: can only differentiate in floating arguments, not {primal.dtype} {primal.shape}"
                f" in {place}{path}"
            )
        self.primals.append(primal)
        if self.recorded and primal.node is not None:
            fresh = variable(primal)
        else:
            fresh = primal.detach()
            fresh.node = _Variable(fresh.data)
            self.own.add(fresh.node)
        self.variables.append(fresh)
        self.sources.append(cast(Node, fresh.node))
        return fresh

    def call(self, f: Callable[..., Any], args: Iterable[Any], kwargs: dict[str, Any], has_aux: bool = False) -> Any:
        """What the function returns for the variables, and what it returns besides (None without ``has_aux``)."""
        with enable_grad(), differentiating():
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
        return out, aux

    def met(self, tensors: Sequence[Tensor] = ()) -> list[Leaf]:
        """The leaves of others behind the primals, the outputs and some tensors."""
        if self.foreign is None:
            self.foreign = self._leaves((*self.primals, *self.outputs))
        more = [t for t in tensors if t.node is not None and not any(t is y for y in self.outputs)]
        return list(dict.fromkeys(self.foreign + self._leaves(more))) if more else self.foreign

    def _leaves(self, tensors: Sequence[Tensor]) -> list[Leaf]:
        order = graph_of([t.node for t in tensors if t.node is not None])
        return [node for node in order.nodes if isinstance(node, Leaf) and node not in self.own]

    def results(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Outputs as they go to the user: constants, unless they depend on something of others."""
        met = self.met(tensors)
        if self.recorded and met:
            return list(tensors)
        return _as_results([t.data for t in tensors], met)

    def pull(self, outputs: Sequence[Tensor], cotangents: Sequence[Tensor], keep: bool) -> list[Tensor]:
        """The cotangents of the variables, zeros where nothing depends on one."""
        met = self.met(cotangents)
        if met and (self.recorded or leaves_graph()):
            return self.pull_recorded(outputs, cotangents)
        seeds = [seed_of(y, g) for y, g in zip(outputs, cotangents, strict=True) if y.node is not None]
        found = reverse_pass(seeds, keep, cast("list[Leaf]", self.sources)) if seeds else {}
        pairs = zip(self.sources, self.variables, strict=True)
        return _as_results([found.get(cast(Leaf, node), np.zeros_like(v.data)) for node, v in pairs], met)

    def pull_recorded(self, outputs: Sequence[Tensor], cotangents: Sequence[Tensor]) -> list[Tensor]:
        """The same as tensors that depend on all that they depend on."""
        seeds = [
            (y.node, y.index, g if g.dtype == y.dtype else g.astype(y.dtype))
            for y, g in zip(outputs, cotangents, strict=True)
            if y.node is not None
        ]
        found = recorded_pass(seeds, self.sources) if seeds else {}
        pairs = zip(self.sources, self.variables, strict=True)
        return [found.get(node, untracked(np.zeros_like(v.data))) for node, v in pairs]

    def one(self) -> Tensor:
        """The cotangent of an output that is a single number."""
        (y, *more) = self.outputs
        if more or y.size != 1:
            what = f"{1 + len(more)} tensors" if more else f"shape {y.shape}"
            raise ValueError(f"{self.name}: the function must return one number, not {what}")
        return untracked(np.ones_like(y.data))


def _as_results(arrays: Sequence[Array], met: Sequence[Leaf]) -> list[Tensor]:
    """Arrays as tensors: constants, or on top of a node that raises in a backward pass if the transform met leaves."""
    results = list(map(untracked, arrays))
    path = current_scope()
    if met and path is not None and results:
        node = Node()
        node.primitive, node.params, node.scope, node.born = _derivative.primitive, {}, path, writes.clock
        node.parents = tuple(met)
        node.edges = tuple(range(len(met))), (True,) * len(met), (0,) * len(met)
        node.residuals = ()
        set_outputs(node, results)
    return results


def _fitting(name: str, kind: str, place: str, structures: Sequence[Any], given: Sequence[Any]) -> list[Tensor]:
    """Cotangents or tangents for the leaves of some structures of tensors, as many as these; raise unless they fit."""
    if len(given) != len(structures):
        raise ValueError(f"{name}: {len(structures)} {place}s need as many {kind}s, not {len(given)}")
    tensors = []
    for i, (structure, values) in enumerate(zip(structures, given, strict=True)):
        where = f"{name}: the {kind} of {place} {i}"
        for (path, model), value in zip(leaves(structure), matched(where, structure, values), strict=True):
            x, shape = value if isinstance(value, Tensor) else Tensor(value), np.shape(plain(model))
            if x.shape != shape:
                raise ValueError(f"{where}{path} must have its shape {shape}, not {x.shape}")
            tensors.append(x)
    return tensors


# --- from cotangents to cotangents -------------------------------------------------------------------


def vjp(f: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """The value of a function, and the map from a cotangent of the output to those of the inputs.

    Args:
        f: a function of tensors, or structures of them, that returns a tensor or a structure of tensors.
        primals: floating tensors, ndarrays or numbers, of any shapes; structures of these; or modules.
        has_aux: whether ``f`` returns ``(output, aux)``, of which only the output is differentiated.

    Returns:
        ``(out, pullback)``, and ``aux`` after them if there is one. ``pullback`` takes one cotangent, in the structure
        of the output (for a tuple as so many arguments), and returns a tuple with one entry for each primal, in its
        structure, of its leaves' shapes and dtypes. It may be called repeatedly.

    Raises:
        TypeError: for primals that are not floating, or outputs that are no tensors.
        ValueError: from ``pullback``, for cotangents that do not fit.

    >>> import minigrad as mg
    >>> out, pullback = vjp(lambda x, y: x * y, 2.0, 3.0)
    >>> [t.item() for t in pullback(1.0)]
    [3.0, 2.0]
    """
    run = _Differentiation("vjp")
    given, primals = primals, tuple(map(outline, primals))
    args = [run.variables_for(p, f"primal {i}") for i, p in enumerate(given)]
    out, aux = run.call(f, args, {}, has_aux)
    out = outline(out)

    def pullback(*cotangents: Any) -> tuple[Any, ...]:
        weights = _fitting("vjp", "cotangent", "output", out if isinstance(out, tuple) else (out,), cotangents)
        return each_like(primals, run.pull(run.outputs, weights, keep=True))

    values = like(out, run.results(run.outputs))
    return (values, pullback, _auxiliary(run, aux)) if has_aux else (values, pullback)


def _auxiliary(run: _Differentiation, aux: Any) -> Any:
    """What a function returned besides, whose tensors do not depend on the variables any more."""
    found = list(leaves(aux))
    tensors = iter(run.results([value for _, value in found if isinstance(value, Tensor)]))
    return filled(aux, [next(tensors) if isinstance(value, Tensor) else value for _, value in found])


def value_and_grad(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """A function that returns ``(f(...), gradient)`` for a function whose value is a single number.

    Args:
        f: a function that returns a tensor of one entry.
        argnums: the number of the argument to differentiate in, or several. An argument may be a tensor, a structure of
            tensors, or a module, in whose parameters it is then differentiated.
        has_aux: whether ``f`` returns ``(value, aux)``; then the first result is that pair.

    Returns:
        a function; its gradient has the argument's structure, and each leaf's shape and dtype (for a module it is a
        dict by the names of its parameters); it is a tuple of such if ``argnums`` is a sequence.

    Raises:
        ValueError: if the value is not a single number, or ``argnums`` names no argument.
        TypeError: if an argument to differentiate in is not floating.

    >>> import minigrad as mg
    >>> value, gradient = value_and_grad(lambda x: (x * x).sum())(mg.tensor([1.0, 2.0]))
    >>> value.item(), gradient
    (5.0, tensor([2., 4.]))
    """
    return _value_and_grad("value_and_grad", f, argnums, has_aux)


def _value_and_grad(
    name: str, f: Callable[..., Any], argnums: int | Sequence[int], has_aux: bool
) -> Callable[..., Any]:
    numbers = _numbers(argnums)

    def evaluate(*args: Any, **kwargs: Any) -> Any:
        run = _Differentiation(name)
        chosen, arguments = _with_variables(run, numbers, args)
        _, aux = run.call(f, arguments, kwargs, has_aux)
        one = run.one()
        (value,) = run.results(run.outputs)
        grads = each_like(chosen, run.pull(run.outputs, [one], keep=False))
        result = grads if isinstance(argnums, Sequence) else grads[0]
        return ((value, _auxiliary(run, aux)) if has_aux else value), result

    return evaluate


def _numbers(argnums: int | Sequence[int]) -> tuple[int, ...]:
    """The numbers of arguments as a tuple."""
    try:
        return tuple(map(operator.index, argnums if isinstance(argnums, Sequence) else (argnums,)))
    except TypeError:
        raise TypeError(f"argnums must be an integer, or a list or tuple of integers, not {argnums!r}") from None


def _with_variables(run: _Differentiation, numbers: tuple[int, ...], args: tuple[Any, ...]) -> tuple[Any, list[Any]]:
    """Outlines of the arguments that a function is differentiated in, and all arguments with variables in these."""
    if any(not -len(args) <= n < len(args) for n in numbers):
        raise ValueError(f"{run.name}: argnums {numbers} do not fit {len(args)} arguments")
    if len({n % len(args) for n in numbers}) < len(numbers):
        raise ValueError(f"{run.name}: argnums {numbers} name an argument twice")
    outlines, arguments = tuple(outline(args[n]) for n in numbers), list(args)
    for n in numbers:
        arguments[n] = run.variables_for(args[n], f"argument {n}")
    return outlines, arguments


def grad(f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Callable[..., Any]:
    """The gradient of a function whose value is a single number; see :func:`value_and_grad`.

    With ``has_aux`` it returns ``(gradient, aux)``.

    >>> grad(lambda x: x * x)(3.0)
    tensor(6.)
    >>> grad(grad(lambda x: x * x * x))(3.0)
    tensor(18.)
    """
    return _gradient("grad", f, argnums, has_aux)


def _gradient(name: str, f: Callable[..., Any], argnums: int | Sequence[int], has_aux: bool) -> Callable[..., Any]:
    evaluate = _value_and_grad(name, f, argnums, has_aux)

    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, grads = evaluate(*args, **kwargs)
        return (grads, value[1]) if has_aux else grads

    return gradient


# --- from tangents to tangents -----------------------------------------------------------------------


def linearize(f: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """The value of a function, and its derivative as a map from tangents of the inputs to one of the output.

    The derivative along v is J v. It is computed by pulling back twice: u'J is linear in u, and its transpose is J. So
    it needs the VJPs alone; a call costs about as much as a reverse pass.

    Args:
        f, primals: as for :func:`vjp`.

    Returns:
        ``(out, push)``; ``push`` takes one tangent for each primal, in its structure, and returns one in the structure
        of the output. It may be called repeatedly.

    >>> import minigrad as mg
    >>> out, push = linearize(lambda x, y: x * y, 2.0, 3.0)
    >>> out.item(), push(1.0, 0.0).item(), push(0.0, 1.0).item()
    (6.0, 3.0, 2.0)
    """
    return _linearize("linearize", f, primals)


def _linearize(name: str, f: Callable[..., Any], primals: Sequence[Any]) -> tuple[Any, Callable[..., Any]]:
    run = _Differentiation(name)
    args = [run.variables_for(p, f"primal {i}") for i, p in enumerate(primals)]
    primals = tuple(map(outline, primals))
    out, _ = run.call(f, args, {})
    out = outline(out)
    weights = [_weight(y) for y in run.outputs]
    pulled = run.pull_recorded(run.outputs, weights)  # u'J, of weights u

    def push(*tangents: Any) -> Any:
        given = _fitting(name, "tangent", "primal", primals, tangents)
        transposed = _Differentiation(name)
        transposed.recorded = transposed.recorded or run.recorded
        transposed.variables, transposed.primals, transposed.outputs = weights, run.primals, pulled
        transposed.sources = [cast(Node, w.node) for w in weights]
        transposed.own = run.own.union(w.node for w in weights if w.node is not None)
        return like(out, transposed.pull(pulled, given, keep=True))

    return like(out, run.results(run.outputs)), push


def _listed(name: str, several: Any) -> Sequence[Any]:
    if not isinstance(several, (list, tuple)):
        what = "primals, and what goes with them, must be lists or tuples with an entry for each argument"
        raise TypeError(f"{name}: {what}, not {type(several).__name__}")
    return several


def _weight(y: Tensor) -> Tensor:
    """A variable of an output's shape, in which what is pulled back is linear."""
    fresh = untracked(np.zeros(y.shape, y.dtype if y.dtype.kind == "f" else np.float64))  # integers do not move
    fresh.node = _Variable(fresh.data)
    return fresh


def jvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """The value of a function, and its derivative along a direction, J v.

    Args:
        f: a function of as many tensors (or structures of them) as there are primals.
        primals: a list or tuple of the points, as for :func:`vjp`. tangents: of the directions, in the same structures.

    Returns:
        ``(out, tangent)``, in the same structure.

    Raises:
        TypeError: for primals that are not floating. ValueError: for tangents that do not fit.

    >>> import minigrad as mg
    >>> out, tangent = jvp(lambda x: x * x, [3.0], [1.0])
    >>> out.item(), tangent.item()
    (9.0, 6.0)
    """
    out, push = _linearize("jvp", f, _listed("jvp", primals))
    return out, push(*_listed("jvp", tangents))


# --- second derivatives, and all partial ones --------------------------------------------------------


def hvp(f: Callable[..., Any], primals: Sequence[Any], vectors: Sequence[Any]) -> tuple[Any, ...]:
    """The Hessian of a function whose value is a single number, times a vector, without the Hessian.

    It is the gradient of the gradient's product with the vector: some four times the work of a gradient.

    Args:
        f: a function of as many tensors (or structures of them, or modules) as there are primals.
        primals: a list or tuple of the points. vectors: of the factors, in the same structures.

    Returns:
        a tuple with one product for each primal, in its structure.

    Raises:
        TypeError: for primals that are not floating. ValueError: for vectors that do not fit.

    >>> import minigrad as mg
    >>> hvp(lambda x, y: (x * x * y).sum(), [2.0, 3.0], [1.0, 0.0])
    (tensor(6.), tensor(4.))
    """
    primals = _listed("hvp", primals)
    run = _Differentiation("hvp")
    args = [run.variables_for(p, f"primal {i}") for i, p in enumerate(primals)]
    primals = tuple(map(outline, primals))
    run.call(f, args, {})
    gradient = run.pull_recorded(run.outputs, [run.one()])
    given = _fitting("hvp", "vector", "primal", primals, _listed("hvp", vectors))
    return each_like(primals, run.pull(gradient, given, keep=False))


def jacobian(f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Callable[..., Any]:
    """The matrix of all partial derivatives: a reverse pass for many entries of the output at a time.

    Args:
        f: a function that returns a tensor or a structure of tensors. argnums, has_aux: as for :func:`value_and_grad`.

    Returns:
        a function; its result has the output's shape followed by the argument's, and the argument's
        dtype; for structures, that of the output with that of the argument in place of each leaf; a tuple of such for
        each output if ``argnums`` is a sequence. With ``has_aux`` it returns ``(jacobian, aux)``.

    Raises:
        TypeError: if an argument to differentiate in is not floating.

    >>> import minigrad as mg
    >>> jacobian(lambda x: x * x)(mg.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    return _jacobian("jacobian", f, argnums, has_aux)


def _jacobian(name: str, f: Callable[..., Any], argnums: int | Sequence[int], has_aux: bool) -> Callable[..., Any]:
    numbers = _numbers(argnums)

    def evaluate(*args: Any, **kwargs: Any) -> Any:
        run = _Differentiation(name)
        chosen, arguments = _with_variables(run, numbers, args)
        out, aux = run.call(f, arguments, kwargs, has_aux)
        blocks = []
        for y in run.outputs:
            block = each_like(chosen, _partial_derivatives(run, y))
            blocks.append(block if isinstance(argnums, Sequence) else block[0])
        result = like(out, blocks)
        return (result, _auxiliary(run, aux)) if has_aux else result

    return evaluate


def _partial_derivatives(run: _Differentiation, y: Tensor) -> list[Tensor]:
    """Those of one output in each variable, of the output's shape followed by the variable's."""
    met = run.met()
    if not (run.recorded and met):
        arrays = _jacobian_rows(y, cast("list[Leaf]", run.sources))
        return _as_results(arrays, met)
    if not y.size:
        return [untracked(np.zeros(y.shape + v.shape, v.dtype)) for v in run.variables]
    one_hot = np.eye(y.size, dtype=y.dtype).reshape(y.size, *y.shape)
    rows = [run.pull_recorded([y], [untracked(np.asarray(row))]) for row in one_hot]
    stack: Callable[..., Any] = np.stack  # of tensors, which is mg.stack
    columns = zip(*rows, strict=True)
    return [stack(column).reshape(y.shape + v.shape) for column, v in zip(columns, run.variables, strict=True)]


def _jacobian_rows(y: Tensor, sources: Sequence[Leaf]) -> list[Array]:
    """All partial derivatives of an output in each of some leaves: (*y.shape, *leaf.shape), of the leaf's dtype."""
    matrices = [np.zeros((y.size, *leaf.shape), leaf.dtype) for leaf in sources]
    if y.node is not None and y.size:
        largest = max(sum(math.prod(shape) for shape, _ in node.outputs) for node in graph_of([y.node]).nodes)
        step = max(1, _LARGEST // max(1, largest))
        for start in range(0, y.size, step):
            rows = np.arange(start, min(start + step, y.size))
            one_hot = np.zeros((len(rows), y.size), y.dtype)
            one_hot[np.arange(len(rows)), rows] = 1
            seed = y.node, y.index, one_hot.reshape(len(rows), *y.shape)
            found = pull_back([seed], sources, _pull_rows, batch=(len(rows),))
            for leaf, matrix in zip(sources, matrices, strict=True):
                if (leaf, 0) in found:
                    matrix[rows] = found[leaf, 0]
    return [m.reshape(y.shape + leaf.shape) for m, leaf in zip(matrices, sources, strict=True)]


def _pull_rows(node: Node, g: Any, needs: tuple[bool, ...]) -> Any:
    """The VJP of a node for many cotangents, by a rule that takes them all, or else one by one.

    The rules of entrywise primitives take them as they are, since they broadcast.
    """
    primitive, residuals = cast(Primitive, node.primitive), cast("tuple[Any, ...]", node.residuals)
    rule = primitive.batched_vjp or (primitive.vjp if primitive.entrywise else partial(_one_by_one, primitive))
    return rule(g, needs, *residuals)


def _one_by_one(primitive: Primitive, g: Any, needs: tuple[bool, ...], *residuals: Any) -> tuple[Any, ...]:
    """The results of the rule for each cotangent, side by side."""
    several = isinstance(g, tuple)
    cotangents = g if several else (g,)
    results = []
    for i in range(next(len(c) for c in cotangents if c is not None)):
        gs = tuple(None if c is None else c[i] for c in cotangents)
        results.append(primitive.vjp(gs if several else gs[0], needs, *residuals))
    return tuple(np.stack([r[k] for r in results]) if need else None for k, need in enumerate(needs))


def hessian(f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Callable[..., Any]:
    """All second partial derivatives of a function whose value is a single number: the jacobian of its gradient.

    Args:
        f, argnums, has_aux: as for :func:`value_and_grad`.

    Returns:
        a function; of an argument x the result has the shape ``x.shape + x.shape``; for structures, that of the
        argument with that of the argument in place of each leaf. With ``has_aux`` it returns ``(hessian, aux)``.

    >>> import minigrad as mg
    >>> hessian(lambda x: x[0] * x[1])(mg.tensor([2.0, 3.0]))
    tensor([[0., 1.],
            [1., 0.]])
    """
    return _jacobian("hessian", _gradient("hessian", f, argnums, has_aux), argnums, has_aux)
