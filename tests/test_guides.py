"""The guides' code runs."""

from __future__ import annotations

import copy
import doctest
import inspect
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import minigrad as mg
from minigrad.primitives import PRIMITIVES
from tests.peers import pytorch

DOCS = Path(__file__).parent.parent / "docs"


@contextmanager
def primitives_of_the_page() -> Iterator[None]:
    """What a page declares is forgotten behind it."""
    known = set(PRIMITIVES)
    mg.manual_seed(0)
    try:
        yield
    finally:
        for key in PRIMITIVES.keys() - known:
            del PRIMITIVES[key]


@pytest.mark.parametrize(("page", "least"), [("derivatives.md", 20)])
def test_a_guides_code_runs(page, least):
    with primitives_of_the_page():
        result = doctest.testfile(str(DOCS / page), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0
    assert result.attempted > least


# --- coming from PyTorch: two columns ----------------------------------------------------------------------

PAGE = (DOCS / "coming_from_pytorch.md").read_text(encoding="utf-8")
_CELL = r"<td>\n\n```python\n(.*?)```\n\n</td>"
_ROW = re.compile(rf"<tr>(<!-- differs -->)?{_CELL}{_CELL}</tr>", re.DOTALL)
_OF_BOTH = re.compile(r"\n\n```python\n(.*?)```\n\n(?!</td>)", re.DOTALL)  # a block between the tables uses both


class Row(NamedTuple):
    """What stands side by side, and whether it is said to give something else."""

    line: int
    theirs: str
    ours: str
    differs: bool


def line_of(place: int) -> int:
    return PAGE.count("\n", 0, place) + 1


ROWS = [Row(line_of(m.start()), m[2], m[3], bool(m[1])) for m in _ROW.finditer(PAGE)]
_TABLES_BLANKED = _ROW.sub(lambda m: re.sub(r"\S", " ", m[0]), PAGE)  # so that places stay
OF_BOTH = [(line_of(m.start(1)), m[1]) for m in _OF_BOTH.finditer(_TABLES_BLANKED)]


def run(blocks: list[tuple[int, str]]) -> int:
    """Run blocks one after the other, with names in common; how many examples there were."""
    names: dict[str, object] = {}  # a test of doctest has a copy of the names that it is given, and is asked for it
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    page = "coming_from_pytorch.md"
    with primitives_of_the_page():
        for line, code in blocks:
            test = doctest.DocTestParser().get_doctest(code, names, page, page, line)
            runner.run(test, clear_globs=False)
            names = test.globs
    assert runner.failures == 0
    return runner.tries


def printed(code: str) -> list[str]:
    """The numbers and truth values that a block prints, without those in names of types."""
    outputs = "\n".join(example.want for example in doctest.DocTestParser().get_examples(code))
    return re.findall(r"(?<![\w.])-?\d+\.?\d*(?:e[+-]?\d+)?\b|\b(?:True|False|None)\b", outputs)


def test_every_table_of_the_page_is_read():
    assert len(ROWS) == PAGE.count("<tr>") - PAGE.count("<th>PyTorch</th>")
    assert len(ROWS) > 20


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("folder")
def test_the_column_of_minigrad_runs():
    assert run([(row.line, row.ours) for row in ROWS]) > 60


@pytest.mark.usefixtures("folder")
def test_the_column_of_pytorch_runs_where_it_is():
    theirs = [(row.line, row.theirs) for row in ROWS]
    if pytorch():
        with warnings.catch_warnings(action="ignore"):  # PyTorch's, of itself
            assert run(theirs) > 60
            assert run([*theirs, *((row.line, row.ours) for row in ROWS), *OF_BOTH]) > 120


@pytest.mark.parametrize("row", [row for row in ROWS if not row.differs], ids=lambda row: f"line {row.line}")
def test_both_columns_print_the_same(row):
    """Where they run, doctest compares what is printed with the page; so the page's texts are what is compared."""
    assert printed(row.theirs) == printed(row.ours)


# Of each row of the last table what shows both sides of it: a function of PyTorch's module, and one of ours.
x32, pairs = np.ones((2, 2), np.float32), np.array([3.0, 1.0])
DIFFERENCES = {
    "`Linear.weight`": (
        lambda torch: torch.nn.Linear(2, 3).weight.shape == (3, 2),
        lambda: mg.nn.Linear(2, 3).weight.shape == (2, 3),
    ),
    "gates of an LSTM; its biases": (
        lambda torch: len(list(torch.nn.LSTM(2, 3).parameters())) == 4,
        lambda: mg.nn.LSTM(2, 3).b.data.tolist() == [0] * 3 + [1] * 3 + [0] * 6,
    ),
    "recurrent layers": (
        lambda torch: not torch.nn.RNN(2, 3).batch_first,
        lambda: mg.nn.RNN(2, 3)(np.ones((4, 5, 2)))[1].shape == (4, 3),
    ),
    "`cross_entropy` of (N, C, T)": (
        lambda torch: torch.nn.functional.cross_entropy(torch.ones(2, 3, 4), torch.ones(2, 4).long()).ndim == 0,
        lambda: mg.cross_entropy(np.ones((2, 4, 3)), np.ones((2, 4), int)).shape == (),
    ),
    "boolean masks of the attention layer": (
        lambda torch: looks(torch, attn_mask=torch.tensor([[False, True]])),
        lambda: attended([[True, False]]).tolist() == [[[1, 0]]],
    ),
    "a padding mask (N, S)": (
        lambda torch: looks(torch, key_padding_mask=torch.tensor([[False, True]])),
        lambda: attended(np.array([[True, False]])[:, None, :]).tolist() == [[[1, 0]]],
    ),
    "`ignore_index`": (
        lambda torch: default(torch.nn.functional.cross_entropy, "ignore_index") == -100,
        lambda: default(mg.cross_entropy, "ignore_index") is None,
    ),
    "`cross_entropy` if all is ignored": (
        lambda torch: torch.nn.functional.cross_entropy(torch.ones(1, 2), torch.tensor([-100])).isnan(),
        lambda: mg.cross_entropy(np.ones((1, 2)), np.array([-100]), ignore_index=-100) == 0,
    ),
    "the third argument of `cross_entropy`": (
        lambda torch: torch.nn.functional.cross_entropy(torch.ones(1, 2), torch.tensor([0]), torch.ones(2)) > 0,
        lambda: mg.cross_entropy(x32, np.array([0, 1]), "sum", weight=pairs) > 0,
    ),
    "an average of weights (`EMA`)": (
        lambda torch: their_average(torch) == 4,
        lambda: our_average() == 1,
    ),
    "a step of SGD of an RNN's biases": (
        lambda torch: np.allclose(moved(torch.nn.RNN, torch.optim.SGD, torch.ones(1, 1, 2)), 2 * one_move()),
        lambda: np.allclose(moved(mg.nn.RNN, mg.optim.SGD, mg.tensor(x32[None, :1])), one_move()),
    ),
    "a cosine schedule past its end": (
        lambda torch: their_rates(torch)[2:] == [0, pytest.approx(0.5)],
        lambda: our_rates(lambda sgd: mg.optim.CosineLR(sgd, 2))[2:] == [0, 0],
    ),
    "`OneCycleLR` past its end": (
        lambda torch: fails(ValueError, lambda: their_rates(torch, one_cycle=True)),
        lambda: len(set(our_rates(lambda sgd: mg.optim.OneCycleLR(sgd, 1.0, 2, cycle_momentum=False))[1:])) == 1,
    ),
    '`Conv1d(padding="same")` with a stride': (
        lambda torch: fails(ValueError, lambda: torch.nn.Conv1d(1, 1, 3, stride=2, padding="same")),
        lambda: mg.nn.Conv1d(1, 1, 3, stride=2, padding="same")(np.ones((1, 1, 7))).shape == (1, 1, 4),
    ),
    "initialisers, `init.normal_(w)`": (
        lambda torch: torch.nn.init.zeros_(weight := torch.ones(2)) is weight,
        lambda: fails(TypeError, lambda: mg.nn.init.zeros(mg.nn.Parameter(x32))) and written() == [0, 0],
    ),
    "`tensor([1, 2]) / 2`": (
        lambda torch: (torch.tensor([1, 2]) / 2).dtype == (torch.tensor([1]) * torch.ones(1)).dtype == torch.float32,
        lambda: (mg.tensor([1, 2]) / 2).dtype == (mg.tensor([1, 2]) * x32).dtype == np.float64,
    ),
    "integers into a float32 layer": (
        lambda torch: fails(RuntimeError, lambda: torch.nn.Linear(2, 3)(torch.tensor([1, 2]))),
        lambda: [mg.nn.Linear(2, 3)(np.array([1, 2], f"i{n}")).dtype.itemsize for n in (1, 2, 4, 8)] == [4, 4, 8, 8],
    ),
    "`var`, `std`": (
        lambda torch: torch.tensor(pairs).var() == 2,
        lambda: mg.tensor(pairs).var() == 1 and mg.tensor(pairs).var(ddof=1) == 2,
    ),
    "`max(dim)`, `min(dim)`": (
        lambda torch: len(torch.tensor(pairs).max(0)) == 2,
        lambda: mg.tensor(pairs).max(axis=0) == 3,
    ),
    "gradient of ties in `max(dim)`, `min(dim)`, `max_pool2d`": (
        lambda torch: [slopes(torch.ones(1, 1, 2, 2), f) for f in (
            lambda x: torch.nn.functional.max_pool2d(x, 2), lambda x: x.max(3).values, lambda x: x.amax(3))
        ] == [[1, 0, 0, 0], [1, 0, 1, 0], [0.5] * 4],
        lambda: [slopes(np.ones((1, 1, 2, 2)), f) for f in (lambda x: mg.max_pool2d(x, 2), lambda x: x.max(axis=3))
        ] == [[0.25] * 4, [0.5] * 4],
    ),
    "gradient of `ReLU6` at 6": (
        lambda torch: slopes(torch.tensor([6.0]), torch.nn.ReLU6()) == [0],
        lambda: slopes(np.array([6.0]), mg.nn.ReLU6()) == [1],
    ),
    "gradient of `ctc_loss` w.r.t. log-probabilities y": (
        lambda torch: np.allclose(
            slopes(torch.tensor(FRAMES), lambda y: torch.nn.functional.ctc_loss(y, *map(torch.tensor, SPELT))),
            np.exp(FRAMES).ravel() + slopes_of_frames()),
        lambda: np.allclose(slopes(FRAMES, lambda y: mg.ctc_loss(y, *SPELT)), slopes_of_frames(), atol=1e-7),
    ),
    "`copy.deepcopy(module)`": (
        lambda torch: hooked(torch.nn.ReLU(), torch.ones(1)) == 2,
        lambda: hooked(mg.nn.ReLU(), mg.tensor([1.0])) == 1,
    ),
    "`head.weight = embed.weight`": (
        lambda torch: torch.nn.Linear(2, 3).weight.shape == torch.nn.Embedding(3, 2).weight.shape,
        lambda: mg.nn.Linear(2, 3).weight.shape == mg.nn.Embedding(3, 2).weight.T.shape != (3, 2),
    ),
    "`sort`": (
        lambda torch: len(torch.sort(torch.tensor(pairs))) == 2,
        lambda: mg.sort(pairs).tolist() == [1, 3] and mg.argsort(pairs).tolist() == [1, 0],
    ),
    "`split(x, 3)`": (
        lambda torch: len(torch.split(torch.ones(12), 3)) == 4,
        lambda: len(mg.split(np.ones(12), 3)) == 3,
    ),
    "`x.repeat(2)`": (
        lambda torch: torch.tensor(pairs).repeat(2).tolist() == [3, 1, 3, 1],
        lambda: mg.tensor(pairs).repeat(2).tolist() == [3, 3, 1, 1] and mg.tile(pairs, 2).tolist() == [3, 1, 3, 1],
    ),
    "float32 times a float64 number without axes": (
        lambda torch: (torch.tensor(x32) * torch.tensor(2.0).double()).dtype == torch.float32,
        lambda: (mg.tensor(x32) * np.float64(2)).dtype == np.float64 and (mg.tensor(x32) * 2.0).dtype == np.float32,
    ),
    "an ndarray of float64 into a float32 layer": (
        lambda torch: fails(RuntimeError, lambda: torch.nn.Linear(2, 3)(torch.tensor(pairs))),
        lambda: mg.nn.Linear(2, 3)(pairs).dtype == np.float64,
    ),
    "a loss of two shapes that broadcast": (
        lambda torch: torch.nn.functional.mse_loss(torch.ones(2, 1), torch.ones(2)) == 0,
        lambda: fails(ValueError, lambda: mg.mse_loss(np.ones((2, 1)), np.ones(2))),
    ),
    "an ndarray that is refilled before `backward`": (
        lambda torch: (refilled(torch.ones(2, requires_grad=True), torch.from_numpy, 2).numpy() == 0).all(),
        lambda: (
            (refilled(mg.tensor([1.0, 1.0], requires_grad=True), np.asarray, 2) == 1).all()
            and fails(ValueError, lambda: refilled(mg.tensor(np.ones(2**18), requires_grad=True), np.asarray, 2**18))
        ),
    ),
    "`y += x`": (
        lambda torch: added(torch.ones(1)) == (2, True),
        lambda: added(mg.tensor([1.0])) == (1, False),
    ),
    "`x[i] = v`, x tracked": (
        lambda torch: (torch.ones(2, requires_grad=True) * 1).__setitem__(0, 5.0) is None,
        lambda: fails(TypeError, lambda: (mg.tensor([1.0], requires_grad=True) * 1).__setitem__(0, 5.0)),
    ),
    "`.grad`": (
        lambda torch: isinstance(gradient(torch.ones(2, requires_grad=True)), torch.Tensor),
        lambda: isinstance(gradient(mg.tensor([1.0], requires_grad=True)), np.ndarray),
    ),
    "`add_()`, `zero_()` and their like": (
        lambda torch: torch.ones(1).add_(1) == 2,
        lambda: not [name for name in dir(mg.Tensor) if name.endswith("_") and name[0] != "_"],
    ),
}  # fmt: skip


def looks(torch, **masks):
    attend = torch.nn.MultiheadAttention(2, 1, batch_first=True)
    x = torch.ones(1, 2, 2)
    return attend(x[:, :1], x, x, **masks)[1].tolist() == [[[1, 0]]]


def attended(mask):
    return mg.nn.MultiHeadAttention(2, 1)(x32[:1], x32, mask=mask, need_weights=True)[1]


def their_average(torch):
    module = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(module.weight)
    ema = torch.optim.swa_utils
    averaged = ema.AveragedModel(module, multi_avg_fn=ema.get_ema_multi_avg_fn(0.75))
    torch.nn.init.constant_(module.weight, 4.0)
    averaged.update_parameters(module)
    return averaged.module.weight.item()


def our_average():
    weight = mg.tensor([0.0], requires_grad=True)
    averaged = mg.optim.EMA([weight], 0.75)
    weight.data[...] = 4
    averaged.update()
    return averaged.averages["0"].item()


def moved(layer, sgd, x):
    """How far a step of SGD moves what is added to the units, which are at 0 and whose sum is the loss."""
    rnn = layer(2, 3)
    weights = list(rnn.parameters())
    for weight in weights:
        weight.data[...] = 0
    rnn(x)[0].sum().backward()
    sgd(weights, lr=0.5).step()
    return sum(np.asarray(weight.data) for weight in weights[2:])


def one_move():
    return np.full(3, -0.5)  # the slope of tanh at 0 is 1


def their_rates(torch, one_cycle=False):
    sgd, schedules = torch.optim.SGD([torch.ones(1)], lr=1.0), torch.optim.lr_scheduler
    if one_cycle:
        return stepped(sgd, schedules.OneCycleLR(sgd, 1.0, total_steps=2, cycle_momentum=False))
    return stepped(sgd, schedules.CosineAnnealingLR(sgd, T_max=2))


def our_rates(schedule):
    sgd = mg.optim.SGD([mg.tensor([1.0], requires_grad=True)], lr=1.0)
    return stepped(sgd, schedule(sgd))


def stepped(sgd, schedule):
    """The rates of four steps."""
    rates = []
    for _ in range(4):
        rates.append(sgd.param_groups[0]["lr"])
        schedule.step()
    return rates


def written():
    weight = mg.nn.Parameter(np.ones(2))
    weight.data[...] = mg.nn.init.zeros(weight.shape).data
    return weight.tolist()


def default(function, name):
    return inspect.signature(function).parameters[name].default


def fails(error, call):
    with pytest.raises(error):
        call()
    return True


def added(y):
    """What a name for y has after y += y, and whether both are one still."""
    before = y
    y += y
    return before.item(), y is before


def refilled(x, shared, n):
    """The gradient of x of a sum of products with a buffer of ones, which is then zeros."""
    buffer = np.ones(n)
    y = (x * shared(buffer)).sum()
    buffer[...] = 0
    y.backward()
    return x.grad


def gradient(x):
    (x * x).sum().backward()
    return x.grad


FRAMES, SPELT = np.log([[[0.5, 0.3, 0.2]], [[0.2, 0.2, 0.6]], [[0.1, 0.8, 0.1]]]), ([[1]], [3], [1])


def slopes(x, function):
    """The gradient of the sum of a function, at a point of either framework, as a list."""
    x = mg.tensor(x, requires_grad=True) if isinstance(x, np.ndarray) else x.requires_grad_()
    function(x).sum().backward()
    return np.asarray(x.grad).ravel().tolist()


def slopes_of_frames():
    return mg.numerical_gradient(lambda y: mg.ctc_loss(y, *SPELT), FRAMES, np.array(1.0)).ravel()


def hooked(module, x):
    """How often a hook is called by a module and its copy."""
    calls = []
    module.register_forward_hook(lambda *_: calls.append(1))
    for each in (module, copy.deepcopy(module)):
        each(x)
    return len(calls)


def test_every_difference_of_the_table_is_shown():
    table = PAGE[PAGE.index("## Differences that bite") :]
    assert re.findall(r"^\| ((?!-)[^|]+) \|", table, re.MULTILINE) == list(DIFFERENCES)


@pytest.mark.parametrize("row", DIFFERENCES)
def test_differences_that_bite(row):
    theirs, ours = DIFFERENCES[row]
    assert ours()
    if torch := pytorch():
        with warnings.catch_warnings(action="ignore"):
            assert theirs(torch)
