"""Checks that every primitive passes."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings

import minigrad as mg
from minigrad.backward import reverse_pass, seed_of
from minigrad.core import Leaf, Tensor
from minigrad.higher_order import differentiable_pass
from minigrad.primitives import Primitive
from tests.strategies import with_layout


@dataclass(frozen=True)
class Case:
    """One call of a primitive: array inputs (floating ones are differentiated), options, tolerances."""

    inputs: Sequence[Any]
    options: dict[str, Any] = field(default_factory=dict)
    rtol: float = 1e-6
    atol: float = 1e-11
    float32: bool = True  # also run in float32 and check dtypes
    reference: bool = True  # its second derivatives are right at the case's points, too


@functools.cache
def families() -> dict[str, ModuleType]:
    """The test module that has a primitive's cases, for every primitive that has some."""
    files = sorted(Path(__file__).parent.glob("ops/test_*.py"))
    modules = [importlib.import_module(f"tests.ops.{path.stem}") for path in files]
    return {name: module for module in modules for name in getattr(module, "CASES", {})}


def function_of(name: str) -> Callable[..., Any]:
    """The function that calls a primitive."""
    found: Callable[..., Any] = getattr(families()[name], "FUNCTIONS", {}).get(name) or getattr(mg.ops, name)
    return found


