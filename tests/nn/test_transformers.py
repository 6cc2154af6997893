"""Attention modules and the encoder beside PyTorch's: values, gradients, masks, dropout, a training, errors."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from tests.nn.test_layers import check, random_input
from tests.peers import Peer

PYTORCH = Peer(__name__)
N, T, S, E, H = 2, 4, 3, 6, 2


def as_theirs(weights):
    """Weights for PyTorch: matrices transposed, all else as it is."""
    return {name: w.T if w.ndim == 2 else w for name, w in weights.items()}


def shaken(layer, seed=5):
    """The layer with weights, biases and norms that are all different from their first ones."""
    rng = np.random.default_rng(seed)
    for parameter in layer.parameters():
        parameter.data[...] += rng.uniform(-0.5, 0.5, parameter.shape)
    return layer


def random_mask(shape, seed=3):
    """Some places where each query may look, the first one always (a query without any is NaN in PyTorch)."""
    mask = np.random.default_rng(seed).random(shape) < 0.5
    mask[..., 0] = True
    return mask


def random_floats(shape):
    """What is added to the scores, where the mask does not hide them."""
    return np.where(random_mask(shape), np.random.default_rng(4).standard_normal(shape), -np.inf)


LENGTHS = np.array([1, 3])
PADDING = (np.arange(S) < LENGTHS[:, None])[:, None]  # (N, 1, S)

# key: options of the layer, shapes of query, key and value (fewer for the defaults), mask, causal
ATTENTIONS = {
    "to itself": ({}, [(N, T, E)], None, False),
    "to itself, causal": ({}, [(N, T, E)], None, True),
    "to itself without bias": ({"bias": False}, [(N, T, E)], None, False),
    "of one sequence": ({}, [(T, E)], random_mask((T, T)), False),
    "to another": ({}, [(N, T, E), (N, S, E)], None, False),
    "to another and its values": ({}, [(N, T, E), (N, S, E), (N, S, E)], random_mask((T, S)), False),
    "of other features": ({"kdim": 5, "vdim": 4}, [(N, T, E), (N, S, 5), (N, S, 4)], None, False),
    "of other values": ({"vdim": 4, "bias": False}, [(N, T, E), (N, S, E), (N, S, 4)], None, False),
    "with a mask for each sequence": ({}, [(N, T, E), (N, S, E)], random_mask((N, T, S)), False),
    "with a mask for each head": ({}, [(N, T, E), (N, S, E)], random_mask((N, H, T, S)), False),
    "with padding": ({}, [(N, T, E), (N, S, E)], PADDING, False),
    "with a mask, causal": ({}, [(N, T, E)], random_mask((T, T)), True),
    "with floats for each head": ({}, [(N, T, E), (N, S, E)], random_floats((N, H, T, S)), False),
    "with floats, causal": ({}, [(N, T, E)], random_floats((N, T, T)), True),
}


def their_mask(torch, mask, causal, N, T, S):
    """PyTorch's mask (N H, T, S), which is true where nobody may look, or floats; None for none."""
    if mask is None and not causal:
        return None
    hidden = np.zeros((T, S), bool) if mask is None else mask if mask.dtype == float else ~mask
    if causal:
        hidden = np.where(np.tri(T, S, dtype=bool), hidden, -np.inf if hidden.dtype == float else True)
    hidden = hidden if hidden.ndim != 3 else hidden[:, None]
    return torch.tensor(np.broadcast_to(hidden, (N, H, T, S)).reshape(N * H, T, S).copy())


def their_attention(torch, options, mask, causal, weights, *given):
    query, key, value = [*given, given[-1], given[-1]][:3]
    module = torch.nn.MultiheadAttention(E, H, **options, batch_first=True, dtype=torch.float64)
    batch = len(query) if query.ndim == 3 else 1
    hidden = their_mask(torch, mask, causal, batch, query.shape[-2], key.shape[-2])
    arguments = {"attn_mask": hidden, "average_attn_weights": False}
    return torch.func.functional_call(module, as_theirs(weights), (query, key, value), arguments)


@pytest.mark.parametrize("explicit", [False, True])
@pytest.mark.parametrize("key", ATTENTIONS)
def test_attention_agrees_with_pytorch(key, explicit):
    options, shapes, mask, causal = ATTENTIONS[key]
    layer = shaken(nn.MultiHeadAttention(E, H, **options, dtype="float64", rng=0))

    def mine(layer, *given):
        found = layer(*given, mask=mask, causal=causal, need_weights=explicit)
        return found[0] if explicit else found

    def theirs(torch, weights, *given):
        return their_attention(torch, options, mask, causal, weights, *given)[0]

    check(PYTORCH, f"{key} {explicit}", layer, mine, theirs, *(random_input(s, i) for i, s in enumerate(shapes)))


