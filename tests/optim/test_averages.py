"""Averages of weights: values beside PyTorch's, and weights that come back."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim
from tests.peers import Peer

PYTORCH = Peer(__name__)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("float64", 1e-12)])
def test_the_average_is_that_of_pytorch(dtype, tolerance):
    def theirs(torch, weights):
        model, swa = torch.nn.ParameterList([torch.nn.Parameter(torch.tensor(weights[0]))]), torch.optim.swa_utils
        average = swa.AveragedModel(model, multi_avg_fn=swa.get_ema_multi_avg_fn(0.9))
        for w in weights:
            model[0].data.copy_(torch.tensor(w))
            average.update_parameters(model)
        return average.module[0]

    weights = np.random.default_rng(0).normal(size=(200, 2)).astype(dtype)
    answer = PYTORCH.ask(f"average {dtype}", theirs, [weights])
    p = mg.tensor(answer.inputs[0][0], requires_grad=True)
    ema = optim.EMA([p], 0.9)
    for w in answer.inputs[0][1:]:
        p.data[...] = w
        ema.update()
    np.testing.assert_allclose(ema.averages["0"], answer.expected, rtol=tolerance, atol=tolerance)


def test_weights_come_back_however_the_context_ends():
    model = nn.Linear(2, 1, rng=0)
    ema, before = optim.EMA(model, 0.5), model.weight.data.copy()
    own = model.weight.data
    own += 1
    ema.update()

    def interrupted():
        with ema.applied(), ema.applied():
            np.testing.assert_allclose(model.weight.data, before + 0.5)
            model.weight.data[...] = 7  # into a copy
            raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert model.weight.data is own
        np.testing.assert_allclose(own, before + 1)
        np.testing.assert_allclose(ema.averages["weight"], before + 0.5)
    other = nn.Linear(2, 1, rng=1)
    ema.copy_to(other)
    np.testing.assert_allclose(other.weight.data, before + 0.5)


def test_averages_are_not_averaged():
    p = mg.tensor([0.0], requires_grad=True)
    ema = optim.EMA([p], 0.75)
    p.data[...] = 4
    ema.update()
    with ema.applied():
        for _ in range(2):
            with pytest.raises(RuntimeError, match=r"EMA\.update: .*applied\(\)"):
                ema.update()
            with ema.applied():
                pass
    assert (ema.averages["0"].tolist(), ema.updates) == ([1], 1)
    p.data = np.float32([5])
    ema.update()
    assert ema.averages["0"].tolist() == [2]


def test_the_state(tmp_path):
    ema, other = (optim.EMA(nn.Linear(2, 1, rng=0), 0.5) for _ in range(2))
    ema.update()
    ema.decay = 0.25
    mg.save(tmp_path / "ema", ema.state_dict())
    other.load_state_dict(mg.load(tmp_path / "ema"))
    assert repr(other) == repr(ema) == "EMA(2 parameters, decay=0.25, updates=1)"
    for change, text in [({"decay": np.array(2.0)}, r"decay .*\[0, 1\]"), ({"updates": np.array(-1)}, "updates .* 0"),
                         ({"average.weight": np.ones(3)}, r"average\.weight is float32 \(2, 1\) here")]:  # fmt: skip
        with pytest.raises(ValueError, match=text):
            other.load_state_dict({**ema.state_dict(), "average.bias": np.ones(1, "float32"), **change})
        np.testing.assert_array_equal(other.averages["bias"], ema.averages["bias"])


def of_another_dtype():
    p = mg.tensor([1.0])
    ema, p.data = optim.EMA([p]), np.ones(1)
    return ema


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: optim.EMA([]), ValueError, "EMA: there are no parameters"),
        (lambda: optim.EMA(nn.Linear(1, 1), 1.5), ValueError, r"EMA: decay .*\[0, 1\], not 1.5"),
        (lambda: optim.EMA(nn.Linear(1, 1), "x"), TypeError, "EMA: decay must be a number"),
        (lambda: of_another_dtype().update(), ValueError, r"EMA\.update: parameter 0 is float64 \(1,\), .*float32"),
        (lambda: of_another_dtype().applied().__enter__(), ValueError, r"EMA\.applied: parameter 0 is"),
        (lambda: optim.EMA(nn.Linear(2, 1)).copy_to(nn.Linear(3, 1)), ValueError, r"EMA\.copy_to: .*\(2, 1\).*\(3, 1"),
    ],
)
def test_refusals(call, kind, text):
    with pytest.raises(kind, match=text):
        call()
