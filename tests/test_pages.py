"""The pages: their examples run, and what they name exists."""

from __future__ import annotations

import copy
import doctest
import importlib.util
import inspect
import re
import shutil
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from tests.peers import pytorch

ROOT = Path(__file__).parent.parent
PAGES = ["README.md", "CONTRIBUTING.md", *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs").rglob("*.md"))]


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


# --- what pages and comments name -------------------------------------------------------------------------

FILE = re.compile(
    r"(?<!\.\./)\b((?:docs|tests|examples|minigrad|captioning|theory|benchmarks)/[\w/]*\w\.(?:py|md|svg|json))\b"
)
INVENTED = {"tests/ops/test_odd.py", "minigrad/none.py"}
CODE = sorted(
    str(path.relative_to(ROOT))
    for folder in ("minigrad", "captioning", "theory", "benchmarks", "examples", "tests")
    for path in (ROOT / folder).rglob("*.py")
)


def test_files_that_pages_and_comments_name_exist():
    named = {(page, name) for page in [*PAGES, *CODE] for name in FILE.findall(text_of(page))}
    places = {(page, name): (ROOT / name, (ROOT / page).parent / name) for page, name in named}
    missing = {name for name in places if not any(path.exists() for path in places[name])}
    assert {(page, name) for page, name in missing if name not in INVENTED} == set()


# --- examples ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "page",
    [
        "explanations/any_order.md",
        "explanations/compiler.md",
        "explanations/engine.md",
        "explanations/trust.md",
        "guides/derivatives.md",
    ],
)
def test_examples_of_a_page(page):
    mg.manual_seed(0)
    found = doctest.testfile(str(ROOT / "docs" / page), False, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.failed == 0 < found.attempted


BLOCKS = [
    (page, *block)
    for page in (
        "README.md",
        "docs/guides/debug_and_profile.md",
        "docs/guides/draw_graphs.md",
        "docs/guides/onnx.md",
        "docs/guides/train_a_model.md",
        "docs/reach.md",
    )
    for block in re.findall(r"```python\n(.*?)```(?:\n\n```\n(.*?)```)?", text_of(page), re.DOTALL)
]


@pytest.mark.parametrize(("page", "code", "printed"), BLOCKS)
def test_programs_of_a_page(page, code, printed, tmp_path, monkeypatch, capsys):
    if "render.draw" in code and shutil.which("dot") is None and importlib.util.find_spec("graphviz_pure") is None:
        pytest.skip("no dot")
    if "export_onnx" in code:
        pytest.importorskip("onnx")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, page, "exec"), {})
    for name in re.findall(r'"(\w+\.\w+)"', code):
        assert (tmp_path / name).stat().st_size
    assert not printed or capsys.readouterr().out == printed


# --- coming from PyTorch: two columns ---------------------------------------------------------------------

PAGE = text_of("docs/guides/coming_from_pytorch.md")
_CELL = r"<td>\n\n```python\n(.*?)```\n\n</td>"
ROWS = re.findall(rf"<tr>(<!-- differs -->)?{_CELL}{_CELL}</tr>", PAGE, re.DOTALL)


def run(blocks: Iterable[str]) -> int:
    """Run blocks one after the other with shared names; return the number of examples."""
    names: dict[str, object] = {}
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    mg.manual_seed(0)
    for number, code in enumerate(blocks):
        test = doctest.DocTestParser().get_doctest(code, names, f"row {number}", "coming_from_pytorch.md", 0)
        runner.run(test, clear_globs=False)
        names = test.globs  # doctest copies the names that it is given
    assert runner.failures == 0
    return runner.tries


def test_both_columns_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(ROWS) == PAGE.count("<tr>") - PAGE.count("<th>PyTorch</th>")
    assert run(ours for _, _, ours in ROWS) > 60
    if pytorch():
        with warnings.catch_warnings(action="ignore"):
            assert run(theirs for _, theirs, _ in ROWS) > 60


def numbers_of(code: str) -> list[str]:
    """The numbers and truth values that a block prints, without those in names of types."""
    outputs = "\n".join(example.want for example in doctest.DocTestParser().get_examples(code))
    return re.findall(r"(?<![\w.])-?\d+\.?\d*(?:e[+-]?\d+)?\b|\b(?:True|False|None)\b", outputs)


