"""detect_anomaly: writes behind the engine's back, and the first NaN or infinity, forward or backward."""

from __future__ import annotations

import re
from contextlib import ExitStack, contextmanager
from itertools import count

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn, writes
from minigrad.anomaly import _Watch


def leaf(*values):
    return mg.tensor(np.array(values), requires_grad=True)


WRITES = {
    "through .data": lambda x: x.data.__setitem__(0, 100.0),
    "through .numpy()": lambda x: x.numpy().__setitem__(0, 100.0),
    "through a view": lambda x: x.data[::-1].__setitem__(0, 100.0),
    "by an augmented assignment": lambda x: np.add(x.data, 1, out=x.data),
}


@pytest.mark.parametrize("how", WRITES)
def test_a_write_behind_the_engines_back(how):
    w, x = leaf(2.0, 3.0), leaf(4.0, 5.0)
    with mg.detect_anomaly():
        y = (w * x).sum()
    WRITES[how](x)
    with pytest.raises(ValueError, match=r"multiply \(called at test_anomaly\.py:\d+\) saved float64 \(2,\).*\.data"):
        y.backward()
    assert w.grad is None


def test_nothing_is_said_where_nothing_is_wrong():
    w, x = leaf(2.0, 3.0), leaf(4.0, 5.0)
    with mg.detect_anomaly():
        y = (mg.exp(w * x.reshape(1, 2)[:, ::-1]) / 3).sum()
        y.backward(retain_graph=True)
        y.backward()
    expected = leaf(2.0, 3.0)
    (mg.exp(expected * np.array([5.0, 4.0])) / 3).sum().backward()
    np.testing.assert_array_equal(w.grad, 2 * expected.grad)
    with pytest.raises(ValueError, match="freed by an earlier"):
        y.backward()


def test_the_first_infinity_of_a_backward_pass_is_named():
    x = leaf(0.0, 1.0)
    with mg.detect_anomaly(), mg.scope("encoder"), mg.scope("layer 1"):
        y = mg.sqrt(x * 0.0)  # infinite there, times 0
        message = (
            r"backward: the VJP of sqrt \(called at test_anomaly\.py:\d+, in scope encoder/layer 1\) gave an "
            r"infinity \(inf\) for x: float64 \(2,\), 2 of 2 entries NaN or infinite, first at \[0\]; there cotangent "
            r"= 1\.0, saved = 0\.0$"
        )
        with pytest.raises(FloatingPointError, match=message):
            y.sum().backward()
    assert x.grad is None


# Forward ---------------------------------------------------------------------------------------


def caught(function, *arguments):
    """What detect_anomaly says of a call."""
    with np.errstate(all="ignore"), mg.detect_anomaly(), pytest.raises(FloatingPointError) as info:
        function(*arguments)
    return str(info.value)


def passes(function, *arguments):
    with np.errstate(all="ignore"), mg.detect_anomaly():
        return function(*arguments)


@pytest.mark.parametrize("tracked", [True, False])
def test_the_first_nan_of_a_forward_pass_is_named_also_where_nothing_is_tracked(tracked):
    x = mg.tensor(np.array([[1.0, 2.0], [-3.0, 0.0]]), requires_grad=tracked)

    def f():
        with mg.scope("net"), mg.scope("head"):
            return mg.exp(mg.log(x))

    assert re.fullmatch(
        r"log \(called at test_anomaly\.py:\d+, in scope net/head\) gave a NaN: the output, float64 \(2, 2\), 2 of 4 "
        r"entries NaN or infinite, the others from 0\.0 to 0\.69\d+, first at \[1, 0\]; there x = -3\.0",
        caught(f),
    )


def test_under_no_grad_too_and_on_all_paths_of_a_call():
    def f(function, *arguments):
        with mg.no_grad():
            return function(*arguments)

    assert "divide" in caught(f, mg.divide, leaf(1.0), 0.0)
    assert "there x = -1.0" in caught(f, mg.sqrt, leaf(-1.0))
    assert "mean" in caught(f, mg.mean, leaf(1e308, 1e308, 1e308))


