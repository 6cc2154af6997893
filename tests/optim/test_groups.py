"""Parameter groups: options of their own, in steps, schedules and files; what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
from minigrad import optim


def leaf(array=(1.0, 2.0)):
    return mg.tensor(np.array(array), requires_grad=True)


@pytest.mark.parametrize("name", ["SGD", "RMSprop", "Adagrad", "Adam", "AdamW", "Lion"])
def test_groups_step_as_optimisers_of_their_own(name):
    make = getattr(optim, name)
    together, apart = [leaf(), leaf([3.0])], [leaf(), leaf([3.0])]
    options = {"lr": 0.3, "weight_decay": 0.2}
    one = make([{"params": together[:1]}, {"params": iter(together[1:]), **options}], lr=0.1)
    others = [make(apart[:1], lr=0.1), make(apart[1:], **options)]
    for k in range(3):
        for p in together + apart:
            p.grad = np.full(p.shape, 1.0 + k)
        one.step()
        for other in others:
            other.step()
    for p, q in zip(together, apart, strict=True):
        np.testing.assert_array_equal(p.data, q.data)


def test_an_option_as_attribute_is_that_of_all_groups():
    a, b = leaf(), leaf()
    sgd = optim.SGD([{"params": [a]}, {"params": [b]}], lr=0.1, momentum=0.5)
    sgd.lr = 0.2
    assert [group["lr"] for group in sgd.param_groups] == [0.2, 0.2]
    sgd.param_groups[1]["lr"] = 0.4
    message = r"SGD: lr is 0\.2, 0\.4 in its 2 groups. Use param_groups\[i\]\['lr'\]"
    with pytest.raises(ValueError, match=message):
        sgd.lr  # noqa: B018
    with pytest.raises(ValueError, match=message):
        sgd.lr = 0.3
    assert [group["lr"] for group in sgd.param_groups] == [0.2, 0.4]
    assert sgd.momentum == 0.5
    assert repr(sgd) == (
        "SGD(1 parameters, lr=0.2, momentum=0.5, nesterov=False, weight_decay=0.0; "
        "1 parameters, lr=0.4, momentum=0.5, nesterov=False, weight_decay=0.0)"
    )


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


def test_groups_that_were_changed_otherwise_are_refused_in_the_step():
    a, b = leaf(), leaf()
    a.grad = np.ones(2)
    for change, text in [
        (lambda o: o.param_groups[0].update(params=[a, b]), "param_groups has other parameters. Use add_param_group"),
        (lambda o: o.param_groups.append({**o.param_groups[0], "params": (b,)}), "param_groups has other parameters"),
        (lambda o: o.param_groups[0].update(lr=-1.0), "lr must be finite and at least 0"),
    ]:
        sgd = optim.SGD([a], lr=0.1)
        change(sgd)
        with pytest.raises(ValueError, match=text):
            sgd.step()
        assert sgd.steps == [0]
    assert a.data.tolist() == [1, 2]


def test_the_state_of_groups(tmp_path):
    def made(sizes=(1, 2)):
        params = [leaf(), leaf([3.0]), leaf([4.0])]
        parts = [{"params": params[: sizes[0]], "lr": 0.5}, {"params": params[sizes[0] :], "momentum": 0.9}]
        return params, optim.SGD(parts, lr=0.1)

    params, sgd = made()
    for p in params:
        p.grad = np.ones(p.shape)
    sgd.step()
    sgd.param_groups[1]["lr"] = 0.7
    state = sgd.state_dict()
    assert [name for name in state if "step" not in name and "group" not in name] == ["velocity.1", "velocity.2"]
    assert state["group.1.params"].tolist() == [1, 2]
    mg.save(tmp_path / "state", state)
    _, other = made()
    other.load_state_dict(mg.load(tmp_path / "state"))
    assert repr(other) == repr(sgd)
    for name, array in other.state_dict().items():
        np.testing.assert_array_equal(array, state[name])
    with pytest.raises(ValueError, match=r"nothing was loaded:\n  lr is missing"):
        optim.SGD(params, lr=0.1).load_state_dict(state)
    with pytest.raises(ValueError, match=r"group\.0\.params is int64 \(2,\) here, int64 \(1,\) in the state"):
        made((2, 1))[1].load_state_dict(state)


def test_a_closure_is_called_first_and_its_loss_returned():
    p = leaf()
    sgd = optim.SGD([p], lr=0.5)

    def closure():
        sgd.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    assert sgd.step(closure).item() == 5
    assert p.data.tolist() == [0, 0]
    assert sgd.step() is None


def test_schedules_scale_each_groups_own_rate():
    def made():
        return optim.SGD([{"params": [leaf()]}, {"params": [leaf()], "lr": 0.1}], lr=1.0)

    def rates(sgd):
        return [group["lr"] for group in sgd.param_groups]

    sgd = made()
    schedule = optim.WarmupLR(sgd, 2, optim.CosineLR(sgd, 2, min_lr=0.05))
    found = [rates(sgd)]
    for _ in range(4):
        schedule.step()
        found.append(rates(sgd))
    np.testing.assert_allclose(found, [[0.5, 0.05], [1, 0.1], [1, 0.1], [0.525, 0.075], [0.05, 0.05]])
    assert schedule.base_lrs == [1.0, 0.1]
    with pytest.raises(ValueError, match=r"WarmupLR: base_lr is \[1\.0, 0\.1\] in groups"):
        schedule.base_lr  # noqa: B018
    other = made()
    again = optim.WarmupLR(other, 2, optim.CosineLR(other, 2, min_lr=0.05))
    again.load_state_dict(schedule.state_dict())
    assert rates(other) == rates(sgd)
    other.add_param_group({"params": [leaf()]})
    before = rates(other)
    with pytest.raises(ValueError, match="the optimiser has 3 parameter groups, it had 2 when the schedule was made"):
        again.step()
    assert (rates(other), again.count) == (before, 4)
