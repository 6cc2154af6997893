"""The pages: their examples run, and what they name exists."""

from __future__ import annotations

import copy
import doctest
import importlib.util
import inspect
import json
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
        "explanations/refusals.md",
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
        "docs/index.md",
        "docs/reach.md",
    )
    for block in re.findall(r"```python\n(.*?)```(?:\n\n```\n(.*?)```)?", text_of(page), re.DOTALL)
]


@pytest.mark.parametrize(("page", "code", "printed"), BLOCKS)
def test_programs_of_a_page(page, code, printed, tmp_path, monkeypatch, capsys):
    if "render.draw" in code and shutil.which("dot") is None and importlib.util.find_spec("graphviz_pure") is None:
        pytest.skip("no dot")
    if "export_onnx" in code:
        pytest.importorskip("onnx", reason="no onnx: onnx not installed")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, page, "exec"), {})
    for name in re.findall(r'"(\w+\.\w+)"', code):
        assert (tmp_path / name).stat().st_size
    assert not printed or capsys.readouterr().out == printed


# --- coming from PyTorch: two columns ---------------------------------------------------------------------

PAGE = text_of("docs/guides/coming_from_pytorch.md")
_CELL = r"<td>\n\n```python\n(.*?)```\n\n</td>"
ROWS = re.findall(rf"<tr>(<!-- differs -->)?{_CELL}{_CELL}</tr>", PAGE, re.DOTALL)
EXCHANGE = re.findall(r"```python\n(.*?)```", PAGE.partition("## Exchange weights")[2], re.DOTALL)


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
    assert run(ours for _, _, ours in ROWS) > 15
    if pytorch():
        with warnings.catch_warnings(action="ignore"):
            assert run(theirs for _, theirs, _ in ROWS) > 15
            assert run(EXCHANGE) > 10


def numbers_of(code: str) -> list[str]:
    """The numbers and truth values that a block prints, without those in names of types."""
    outputs = "\n".join(example.want for example in doctest.DocTestParser().get_examples(code))
    return re.findall(r"(?<![\w.])-?\d+\.?\d*(?:e[+-]?\d+)?\b|\b(?:True|False|None)\b", outputs)


@pytest.mark.parametrize(("differs", "theirs", "ours"), ROWS, ids=range(len(ROWS)))
def test_both_columns_print_the_same(differs, theirs, ours):
    assert differs or numbers_of(theirs) == numbers_of(ours)


x32, pairs = np.ones((2, 2), np.float32), np.array([3.0, 1.0])
tracked = mg.tensor(pairs, requires_grad=True)
DIFFERENCES = {
    "`x.max(dim=0).values`, `.indices`": lambda: tracked.max(axis=0) == 3 and tracked.argmax(axis=0) == 0,
    "`x.sort().values`, `.indices`": lambda: mg.sort(pairs).tolist() == [1, 3] and mg.argsort(pairs).tolist() == [1, 0],
    "`torch.func.jacrev(f)(x)`": lambda: mg.jacobian(mg.square)(pairs).tolist() == [[6, 0], [0, 2]],
    "`torch.func.jvp(f, (x,), (v,))`": lambda: mg.jvp(mg.square, [pairs], [pairs])[1].tolist() == [18, 2],
    "`torch.autograd.grad(f(x), x, create_graph=True)`": lambda: second_slope(tracked).tolist() == [18, 6],
    "`checkpoint(f, x, use_reentrant=False)`": lambda: mg.checkpoint(mg.square, tracked).tolist() == [9, 1],
    "`lstm(pack_padded_sequence(x, lengths, …))`": (
        lambda: mg.nn.LSTM(2, 3)(np.ones((1, 2, 2)), lengths=[1])[0][0, 1].tolist() == [0, 0, 0]
    ),
    "`DataLoader(TensorDataset(x, y), batch_size=24)`": (
        lambda: [len(b) for _, b in mg.data.batches(np.ones(64), np.ones(64), size=24)] == [24, 24, 16]
    ),
    "`torch.get_rng_state()`": lambda: json.loads(json.dumps(mg.rng_state())) == mg.rng_state(),
    "`x.max(dim)`, `x.sort()` return": lambda: mg.tensor(x32).max(axis=1).shape == (2,) == mg.sort(pairs).shape,
    "`MultiHeadAttention` returns": lambda: mg.nn.MultiHeadAttention(2, 1)(x32[None]).shape == (1, 2, 2),
    "two schedules on one optimiser": lambda: our_rates(with_two_schedules)[:2] == [0.5, 0.5],
    "a target of -100 in `cross_entropy`": lambda: fails_on_minus_100(),
    "gates of an LSTM": lambda: mg.nn.LSTM(2, 3).b.data.tolist() == [0] * 3 + [1] * 3 + [0] * 6,
    "last states of a recurrent layer": lambda: mg.nn.RNN(2, 3)(np.ones((4, 5, 2)))[1].shape == (4, 3),
    "`cross_entropy` if all is ignored": (
        lambda: mg.cross_entropy(np.ones((1, 2)), np.array([-100]), ignore_index=-100) == 0
    ),
    "`EMA`, an average of weights": lambda: our_average() == 1,
    "a cosine schedule past its end": lambda: our_rates(lambda sgd: mg.optim.CosineLR(sgd, 2))[2:] == [0, 0],
    "minibatches": lambda: default(mg.data.batches, "shuffle"),
    "`tensor([1, 2]) / 2`": lambda: (mg.tensor([1, 2]) / 2).dtype == np.float64,
    "int64 with float32": lambda: (mg.tensor([1, 2]) * x32).dtype == np.float64,
    "integers into a float32 layer": (
        lambda: [mg.nn.Linear(2, 3)(np.array([1, 2], f"i{n}")).dtype.itemsize for n in (1, 2, 4, 8)] == [4, 4, 8, 8]
    ),
    "`var`, `std`": lambda: mg.tensor(pairs).var() == 1 and mg.tensor(pairs).var(ddof=1) == 2,
    "gradient of ties in `max(dim)`, `max_pool2d`": lambda: (
        slopes(np.ones((1, 1, 2, 2)), lambda x: mg.max_pool2d(x, 2)) == [0.25] * 4
        and slopes(np.ones((1, 1, 2, 2)), lambda x: x.max(axis=3)) == [0.5] * 4
    ),
    "gradient of `ctc_loss` w.r.t. log-probabilities y": (
        lambda: np.allclose(slopes(FRAMES, lambda y: mg.ctc_loss(y, *SPELT)), slopes_of_frames(), atol=1e-7)
    ),
    "gradient of `arctan2(±inf, 0)`": lambda: np.isnan([slopes_of_arctan2(np.inf), slopes_of_arctan2(-np.inf)]).all(),
    "second derivative of `elu` at 0": lambda: mg.grad(mg.grad(lambda x: mg.elu(x, 3.0)))(0.0) == 1.5,
    "`grad(f)(0.3)`": lambda: mg.grad(mg.square)(0.3).dtype == np.float32,
    "gradient with respect to a bound of `clip`, also a 0-d tensor": lambda: fails_with_a_tracked_bound(),
    "`x.size()`, `x.dim()`": lambda: fails_with_calls_of_numbers(mg.tensor(pairs)),
    "`copy.deepcopy(module)`": lambda: hooked(mg.nn.ReLU(), mg.tensor([1.0])) == 1,
    "`head.weight = embed.weight`": (
        lambda: mg.nn.Linear(2, 3).weight.shape == mg.nn.Embedding(3, 2).weight.T.shape != (3, 2)
    ),
    "`split(x, 3)`": lambda: len(mg.split(np.ones(12), 3)) == 3,
    "`x.repeat(2)`": (
        lambda: mg.tensor(pairs).repeat(2).tolist() == [3, 3, 1, 1] and mg.tile(pairs, 2).tolist() == [3, 1, 3, 1]
    ),
    "`y += x`": lambda: added(mg.tensor([1.0])) == (1, False),
    "`.grad`": lambda: isinstance(gradient(mg.tensor([1.0], requires_grad=True)), np.ndarray),
}  # fmt: skip
"""minigrad's side of rows of the tables of names and of differences."""