def test_weights_of_attention_agree_with_pytorch():
    options, shapes, mask, _ = ATTENTIONS["with padding"]
    layer = shaken(nn.MultiHeadAttention(E, H, dtype="float64", rng=0))
    theirs = lambda torch, weights, *x: their_attention(torch, options, mask, False, weights, *x)[1]  # noqa: E731
    mine = lambda layer, *given: layer(*given, mask=mask, need_weights=True)[1]  # noqa: E731
    check(PYTORCH, "weights", layer, mine, theirs, *(random_input(shape, i) for i, shape in enumerate(shapes)))


@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize("shapes", [[(T, E), (H, S, E)], [(T, E), (S, E), (H, S, E)], [(1, T, E), (H, S, E)]])
def test_a_mask_is_of_heads_only_with_an_axis_more_than_all_three(shapes, need_weights):
    """Of as many sequences as there are heads, for one query: the mask is that of sequences."""
    layer = shaken(nn.MultiHeadAttention(E, H, dtype="float64", rng=0))
    given, mask = [random_input(shape, i) for i, shape in enumerate(shapes)], random_mask((H, 1, S))
    found = layer(*given, mask=mask, need_weights=need_weights)
    for n in range(H):
        alone = [x[min(n, len(x) - 1)] if x.ndim == 3 else x for x in given]
        expected = layer(*alone, mask=mask[n], need_weights=need_weights)
        for mine, one in zip(found, expected, strict=True) if need_weights else [(found, expected)]:
            np.testing.assert_allclose(mine.data[n], one.data, rtol=1e-12)


def test_a_mask_may_be_a_tensor_or_a_list():
    layer, x = nn.MultiHeadAttention(E, H, dtype="float64", rng=0), random_input((N, S, E))
    for same in (mg.tensor(PADDING), PADDING.tolist()):
        np.testing.assert_array_equal(layer(x, mask=same).data, layer(x, mask=PADDING).data)


def test_a_query_that_may_look_nowhere_finds_the_bias():
    layer = shaken(nn.MultiHeadAttention(E, H, dtype="float64", rng=0))
    x, mask = mg.tensor(random_input((T, E)), requires_grad=True), random_mask((T, T))
    mask[1] = False
    for need_weights in (False, True):
        found = layer(x, mask=mask, need_weights=need_weights)
        y = found[0] if need_weights else found
        np.testing.assert_allclose(y.data[1], layer.out_proj.bias.data, rtol=1e-14)
        x.zero_grad()
        y[1].sum().backward()
        assert (x.grad == 0).all()


ENCODERS = {
    "plain": ({}, None, False),
    "gelu, causal": ({"activation": "gelu"}, None, True),
    "padding": ({"layer_norm_eps": 0.1}, (np.arange(T) < np.array([1, 4])[:, None])[:, None], False),
    "without bias, masked": ({"bias": False}, random_mask((T, T)), False),
}


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("key", ENCODERS)
def test_the_encoder_layer_agrees_with_pytorch(key, norm_first):
    options, mask, causal = ENCODERS[key]
    options = {**options, "dim_feedforward": 5, "norm_first": norm_first}
    layer = shaken(nn.TransformerEncoderLayer(E, H, **options, dtype="float64", rng=0)).eval()

    def theirs(torch, weights, x):
        module = torch.nn.TransformerEncoderLayer(E, H, **options, batch_first=True, dtype=torch.float64).eval()
        hidden = their_mask(torch, mask, causal, N, T, T)
        return torch.func.functional_call(module, as_theirs(weights), (x,), {"src_mask": hidden})

    mine = lambda layer, x: layer(x, mask, causal)  # noqa: E731
    check(PYTORCH, f"encoder layer {key} {norm_first}", layer, mine, theirs, random_input((N, T, E)))


def encoder(norm_first=True, dropout=0.0, layers=2):
    rng = np.random.default_rng(0)
    options = {"dropout": dropout, "norm_first": norm_first, "dtype": "float64", "rng": rng}
    norm = nn.LayerNorm(E, dtype="float64")
    return nn.TransformerEncoder(lambda: nn.TransformerEncoderLayer(E, H, 8, **options), layers, norm)


def test_dropout_is_of_training_alone_and_follows_the_seed():
    x = random_input((N, T, E)).astype(np.float32)
    first, second = (nn.TransformerEncoderLayer(E, H, 8, dropout=0.5, rng=7) for _ in range(2))
    np.testing.assert_array_equal(first(x).data, second(x).data)
    assert (first(x).data != first(x).data).any()
    np.testing.assert_array_equal(first.eval()(x).data, second.eval()(x).data)
    np.testing.assert_array_equal(first(x).data, first(x).data)
    without = nn.TransformerEncoderLayer(E, H, 8, dropout=0, rng=8)
    without.load_state_dict(first.state_dict())
    np.testing.assert_array_equal(without(x).data, first(x).data)


