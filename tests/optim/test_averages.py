"""Averages of weights: values beside PyTorch's, and weights that come back."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim
from tests.peers import Peer

PYTORCH = Peer(__name__)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_average_is_that_of_pytorch(dtype):
    def theirs(torch, weights):
        model = torch.nn.ParameterList([torch.nn.Parameter(torch.tensor(weights[0]))])
        average = torch.optim.swa_utils.AveragedModel(
            model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9)
        )
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
    tolerance = 1e-12 if dtype == "float64" else 1e-6
    np.testing.assert_allclose(ema.averages["0"], answer.expected, rtol=tolerance, atol=tolerance)


def test_weights_come_back_however_the_context_ends():
    model = nn.Linear(2, 1, rng=0)
    ema = optim.EMA(model, 0.5)
    own = [(p, p.data, p.data.copy()) for p in model.parameters()]
    for p in model.parameters():
        p.data += 1
    ema.update()

    def interrupted():
        with ema.applied():
            for p, _, before in own:
                np.testing.assert_allclose(p.data, before + 0.5)
                p.data[...] = 7  # into a copy
            raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            interrupted()
        for p, array, before in own:
            assert p.data is array
            np.testing.assert_allclose(array, before + 1)
        np.testing.assert_allclose(ema.averages["weight"], own[0][2] + 0.5)
    with ema.applied(), ema.applied():
        np.testing.assert_allclose(model.weight.data, own[0][2] + 0.5)
    assert model.weight.data is own[0][1]
    ema.copy_to()
    np.testing.assert_allclose(model.weight.data, own[0][2] + 0.5)
    other = nn.Linear(2, 1, rng=1)
    ema.copy_to(other)
    np.testing.assert_array_equal(other.weight.data, model.weight.data)
    with pytest.raises(
        ValueError, match=r"EMA.copy_to: the averages have shapes \[\(2, 1\), \(1,\)\], the parameters \["
    ):
        ema.copy_to(nn.Linear(3, 1))


def test_averages_are_not_averaged():
    p = mg.tensor([0.0], requires_grad=True)
    ema = optim.EMA([p], 0.75)
    p.data[...] = 4
    ema.update()
    with ema.applied():
        with pytest.raises(RuntimeError, match=r"EMA.update: the parameters hold the averages within applied\(\)"):
            ema.update()
        with ema.applied():
            pass
        with pytest.raises(RuntimeError, match=r"EMA\.update"):
            ema.update()
    assert (ema.averages["0"].tolist(), ema.updates) == ([1], 1)
    with pytest.raises(KeyError), ema.applied():
        raise KeyError
    p.data = np.ones(2, "float32")
    with pytest.raises(ValueError, match=r"EMA\.applied: parameter 0 is"), ema.applied():
        pass
    p.data = np.float32([5])
    ema.update()
    assert ema.averages["0"].tolist() == [2]


def test_state_and_complaints(tmp_path):
    def made():
        return optim.EMA(nn.Linear(2, 1, rng=0), 0.5)

    ema = made()
    ema.update()
    ema.decay = 0.25
    mg.save(tmp_path / "ema", ema.state_dict())
    other = made()
    other.load_state_dict(mg.load(tmp_path / "ema"))
    assert repr(other) == repr(ema) == "EMA(2 parameters, decay=0.25, updates=1)"
    for change, text in [({"decay": np.array(2.0)}, r"decay must be in \[0, 1\]"),
                         ({"updates": np.array(-1)}, "updates must be at least 0"),
                         ({"average.weight": np.ones(3)}, r"average\.weight is float32 \(2, 1\) here")]:  # fmt: skip
        with pytest.raises(ValueError, match=text):
            other.load_state_dict({**ema.state_dict(), "average.bias": np.ones(1, "float32"), **change})
        np.testing.assert_array_equal(other.averages["bias"], ema.averages["bias"])
    with pytest.raises(ValueError, match="EMA: there are no parameters"):
        optim.EMA([])
    with pytest.raises(ValueError, match=r"EMA: decay must be in \[0, 1\], not 1.5"):
        optim.EMA(nn.Linear(1, 1), 1.5)
    with pytest.raises(TypeError, match="EMA: decay must be a number"):
        optim.EMA(nn.Linear(1, 1), "x")
    p = mg.tensor([1.0], requires_grad=True)
    ema = optim.EMA([p])
    p.data = np.ones(2, "float32")
    with pytest.raises(ValueError, match=r"EMA.update: parameter 0 is float32 \(2,\), its average float32 \(1,\)"):
        ema.update()