def draw(strategy: Any, count: int) -> list[Any]:
    """Draw some examples of a strategy, the same ones every time."""
    drawn: list[Any] = []

    @settings(max_examples=count, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(strategy)
    def collect(case: Any) -> None:
        drawn.append(case)

    collect()
    return drawn


def leaf(array: Any) -> Any:
    """A tensor that shares its array, whatever the layout; floats are tracked."""
    if not isinstance(array, np.ndarray):
        return array
    tensor = Tensor(0.0)
    tensor.data = array
    tensor.node = Leaf(array) if array.dtype.kind == "f" else None
    return tensor


def frozen(array: Any) -> Any:
    """A read-only view with the same layout."""
    if not isinstance(array, np.ndarray):
        return array
    view = array.view()
    view.flags.writeable = False
    return view


def outputs_of(result: Any) -> list[Tensor]:
    return list(result) if isinstance(result, tuple) else [result]


def pull(function: Callable[..., Any], tensors: Sequence[Any], cotangents: Sequence[np.ndarray]) -> tuple[Any, Any]:
    """Output arrays, and for each input its gradient (None if it is no tracked leaf)."""
    outputs = outputs_of(function(*tensors))
    seeds = [seed_of(o, frozen(u)) for o, u in zip(outputs, cotangents, strict=True) if o.node is not None]
    grads = reverse_pass(seeds) if seeds else {}
    return [o.data for o in outputs], [
        grads.get(t.node, np.zeros_like(t.data)) if isinstance(t, Tensor) and t.node is not None else None
        for t in tensors
    ]


# Inputs, by number, whose cotangents a VJP computes on its way to others.
BY_PRODUCTS = {"divide": {0}, "lstm": {1, 5}, "lstm_step": {2}, "rnn": {1}}


@contextmanager
def nothing_unneeded(record: Primitive | None) -> Iterator[None]:
    """In this context a primitive's VJPs must return None for inputs that need no gradient."""
    if record is None:
        yield
        return

    def watching(rule: Callable[..., Any], by_products: set[int]) -> Callable[..., Any]:
        def watched(g: Any, needs: Any, *residuals: Any) -> Any:
            grads = rule(g, needs, *residuals)
            for i, (grad, need) in enumerate(zip(grads, needs, strict=True)):
                free = need or grad is None or grad is g or i in by_products
                assert free, f"{record.name} computed the cotangent of {record.input_name(i)}, which nobody needs"
            return grads

        return watched

    before = record.vjp, record.vjp_on_tensors
    record.vjp = watching(record.vjp, BY_PRODUCTS.get(record.name, set()))
    if record.vjp_on_tensors is not None:
        record.vjp_on_tensors = watching(record.vjp_on_tensors, BY_PRODUCTS.get(record.name, set()))
    try:
        yield
    finally:
        record.vjp, record.vjp_on_tensors = before


def check_primitive(function: Callable[..., Any], case: Case) -> None:
    """Numerical gradients; read-only and oddly laid out inputs; partial needs; dtypes; the reference; second order.

    Raises AssertionError (or the primitive's own error) on the first disagreement.
    """

    def call(*inputs: Any) -> Any:
        return function(*inputs, **case.options)

    plain = [np.ascontiguousarray(x).reshape(np.shape(x)) if isinstance(x, np.ndarray) else x for x in case.inputs]
    floating = [i for i, x in enumerate(plain) if isinstance(x, np.ndarray) and x.dtype.kind == "f"]
    before = [np.array(x) if isinstance(x, np.ndarray) else x for x in case.inputs]

    present = [x for x in plain if isinstance(x, np.ndarray)]
    assert mg.gradcheck(lambda *given: call(*_restore(plain, given)), present, rtol=case.rtol, atol=case.atol), (
        "gradcheck"
    )

    with mg.no_grad():
        shapes = [(o.shape, o.dtype) for o in outputs_of(call(*map(leaf, plain)))]
    rng = np.random.default_rng(0)
    cotangents = [rng.standard_normal(shape).astype(dtype) if dtype.kind == "f" else None for shape, dtype in shapes]
    outs, grads = pull(call, [leaf(x) for x in plain], cotangents)  # type: ignore[arg-type]

    # memory layout does not matter, and nothing is written into
    odd = [None if u is None else with_layout(u, "F") for u in cotangents]
    odd_outs, odd_grads = pull(call, [leaf(frozen(x)) for x in case.inputs], odd)  # type: ignore[arg-type]
    for mine, theirs in zip(outs + grads, odd_outs + odd_grads, strict=True):
        if mine is not None:
            np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-11)
    for x, kept in zip(case.inputs, before, strict=True):
        if isinstance(x, np.ndarray):
            np.testing.assert_array_equal(x, kept)

    record: Primitive | None = getattr(function, "primitive", None)  # a composition has none

    # asking for one gradient alone gives the same gradient, and computes no other
    for i in floating:
        alone = [leaf(x) if j == i or not isinstance(x, np.ndarray) else Tensor(x) for j, x in enumerate(plain)]
        with nothing_unneeded(record):
            np.testing.assert_allclose(pull(call, alone, cotangents)[1][i], grads[i], rtol=1e-9, atol=1e-11)  # type: ignore[arg-type]

    if case.float32:
        narrow = [x.astype(np.float32) if i in floating else x for i, x in enumerate(plain)]
        few = [None if u is None else u.astype(np.float32) for u in cotangents]
        outs32, grads32 = pull(call, [leaf(x) for x in narrow], few)  # type: ignore[arg-type]
        for got in [*(o for o in outs32 if o.dtype.kind == "f"), *(grads32[i] for i in floating)]:
            assert got.dtype == np.float32, f"float32 became {got.dtype}"
        for i in floating:
            np.testing.assert_allclose(grads32[i], grads[i], rtol=5e-3, atol=5e-3)

    if record is not None and record.reference is not None:
        expected = pull(lambda *given: record.reference(*given, **case.options), [leaf(x) for x in plain], cotangents)  # type: ignore[arg-type]
        for mine, theirs in zip(outs + grads, expected[0] + expected[1], strict=True):
            if mine is not None:
                np.testing.assert_allclose(mine, theirs, rtol=1e-8, atol=1e-9)

    if sum(x.size for x in present) <= 60:
        check_second_order(function, case)


@contextmanager
def by_reference(record: Primitive) -> Iterator[None]:
    """Inside, derivatives of the primitive's derivatives are those of its reference."""
    before = record.residuals, record.vjp_on_tensors, record.keeps_inputs
    record.residuals, record.vjp_on_tensors, record.keeps_inputs = ("derived",), None, True
    try:
        yield
    finally:
        record.residuals, record.vjp_on_tensors, record.keeps_inputs = before