@pytest.mark.parametrize("shape", [(0, T, E), (N, 0, E), (2, 3, T, E)])
def test_stacks_of_any_shape(shape):
    layer, x = nn.TransformerEncoderLayer(E, H, 5, dropout=0, dtype="float64", rng=0), random_input(shape)
    y = layer(x, causal=True)
    assert y.shape == shape
    if y.size:
        np.testing.assert_allclose(y.data[1, 2], layer(x[1, 2], causal=True).data, rtol=1e-12)
    assert layer.self_attn(x, need_weights=True)[1].shape == (*shape[:-2], H, shape[-2], shape[-2])


def test_encoders_hold_different_layers():
    model, x = encoder(), random_input((N, T, E))
    first, second = model.layers
    assert (first.linear1.weight.data != second.linear1.weight.data).any()
    assert [name for name, _ in model.named_parameters()][-3:] == ["layers.1.norm2.bias", "norm.weight", "norm.bias"]
    expected = second(first(x, causal=True), causal=True)
    np.testing.assert_array_equal(nn.TransformerEncoder([first, second])(x, causal=True).data, expected.data)
    np.testing.assert_array_equal(model(x, causal=True).data, model.norm(expected).data)


X6 = np.zeros((2, 4, 6), np.float32)
X3, ENCODER = X6[..., :3], nn.TransformerEncoderLayer(6, 2)


@pytest.mark.parametrize(
    ("make", "kind", "text"),
    [
        (lambda: nn.MultiHeadAttention(6, 4), ValueError, r"num_heads \(4\) must divide embed_dim \(6\)"),
        (lambda: nn.MultiHeadAttention(6, 0), ValueError, "num_heads .*, not 0"),
        (lambda: nn.MultiHeadAttention(6, 2, kdim=0), ValueError, "kdim .*, not 0"),
        (lambda: nn.MultiHeadAttention(6, 2, dropout=1.0), ValueError, r"dropout .*\[0, 1\), not 1.0"),
        (lambda: nn.MultiHeadAttention(6, 2, 0.0, True, False), TypeError, "positional arguments"),
        (lambda: nn.TransformerEncoderLayer(6, 2, 5, 0.0, "relu", 1e-5, True), TypeError, "positional arguments"),
        (lambda: nn.TransformerEncoderLayer(6, 2, activation="tanh"), ValueError, "'relu', 'gelu' .*, not 'tan"),
        (lambda: nn.TransformerEncoderLayer(6, 2, activation=[]), ValueError, r"'relu', 'gelu' .*, not \[\]"),
        (lambda: nn.TransformerEncoderLayer(6, 2, 0), ValueError, "dim_feedforward .*, not 0"),
        (lambda: nn.TransformerEncoderLayer(6, 2, layer_norm_eps=-1), ValueError, "eps .* 0"),
        (lambda: nn.TransformerEncoder(lambda: nn.Tanh()), ValueError, "num_layers .*, not None"),
        (lambda: nn.TransformerEncoder(ENCODER, 2), TypeError, "pass a list of layers"),
        (lambda: nn.TransformerEncoder([ENCODER], 2), TypeError, "num_layers only with a function"),
        *((lambda given=given, need=need, causal=causal: nn.MultiHeadAttention(6, 2, kdim=3)(
            *given, need_weights=need, causal=causal), kind, text)
          for need in (False, True) for given, causal, kind, text in [
            ((X6[..., :5],), False, ValueError, r"query .* 6\), not \(2, 4, 5\)"),
            ((X6,), False, ValueError, r"key .* 3\), not \(2, 4, 6\)"),
            ((X6, X3, X6[0, 0]), False, ValueError, r"value .* 6\), not \(6,\)"),
            ((X6, X3, X6[:, :3]), False, ValueError, "v .* 4 keys, not 3"),
            ((X6, X3, X6, np.ones((5, 4), bool)), False, ValueError, r"mask .*4, 4\), not \(5, 4\)"),
            ((X6, X3, X6, np.ones((2, 4), bool)), False, ValueError, r"not \(2, 4\).* mask\[:, None, :\]"),
            ((X6, X3, X6, np.ones((4, 4), int)), False, TypeError, "mask .*, not int64"),
            ((X6, X3, X6, np.ma.masked_array(np.ones((4, 4), bool))), False, TypeError, "masked array"),
            ((X6, X3, X6, mg.tensor(np.zeros((4, 4)), requires_grad=True)), False, TypeError, "no gradient .* mask"),
            ((X6, X3, X6), 1, TypeError, "causal must be True or False, not 1"),
        ]),
    ],
)  # fmt: skip
def test_refusals(make, kind, text):
    with pytest.raises(kind, match=text):
        make()