def test_values_that_met_where_shapes_are_broadcast():
    a, b = leaf([1.0], [2.0]), np.array([1.0, 4.0, 0.0])
    assert "first at [0, 2]; there a = 1.0, b = 0.0" in caught(mg.divide, a, b)
    assert caught(mg.subtract, leaf(np.inf, 1.0), leaf(np.inf, np.inf)).endswith("first at [0]; there a = inf, b = inf")


def test_a_users_primitive_that_broadcasts_is_not_taken_to_work_entry_by_entry():
    @mg.primitive(broadcasts=True)
    def turned(x):
        return x[::-1].copy(), ()

    @mg.primitive
    def infinite(x):
        return x * np.inf, ()

    passes(turned, leaf(1.0, np.inf))
    assert re.match(
        r"infinite \(called at test_anomaly.py:.*x: float64 \(2,\) from 1\.0 to 2\.0$", caught(infinite, leaf(1.0, 2.0))
    )


def test_what_is_passed_on_is_no_anomaly():
    mask = np.array([0.0, -np.inf])
    x = leaf(1.0, 2.0)
    y = passes(lambda: mg.softmax(x + mask, axis=0) * np.array([2.0, 3.0]))
    passes(y.sum().backward)
    np.testing.assert_array_equal(x.grad, [0, 0])
    passes(lambda: mg.where(np.array([True, False]), x, -np.inf))
    passes(lambda: mg.max(mg.pad(x, (1, 1), constant_values=-np.inf), axis=0))
    passes(lambda: mg.exp(leaf(np.nan, 1.0)))
    passes(lambda: mg.sum(leaf(np.nan, np.inf)))
    passes(lambda: leaf(np.inf, 1.0) * 2)
    passes(lambda: mg.put(x, np.array([1, 0]), np.array([np.inf, 1.0])))  # its inputs do not meet entry by entry
    passes(lambda: mg.max_pool2d(leaf(*np.arange(16.0)).reshape(1, 1, 4, 4), 2, padding=1).sum().backward())


def test_the_time_step_of_a_sequence():
    lstm, rnn = nn.LSTM(2, 3, dtype=np.float64, rng=0), nn.RNN(2, 3, dtype=np.float64, rng=0)
    x = np.ones((2, 5, 2))
    x[1, 3] = 1e10
    for module in (lstm, rnn):
        module.Wx.data[:], module.b.data[:] = 1e300, -np.inf
        passes(module, np.ones((2, 5, 2)))
        message = caught(module, x)  # inf - inf
        assert "time step 3" in message
        assert "first at [1, 3, " in message


def test_the_time_step_of_a_gradient():
    rnn = nn.RNN(1, 1, dtype=np.float64, rng=0)
    rnn.Wx.data[:], rnn.Wh.data[:], rnn.b.data[:] = 0.0, 1e100, 0.0
    x = np.zeros((1, 9, 1))
    h, _ = rnn(x)
    # 1 at the last step, 8, then 1e100, 1e200, 1e300
    assert re.search(r"VJP of rnn .* for Wx.*first at time step 4 of the backward", caught(h[:, -1].sum().backward))


# Backward --------------------------------------------------------------------------------------


def test_an_infinity_that_an_input_brought_is_not_blamed_on_the_vjp():
    x, w = leaf(1.0, 2.0), leaf(np.inf, 1.0)
    for inside in (True, False):
        y = passes(lambda: x * w) if inside else x * w
        passes(y.backward, np.ones(2))
    np.testing.assert_array_equal(x.grad, [np.inf, 2])


def test_nans_of_data_are_no_anomaly_but_those_of_a_forward_that_ran_outside_are():
    x, w = leaf(np.nan, 2.0), leaf(1.0, 1.0)
    passes(passes(lambda: x * w).backward, np.ones(2))
    assert np.isnan(w.grad[0])
    with np.errstate(all="ignore"):
        y = mg.sqrt(leaf(-1.0))
    assert "VJP of sqrt gave a NaN for x" in caught(y.backward, np.ones(1))


