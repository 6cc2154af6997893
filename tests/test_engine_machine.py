"""The engine in the hands of somebody who does anything in any order, beside a model that says what must come of it.

A machine of Hypothesis grows a program, writes into arrays, and runs backward passes. Its model knows of each node
whether its residuals are there and still hold what they did, so it knows which passes must fail, how, and what is left
then. The gradients of all other passes are those of `tests.plain`, bit for bit where sums are made in the same order,
and these passes are certified.

Each class adds rules of one kind to those of the class before: `Programs`, `Writes`, `Passes`.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import minigrad as mg
from minigrad.backward import graph_of, reverse_pass, seed_of
from minigrad.check import certify_backward
from minigrad.core import Leaf
from minigrad.primitives import PRIMITIVES
from tests import plain

# --- a rule that fails on demand -------------------------------------------------------------------


class DemandedError(Exception):
    pass


FAILURES = {  # what the rule of `fragile` does: the error that must come of it
    "raises": (DemandedError, "on demand"),
    "gives None": (ValueError, "returned None"),
    "gives another shape": (ValueError, r"returned float\d\d \(2, 3, 5\)"),
    "gives too many": (TypeError, "returned 2 entries"),
    "gives no tuple": (TypeError, "must return a tuple"),
}
failure: list[str] = []  # at most one of them


@mg.primitive
def fragile(x):
    return x * 2, (x,)


@fragile.vjp
def _(g, needs, x):
    (how,) = failure or [""]
    if how == "raises":
        raise DemandedError("on demand")
    right = g * 2
    return {
        "": (right,), "gives None": (None,), "gives another shape": (np.ones((2, 3, 5), x.dtype),),
        "gives too many": (right, right), "gives no tuple": right,
    }[how]  # fmt: skip


@mg.primitive(broadcasts=True)
def twins(a, b):
    return 2 * (a + b), ()


@twins.vjp
def _(g, needs):
    both = 2 * g  # one array for two inputs: neither may be added to
    return both, both


@mg.primitive
def parts(x):
    return (x * 2, np.sum(x), x * 3), (x.shape,)


@parts.vjp
def _(g, needs, shape):
    each = [factor * part for factor, part in zip((2, 1, 3), g, strict=True) if part is not None]
    return (sum(np.broadcast_to(part, shape) for part in each),)


for function in (fragile, twins, parts):
    del PRIMITIVES[f"{__name__}.{function.__name__}"]

# --- what the model knows --------------------------------------------------------------------------


class Held(NamedTuple):
    """A tensor, and a token for its memory: views of one array have the same."""

    tensor: mg.Tensor
    memory: object


class Made:
    """A node that a call left: the memory that its residuals must still hold, and what has happened to them since."""

    def __init__(self, saved: set[object]) -> None:
        self.saved = saved
        self.freed = ""  # by what, as the message has it
        self.spoilt = False


# Shapes broadcast with each other to at most (2, 2, 3). Of each operation: what its residuals hold, of inputs a and b
# and the output y.
SHAPES = [(2, 3), (1, 3), (2, 1), (1, 1), (3,), (1,), (), *itertools.product((1, 2), (1, 2), (1, 3))]
UNARY = {
    "tanh": (mg.tanh, "y"), "sigmoid": (mg.sigmoid, "a"), "negative": (mg.negative, ""), "fragile": (fragile, "a"),
    "sum": (mg.sum, ""), "columns": (lambda x: mg.mean(x, axis=-1, keepdims=True) if x.ndim else mg.mean(x), ""),
    "rows": (lambda x: mg.sum(x, axis=0), ""),
    "wide": (lambda x: mg.broadcast_to(x, np.broadcast_shapes(x.shape, (2, 3))), ""),
    "first": (lambda x: x[0] if x.ndim else x[None], ""), "turned": (lambda x: x[::-1], ""),
    "part": (lambda x: x[..., :1], ""), "axis": (lambda x: x.reshape(1, -1), ""),
    "picked": (lambda x: x[np.array([0, 0])], ""), "single": (lambda x: x.astype(np.float32), ""),
    "double": (lambda x: x.astype(np.float64), ""),
}  # fmt: skip
BINARY = {
    "add": (mg.add, ""), "subtract": (mg.subtract, ""), "multiply": (mg.multiply, "ab"), "maximum": (mg.maximum, "ab"),
    "twins": (twins, ""),
}  # fmt: skip
# Steps of a program, and what is drawn for passes.
STEPS = [
    *UNARY,
    *BINARY,
    *BINARY,
    *BINARY,
    *BINARY,
    "many uses",
    "parts",
    "split",
    "split",
    "lstm_cell",
    "lstm_cell",
    "detach",
]
numbers = st.integers(0, 9)  # of tensors, from the newest on
quiet = st.sampled_from([False] * 9 + [True])  # whether a step is made under no_grad
retained = st.sampled_from([True, True, True, False])
failures = st.sampled_from([""] * 7 + list(FAILURES))
step = st.tuples(st.sampled_from(STEPS), numbers, numbers, quiet)


class Programs(RuleBasedStateMachine):
    """Programs grow: leaves and constants of three dtypes, views, fan-out, broadcasting, several outputs, no_grad."""

    def __init__(self) -> None:
        super().__init__()
        self.held: list[Held] = []
        self.made: dict[Any, Made] = {}
        self.leaves: list[mg.Tensor] = []
        self.drawn = 0
        self.errors = np.seterr(all="ignore")  # numbers may grow beyond what half precision holds

    def teardown(self):
        np.seterr(**self.errors)

    def array(self, shape, dtype=np.float64):
        """Other values each time, of mixed magnitudes, so that the order of a sum shows in its bits."""
        self.drawn += 1
        return np.random.default_rng(self.drawn).uniform(-1, 1, shape).astype(dtype)

    def pick(self, number: int) -> Held:
        """A tensor of a graph that was not freed, the newest if it is 0."""
        several = [
            held for held in self.held if held.tensor.node not in self.made or not self.made[held.tensor.node].freed
        ]
        return several[-1 - number % len(several)]

    def tracked(self, number: int) -> mg.Tensor:
        several = [held.tensor for held in self.held if held.tensor.node is not None]
        return several[-1 - number % len(several)]

    def call(self, function, saves: str, *inputs: Held, quiet: bool = False) -> list[Held]:
        """Apply an operation of one node, and note what is known of that node and of its outputs' memory."""
        with mg.no_grad() if quiet else nullcontext():
            result = function(*(held.tensor for held in inputs))
        results = [self.hold(y, inputs) for y in (result if isinstance(result, tuple) else (result,))]
        node = results[0].tensor.node
        if node is not None and all(node is not held.tensor.node for held in inputs):
            memories = dict(zip("ab", (held.memory for held in inputs), strict=False))
            memories["y"] = results[0].memory if results[0].tensor.ndim else object()  # NumPy's scalars are copies
            self.made[node] = Made({memories[name] for name in saves})
        return results

    def hold(self, tensor, inputs=()) -> Held:
        shared = [held.memory for held in inputs if np.may_share_memory(held.tensor.data, tensor.data)]
        return Held(tensor, shared[0] if shared else object())

    @initialize(steps=st.lists(step, min_size=8, max_size=25))
    def begin(self, steps):
        for shape in ((2, 3), (2, 3), (3,), (2, 2, 3)):
            self.leaf(shape, np.float32)
        self.grow(steps)

    @rule(shape=st.sampled_from(SHAPES), dtype=st.sampled_from([np.float32, np.float32, np.float64, np.float16]))
    def leaf(self, shape, dtype):
        self.leaves.append(mg.tensor(self.array(shape, dtype), requires_grad=True))
        self.held.append(self.hold(self.leaves[-1]))

    @rule(shape=st.sampled_from(SHAPES), dtype=st.sampled_from([np.float32, np.float64]))
    def constant(self, shape, dtype):
        self.held.append(self.hold(mg.tensor(self.array(shape, dtype))))

    @rule(steps=st.lists(step, min_size=3, max_size=12))
    def grow(self, steps):
        """Several steps of a program; one that does not suit the shapes is left out."""
        for name, i, j, quiet in steps:
            x, y = self.pick(i), self.pick(j)
            if name in UNARY:
                self.unary(name, x, quiet)
            elif name in BINARY:
                self.held += self.call(*BINARY[name], x, y, quiet=quiet)
            elif name == "many uses":  # more than two: their sum depends on its order
                for _ in range(3):
                    self.held += self.call(*BINARY["multiply"], x, self.pick(0))
            elif name == "parts":  # outputs of two shapes
                self.held += self.call(parts, "", x)
            elif name == "split" and x.tensor.ndim > 1 and len(x.tensor) == 2:  # views; often one alone is used
                self.held += self.call(lambda x: mg.split(x, 2), "", x)
            elif name == "lstm_cell" and x.tensor.ndim == 2:
                self.lstm_cell(x, [self.pick(k) for k in (i, j, i + j, i + 2 * j)])
            elif name == "detach":
                self.held.append(Held(x.tensor.detach(), x.memory))

    def unary(self, name, x, quiet):
        if x.tensor.ndim == 0 and name in ("turned", "part", "picked", "rows"):
            return
        results = self.call(*UNARY[name], x, quiet=quiet)
        self.held += [held for held in results if held.tensor.shape in SHAPES]

    def lstm_cell(self, c, gates):
        if any(np.broadcast_shapes(x.tensor.shape, c.tensor.shape) != c.tensor.shape for x in gates):
            return

        def blocks(c, *several):
            return mg.concatenate([mg.broadcast_to(x, c.shape) for x in several], axis=1)

        (a,) = self.call(blocks, "", c, *gates)
        self.note_nodes(a.tensor)
        self.held += self.call(mg.lstm_cell, "b", a, c)

    def note_nodes(self, tensor):
        """Take into the model the nodes of operations that save no arrays of ours."""
        for node in plain.behind([tensor.node] if tensor.node is not None else []):
            if not isinstance(node, Leaf):
                self.made.setdefault(node, Made(set()))