FRAMES, SPELT = np.log([[[0.5, 0.3, 0.2]], [[0.2, 0.2, 0.6]], [[0.1, 0.8, 0.1]]]), ([[1]], [3], [1])


def default(function, name):
    return inspect.signature(function).parameters[name].default


def hooked(module, x):
    """How often a hook is called by a module and its copy."""
    calls = []
    module.register_forward_hook(lambda *_: calls.append(1))
    for each in (module, copy.deepcopy(module)):
        each(x)
    return len(calls)


def our_average():
    weight = mg.tensor([0.0], requires_grad=True)
    averaged = mg.optim.EMA([weight], 0.75)
    weight.data[...] = 4
    averaged.update()
    return averaged.averages["0"].item()


def slopes_of_arctan2(y):
    with np.errstate(invalid="ignore"):
        return [slope.item() for slope in mg.grad(mg.arctan2, (0, 1))(y, 0.0)]


def fails_with_calls_of_numbers(x):
    assert (type(x.size), x.size, x.ndim) == (int, 2, x.data.ndim)
    with pytest.raises(TypeError, match="'int' object is not callable"):
        x.size()
    with pytest.raises(AttributeError, match=r"Use x\.ndim"):
        x.dim()
    return True


def fails_with_a_tracked_bound():
    x, bound = mg.tensor([1.0, 3.0]), mg.tensor(2.0, requires_grad=True)
    assert mg.clip(x, max=bound.detach()).tolist() == [1, 2]
    assert mg.grad(lambda bound: mg.minimum(x, bound).sum())(bound) == 1
    with pytest.raises(TypeError, match="max is not differentiable"):
        mg.clip(x, max=bound)
    return True


def fails_on_minus_100():
    with pytest.raises(IndexError):
        mg.cross_entropy(x32, np.array([0, -100]))
    return True


def our_rates(schedule):
    sgd = mg.optim.SGD([mg.tensor([1.0], requires_grad=True)], lr=1.0)
    return stepped(sgd, schedule(sgd))


def with_two_schedules(sgd):
    """Return a schedule that halves the rate, after another one has halved it; PyTorch's product would be 1/4."""
    first, second = (mg.optim.StepLR(sgd, 1, 0.5) for _ in range(2))
    second.step()
    return first


def stepped(sgd, schedule):
    """The rates of four steps."""
    rates = []
    for _ in range(4):
        rates.append(sgd.param_groups[0]["lr"])
        schedule.step()
    return rates


def second_slope(x):
    """The second derivative of x³, by a gradient that is part of a graph."""
    with mg.create_graph():
        slope = mg.grad(lambda x: (x**3).sum())(x)
    slope.sum().backward()
    return x.grad


def added(y):
    """What a name for y has after y += y, and whether both are one still."""
    before = y
    y += y
    return before.item(), y is before


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
