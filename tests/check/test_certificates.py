"""Certificates of reverse passes: right ones are accepted, and each way to spoil one is refused by its own words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import backward
from minigrad.check import certify_backward, check_certificate
from minigrad.core import Leaf
from tests import plain
from theory.ordering.domains import programs, run_program


def network(dtype=np.float32):
    """A loss with fan-out, broadcasting, two outputs of one node, an output that nobody uses, and a constant."""
    w, b = (mg.tensor(np.linspace(-1, 1, n).reshape(shape).astype(dtype), requires_grad=True)
            for n, shape in ((6, (2, 3)), (3, (3,))))  # fmt: skip
    c = mg.tensor(np.full((2, 3), 0.5, dtype))
    h = mg.tanh(w * c + b)
    upper, lower = mg.split(h, 2)
    _unused, cell = mg.lstm_cell(mg.concatenate([h, h, h, w], axis=1), h)
    return (upper * lower + lower + cell * h).sum(), w, b


def spoilt(certificate, place, **changes):
    visits = list(certificate.visits)
    visits[place] = replace(visits[place], **changes)
    return replace(certificate, visits=tuple(visits))


def visit_of(certificate, name):
    """The place of the only visit of a node of a primitive."""
    (place,) = [i for i, v in enumerate(certificate.visits) if v.node.primitive and v.node.primitive.name == name]
    return place


@pytest.fixture(name="certified")
def _certified():
    loss, *_ = network()
    return loss, certify_backward(loss)


def refused(certificate, loss, words, **options):
    with pytest.raises(ValueError, match=words) as caught:
        check_certificate(certificate, loss, **options)
    assert str(caught.value).startswith("check_certificate: ")


# --- what is right ---------------------------------------------------------------------------------


def test_a_certificate_tells_what_ran(certified):
    loss, certificate = certified
    assert certificate.visits[0].node is loss.node
    lstm = certificate.visits[visit_of(certificate, "lstm_cell")]
    assert lstm.cotangents[0] is None
    assert [edge.argnum for edge in lstm.carried] == [0, 1]
    edges = [edge for visit in certificate.visits for edge in visit.carried]
    nodes = plain.behind([loss.node])
    assert len(edges) == sum(len(node.parents) for node in nodes)
    assert len(certificate.visits) == len(nodes)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("retain_graph", [True, False])
def test_grads_are_left_alone_and_residuals_as_asked(dtype, retain_graph):
    loss, w, b = network(dtype)
    w.grad = before = np.ones((2, 3), dtype)
    certificate = certify_backward(loss, retain_graph=retain_graph)
    assert w.grad is before
    assert (before == 1).all()
    assert b.grad is None
    if retain_graph:
        loss.backward()
        np.testing.assert_array_equal(b.grad, certificate.gradients[b.node])
    else:
        with pytest.raises(ValueError, match="were freed by an earlier backward pass"):
            loss.backward()


def test_a_pass_to_some_leaves(certified):
    loss, w, b = network()
    whole, part = certify_backward(loss), certify_backward(loss, sources=[b])
    assert part.gradients.keys() == {b.node}
    np.testing.assert_array_equal(part.gradients[b.node], whole.gradients[b.node])
    assert w.node not in {visit.node for visit in part.visits}
    refused(whole, loss, "not between the loss", sources=[b])
    refused(part, loss, "was not visited|carried nothing to its input")
    with pytest.raises(ValueError, match="is not a leaf on which the loss depends"):
        certify_backward(loss, sources=[mg.tensor(1.0, requires_grad=True)])


@given(programs(), st.booleans())
def test_random_programs_are_certified(steps, half):
    for tensor in run_program(steps, entries=3):
        x = tensor.astype(np.float16) if half else tensor
        certify_backward(x, np.ones(x.shape))


@pytest.mark.parametrize("large", [3e38, np.inf, np.nan])
def test_what_no_number_holds_is_certified(large):
    x = mg.tensor([1.0, 1.0], requires_grad=True)
    with np.errstate(all="ignore"):
        certify_backward(x * large + x * large + x * -1.0, [1.0, 1.0])


# --- what is spoilt --------------------------------------------------------------------------------


def test_every_exchange_of_neighbours_that_are_an_edge(certified):
    loss, certificate = certified
    edges = 0
    for i, (first, second) in enumerate(zip(certificate.visits, certificate.visits[1:], strict=False)):
        swapped = (*certificate.visits[:i], second, first, *certificate.visits[i + 2 :])
        if second.node in first.node.parents:
            edges += 1
            refused(replace(certificate, visits=swapped), loss, "was visited before .*, which uses it")
        else:
            check_certificate(replace(certificate, visits=swapped), loss)
    assert edges > 5


def test_every_visit_that_is_missing_or_made_twice(certified):
    loss, certificate = certified
    visits = certificate.visits
    for i, visit in enumerate(visits):
        refused(replace(certificate, visits=(*visits[:i], *visits[i + 1 :])), loss, "was not visited")
        refused(replace(certificate, visits=(*visits, visit)), loss, "was visited twice")
    other = certify_backward(network()[0]).visits[0]
    refused(replace(certificate, visits=(*visits, other)), loss, "<sum float32 ..> was visited, but is not between")


def test_every_number_that_is_changed(certified):
    """By 1 % at one entry: of what an edge carried, a node was given, or a leaf got; zeros become one."""
    loss, certificate = certified

    def changed(array):
        other = array.copy()
        other.flat[-1] = other.flat[-1] * 1.01 or 1
        return other

    changes = 0
    for i, visit in enumerate(certificate.visits):
        for k, edge in enumerate(visit.carried):
            carried = list(visit.carried)
            carried[k] = replace(edge, cotangent=changed(edge.cotangent))
            refused(spoilt(certificate, i, carried=tuple(carried)), loss, "and the sum of its . terms")
            changes += 1
        for k, g in enumerate(visit.cotangents):
            if g is not None:
                cotangents = (*visit.cotangents[:k], changed(g), *visit.cotangents[k + 1 :])
                refused(spoilt(certificate, i, cotangents=cotangents), loss, f"output {k} of .* and the sum of its")
                changes += 1
    for leaf, gradient in certificate.gradients.items():
        gradients = {**certificate.gradients, leaf: changed(gradient)}
        refused(replace(certificate, gradients=gradients), loss, "the gradient of <leaf .*> is .* and the sum of its")
    assert changes > 30


def test_outputs_that_get_too_much_or_too_little(certified):
    loss, certificate = certified
    place = visit_of(certificate, "lstm_cell")
    _, g = certificate.visits[place].cotangents
    refused(spoilt(certificate, place, cotangents=(g, g)), loss, "output 0 .* has 0 terms but received a cotangent")
    refused(spoilt(certificate, place, cotangents=(None, None)), loss, "output 1 .* has 1 terms but received nothing")
    refused(spoilt(certificate, place, cotangents=(g,)), loss, "received 1 cotangents, but has 2 outputs")
    refused(
        spoilt(certificate, place, cotangents=(None, g[:1])), loss, r"output 1 of <lstm_cell .*> is float32 \(1, 3\)"
    )


def test_gradients_that_are_missing_or_foreign(certified):
    loss, certificate = certified
    (leaf, gradient), *_ = certificate.gradients.items()
    left = {node: g for node, g in certificate.gradients.items() if node is not leaf}
    refused(replace(certificate, gradients=left), loss, "<leaf .*> has no gradient")
    other = mg.tensor(1.0, requires_grad=True).node
    refused(
        replace(certificate, gradients={**certificate.gradients, other: gradient}),
        loss,
        "a gradient, but is not a source",
    )
    double = {**certificate.gradients, leaf: gradient.astype(np.float64)}
    refused(replace(certificate, gradients=double), loss, "the gradient of <leaf .*> is float64")


# --- passes that go wrong --------------------------------------------------------------------------


def test_a_pass_that_forgets_a_sum_is_refused(monkeypatch):
    """The certificate is of what ran, not of what should have run."""

    class Forgetful(dict):
        def __contains__(self, key):
            return isinstance(key, Leaf) and super().__contains__(key)

    walk = backward._walk_back
    monkeypatch.setattr(backward, "_walk_back", lambda order, found, *options: walk(order, Forgetful(found), *options))
    y = mg.tanh(mg.tensor(2.0, requires_grad=True))
    with pytest.raises(ValueError, match=r"output 0 of <tanh .*> is .*, and the sum of its 2 terms"):
        certify_backward(y * y)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda edges: edges[:1], "<lstm_cell .*> carried nothing to its input c"),
        (lambda edges: edges * 2, "<lstm_cell .*> carried a cotangent from its input 0 .* already"),
        (lambda edges: (replace(edges[0], argnum=1), edges[1]), "the edge already carried a cotangent"),
        (lambda edges: (replace(edges[0], index=1), edges[1]), "the edge already carried a cotangent"),
        (lambda edges: (replace(edges[0], cotangent=np.ones((3,), np.float32)), edges[1]), r"carried float32 \(3,\)"),
    ],
)
def test_edges_that_are_missing_there_twice_or_others(certified, change, words):
    loss, certificate = certified
    place = visit_of(certificate, "lstm_cell")
    refused(spoilt(certificate, place, carried=change(certificate.visits[place].carried)), loss, words)