class Writes(Programs):
    """Writes into constants, into what shares memory with a tracked tensor, and into gradients by adding to them."""

    def __init__(self) -> None:
        super().__init__()
        self.gradients: dict[mg.Tensor, object] = {}  # the memory of each leaf's .grad

    def write(self, memory: object) -> None:
        for made in self.made.values():
            made.spoilt |= memory in made.saved

    @rule(i=numbers)
    def write_into_a_constant(self, i):
        constants = [held for held in self.held if held.tensor.node is None and held.tensor.data.flags.writeable]
        for held in constants[-1 - i % len(constants) :][:1] if constants else ():
            held.tensor[...] = 0.5
            self.write(held.memory)

    @rule(j=numbers)
    def zero_grad(self, j):
        self.leaves[j % len(self.leaves)].zero_grad()


class Passes(Writes):
    """Backward passes: whole, restricted to some leaves, and those that must fail."""

    # --- what the model says of a pass

    def culprits(self, nodes, live=None) -> dict[Any, tuple[type, str]]:
        """The nodes at which a pass through some nodes may fail first, and how: those of which no use fails.

        Nodes that are not live do not matter.
        """
        bad = {}
        for node in nodes:
            made, name = self.made.get(node), node.primitive and node.primitive.name
            if made is None or (live is not None and node not in live):
                continue
            if made.freed:
                bad[node] = ValueError, f"the residuals of {name} were freed by {made.freed}"
            elif made.spoilt:
                bad[node] = ValueError, f"{name} saved .* overwritten since"
            elif failure and node.primitive is fragile.primitive:
                bad[node] = FAILURES[failure[0]]
        behind_another = {node for other in bad for node in plain.behind([other])[1:]}
        return {node: error for node, error in bad.items() if node not in behind_another}

    def expected(self, *seeds):
        """The gradients by the definition, summed in the engine's order. A sum of two is the same in any order."""
        found = plain.gradients(*seeds, order=graph_of([tensor.node for tensor, _ in seeds]).nodes[::-1])
        nodes = plain.behind(tensor.node for tensor, _ in seeds)
        edges = [(parent, i) for node in nodes for parent, i in zip(node.parents, node.edges[2], strict=True)]
        uses = Counter([*edges, *((tensor.node, tensor.index) for tensor, _ in seeds)])
        if max(uses.values()) <= 2:
            assert_same(plain.gradients(*seeds), found)
        return found

    def accumulated(self, found):
        """What must stand in each .grad after a pass; to add to one that is there is to write into it."""
        after = {}
        for leaf in self.leaves:
            after[leaf] = leaf.grad
            if (new := found.get(leaf.node)) is not None:
                if leaf.grad is None:
                    self.gradients[leaf], after[leaf] = object(), new
                else:
                    self.write(self.gradients[leaf])
                    after[leaf] = np.asarray(leaf.grad + new)
        return after

    def succeeded(self, nodes, retain_graph):
        """Residuals are there or freed, all of them."""
        for node in nodes:
            if node in self.made:
                assert isinstance(node.residuals, tuple) == retain_graph
                self.made[node].freed = "" if retain_graph else "an earlier backward pass"

    def failed(self, nodes, retain_graph, culprits):
        """With the graph retained all is there; else what was visited is gone and says so, and nothing else is."""
        made = {node: self.made[node] for node in nodes if node in self.made}
        gone = {node for node in made if not made[node].freed and not isinstance(node.residuals, tuple)}
        for node in gone:
            made[node].freed = "an earlier backward pass"
        assert not gone & culprits.keys()
        assert not (retain_graph and gone)
        if len(culprits) == 1:  # else it is not known which came first
            (culprit,) = culprits
            assert not gone & set(plain.behind([culprit]))
            uses = {node for node in made if culprit in plain.behind([node])[1:]}
            assert retain_graph or all(made[node].freed for node in uses)

    # --- passes

    def must_fail(self, run, nodes, retain_graph, live=None) -> bool:
        """Whether a pass must fail; if so, run it and see how it fails and what it leaves."""
        culprits = self.culprits(nodes, live)
        if not culprits:
            return False
        before = {leaf: (leaf.grad, np.copy(leaf.grad)) for leaf in self.leaves if leaf.grad is not None}
        with pytest.raises((ValueError, TypeError, DemandedError)) as caught:
            run()
        error = caught.value
        assert any(type(error) is kind and re.search(words, str(error)) for kind, words in culprits.values()), culprits
        for leaf in self.leaves:
            grad, copy = before.get(leaf, (None, None))
            assert leaf.grad is grad
            assert grad is None or grad.tobytes() == copy.tobytes()
        self.failed(nodes, retain_graph, culprits)
        return True

    @rule(i=numbers, retain_graph=retained, seeded=st.booleans(), how=failures)
    def backward(self, i, retain_graph, seeded, how):
        loss = self.tracked(i)
        gradient = self.array(loss.shape, loss.dtype) if seeded or loss.size != 1 else None
        seed = np.ones(loss.shape, loss.dtype) if gradient is None else gradient.copy()
        nodes = plain.behind([loss.node])
        with demanded(how):
            if self.must_fail(lambda: loss.backward(gradient, retain_graph), nodes, retain_graph):
                return
        certificate = certify_backward(loss, gradient)
        found = certificate.gradients
        if not in_half(nodes):
            assert_same(found, found := self.expected((loss, seed)))
        after = self.accumulated(found)
        loss.backward(gradient, retain_graph)
        for leaf in self.leaves:
            assert_equal(leaf.grad, after[leaf])
            assert gradient is None or leaf.grad is None or not np.may_share_memory(gradient, leaf.grad)
        self.succeeded(nodes, retain_graph)

    @rule(i=numbers, several=st.lists(numbers, min_size=1, max_size=3), retain_graph=retained,
          how=failures)  # fmt: skip
    def backward_to_some_leaves(self, i, several, retain_graph, how):
        loss = self.tracked(i)
        nodes = plain.behind([loss.node])
        leaves = [leaf for leaf in self.leaves if leaf.node in nodes]
        sources = [leaves[i % len(leaves)] for i in several]
        live = {node for node in nodes if any(source.node in plain.behind([node]) for source in sources)}
        seed = self.array(loss.shape, loss.dtype)
        with demanded(how):
            run = lambda: certify_backward(loss, seed, retain_graph=retain_graph, sources=sources)  # noqa: E731
            if self.must_fail(run, nodes, retain_graph, live):
                return
        unseen = reverse_pass([seed_of(loss, seed)], True, [source.node for source in sources])
        if not in_half(nodes) and not any(self.made[node].freed for node in nodes if node in self.made):
            whole = self.expected((loss, seed))
            assert_same(unseen, {source.node: whole[source.node] for source in sources})
        assert_same(run().gradients, unseen)
        self.succeeded(live, retain_graph)

    @invariant()
    def a_gradient_is_nobody_elses(self):
        arrays = [leaf.grad for leaf in self.leaves if leaf.grad is not None]
        others = [held.tensor.data for held in self.held]
        for i, array in enumerate(arrays):
            assert not any(np.may_share_memory(array, other) for other in [*arrays[:i], *others])


@contextmanager
def demanded(how: str):
    """In this context the rule of `fragile` fails in a way, if any is given."""
    failure[:] = [how] if how else []
    try:
        yield
    finally:
        failure.clear()


def in_half(nodes) -> bool:
    """Whether some output is in half precision, whose sums the engine makes in single."""
    return any(dtype == np.float16 for node in nodes for _, dtype in node.outputs)


def equal(a, b) -> bool:
    """Bit for bit, but for the kind of a NaN and the sign of a zero."""
    if a is None or b is None:
        return a is b
    return a.shape == b.shape and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True)


def assert_equal(a, b):
    assert equal(a, b), (a, b)


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for leaf in found:
        assert_equal(found[leaf], expected[leaf])


TestEngine = Passes.TestCase
TestEngine.settings = settings(max_examples=2 * settings.default.max_examples, stateful_step_count=40)
