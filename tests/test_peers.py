"""What is frozen of PyTorch's answers: complete, nothing besides, and noticed when it is not what is asked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests import peers
from tests.peers import Answer, Peer, cotangent

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_without_pytorch_the_comparisons_pass_on_what_is_frozen_and_use_all_of_it(full):
    if full:
        done = subprocess.run(
            [sys.executable, "-m", "tests.freeze", "--check"], capture_output=True, text=True, cwd=ROOT
        )
        assert done.returncode == 0, done.stdout + done.stderr


# --- the mechanism, with NumPy in PyTorch's place ------------------------------------------------------


@pytest.fixture
def numpy_as_peer(tmp_path, monkeypatch):
    """A peer of this module with nothing frozen; NumPy is asked, or nobody if it is set to None."""
    monkeypatch.setattr(peers, "FOLDER", tmp_path)
    monkeypatch.setattr(peers, "asked", set())
    asked = {"module": np}
    monkeypatch.setattr(peers, "pytorch", lambda: asked["module"])
    peers.read.cache_clear()
    yield Peer("tests.ops.test_odd"), asked
    peers.read.cache_clear()


def keep(peer, monkeypatch, *questions):
    """Freeze what some calls ask."""
    with monkeypatch.context() as patch:
        patch.setattr(peers, "renewed", {})
        for question in questions:
            question()
        peers.write(peer.path, peers.renewed[peer.path], peers.command(peer.source), "2.0")
    peers.read.cache_clear()


@pytest.mark.parametrize("inputs", [[np.ones(3)], [np.ones(2, np.float32)], [np.zeros(2)], [np.ones(2)] * 2])
def test_a_changed_question_is_noticed(inputs, numpy_as_peer, monkeypatch):
    peer, asked = numpy_as_peer
    keep(peer, monkeypatch, lambda: peer.ask("k", lambda xp, x: x, [np.ones(2)]))
    for asked["module"] in (np, None):
        with pytest.raises(AssertionError, match="what 'k' asks has changed since it was frozen"):
            peer.ask("k", lambda xp, *x: x[0], inputs)
        with pytest.raises(AssertionError, match="what 'k' asks has changed"):
            peer.ask("k", lambda xp, x: x, [np.ones(2)], {"axis": 0})


@pytest.mark.parametrize("change", [lambda x: x + 1e-5, lambda x: x[:1], lambda x: x.astype(np.float32), list])
def test_a_peer_that_answers_otherwise_is_noticed(change, numpy_as_peer, monkeypatch):
    peer, _ = numpy_as_peer
    keep(peer, monkeypatch, lambda: peer.ask("k", lambda xp, x: x, [np.ones(2)]))
    with pytest.raises(AssertionError, match="PyTorch and what is frozen for 'k' differ"):
        peer.ask("k", lambda xp, x: change(x), [np.ones(2)])


def test_a_wrong_gradient_does_not_agree():
    answer = Answer([np.ones(3)], {}, [np.full(3, 2.0), 2 * cotangent((3,))])
    peers.check_pull(lambda x: x * 2.0, answer, rtol=1e-12)
    for wrong in (lambda x: x * x.data * 3.0 - 1.0, lambda x: x + 1.0, lambda x: (x * 2.0)[:2]):
        with pytest.raises((AssertionError, ValueError)):
            peers.check_pull(wrong, answer, rtol=1e-12)


def test_answers_are_those_of_the_peer_then_those_that_are_frozen(numpy_as_peer, monkeypatch):
    peer, asked = numpy_as_peer
    inputs = [np.ones((2, 3)), None, np.arange(3, dtype=np.uint8), 2.5, "word", (1, (2, 3)), np.array(np.inf)]
    ask = lambda: peer.ask("k", lambda xp, x, *_, axis: [xp.exp(x).sum(axis), "text"], inputs, {"axis": 1})  # noqa: E731
    with pytest.raises(AssertionError, match=r"nothing is frozen for 'k': .* tests\.freeze tests/ops/test_odd"):
        ask()
    keep(peer, monkeypatch, ask)
    for asked["module"] in (np, None):
        answer = ask()
        np.testing.assert_equal(answer.inputs, inputs)
        np.testing.assert_array_equal(answer.expected[0], np.exp(inputs[0]).sum(1))
        answer.inputs[0][...] = 0  # which spoils no other test's