def test_a_sum_of_gradients_that_overflows_and_a_hook_that_gives_a_nan():
    x = leaf(1.0)
    y = x * 1.0
    z = passes(lambda: y + y)
    assert re.match(
        r".*gradient of multiply has an infinity .* first at \[0\]", caught(z.backward, np.array([1.5e308]))
    )
    y = x * 1.0
    y.register_hook(lambda g: g * np.nan)
    assert "gradient of multiply has a NaN" in caught((y * 2).backward, np.ones(1))
    half = mg.tensor(np.ones(1, np.float16), requires_grad=True)
    wide = half.astype(np.float32) * 40000.0 + half.astype(np.float32) * 40000.0
    assert "gradient of <leaf float16 (1,)> has an infinity" in caught(wide.backward, np.ones(1, np.float32))


def test_a_pass_that_leaves_a_graph_is_judged_by_what_its_rules_give():
    """Not by what comes out on the way: the rule of logaddexp takes inf - inf for 0."""
    a, b, x = leaf(np.inf), leaf(np.inf), leaf(0.0)
    passes(lambda: mg.logaddexp(a, b).backward(np.ones(1), create_graph=True))
    assert a.grad.data == 0.5
    with np.errstate(all="ignore"), mg.detect_anomaly():
        with pytest.raises(FloatingPointError, match="VJP of sqrt"), mg.create_graph():
            mg.sqrt(x * 1).backward(np.ones(1))
        with pytest.raises(FloatingPointError, match="log "):  # after a failure calls are checked again
            mg.log(x)


@given(st.lists(st.sampled_from([1.0, -2.0, 0.0, np.inf, -np.inf, np.nan]), min_size=4, max_size=4),
       st.lists(st.sampled_from([1.0, -2.0, 0.0, np.inf, -np.inf, np.nan]), min_size=4, max_size=4),
       st.sampled_from(["add", "subtract", "multiply", "divide", "maximum", "logaddexp"]))  # fmt: skip
def test_of_each_entry_what_is_worse_than_what_met_there_is_new(a, b, name):
    """By the definition, entry after entry."""
    bad = {"finite": 0, "inf": 1, "nan": 2}

    def kind(value):
        return bad["nan" if np.isnan(value) else "inf" if np.isinf(value) else "finite"]

    function = getattr(mg, name)
    with np.errstate(all="ignore"):
        out = function(np.array(a), np.array(b)).data
    new = [i for i in range(4) if kind(out[i]) > max(kind(a[i]), kind(b[i]))]
    if not new:
        passes(function, leaf(*a), np.array(b))
        return
    worst = max(kind(out[i]) for i in new)
    first = next(i for i in new if kind(out[i]) == worst)
    assert caught(function, leaf(*a), np.array(b)).endswith(f"first at [{first}]; there a = {a[first]}, b = {b[first]}")


BEHIND_WHERE = "The cotangent there is 0, as behind mg.where, but 0 times infinity or NaN is NaN."


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda x: mg.where(x < 1, x, mg.sqrt(x - 1)), "sqrt"),
        (lambda x: mg.where(x > 1, mg.log(x - 0.5), 0.0), "log"),
        (lambda x: mg.where(x > 1, (x - 1) ** 0.5, 0.0), "power"),
        (lambda x: mg.where(x != 0.5, mg.sin(x - 0.5) / (x - 0.5), 1.0), "divide"),
    ],
)
def test_a_nan_behind_where_names_where_and_the_remedy(function, name):
    for dtype in (np.float16, np.float32, np.float64):
        x = mg.tensor(np.array([[3.0], [0.5]], dtype), requires_grad=True)
        with np.errstate(all="ignore"):
            y = function(x)
        message = caught(y.backward, np.ones(y.shape, dtype))
        assert f"the VJP of {name} gave a NaN" in message
        assert message.endswith(f"{BEHIND_WHERE} Use mg.where inside, too, as in mg.sqrt(mg.where(mask, x, 1.0)).")


