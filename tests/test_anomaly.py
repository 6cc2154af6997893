"""detect_anomaly: writes behind the engine's back, and the first NaN of a backward pass."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
from minigrad import recording
from minigrad.recording import note_of


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
    message = r"multiply \(called at test_anomaly\.py:\d+\) saved float64 \(2,\).*written into since.*\.data"
    with pytest.raises(ValueError, match=message):
        y.backward()
    assert w.grad is None


def test_an_array_that_a_tensor_shares():
    batch = np.array([4.0, 5.0])
    w = leaf(2.0, 3.0)
    with mg.detect_anomaly():
        y = (w * batch).sum()
        batch[:] = 0
        with pytest.raises(ValueError, match="written into since"):
            y.backward()


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


def test_it_sees_the_layers_of_a_model():
    lstm, head = mg.nn.LSTM(3, 4, dtype=np.float64), mg.nn.Linear(4, 2, dtype=np.float64)
    x = np.ones((2, 5, 3))
    with mg.detect_anomaly():
        h, _ = lstm(x)
        loss = mg.cross_entropy(head(h[:, -1]), [0, 1])
    lstm.Wh.data += 1e-3
    with pytest.raises(ValueError, match=r"lstm .* saved float64 \(4, 16\)"):
        loss.backward()


def test_the_first_nan_of_a_backward_pass_is_named():
    x = leaf(0.0, 1.0)
    with mg.detect_anomaly(), np.errstate(invalid="ignore"):
        y = mg.sqrt(x * 0.0)  # infinite there, times 0
        message = r"VJP of multiply \(called at test_anomaly\.py:\d+\) gave NaN for a"
        with pytest.raises(FloatingPointError, match=message):
            y.sum().backward()
    assert x.grad is None


def test_a_nan_that_was_there_is_not_blamed_on_those_behind():
    x = leaf(1.0, 1.0)
    with mg.detect_anomaly():
        (x * 2).backward(np.array([np.nan, 1.0]))
    assert np.isnan(x.grad[0])


def test_several_outputs():
    x = leaf(1.0, 2.0, 3.0)
    with mg.detect_anomaly():
        first, second = mg.split(x, [1])
        (first.sum() * second.sum()).backward()
    np.testing.assert_array_equal(x.grad, [5, 1, 1])


def test_it_goes_together_with_record():
    x = leaf(3.0, 4.0)
    for contexts in ((mg.record(), mg.detect_anomaly()), (mg.detect_anomaly(), mg.record())):
        with contexts[0], contexts[1]:
            y = (x * x).sum()
            y.backward(retain_graph=True)
        assert note_of(x.node).gradients[0].norm == 10
        x.data[0] += 0.0  # the same
        y.backward(retain_graph=True)
        x.data[0] += 1.0
        with pytest.raises(ValueError, match="written into since"):
            y.backward()
        x.data[0] -= 1.0
    assert not recording.active


def test_what_no_gradient_needs_may_be_written_into():
    w, x = leaf(2.0, 3.0), leaf(4.0, 5.0)
    with mg.detect_anomaly():
        y, unused = mg.split(mg.exp(w) * 1.0, [1]), w * x
    x.data[0] = 100.0
    (y[0].sum() + unused.detach().sum()).backward()
    np.testing.assert_allclose(w.grad, [np.exp(2), 0])


def test_it_costs_nothing_outside():
    with mg.detect_anomaly():
        pass
    y = leaf(1.0) * 2
    assert type(y.node.residuals) is tuple
