"""The summary of a module: shapes, parameters, multiply-adds and residuals, against numbers found in other ways."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from captioning.data.vocabulary import Vocabulary
from captioning.models.captioner import Captioner
from minigrad import nn
from minigrad.recording import note_of
from minigrad.render import summary
from tests.peers import Peer

PYTORCH = Peer(__name__)


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


class Function(nn.Module):
    """A parameter and a function of it and the input."""

    def __init__(self, function: Any, *shape: int) -> None:
        self.w, self.function = nn.Parameter(ones(*shape)), function

    def forward(self, *args: Any) -> Any:
        return self.function(*args, self.w)


def row_of(result: Any, name: str) -> Any:
    (row,) = [row for row in result.rows if row.name == name and row.same_as is None]
    return row


# --- the tree -------------------------------------------------------------------------------------------


def test_a_small_network_by_hand():
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2, bias=False))
    result = summary(net, ones(5, 3))
    assert [(row.name, row.depth, row.kind) for row in result.rows] == [
        ("", 0, "Sequential"), ("0", 1, "Linear"), ("1", 1, "Tanh"), ("2", 1, "Linear")]  # fmt: skip
    assert [[shape for shape, _ in row.outputs] for row in result.rows] == [[(5, 2)], [(5, 4)], [(5, 4)], [(5, 2)]]
    assert [row.parameters for row in result.rows] == [0, 3 * 4 + 4, 0, 4 * 2]
    assert [row.multiply_adds for row in result.rows] == [0, 5 * 3 * 4, 0, 5 * 4 * 2]
    # x for the first product; the activation, which serves the second product too
    assert [row.residual_bytes for row in result.rows] == [0, 5 * 3 * 4, 5 * 4 * 4, 0]
    assert (result.parameters, result.multiply_adds, result.residual_bytes) == (24, 100, 140)
    assert result.parameter_bytes == 96


def test_the_table_adds_up_and_is_aligned():
    text = str(summary(nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU()), ones(2, 1, 9, 9)))
    header, rule, *rows, _, total, note = text.splitlines()
    assert header.split() == ["module", "output", "parameters", "multiply-adds", "residuals"]
    assert len({len(line) for line in (header, rule, *rows, total)}) == 1
    assert total.split()[1:3] == ["80", f"{2 * 8 * 7 * 7 * 9:,}"]
    assert note == "parameters take 320 B"
    assert rows[1].startswith("  0: Conv2d")


def test_modules_in_containers_shared_ones_and_unused_ones():
    class Net(nn.Module):
        def __init__(self) -> None:
            self.layers = [nn.Linear(4, 4), {"deep": nn.Linear(4, 4)}]
            self.again, self.parent, self.unused = self.layers[0], [self], nn.Dropout()

        def forward(self, x: Any) -> Any:
            return self.again(self.layers[1]["deep"](self.layers[0](x)))

    result = summary(Net(), ones(2, 4))
    assert [(row.name, row.same_as, row.calls) for row in result.rows] == [
        ("", None, 1), ("layers.0", None, 2), ("layers.1.deep", None, 1), ("again", "layers.0", 0), ("parent.0", "", 0),
        ("unused", None, 0)]  # fmt: skip
    assert row_of(result, "layers.0").multiply_adds == 2 * 2 * 4 * 4
    assert result.parameters == 2 * 20
    text = str(result)
    for part in ("layers.0: Linear", "2×4  (2 calls)", "the same as layers.0", "the same as the whole", "not called"):
        assert part in text


def test_parameters_that_two_modules_hold_count_once():
    class Tied(nn.Module):
        def __init__(self) -> None:
            self.inner = nn.Linear(3, 3)
            self.other = nn.Linear(3, 3)
            self.other.weight = self.inner.weight
            self.box = {"scale": nn.Parameter(ones(2)), "same": (self.inner.bias,)}

        def forward(self, x: Any) -> Any:
            return self.other(self.inner(x))

    net = Tied()
    result = summary(net, ones(1, 3))
    assert result.parameters == sum(p.size for p in net.parameters()) == 9 + 3 + 3 + 2
    assert result.parameter_bytes == 4 * 17
    assert result.multiply_adds == 18


def test_several_outputs_keyword_arguments_and_dtypes():
    class Net(nn.Module):
        def __init__(self) -> None:
            self.lstm = nn.LSTM(3, 4, dtype=np.float64)

        def forward(self, x: Any, *, state: Any) -> Any:
            h, last = self.lstm(x, state)
            return {"h": h, "last": last, "numbers": [np.arange(3), "text"]}

    zero = np.zeros((2, 4))
    result = summary(Net(), np.ones((2, 5, 3)), state=(zero, zero))
    shapes = [(2, 5, 4), (2, 4), (2, 4)]
    assert [shape for shape, _ in row_of(result, "lstm").outputs] == shapes
    assert [shape for shape, _ in result.rows[0].outputs] == [*shapes, (3,)]
    assert {str(dtype) for _, dtype in result.rows[0].outputs} == {"float64", "int64"}
    assert "2×5×4 float64" in str(result)


def test_the_captioner_by_hand():
    vocabulary = Vocabulary(["<NULL>", "<START>", "<END>", "<UNK>", "dog"])
    for cell, gates in (("rnn", 1), ("lstm", 4)):
        model = Captioner(vocabulary, feature_size=3, wordvec_size=4, hidden_size=6, cell_type=cell, rng=0)
        captions = np.array([[1, 4, 4, 2], [1, 4, 2, 0]])
        result = summary(model, np.ones((2, 3)), captions=captions)
        words = 3 + 2  # words out that are not <NULL>
        cells = (3 * 4 + 2 * 3 * 6) * gates * 6  # three distinct words in
        assert result.multiply_adds == 2 * 3 * 6 + cells + words * 6 * 5
        assert result.parameters == sum(p.size for p in model.parameters())
        assert result.rows[0].outputs == (((), np.dtype(np.float32)),)


# --- the call leaves no trace ---------------------------------------------------------------------------


def test_the_module_is_as_before_also_after_an_error():
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    net[0].weight.requires_grad = False
    before = [dict(vars(module)) for module in net.modules()]
    summary(net, ones(1, 3))
    with pytest.raises(ValueError, match="Linear: the last axis of x must be 3"):
        summary(net, ones(1, 4))
    assert [vars(module) for module in net.modules()] == before
    assert not net[0].weight.requires_grad
    assert all(p.grad is None for p in net.parameters())


def test_an_own_forward_of_one_object_is_put_back():
    net = nn.Linear(2, 2)
    net.forward = own = lambda x: mg.tanh(x @ net.weight)
    assert summary(net, ones(1, 2)).multiply_adds == 4
    assert net.forward is own


def test_it_works_under_no_grad_and_within_record():
    net = nn.Linear(2, 3)
    expected = str(summary(net, ones(4, 2)))
    with mg.no_grad():
        assert str(summary(net, ones(4, 2))) == expected
        assert not net(ones(4, 2)).requires_grad
    with mg.record():
        assert str(summary(net, ones(4, 2))) == expected
        assert note_of(net(ones(4, 2)).node) is not None


def test_anything_but_a_module_is_refused():
    with pytest.raises(TypeError, match="summary: expected a Module, not function"):
        summary(lambda x: x, ones(1))


# --- residuals ------------------------------------------------------------------------------------------


def test_frozen_parts_are_counted_but_keep_nothing():
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    for p in net[0].parameters():
        p.requires_grad = False
    result = summary(net, ones(5, 3))
    assert result.frozen == 16
    assert [row.multiply_adds for row in result.rows] == [0, 60, 0, 40]
    assert [row.residual_bytes for row in result.rows] == [0, 0, 0, 5 * 4 * 4]
    assert "16 of them require no gradient" in str(result)


def test_residuals_are_those_that_the_graph_holds():
    net = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Dropout(0.5, rng=0), nn.Linear(5, 4))
    result = summary(net, ones(7, 6))
    x, stack, owners = net(ones(7, 6)), [], {}
    stack, done = [x.node], set()
    while stack:
        node = stack.pop()
        if node not in done:
            done.add(node)
            stack += node.parents
            for array in node.residuals:
                if isinstance(array, np.ndarray):
                    owner = array if array.base is None else array.base
                    owners[id(owner)] = owner
    for p in net.parameters():
        owners.pop(id(p.data), None)
    assert result.residual_bytes == sum(owner.nbytes for owner in owners.values())


def test_memory_that_arrays_share_counts_once():
    twice = Function(lambda x, w: (x * w) * (x * w), 3)
    assert summary(twice, mg.tensor(ones(3))).residual_bytes == 12 + 2 * 12  # x; both products
    views = Function(lambda x, w: mg.concatenate([mg.square(y) for y in mg.split(mg.tanh(x * w), 3)]), 30)
    # x; the tanh, of which the parts are views; where each part goes
    assert summary(views, mg.tensor(ones(30))).residual_bytes == 120 + 120 + 24


def test_what_the_result_does_not_need_costs_time_but_no_memory():
    def forward(x: Any, w: Any) -> Any:
        mg.matmul(x, w)
        return w * 2.0

    result = summary(Function(forward, 3, 3), ones(2, 3))
    assert result.multiply_adds == 18
    assert result.residual_bytes == 0


def test_a_part_that_differentiates_right_away_keeps_nothing():
    class Inner(nn.Module):
        def __init__(self) -> None:
            self.w = nn.Parameter(ones(3, 3))

        def forward(self, x: Any) -> Any:
            loss = mg.sum(mg.tanh(x @ self.w))
            loss.backward()
            return loss

    result = summary(Inner(), ones(2, 3))
    assert result.multiply_adds == 18
    assert result.residual_bytes == 0


# --- multiply-adds --------------------------------------------------------------------------------------


def products(forward: Any, *arrays: np.ndarray) -> int:
    """The multiply-adds of a function whose last argument is the parameter."""
    module = Function(forward, *arrays[-1].shape)
    return summary(module, *arrays[:-1]).multiply_adds


@pytest.mark.parametrize(
    ("a", "b", "count"),
    [
        ((3,), (3,), 3),
        ((2, 3), (3,), 6),
        ((3,), (3, 5), 15),
        ((2, 3), (3, 5), 30),
        ((7, 2, 3), (3, 5), 210),
        ((7, 1, 2, 3), (4, 3, 5), 840),
        ((2, 0), (0, 5), 0),
    ],
)
def test_matmul(a, b, count):
    assert products(mg.matmul, ones(*a), ones(*b)) == count


@given(st.data())
def test_einsum_of_two_is_a_count_of_loops(data):
    size = {letter: data.draw(st.integers(1, 4)) for letter in "ijkl"}
    terms = [data.draw(st.lists(st.sampled_from("ijkl"), unique=True, max_size=3)) for _ in range(2)]
    letters = sorted({*terms[0], *terms[1]})
    output = data.draw(st.lists(st.sampled_from(letters), unique=True)) if letters else []
    text = f"{''.join(terms[0])},{''.join(terms[1])}->{''.join(output)}"
    loops = int(np.prod([size[letter] for letter in letters]))
    a, b = (ones(*(size[letter] for letter in term)) for term in terms)
    assert products(lambda x, w: mg.einsum(text, x, w), a, b) == loops


def test_einsum_with_ellipses_stretched_axes_one_and_three_operands():
    assert products(lambda x, w: mg.einsum("...ij,jk", x, w), ones(6, 2, 3), ones(3, 4)) == 6 * 2 * 3 * 4
    assert products(lambda x, w: mg.einsum("ij,ij->i", x, w), ones(1, 3), ones(5, 3)) == 15
    assert products(lambda w: mg.einsum("ij->ji", w), ones(2, 3)) == 0
    assert products(lambda w: mg.einsum("ii->", w), ones(3, 3)) == 0
    # NumPy multiplies the two short ones first, and the sum over j is then a number
    count = products(lambda x, y, w: mg.einsum("i,j,j->i", x, y, w), ones(50), ones(40), ones(40))
    assert count == 40 + 50


def loops_of_conv(x: np.ndarray, w: np.ndarray, output: tuple[int, ...], groups: int) -> int:
    """Counted one by one."""
    count, (filters, channels, height, width) = 0, w.shape
    for _n in range(x.shape[0]):
        for _f in range(filters):
            for _p in range(output[2]):
                for _q in range(output[3]):
                    for _c in range(x.shape[1] // groups):
                        count += height * width
    assert channels == x.shape[1] // groups
    return count


@pytest.mark.parametrize(
    "options", [{}, {"stride": 2, "padding": 1}, {"dilation": 2}, {"groups": 2}, {"groups": 4, "stride": (1, 2)}]
)
def test_conv2d(options):
    x, w = ones(2, 4, 7, 6), ones(8, 4 // options.get("groups", 1), 3, 2)
    output = mg.conv2d(x, w, **options).shape
    count = products(lambda x, w: mg.conv2d(x, w, **options), x, w)
    assert count == loops_of_conv(x, w, output, options.get("groups", 1))


@pytest.mark.parametrize("options", [{}, {"stride": 2, "output_padding": 1}, {"groups": 2}])
def test_conv_transpose2d_costs_as_much_as_the_convolution_that_it_transposes(options):
    x, w = ones(2, 4, 5, 4), ones(4, 6 // options.get("groups", 1), 3, 2)
    back = mg.conv_transpose2d(x, w, **options)
    same = {name: value for name, value in options.items() if name != "output_padding"}
    assert products(lambda x, w: mg.conv_transpose2d(x, w, **options), x, w) == products(
        lambda x, w: mg.conv2d(x, w, **same), back.numpy(), w
    )


@pytest.mark.parametrize(("name", "gates"), [("rnn", 1), ("lstm", 4)])
def test_sequences_cost_as_much_as_their_steps_and_their_references(name, gates):
    N, T, D, H = 2, 3, 4, 5
    layer = (nn.RNN if name == "rnn" else nn.LSTM)(D, H)
    expected = N * T * (D + H) * gates * H
    assert summary(layer, ones(N, T, D)).multiply_adds == expected

    class Steps(nn.Module):
        def __init__(self) -> None:
            self.layer = layer

        def forward(self, x: Any, reference: bool) -> Any:
            weights, zero = (layer.Wx, layer.Wh, layer.b), mg.tensor(ones(N, H))
            if reference:
                return getattr(mg.ops, name).primitive.reference(mg.tensor(x), zero, *weights)
            state = (zero,) if gates == 1 else (zero, zero)
            for t in range(T):
                state = getattr(mg.ops, f"{name}_step")(x[:, t], *state, *weights)
                state = state if isinstance(state, tuple) else (state,)
            return state

    for reference in (False, True):
        assert summary(Steps(), ones(N, T, D), reference=reference).multiply_adds == expected


def test_temporal_affine():
    def forward(x: Any, w: Any) -> Any:
        return mg.temporal_affine(x, w, np.zeros(5, np.float32))

    assert products(forward, ones(2, 3, 4), ones(4, 5)) == 2 * 3 * 4 * 5


def test_what_costs_a_few_operations_for_each_entry_counts_as_nothing():
    assert products(lambda x, w: mg.softmax(mg.tanh(x * w) + w), ones(2, 3), ones(3)) == 0


def test_the_cost_of_a_primitive_of_ones_own_is_not_made_up():
    @mg.primitive(broadcasts=True)
    def matmul(a, b):
        return a * b, (a, b)

    try:
        result = summary(Function(matmul, 3), ones(3))
    finally:
        del mg.primitives.PRIMITIVES[f"{matmul.primitive.module}.matmul"]
    assert result.multiply_adds == 0
    assert result.uncounted == ("matmul",)
    assert "not known, and left out, of: matmul" in str(result)


def test_a_count_needs_shapes_alone():
    huge = (10**6, 10**6)
    assert mg.ops.matmul.primitive.cost([huge, huge], huge, {}) == 10**18
    assert mg.ops.einsum.primitive.cost([huge, huge], huge, {"subscripts": "ij,jk"}) == 10**18


# --- PyTorch --------------------------------------------------------------------------------------------


def test_parameters_are_as_many_as_pytorchs():
    calls: list[tuple[Any, ...]] = [
        ("Linear", (5, 7), {}, (2, 5)),
        ("Conv2d", (4, 6, (3, 2)), {"groups": 2}, (1, 4, 5, 5)),
        ("Embedding", (11, 3), {}, None),
        ("RNN", (5, 7), {}, (1, 2, 5)),
        ("LSTM", (5, 7), {}, (1, 2, 5)),
    ]

    def theirs(torch: Any, name: str, *sizes: Any, **options: Any) -> int:
        module = getattr(torch.nn, name)(*sizes, **options)
        doubled = {"bias_hh_l0"}  # PyTorch's recurrent layers have two biases that are only ever added
        return sum(p.numel() for n, p in module.named_parameters() if n not in doubled)

    for name, sizes, options, shape in calls:
        x = np.zeros((2, 2), np.int64) if shape is None else ones(*shape)
        count = PYTORCH.ask(f"parameters of {name}", theirs, [name, *sizes], options).expected
        assert summary(getattr(nn, name)(*sizes, **options), x).parameters == count


def test_multiply_adds_are_half_of_pytorchs_operations():
    def theirs(torch: Any) -> int:
        from torch.utils.flop_counter import FlopCounterMode

        module = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3, stride=2, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(8, 4, 3, groups=2)
        )
        with FlopCounterMode(display=False) as counter:
            module(torch.ones(2, 3, 12, 10))
        return counter.get_total_flops()

    ours = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(8, 4, 3, groups=2))
    operations = PYTORCH.ask("operations of two convolutions", theirs).expected
    assert 2 * summary(ours, ones(2, 3, 12, 10)).multiply_adds == operations