def test_where_is_named_in_jacobians_too_and_not_without_a_reason():
    x = leaf(3.0, 1.0)
    with np.errstate(all="ignore"), mg.detect_anomaly(), pytest.raises(FloatingPointError) as info:
        mg.jacobian(lambda x: mg.where(x > 1, mg.sqrt(x - 1), 0.0), mode="reverse")(x)
    assert BEHIND_WHERE in str(info.value)
    assert BEHIND_WHERE not in caught(mg.sqrt(x - 1).sum().backward)  # infinite, with a cotangent of 1
    with declared(lambda x: (x * 2, ()), lambda g, needs: (g * np.nan,)) as function:
        assert BEHIND_WHERE not in caught(function(x).backward, np.zeros(2))  # each entry may come from all


def test_where_inside_is_no_anomaly():
    x = leaf(0.5, 3.0)
    with mg.detect_anomaly():
        mg.where(x < 1, x, mg.sqrt(mg.where(x < 1, 1.0, x - 1))).sum().backward()
    np.testing.assert_allclose(x.grad, [1, 0.5 / np.sqrt(2)])


# Errors of a backward pass say where the forward was --------------------------------------------


def broken(vjp, name="broken"):
    def forward(x):
        return x * 2, (x,)

    forward.__name__ = name
    function = mg.primitive(forward)
    function.vjp(vjp)
    return function


def freed(y):
    y.backward(np.ones(1))
    y.backward(np.ones(1))


FAILURES = {
    "an error of the rule": (lambda g, needs, x: 1 / 0, lambda y: y.backward(np.ones(1)), ZeroDivisionError),
    "a wrong shape": (lambda g, needs, x: (np.ones(7),), lambda y: y.backward(np.ones(1)), ValueError),
    "no gradient": (lambda g, needs, x: (None,), lambda y: y.backward(np.ones(1)), ValueError),
    "no tuple": (lambda g, needs, x: g, lambda y: y.backward(np.ones(1)), TypeError),
    "no real number": (lambda g, needs, x: (g * 1j,), lambda y: y.backward(np.ones(1)), TypeError),
    "freed": (lambda g, needs, x: (g,), freed, ValueError),
    "a hook": (lambda g, needs, x: (g,), lambda y: (y.register_hook(lambda g: {}["no"]), y.backward(np.ones(1))),
               KeyError),
}  # fmt: skip


@pytest.mark.parametrize("case", FAILURES)
def test_any_error_of_a_backward_pass_names_the_forwards_line(case):
    vjp, fail, error = FAILURES[case]
    function, line = broken(vjp), r"called at test_anomaly\.py:\d+"
    for contexts, words in (
        ((mg.record(values=False), mg.scope("encoder"), mg.scope("layer 1")), f"{line}, in scope encoder/layer 1"),
        ((mg.record(),), line), ((mg.detect_anomaly(),), line), ((mg.scope("a"), mg.scope("b")), "in scope a/b"),
    ):  # fmt: skip
        with ExitStack() as stack:
            for context in contexts:
                stack.enter_context(context)
            y = function(leaf(1.0))
        with pytest.raises(error) as info:
            fail(y)
        (note,) = info.value.__notes__
        assert re.fullmatch(rf"backward: at broken \({words}\)", note)


def test_a_pass_within_a_pass_names_both():
    inner = broken(lambda g, needs, x: 1 / 0, "inner")

    def vjp(g, needs, x):
        with mg.scope("deep"):
            inner(leaf(1.0)).backward(g)

    with mg.scope("shallow"):
        y = broken(vjp, "outer")(leaf(1.0))
    with pytest.raises(ZeroDivisionError) as info:
        y.backward(np.ones(1))
    assert info.value.__notes__ == ["backward: at inner (in scope deep)", "backward: at outer (in scope shallow)"]


# Messages --------------------------------------------------------------------------------------


def message_of(error):
    """The message without the line of the call."""
    return re.sub(r" \(called at [^)]*\)", "", str(error.value))


@contextmanager
def declared(forward, vjp=None, **options):
    function = mg.primitive(**options)(forward)
    function.vjp(vjp or (lambda g, needs, *_: (g,) * len(needs)))
    yield function


