"""Recurrent layers against PyTorch and their primitives: values, gradients, several layers and directions, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from tests.nn.test_layers import check, random_input
from tests.peers import Peer

PYTORCH = Peer(__name__)
KINDS = ["RNN", "LSTM", "GRU"]


def recurrent(
    torch: Any, kind: str, weights: dict[str, Any], D: int, H: int, layers: int = 1, both: bool = False
) -> Any:
    """PyTorch's module run on minigrad's weights: transposed, gates reordered, one of two biases zero but for a GRU."""
    blocks = {"RNN": [0], "LSTM": [0, 1, 3, 2], "GRU": [0, 1, 2]}[kind]
    order = torch.cat([torch.arange(H) + k * H for k in blocks])
    module = getattr(torch.nn, kind)(D, H, layers, batch_first=True, bidirectional=both, dtype=torch.float64)
    theirs = {}
    for layer in range(layers):
        for way in ("", "_reverse")[: 1 + both]:
            mine = (f"_l{layer}" if layer else "") + way
            names = ("bx", "bh") if kind == "GRU" else ("b",)
            none = torch.zeros(len(order), dtype=torch.float64)
            bx, bh = [*(weights[name + mine][order] for name in names), none][:2]
            of_x, of_h = weights["Wx" + mine].T[order], weights["Wh" + mine].T[order]
            named = [f"{part}_l{layer}{way}" for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
            theirs |= dict(zip(named, (of_x, of_h, bx, bh), strict=True))
    return lambda *args: torch.func.functional_call(module, theirs, args)


@pytest.mark.parametrize("kind", KINDS)
def test_recurrent_steps_can_be_split(kind):
    """Running on from a returned state is the same as one longer run."""
    layer = getattr(nn, kind)(3, 4, dtype="float64", rng=0)
    x = random_input((2, 7, 3))
    whole, last = layer(x)
    first, state = layer(x[:, :3])
    second, end = layer(x[:, 3:], state)
    np.testing.assert_allclose(np.concatenate([first.data, second.data], 1), whole.data, rtol=1e-12)
    for a, b in zip(*((t if kind == "LSTM" else (t,)) for t in (last, end)), strict=True):
        np.testing.assert_allclose(a.data, b.data, rtol=1e-12)


LENGTHS = [3, 0, 5, 1]


def states_of(kind: str, layer: nn.Module, x: Any, state: Any, **options: Any) -> tuple[Any, ...]:
    """All states, and the last one as a tuple; ``state`` is (h0, c0), of which an RNN takes the first."""
    h, last = layer(x, state if kind == "LSTM" else state[0], **options)
    return h, last if kind == "LSTM" else (last,)


@pytest.mark.parametrize("lengths", [LENGTHS, [2, 3, 5, 1]], ids=["one is 0", "none is 0"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_last_state_is_that_after_each_sequences_own_last_step(kind, lengths):
    """As if each sequence were run by itself, cut at its end: its states and all gradients."""
    layer = getattr(nn, kind)(3, 4, dtype="float64", rng=0)
    x, *state = (mg.tensor(random_input(s), requires_grad=True) for s in ((4, 5, 3), (4, 4), (4, 4)))
    u, *last_u = (random_input(s, i) for i, s in enumerate([(4, 5, 4), (4, 4), (4, 4)], 3))
    inputs = [x, *state[: 1 + (kind == "LSTM")], *layer.parameters()]

    def pulled(total: mg.Tensor) -> list[Any]:
        for tensor in inputs:
            tensor.zero_grad()
        total.backward()
        return [tensor.grad for tensor in inputs]

    h, last = states_of(kind, layer, x, tuple(state), lengths=lengths)
    got = pulled((h * u).sum() + sum((s * v).sum() for s, v in zip(last, last_u, strict=False)))
    total = mg.tensor(0.0, dtype="float64")
    for n, length in enumerate(lengths):
        one = slice(n, n + 1)
        alone, end = states_of(kind, layer, x[one, :length], tuple(s[one] for s in state))
        np.testing.assert_allclose(h.data[n, :length], alone.data[0], rtol=1e-12)
        assert not h.data[n, length:].any()
        for mine, theirs, v in zip(last, end, last_u, strict=False):
            np.testing.assert_allclose(mine.data[one], theirs.data, rtol=1e-12)
            total = total + (theirs * v[one]).sum()
        total = total + (alone * u[one, :length]).sum()
    for mine, theirs in zip(got, pulled(total), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("N", "T"), [(5, 2), (5, 0), (0, 3)])
def test_sequences_without_steps_end_where_they_began(kind, N, T):
    layer, h0 = getattr(nn, kind)(3, 4, rng=0), random_input((N, 4)).astype(np.float32)
    state = h0 if kind != "LSTM" else (h0, None)
    h, last = layer(np.ones((2, 3), np.float32), state, indices=np.zeros((N, T), int), lengths=np.zeros(N, int))
    assert h.shape == (N, T, 4)
    assert not h.data.any()
    np.testing.assert_array_equal((last if kind != "LSTM" else last[0]).data, h0)


# --- several layers, both directions --------------------------------------------------------------------

STACKS = [(1, False), (2, False), (3, True)]


def outputs(kind: str, result: Any) -> Any:
    """All that a layer returns as one tensor: states, and last states."""
    h, last = result
    return mg.concatenate([mg.reshape(t, (-1,)) for t in (h, *(last if kind == "LSTM" else (last,)))])


@pytest.mark.parametrize(("layers", "both"), STACKS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("given", ["nothing", "a state", "lengths"])
def test_layers_and_directions(kind, layers, both, given):
    layer = getattr(nn, kind)(2, 2, layers, bidirectional=both, dtype="float64", rng=0)
    for seed, (name, weight) in enumerate(layer.named_parameters()):
        if name.startswith("b"):
            weight.data[...] = random_input(weight.shape, seed)
    number, lengths = layers * (1 + both), [3, 2, 5, 1]
    states = [random_input((number, 4, 2), seed) for seed in range(1 + (kind == "LSTM"))] if given == "a state" else []

    def mine(layer, x, *state):
        state = [s[0] for s in state] if number == 1 else state  # (N, H) of a single layer
        state = (tuple(state) if kind == "LSTM" else state[0]) if state else None
        return outputs(kind, layer(x, state, lengths=lengths if given == "lengths" else None))

    def theirs(torch, weights, x, *state):
        run, rnn = recurrent(torch, kind, weights, 2, 2, layers, both), torch.nn.utils.rnn
        if given == "lengths":
            x = rnn.pack_padded_sequence(x, torch.tensor(lengths), batch_first=True, enforce_sorted=False)
        h, last = run(x, *([state if kind == "LSTM" else state[0]] if state else []))
        if given == "lengths":
            h = rnn.pad_packed_sequence(h, batch_first=True)[0]
        return torch.cat([t.reshape(-1) for t in (h, *(last if kind == "LSTM" else (last,)))])

    check(PYTORCH, f"{kind} {layers} {both} {given}", layer, mine, theirs, random_input((4, 5, 2)), *states)


@pytest.mark.parametrize("kind", KINDS)
def test_indices_are_an_embedding_before_several_layers_too(kind):
    layer = getattr(nn, kind)(3, 4, 2, bidirectional=True, dtype="float64", rng=0)
    rows, words = random_input((6, 3)), np.array([[5, 0, 5, 1], [2, 5, 5, 0]])
    given, looked_up = (outputs(kind, layer(x, lengths=[4, 2], **more)) for x, more in (
        (rows, {"indices": words}), (rows[words], {})
    ))  # fmt: skip
    np.testing.assert_allclose(given.data, looked_up.data, rtol=1e-12)


def test_names_of_weights():
    names = nn.LSTM(4, 5, 2, bidirectional=True).state_dict().keys()
    endings = "", "_reverse", "_l1", "_l1_reverse"
    assert list(names) == [weight + ending for ending in endings for weight in ("Wx", "Wh", "b")]
    assert list(nn.GRU(4, 5).state_dict()) == ["Wx", "Wh", "bx", "bh"]
    assert nn.LSTM(4, 5, 2).Wx_l1.shape == (5, 20)
    assert nn.GRU(4, 5, 2, bidirectional=True).Wx_l1.shape == (10, 15)


def test_dropout_is_between_layers_in_training():
    x = random_input((30, 8, 20)).astype(np.float32)
    layer, plain = (nn.GRU(20, 50, 2, dropout=p, rng=0) for p in (0.4, 0.0))
    plain.load_state_dict(layer.state_dict())
    np.testing.assert_array_equal(layer.eval()(x)[0].data, plain(x)[0].data)
    first = nn.GRU(20, 50, rng=0)
    first.load_state_dict({name: value for name, value in layer.state_dict().items() if "_l1" not in name})
    top = nn.GRU(50, 50)
    top.load_state_dict({name.removesuffix("_l1"): v for name, v in layer.state_dict().items() if "_l1" in name})
    below = first(x)[0]
    dropped = mg.dropout(below, 0.4, True, np.random.default_rng(3))
    layer.train().rng = np.random.default_rng(3)
    np.testing.assert_allclose(layer(x)[0].data, top(dropped)[0].data, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("kind", "x", "options", "error", "text"), [
    *((kind, *row) for kind in KINDS for row in [
        ((2, 5, 3), {"lengths": [5]}, ValueError, "lengths must be 2 integers"),
        ((2, 5, 3), {"lengths": [5, 6]}, ValueError, "lengths .* 0 to T = 5"),
        ((2, 5, 3), {"lengths": [1.0, 2.0]}, ValueError, "lengths must be 2 integers"),
        ((2, 5, 3), {"indices": [[0, 1]]}, ValueError, r"x must be rows .*\(2, 5, 3\)"),
        ((5, 4), {"indices": [[0, 1]]}, ValueError, r"x must be rows .*\(5, 4\)"),
        ((5, 3), {"indices": [0, 1]}, ValueError, r"indices must be \(N, T\).*\(2,\)"),
        ((5, 3), {"indices": [[0, 5]]}, IndexError, r"indices\[0, 1\] is 5"),
        ((5, 3), {"indices": [[0.0, 1.0]]}, TypeError, "indices must be integers"),
        ((5, 3), {"indices": np.ma.masked_array([[0, 1]])}, TypeError, "masked"),
        ((2, 3), {}, ValueError, rf"{kind}: x must be \(N, T, 3\)"),
        ((2, 5, 4), {}, ValueError, rf"{kind}: x must be \(N, T, 3\)"),
    ]),
    ("RNN", (2, 5, 3), {"state": np.zeros((1, 4))}, ValueError, "the hidden state must be"),
    ("LSTM", (2, 5, 3), {"state": np.zeros((2, 4))}, ValueError, r"the state must be a pair \(h0, c0\)"),
    ("LSTM", (2, 5, 3), {"state": (np.zeros((2, 4)),)}, ValueError, r"the state must be a pair \(h0, c0\)"),
])  # fmt: skip
def test_inputs_that_do_not_fit_are_named(kind, x, options, error, text):
    state = [options.pop("state")] if "state" in options else []
    with pytest.raises(error, match=text):
        getattr(nn, kind)(3, 4)(np.zeros(x, np.float32), *state, **options)


@pytest.mark.parametrize(("make", "error", "text"), [
    (lambda: nn.RNN(3, 4, 0), ValueError, "RNN: num_layers .*, not 0"),
    (lambda: nn.LSTM(3, 4, 2.0), ValueError, "LSTM: num_layers .*, not 2.0"),
    (lambda: nn.LSTM(2, 3, forget_bias=None), TypeError, "LSTM: forget_bias must be a number, not NoneType"),
    (lambda: nn.GRU(3, 4, 2, bidirectional=2), TypeError, "GRU: bidirectional .*, not 2"),
    (lambda: nn.GRU(3, 4, 2, dropout=1.0), ValueError, r"GRU: dropout .*\[0, 1\), not 1.0"),
    (lambda: nn.GRU(3, 4, dropout=0.5), ValueError, "dropout applies between layers, but num_layers is 1"),
    (lambda: nn.GRU(3, 4, 2)(np.ones((2, 5, 3)), np.ones((2, 4))), ValueError, r"\(2, 2, 4\), not \(2, 4\)"),
    (lambda: nn.LSTM(3, 4, bidirectional=True)(np.ones((2, 5, 3)), (np.ones((2, 4)), None)), ValueError,
     r"LSTM: .*\(2, 2, 4\), not \(2, 4\)"),
])  # fmt: skip
def test_layers_that_cannot_be_are_named(make, error, text):
    with pytest.raises(error, match=text):
        make()
