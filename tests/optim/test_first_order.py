"""The steps and the state of first-order optimisers, and what they refuse."""

from __future__ import annotations

import copy
import math
import os
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import optim
from minigrad.optim import optimizer as base
from tests.peers import Peer

PYTORCH = Peer(__name__)


def leaf(array: Any) -> mg.Tensor:
    return mg.tensor(array, requires_grad=True)


# --- steps ---------------------------------------------------------------------------------------------


METHODS = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.05}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.05}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.05, "maximize": True}),
    ("RMSprop", {}),
    ("RMSprop", {"lr": 0.02, "alpha": 0.9, "eps": 1e-3, "weight_decay": 0.1, "momentum": 0.8}),
    ("RMSprop", {"lr": 0.02, "alpha": 0.9, "eps": 1e-2, "centered": True}),
    ("RMSprop", {"lr": 0.02, "alpha": 0.9, "eps": 1e-2, "momentum": 0.8, "centered": True, "maximize": True}),
    ("Adagrad", {"lr": 0.1, "weight_decay": 0.1, "maximize": True}),
    ("Adam", {}),
    ("Adam", {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-2, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.02, "betas": (0.8, 0.7), "weight_decay": 0.1, "amsgrad": True}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.02, "eps": 1e-2, "weight_decay": 0.3}),
    ("AdamW", {"lr": 0.02, "betas": (0.8, 0.7), "amsgrad": True, "maximize": True}),
]
NAMES = [f"{name}-{'-'.join(options)}" for name, options in METHODS]


def run(name: str, p: mg.Tensor, grads: Any, options: dict[str, Any]) -> optim.Optimizer:
    optimizer = getattr(optim, name)([p], **options)
    for g in grads:
        p.grad = g.astype(p.dtype)
        optimizer.step()
    return optimizer