def check_second_order(function: Callable[..., Any], case: Case) -> None:
    """Derivatives of the derivatives, by the rule on tensors and by the reference, against differences of first ones.

    Also the rule's first derivatives against the usual ones; products with tangents; and many cotangents at once.

    Raises AssertionError (or the primitive's own error) on the first disagreement.
    """
    plain = [np.ascontiguousarray(x).reshape(np.shape(x)) if isinstance(x, np.ndarray) else x for x in case.inputs]
    floating = [i for i, x in enumerate(plain) if isinstance(x, np.ndarray) and x.dtype.kind == "f"]
    points = [plain[i] for i in floating]
    record: Primitive | None = getattr(function, "primitive", None)  # a composition has none

    def call(*given: Any) -> tuple[Tensor, ...]:
        moved = dict(zip(floating, given, strict=True))
        outputs = outputs_of(function(*(moved.get(i, x) for i, x in enumerate(plain)), **case.options))
        return tuple(o for o in outputs if o.dtype.kind == "f")

    options: Any = {"rtol": max(10 * case.rtol, 1e-5), "atol": max(case.atol, 1e-8), "directions": 2, "entries": False}
    assert mg.gradgradcheck(call, points, **options)
    if record is not None and record.reference is not None and case.reference:
        with by_reference(record):
            assert mg.gradgradcheck(call, points, **options)

    rng = np.random.default_rng(1)
    with mg.create_graph():
        outputs, recorded = mg.vjp(call, *(mg.tensor(x, requires_grad=True) for x in points))
    _, pullback = mg.vjp(call, *points)
    u = [rng.standard_normal(o.shape) for o in outputs]
    v = [rng.standard_normal(x.shape) for x in points]
    pulled = [t.numpy() for t in pullback(*u)]
    with mg.create_graph():
        for mine, theirs in zip(recorded(*u), pulled, strict=True):
            np.testing.assert_allclose(mine.detach().numpy(), theirs, rtol=1e-9, atol=1e-11)

    # asking for one gradient alone gives the same gradient, and computes no other
    for i in range(len(points)):
        with mg.create_graph(), nothing_unneeded(record):
            tensors = [mg.tensor(x, requires_grad=i == j) for j, x in enumerate(points)]
            outs = call(*tensors)
            tracked = [(y.node, y.index, mg.tensor(c)) for y, c in zip(outs, u, strict=True) if y.node is not None]
            (alone,) = differentiable_pass(tracked, [tensors[i].node]).values()
            np.testing.assert_allclose(alone.detach().numpy(), pulled[i], rtol=1e-9, atol=1e-11)

    _, pushed = mg.jvp(call, points, v)
    there = sum(float(np.vdot(a, t.numpy())) for a, t in zip(u, pushed, strict=True))
    back = sum(float(np.vdot(a, p)) for a, p in zip(v, pulled, strict=True))
    size = sum(float(np.vdot(np.abs(a), np.abs(p))) for a, p in zip(v, pulled, strict=True))
    assert abs(there - back) <= 1e-9 * size + 1e-11, "J v does not agree with u'J"

    jacobian = mg.jacobian(call, argnums=tuple(range(len(points))))(*points)
    for k, blocks in enumerate(jacobian):
        for i, block in enumerate(blocks):
            rows = [pullback(*_one_hots(u, k, row))[i].numpy() for row in range(u[k].size)]
            np.testing.assert_allclose(block.numpy(), np.array(rows).reshape(block.shape), rtol=1e-9, atol=1e-11)


def _one_hots(shapes: Sequence[np.ndarray], k: int, row: int) -> list[np.ndarray]:
    """Zeros of some shapes, with a 1 at a row of one."""
    zeros = [np.zeros(u.shape) for u in shapes]
    zeros[k].reshape(-1)[row] = 1
    return zeros


def _restore(plain: Sequence[Any], given: Sequence[Any]) -> list[Any]:
    """The full list of inputs again: tensors where arrays were, None and the like where they were."""
    tensors = iter(given)
    return [next(tensors) if isinstance(x, np.ndarray) else x for x in plain]
