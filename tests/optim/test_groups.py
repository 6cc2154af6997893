"""Parameter groups: options of their own, in steps, schedules and files; what is refused."""

from __future__ import annotations

import re

import numpy as np
import pytest

import minigrad as mg
from minigrad import optim


def leaf(array=(1.0, 2.0)):
    return mg.tensor(np.array(array), requires_grad=True)


def test_an_option_as_attribute_is_that_of_all_groups():
    sgd = optim.SGD([{"params": [leaf()]}, {"params": [leaf()]}], lr=0.1, momentum=0.5)
    sgd.lr = 0.2
    assert [group["lr"] for group in sgd.param_groups] == [0.2, 0.2]
    sgd.param_groups[1]["lr"] = 0.4
    for use in (lambda: sgd.lr, lambda: setattr(sgd, "lr", 0.3)):
        with pytest.raises(ValueError, match=r"SGD: lr is 0\.2, 0\.4 .*param_groups"):
            use()
    assert [group["lr"] for group in sgd.param_groups] == [0.2, 0.4]
    assert sgd.momentum == 0.5
    assert re.findall(r"lr=([\d.]+)", repr(sgd)) == ["0.2", "0.4"]


@pytest.mark.parametrize(
    ("make", "kind", "text"),
    [
        (
            lambda a, b: [{"params": [a]}, b],
            TypeError,
            "SGD: group 1: a group must be a dict with 'params' and options, not tensor",
        ),
        (lambda a, b: {"params": [a]}, TypeError, "SGD: parameter 0 must be a Tensor, not str"),
        (
            lambda a, b: [{"params": [a]}, {"lr": 1.0}],
            TypeError,
            r"SGD: group 1: a group must be a dict with 'params' and options, not \{'lr': 1.0",
        ),
        (
            lambda a, b: [{"lr": 1.0}],
            TypeError,
            r"SGD: a group must be a dict with 'params' and options, not \{'lr': 1.0",
        ),
        (lambda a, b: [{}], TypeError, r"SGD: a group must be a dict with 'params' and options, not \{\}"),
        (lambda a, b: 3, TypeError, "SGD: params must be an iterable of tensors, not int"),
        (lambda a, b: [{"params": [a]}, {"params": [a]}], ValueError, r"group 1: a parameter .* is in another group"),
        (lambda a, b: [{"params": [a], "rate": 1.0}], ValueError, "'rate' is no option. Options are lr, momentum"),
        (lambda a, b: [{"params": [a]}, {"params": [b], "lr": -1}], ValueError, "SGD: group 1: lr must be finite"),
        (
            lambda a, b: [{"params": [a]}, {"params": b}],
            TypeError,
            r"SGD: group 1: params must be .*Pass a list such as \[tensor\]",
        ),
        (lambda a, b: [{"params": [a], "nesterov": True}], ValueError, "nesterov needs a momentum"),
        (lambda a, b: [{"params": []}], ValueError, "SGD: there are no parameters"),
    ],
)
def test_groups_that_are_none(make, kind, text):
    with pytest.raises(kind, match=text):
        optim.SGD(make(leaf(), leaf()), lr=0.1)


def test_a_group_that_cannot_be_added_leaves_all_as_it_was():
    a, b = leaf(), leaf()
    adam = optim.Adam([a])
    for group, kind in [
        ({"params": [b, a]}, ValueError),
        ({"params": [b], "betas": (0.9, 1.0)}, ValueError),
        (b, TypeError),
    ]:
        with pytest.raises(kind):
            adam.add_param_group(group)
    assert adam.params == [a]
    assert list(adam.state_dict()) == ["lr", "betas", "eps", "weight_decay", "step.0", "m.0", "v.0"]
    adam.add_param_group({"params": [b]})
    assert len(adam.param_groups) == 2


def test_the_state_of_groups(tmp_path):
    def made(cut=1):
        params = [leaf(), leaf([3.0]), leaf([4.0])]
        return optim.SGD([{"params": params[:cut], "lr": 0.5}, {"params": params[cut:], "momentum": 0.9}], lr=0.1)

    sgd, other = made(), made()
    for p in sgd.params:
        p.grad = np.ones(p.shape)
    sgd.step()
    sgd.param_groups[1]["lr"] = 0.7
    state = sgd.state_dict()
    assert [name for name in state if "step" not in name and "group" not in name] == ["velocity.1", "velocity.2"]
    assert state["group.1.params"].tolist() == [1, 2]
    mg.save(tmp_path / "state", state)
    other.load_state_dict(mg.load(tmp_path / "state"))
    assert repr(other) == repr(sgd)
    np.testing.assert_equal(other.state_dict(), state)
    with pytest.raises(ValueError, match=r"group\.0\.params is int64 \(2,\) here, int64 \(1,\) in the state"):
        made(2).load_state_dict(state)


def test_schedules_scale_each_groups_own_rate():
    def made():
        sgd = optim.SGD([{"params": [leaf()]}, {"params": [leaf()], "lr": 0.1}], lr=1.0)
        return sgd, optim.WarmupLR(sgd, 2, optim.CosineLR(sgd, 2, min_lr=0.05))

    rates = lambda sgd: [group["lr"] for group in sgd.param_groups]  # noqa: E731
    (sgd, schedule), (other, again) = made(), made()
    found = [rates(sgd)]
    for _ in range(4):
        schedule.step()
        found.append(rates(sgd))
    np.testing.assert_allclose(found, [[0.5, 0.05], [1, 0.1], [1, 0.1], [0.525, 0.075], [0.05, 0.05]])
    assert schedule.base_lrs == [1.0, 0.1]
    again.load_state_dict(schedule.state_dict())
    assert rates(other) == rates(sgd)
    other.add_param_group({"params": [leaf()]})
    with pytest.raises(ValueError, match="3 parameter groups, it had 2"):
        again.step()
    assert (rates(other)[:2], again.count) == (rates(sgd), 4)