@pytest.mark.parametrize(("name", "options"), METHODS, ids=NAMES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_pytorch(name, options, dtype):
    def theirs(torch, start, grads):
        parameter = torch.tensor(start, requires_grad=True)
        defaults = {} if name != "AdamW" else {"weight_decay": 1e-2}
        optimizer = getattr(torch.optim, name)([parameter], **{**defaults, **options})
        for g in grads:
            parameter.grad = torch.tensor(g)
            optimizer.step()
        return parameter

    rng = np.random.default_rng(2)
    drawn = rng.normal(size=(7, 9)).astype(dtype), rng.normal(size=(20, 7, 9)).astype(dtype)
    answer = PYTORCH.ask(f"{name} {options} {dtype}", theirs, drawn)
    start, grads = answer.inputs
    p = leaf(start)
    run(name, p, grads, options)
    assert p.dtype == dtype
    tolerance = 1e-12 if dtype == "float64" else 2e-5
    np.testing.assert_allclose(p.data, answer.expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("name", "options"), METHODS, ids=NAMES)
@pytest.mark.parametrize("layout", ["several blocks", "in columns", "strided"])
def test_any_layout_is_trained_as_its_entries_are(name, options, layout):
    rng = np.random.default_rng(0)
    start = rng.normal(size=(7, base._BLOCK // 3))
    grads = [rng.normal(size=start.shape) for _ in range(3)]
    lay = {"several blocks": np.ascontiguousarray, "in columns": np.asfortranarray}.get(layout, lambda a: a)
    p, few = leaf(lay(start)), [leaf(start[i, :3]) for i in range(7)]
    if layout == "strided":
        p.data = np.repeat(start, 2, axis=1)[:, ::2]
    array = p.data
    run(name, p, [lay(g) for g in grads], options)
    assert p.data is array
    for i, part in enumerate(few):
        run(name, part, [g[i, :3] for g in grads], options)
        np.testing.assert_allclose(array[i, :3], part.data, rtol=1e-12)


@pytest.mark.parametrize(("name", "options"), METHODS, ids=NAMES)
@pytest.mark.parametrize("layout", ["contiguous", "several blocks", "transposed", "0-d"])
def test_a_step_of_halves_is_the_one_of_singles_rounded_once(name, options, layout):
    rng = np.random.default_rng(4)
    shape = {"several blocks": (base._BLOCK + 5,), "0-d": ()}.get(layout, (4, 6))
    values, gradient = rng.normal(size=shape).astype(np.float16), rng.normal(size=shape).astype(np.float16)
    order: Any = "F" if layout == "transposed" else "C"
    half, single = leaf(np.asarray(values, order=order)), leaf(np.asarray(values.astype(np.float32), order=order))
    array = half.data
    mine, other = run(name, half, [gradient], options), run(name, single, [gradient], options)
    assert half.data is array
    np.testing.assert_array_equal(array, single.data.astype(np.float16))
    for key, kept in other.state.items():
        np.testing.assert_array_equal(mine.state[key][0], kept[0])


def test_the_state_of_halves_is_single_and_half_memory_is_refused():
    optimizer = run("Adam", leaf(np.ones(2, np.float16)), [np.full(2, 1e-4)] * 3, {})
    state = optimizer.state_dict()
    assert state["m.0"].dtype == state["v.0"].dtype == np.float32
    with pytest.raises(ValueError, match=r"v\.0 is float32 \(2,\) here, float16 \(2,\)"):
        optimizer.load_state_dict({**state, "v.0": state["v.0"].astype(np.float16)})


def test_parameters_without_gradient_are_skipped_and_count_their_own_steps():
    def four_steps(a, b, optimizer, full):
        for step in range(4):
            optimizer.zero_grad()
            a.grad = full(0.5 + step)
            if step >= 2:
                b.grad = full(2.0 - step)
            optimizer.step()
            yield step

    def theirs(torch):
        a, b = (torch.ones(2, dtype=torch.float64, requires_grad=True) for _ in range(2))
        optimizer = torch.optim.Adam([a, b], lr=0.1)
        list(four_steps(a, b, optimizer, lambda x: torch.full((2,), x, dtype=torch.float64)))
        return a, b

    a, b = leaf(np.ones(2)), leaf(np.ones(2))
    mine = optim.Adam([a, b], lr=0.1)
    for step in four_steps(a, b, mine, lambda x: np.full(2, x)):
        assert step >= 2 or (b.data == 1).all()
    assert mine.steps == [4, 2]
    for p, expected in zip((a, b), PYTORCH.ask("steps of their own", theirs).expected, strict=True):
        np.testing.assert_allclose(p.data, expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["SGD", "RMSprop"])
def test_a_momentum_that_pauses_keeps_its_velocity(name):
    def steps(p, optimizer, full):
        for momentum, g in [(0.5, 1.0), (0.0, 0.5), (0.5, 0.0)]:
            optimizer.param_groups[0]["momentum"] = momentum
            p.grad = full(g)
            optimizer.step()
        return p

    def theirs(torch):
        p = torch.zeros(1, dtype=torch.float64, requires_grad=True)
        optimizer = getattr(torch.optim, name)([p], lr=1.0, momentum=0.5)
        return steps(p, optimizer, lambda g: torch.tensor([g], dtype=torch.float64))

    p = leaf(np.zeros(1))
    steps(p, getattr(optim, name)([p], lr=1.0, momentum=0.5), lambda g: np.array([g]))
    np.testing.assert_allclose(p.data, PYTORCH.ask(f"a pause of {name}", theirs).expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_centered_rmsprop_of_a_constant_gradient_is_finite(dtype):
    """The mean of squares minus the square of the mean tends to 0; rounding may make it negative."""
    p = leaf(np.ones(50, dtype))
    run("RMSprop", p, [np.linspace(0.1, 3, 50)] * 400, {"alpha": 0.9, "centered": True})
    assert np.isfinite(p.data).all()


# --- small parameters, which are updated together ------------------------------------------------------


def several(dtype: str) -> list[mg.Tensor]:
    """Small parameters of many layouts, and a larger one; the last three share memory."""
    rng = np.random.default_rng(5)
    shapes = [(2, 16), (16,), (), (0, 3), (5, 4), (6, 2), (70, 70), (3,), (3,), (3,)]
    params = [leaf(rng.normal(size=shape).astype(dtype)) for shape in shapes]
    params[4].data = np.asfortranarray(params[4].data)
    params[5].data = np.repeat(params[5].data, 2, axis=1)[:, ::2]
    params[-2].data = params[-3].data
    params[-1].data = params[-3].data[::-1]
    return params


def irregular_training(name: str, options: dict[str, Any], params: list[mg.Tensor]) -> optim.Optimizer:
    """Steps with missing gradients, frozen parameters, other options, other arrays, and from a saved state."""
    rng = np.random.default_rng(6)
    groups = [{"params": params[:3]}, {"params": params[3:], "weight_decay": 0.02}]
    optimizer = getattr(optim, name)(groups, **{"lr": 0.01, **options})
    for step in range(13):
        for i, p in enumerate(params):
            p.requires_grad = not (i == 4 and step in (7, 8))
            if p.requires_grad:
                missing = (step + i) % 5 == 0 and step < 6
                p.grad = None if missing else rng.normal(size=p.shape).astype(p.dtype)
        if step == 4:
            optimizer.param_groups[0]["lr"] = 0.02
        if step == 5:
            params[0].data = params[0].data.copy()
        if step == 9:
            state = optimizer.state_dict()
            optimizer.load_state_dict({key: a * 0 if key.startswith("step") else a for key, a in state.items()})
        if step == 11:
            optimizer = copy.deepcopy(optimizer)
            params[:] = optimizer.params
            state = optimizer.state_dict()
            optimizer.load_state_dict({key: a / 2 if a.dtype.kind == "f" and a.ndim else a for key, a in state.items()})
        optimizer.step()
    return optimizer


def assert_same(actual, expected):
    """Compare bits; compiled loops, which only one of both may use, round otherwise."""
    if os.environ.get("MINIGRAD_FUSE") == "always":
        np.testing.assert_allclose(actual, expected, rtol={2: 1e-2, 4: 1e-4, 8: 1e-12}[expected.itemsize], atol=1e-6)
    else:
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize(("name", "options"), [*METHODS, ("Lion", {})], ids=[*NAMES, "Lion"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_small_parameters_are_updated_together_to_the_bit(name, options, dtype, monkeypatch):
    together, alone = several(dtype), several(dtype)
    one = irregular_training(name, options, together)
    monkeypatch.setattr(base, "_SMALL", -1)
    other = irregular_training(name, options, alone)
    for p, q in zip(together, alone, strict=True):
        assert_same(p.data, q.data)
    mine, theirs = one.state_dict(), other.state_dict()
    assert list(mine) == list(theirs)
    for key, array in theirs.items():
        assert mine[key].shape == array.shape
        assert mine[key].dtype == array.dtype
        assert_same(mine[key], array)


def test_small_parameters_take_one_update(monkeypatch):
    updates = []
    monkeypatch.setattr(optim.SGD, "_update", lambda self, options, t, p, g, *state: updates.append(p.size))
    params = [leaf(np.ones(shape)) for shape in [(2, 16), (16,), (16, 16), (16,), (300, 300), (2,)]]
    for p in params:
        p.grad = np.ones(p.shape)
    optim.SGD(params, lr=0.1).step()
    assert updates == [322, 90000]


def test_a_momentum_for_some_steps_of_small_parameters(monkeypatch):
    def steps(params: list[mg.Tensor]) -> optim.Optimizer:
        rng = np.random.default_rng(7)
        optimizer = optim.SGD(params, lr=0.1)
        for momentum in (0.0, 0.9, 0.9, 0.0, 0.5):
            optimizer.momentum = momentum
            for p in params:
                p.grad = rng.normal(size=p.shape)
            optimizer.step()
        return optimizer

    together, alone = several("float64")[:5], several("float64")[:5]
    mine = steps(together)
    monkeypatch.setattr(base, "_SMALL", -1)
    theirs = steps(alone)
    for i, (p, q) in enumerate(zip(together, alone, strict=True)):
        assert_same(p.data, q.data)
        assert_same(mine.state["velocity"][i], theirs.state["velocity"][i])


def test_options_that_changed_since_the_last_step_are_checked():
    p = leaf(np.ones(2))
    sgd = optim.SGD([p], lr=0.5)
    for rate, expected in ((0.5, 0.5), (np.array(0.25), 0.25), (1, -0.75)):
        p.grad = np.ones(2)
        sgd.lr = rate
        sgd.step()
        assert p.data.tolist() == [expected] * 2
    rate = np.array(1.0)
    sgd.lr = rate
    for changed, expected in ((0.25, -1.0), (0.5, -1.5)):  # an array may change while it stays the option
        rate[...] = changed
        sgd.step()
        assert p.data.tolist() == [expected] * 2
    for bad, kind in ((np.array([0.5]), TypeError), ("0.5", TypeError), (-0.5, ValueError), (math.nan, ValueError)):
        sgd.lr = bad
        with pytest.raises(kind, match="SGD: lr must be"):
            sgd.step()
    assert p.data.tolist() == [-1.5] * 2


# --- state ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "options"), METHODS, ids=NAMES)
def test_state_resumes_exactly(name, options):
    rng = np.random.default_rng(3)
    start, grads = rng.normal(size=(4, 5)), [rng.normal(size=(4, 5)) for _ in range(6)]
    through = leaf(start)
    run(name, through, grads, options)
    half = leaf(start)
    state = run(name, half, grads[:3], {**options, "lr": options.get("lr", 0.01)}).state_dict()
    assert all(isinstance(a, np.ndarray) and a.dtype in (np.float64, np.int64) for a in state.values())
    if "lr" not in options:
        return  # the run above took another rate
    resumed = getattr(optim, name)([half], **{**options, "lr": 77.0})
    resumed.load_state_dict(state)
    assert repr(resumed) == repr(getattr(optim, name)([half], **options))
    for g in grads[3:]:
        half.grad = g
        resumed.step()
    np.testing.assert_array_equal(half.data, through.data)


@pytest.mark.parametrize(
    ("name", "options", "change", "text"),
    [
        ("Adam", {}, {"v.0": np.array([1.0, -1e-9])}, r"v\.0 has entries that are NaN or below 0"),
        ("RMSprop", {}, {"v.0": np.array([1.0, -1.0])}, r"v\.0 has entries that are NaN or below 0"),
        ("Adam", {}, {"m.0": np.array([1.0, math.nan])}, r"m\.0 has entries that are NaN"),
        ("Adam", {}, {"v.0": np.array([1.0, math.nan])}, r"v\.0 has entries that are NaN"),
        ("SGD", {"lr": 0.1, "momentum": 0.5}, {"velocity.0": np.full(2, math.nan)}, r"velocity\.0 has entries"),
        ("SGD", {"lr": 0.1, "momentum": 0.5}, {"nesterov": np.array(0.5)}, "nesterov must be one of 0, 1, not 0.5"),
        ("Adam", {}, {"m.0": "abc"}, r"m\.0: expected numbers"),
        ("Adam", {}, {"m.0": [[1.0], [1.0, 2.0]]}, r"m\.0: "),
        ("Adam", {}, {"m.0": None}, r"m\.0: expected numbers"),
        ("Adam", {}, {"m.0": np.ones(2, complex)}, r"m\.0: expected numbers"),
        ("Adam", {}, {"step.0": np.array(2.0)}, r"step\.0 is int64 \(\) here, float64"),
    ],
)
def test_impossible_memories_are_refused_whole(name, options, change, text):
    optimizer = run(name, leaf(np.ones(2)), [np.ones(2)] * 2, options)
    before = optimizer.state_dict()
    other = run(name, leaf(np.ones(2)), [np.ones(2)] * 5, {**options, "lr": 0.7}).state_dict()
    with pytest.raises(ValueError, match=text):
        optimizer.load_state_dict({**other, **change})
    for key, array in optimizer.state_dict().items():
        np.testing.assert_array_equal(array, before[key])
    with pytest.raises(TypeError, match="must map names to arrays"):
        optimizer.load_state_dict(list(other))
    optimizer.load_state_dict({key: array.astype(array.dtype.newbyteorder(">")) for key, array in other.items()})
    for key, array in optimizer.state_dict().items():
        np.testing.assert_array_equal(array, other[key])


def test_states_from_before_a_switch_was_added_load():
    optimizer = run("Adam", leaf(np.ones(2)), [np.ones(2)], {})
    state = optimizer.state_dict()
    optimizer.maximize = True
    optimizer.load_state_dict({name: array for name, array in state.items() if name not in ("amsgrad", "maximize")})
    assert (optimizer.amsgrad, optimizer.maximize) == (False, False)
    with pytest.raises(ValueError, match="eps is missing"):
        optimizer.load_state_dict({name: array for name, array in state.items() if name != "eps"})


# --- what is refused -----------------------------------------------------------------------------------


def test_complaints():
    p, model = leaf([1.0]), mg.nn.Linear(2, 1)
    for make, kind, text in [
        (lambda: optim.SGD(p, lr=1), TypeError, r"\[tensor\]"),
        (lambda: optim.SGD(model, 0.1), TypeError, r"SGD: params .* Linear.* module\.parameters\(\)"),
        (lambda: optim.SGD(None, 0.1), TypeError, "SGD: params .* None"),
        (lambda: optim.SGD([p], lr="0.1"), TypeError, "SGD: lr .* str"),
        (lambda: optim.SGD([p], lr=np.ones(1)), TypeError, r"SGD: lr .* float64 \(1,\)"),
        (lambda: optim.SGD([p], lr=10**400), ValueError, "SGD: lr must be finite"),
        (lambda: optim.Adam([p], betas=("a", 0.9)), TypeError, "Adam: betas .* str"),
        (lambda: optim.SGD([], lr=1), ValueError, "no parameters"),
        (lambda: optim.SGD([np.ones(2)], lr=1), TypeError, "parameter 0 .* ndarray"),
        (lambda: optim.SGD([p * 2.0], lr=1), ValueError, r"parameter 0 \(float32 \(1,\)\)"),
        (lambda: optim.SGD([mg.tensor([1])], lr=1), TypeError, "int64"),
        (lambda: optim.SGD([p], lr=-1), ValueError, "lr .* -1"),
        (lambda: optim.SGD([p], lr=1, momentum=1), ValueError, r"momentum must be in \[0, 1\)"),
        (lambda: optim.SGD([p], lr=1, nesterov=True), ValueError, "nesterov needs a momentum"),
        (lambda: optim.Adam([p], betas=(0.9, 1.0)), ValueError, r"betas .* 1\.0"),
        (lambda: optim.AdamW([p], betas=0.9), ValueError, "AdamW: betas .* 0.9"),
        (lambda: optim.Adam([p], eps=-1e-8), ValueError, "eps"),
        (lambda: optim.RMSprop([p], alpha=1.5), ValueError, "alpha"),
        (lambda: optim.AdamW([p], weight_decay=math.inf), ValueError, "weight_decay"),
    ]:
        with pytest.raises(kind, match=text):
            make()


@pytest.mark.parametrize("name", ["SGD", "RMSprop", "Adam", "AdamW"])
@pytest.mark.parametrize(
    ("replacement", "kind", "text"),
    [
        ("read-only", ValueError, r"\.data of parameter 1 \(float64 \(2,\)\) is read-only"),
        (np.ones(2, np.float32), ValueError, r"parameter 1 was float64 \(2,\) .* now float32 \(2,\)"),
    ],
)
def test_a_step_that_cannot_be_done_writes_nothing(name, replacement, kind, text):
    a, b = leaf(np.ones(2)), leaf(np.ones(2))
    optimizer = getattr(optim, name)([a, b], lr=0.1)
    a.grad, b.grad = np.ones(2), np.ones(2)
    optimizer.step()
    kept, state = a.data.copy(), optimizer.state_dict()
    if isinstance(replacement, str):
        b.data.flags.writeable = False
    else:
        b.requires_grad = False  # of a leaf, only arrays of the same shape and dtype can replace .data
        b.data = replacement
        b.requires_grad = True
        b.grad = np.ones(replacement.shape, replacement.dtype)
    with pytest.raises(kind, match=text):
        optimizer.step()
    np.testing.assert_array_equal(a.data, kept)
    for key, array in optimizer.state_dict().items():
        np.testing.assert_array_equal(array, state[key])


def test_amsgrad_survives_an_overflow():
    """The maximum of two infinite squares is infinite; their difference is NaN."""
    p = leaf(np.ones(2))
    with np.errstate(over="ignore", invalid="ignore"):
        run("Adam", p, [np.array([1e200, 1.0])] * 2 + [np.ones(2)], {"amsgrad": True})
    assert p.data[0] == 1
    assert np.isfinite(p.data).all()