@pytest.mark.parametrize(("differs", "theirs", "ours"), ROWS, ids=range(len(ROWS)))
def test_both_columns_print_the_same(differs, theirs, ours):
    assert differs or numbers_of(theirs) == numbers_of(ours)


x32, pairs = np.ones((2, 2), np.float32), np.array([3.0, 1.0])
DIFFERENCES = {
    "`Linear.weight`": lambda: mg.nn.Linear(2, 3).weight.shape == (2, 3),
    "gates of an LSTM; its biases": lambda: mg.nn.LSTM(2, 3).b.data.tolist() == [0] * 3 + [1] * 3 + [0] * 6,
    "recurrent layers": lambda: mg.nn.RNN(2, 3)(np.ones((4, 5, 2)))[1].shape == (4, 3),
    "`cross_entropy` of (N, C, T)": lambda: mg.cross_entropy(np.ones((2, 4, 3)), np.ones((2, 4), int)).shape == (),
    "boolean masks of the attention layer": lambda: attended([[True, False]]).tolist() == [[[1, 0]]],
    "a padding mask (N, S)": lambda: attended(np.array([[True, False]])[:, None, :]).tolist() == [[[1, 0]]],
    "`ignore_index`": lambda: default(mg.cross_entropy, "ignore_index") is None,
    "`cross_entropy` if all is ignored": (
        lambda: mg.cross_entropy(np.ones((1, 2)), np.array([-100]), ignore_index=-100) == 0
    ),
    "the third argument of `cross_entropy`": lambda: mg.cross_entropy(x32, np.array([0, 1]), "sum", weight=pairs) > 0,
    "an average of weights (`EMA`)": lambda: our_average() == 1,
    "an SGD step on RNN biases": (
        lambda: np.allclose(moved(mg.nn.RNN, mg.optim.SGD, mg.tensor(x32[None, :1])), one_move())
    ),
    "a cosine schedule past its end": lambda: our_rates(lambda sgd: mg.optim.CosineLR(sgd, 2))[2:] == [0, 0],
    "`OneCycleLR` past its end": (
        lambda: len(set(our_rates(lambda sgd: mg.optim.OneCycleLR(sgd, 1.0, 2, cycle_momentum=False))[1:])) == 1
    ),
    "minibatches": lambda: default(mg.data.batches, "shuffle"),
    "`Embedding(padding_idx=)`, `Adam(amsgrad=)`": lambda: (
        fails(TypeError, lambda: mg.nn.Embedding(2, 3, padding_idx=0))
        and fails(TypeError, lambda: mg.optim.Adam([mg.nn.Parameter(pairs)], amsgrad=True))
    ),
    '`Conv1d(padding="same")` with a stride': (
        lambda: mg.nn.Conv1d(1, 1, 3, stride=2, padding="same")(np.ones((1, 1, 7))).shape == (1, 1, 4)
    ),
    "initialisers, `init.normal_(w)`": (
        lambda: fails(TypeError, lambda: mg.nn.init.zeros(mg.nn.Parameter(x32))) and written() == [0, 0]
    ),
    "`tensor([1, 2]) / 2`": lambda: (mg.tensor([1, 2]) / 2).dtype == (mg.tensor([1, 2]) * x32).dtype == np.float64,
    "integers into a float32 layer": (
        lambda: [mg.nn.Linear(2, 3)(np.array([1, 2], f"i{n}")).dtype.itemsize for n in (1, 2, 4, 8)] == [4, 4, 8, 8]
    ),
    "`var`, `std`": lambda: mg.tensor(pairs).var() == 1 and mg.tensor(pairs).var(ddof=1) == 2,
    "`max(dim)`, `min(dim)`": lambda: mg.tensor(pairs).max(axis=0) == 3,
    "gradient of ties in `max(dim)`, `min(dim)`, `max_pool2d`": lambda: (
        slopes(np.ones((1, 1, 2, 2)), lambda x: mg.max_pool2d(x, 2)) == [0.25] * 4
        and slopes(np.ones((1, 1, 2, 2)), lambda x: x.max(axis=3)) == [0.5] * 4
    ),
    "gradient of `ReLU6` at 6": lambda: slopes(np.array([6.0]), mg.nn.ReLU6()) == [1],
    "gradient of `ctc_loss` w.r.t. log-probabilities y": (
        lambda: np.allclose(slopes(FRAMES, lambda y: mg.ctc_loss(y, *SPELT)), slopes_of_frames(), atol=1e-7)
    ),
    "`copy.deepcopy(module)`": lambda: hooked(mg.nn.ReLU(), mg.tensor([1.0])) == 1,
    "`head.weight = embed.weight`": (
        lambda: mg.nn.Linear(2, 3).weight.shape == mg.nn.Embedding(3, 2).weight.T.shape != (3, 2)
    ),
    "`sort`": lambda: mg.sort(pairs).tolist() == [1, 3] and mg.argsort(pairs).tolist() == [1, 0],
    "`split(x, 3)`": lambda: len(mg.split(np.ones(12), 3)) == 3,
    "`x.repeat(2)`": (
        lambda: mg.tensor(pairs).repeat(2).tolist() == [3, 3, 1, 1] and mg.tile(pairs, 2).tolist() == [3, 1, 3, 1]
    ),
    "float32 times a float64 number without axes": (
        lambda: (mg.tensor(x32) * np.float64(2)).dtype == np.float64 and (mg.tensor(x32) * 2.0).dtype == np.float32
    ),
    "an ndarray of float64 into a float32 layer": lambda: mg.nn.Linear(2, 3)(pairs).dtype == np.float64,
    "a loss of two shapes that broadcast": lambda: fails(ValueError, lambda: mg.mse_loss(np.ones((2, 1)), np.ones(2))),
    "an ndarray overwritten before `backward`": lambda: (
            (refilled(mg.tensor([1.0, 1.0], requires_grad=True), np.asarray, 2) == 1).all()
            and fails(ValueError, lambda: refilled(mg.tensor(np.ones(2**18), requires_grad=True), np.asarray, 2**18))
        ),
    "`y += x`": lambda: added(mg.tensor([1.0])) == (1, False),
    "`x[i] = v`, x tracked": (
        lambda: fails(TypeError, lambda: (mg.tensor([1.0], requires_grad=True) * 1).__setitem__(0, 5.0))
    ),
    "`.grad`": lambda: isinstance(gradient(mg.tensor([1.0], requires_grad=True)), np.ndarray),
    "`add_()`, `zero_()` and other in-place methods": (
        lambda: not [name for name in dir(mg.Tensor) if name.endswith("_") and name[0] != "_"]
    ),
}  # fmt: skip
"""minigrad's side of each row of the last table."""