def test_cotangents_of_several_outputs_are_numbered():
    def both(x):
        return (x * 2, x.sum()), ()

    def vjp(g, needs):
        return (np.array([1.0, np.inf]),)

    x = leaf(1.0, 2.0)
    with declared(both, vjp) as function, mg.detect_anomaly():
        first, second = function(x)
        with pytest.raises(FloatingPointError) as error:
            (first.sum() + second).backward(retain_graph=True)
        assert message_of(error) == (
            "backward: the VJP of both gave an infinity (inf) for x: float64 (2,), 1 of 2 entries NaN or infinite, the "
            "others from 1.0 to 1.0, first at [1]; there cotangent 0 = 1.0; cotangent 1: float64 () from 1.0 to 1.0"
        )
        with pytest.raises(FloatingPointError) as error:
            first.sum().backward()
    assert message_of(error).endswith("first at [1]; there cotangent 0 = 1.0")


def test_what_it_does_not_know_it_does_not_blame():
    """Such as a cotangent that nobody sent, or that of a pass within a pass."""
    watch = _Watch()
    x = leaf(1.0)
    first, second, bad = (x * 2).node, (x * 3).node, np.array([np.nan])
    watch.cotangent(first, bad)
    watch.after_vjp(second, {0: bad})
    watch = _Watch()
    watch.cotangent(first, np.ones(1))
    watch.cotangent(second, np.full(1, 7.0))
    with pytest.raises(FloatingPointError) as error:
        watch.after_vjp(first, {0: bad})
    assert "cotangent" not in message_of(error)


def test_a_write_is_seen_whatever_was_written_before(monkeypatch):
    for number in range(4):
        monkeypatch.setattr(writes, "clock", count(number))
        monkeypatch.setattr(writes, "last_write", number)
        w, x = leaf(2.0), leaf(3.0)
        with mg.detect_anomaly():
            y = w * x
        x.data[0] = 5.0
        with pytest.raises(ValueError, match="overwritten since"):
            y.backward()


def test_seeds_that_are_bad_are_passed_on():
    x = leaf(1.0, 2.0)
    passes(passes(lambda: x * 2).backward, np.array([np.inf, 1.0]))
    assert x.grad[0] == np.inf
    first, second = mg.split(x, [1])
    passes((first * second).backward, np.array([np.nan]))


def matrix_entry(t):
    matrix = np.eye(2)
    matrix[1, 1] = mg.cos(t)
    return (matrix * t).sum()


@pytest.mark.parametrize(
    ("compute", "how"),
    [
        (matrix_entry, "float()"),
        (lambda t: t * t.item(), ".item()"),
        (lambda t: t * mg.exp(t).numpy(), ".numpy()"),
        (lambda t: t * t.data, ".data"),
        (lambda t: t * int(t), "int()"),
    ],
)
def test_lines_at_which_values_leave_the_graph_are_listed(compute, how):
    t = mg.tensor(1.3, requires_grad=True)
    line = f"test_anomaly.py:{compute.__code__.co_firstlineno + 2 * (compute is matrix_entry)}"
    with mg.detect_anomaly():
        y = compute(t)
        with pytest.warns(UserWarning, match=re.escape(f"plain numbers at {line} by {how}. ")):
            y.backward()
        y = (t * 2).sum()
        y.backward()  # a line is listed once


def test_numbers_that_no_gradient_can_depend_on_are_not_listed():
    w = mg.tensor([1.0, 2.0], requires_grad=True)
    sgd = mg.optim.SGD([w], lr=0.1)
    with mg.detect_anomaly():
        for _ in range(2):
            loss = (w * w).sum()
            with mg.no_grad():
                print(w.numpy(), f"{loss:.3f}")
            loss.backward()
            sgd.step()
            w.data -= 0.1 * w.grad
            repr(w)
    plain = mg.Tensor.data
    with mg.detect_anomaly(), mg.detect_anomaly():
        assert mg.Tensor.data is not plain
    assert mg.Tensor.data is plain