FRAMES, SPELT = np.log([[[0.5, 0.3, 0.2]], [[0.2, 0.2, 0.6]], [[0.1, 0.8, 0.1]]]), ([[1]], [3], [1])


def default(function, name):
    return inspect.signature(function).parameters[name].default


def moved(layer, sgd, x):
    """How far a step of SGD moves what is added to the units, which are at 0 and whose sum is the loss."""
    rnn = layer(2, 3)
    weights = list(rnn.parameters())
    for weight in weights:
        weight.data[...] = 0
    rnn(x)[0].sum().backward()
    sgd(weights, lr=0.5).step()
    return sum(np.asarray(weight.data) for weight in weights[2:])


def hooked(module, x):
    """How often a hook is called by a module and its copy."""
    calls = []
    module.register_forward_hook(lambda *_: calls.append(1))
    for each in (module, copy.deepcopy(module)):
        each(x)
    return len(calls)


def attended(mask):
    return mg.nn.MultiHeadAttention(2, 1)(x32[:1], x32, mask=mask, need_weights=True)[1]


def our_average():
    weight = mg.tensor([0.0], requires_grad=True)
    averaged = mg.optim.EMA([weight], 0.75)
    weight.data[...] = 4
    averaged.update()
    return averaged.averages["0"].item()


def one_move():
    return np.full(3, -0.5)


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


def slopes(x, function):
    """The gradient of the sum of a function, at a point of either framework, as a list."""
    x = mg.tensor(x, requires_grad=True) if isinstance(x, np.ndarray) else x.requires_grad_()
    function(x).sum().backward()
    return np.asarray(x.grad).ravel().tolist()


def slopes_of_frames():
    return mg.numerical_gradient(lambda y: mg.ctc_loss(y, *SPELT), FRAMES, np.array(1.0)).ravel()


@pytest.mark.parametrize("row", DIFFERENCES)
def test_differences_that_bite(row):
    assert f"\n| {row} |" in PAGE
    assert DIFFERENCES[row]()
