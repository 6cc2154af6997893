"""Minibatches: each example once an epoch, orders that follow the seed, states that resume, kinds of arrays, errors.

Parts of a batch: their gradients add up to those of the batch.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn, optim
from minigrad.data import Batches, batches

settings = {
    "n": st.integers(0, 12),
    "size": st.integers(1, 5),
    "shuffle": st.booleans(),
    "drop_last": st.booleans(),
    "seed": st.integers(0, 3),
}


def make(n: int, size: int, shuffle: bool, drop_last: bool, seed: int) -> Batches:
    return batches(np.arange(n), size=min(size, max(n, 1)), shuffle=shuffle, drop_last=drop_last, rng=seed)


def lists_of(loop) -> list[list[int]]:
    return [batch.tolist() for batch in loop]


@given(**settings)
def test_an_epoch_gives_every_example_once(n, size, shuffle, drop_last, seed):
    pairs = make(n, size, shuffle, drop_last, seed)
    for epoch in range(3):
        assert pairs.epoch == epoch
        given_now = lists_of(pairs)
        assert len(given_now) == len(pairs)
        assert {len(batch) for batch in given_now[:-1]} <= {pairs.size}
        flat = [example for batch in given_now for example in batch]
        assert len(flat) == (n - n % pairs.size if drop_last else n)
        assert len(set(flat)) == len(flat)
        assert shuffle or flat == list(range(len(flat)))


@given(**settings, before=st.integers(0, 30))
def test_a_state_resumes_in_the_middle_of_an_epoch(n, size, shuffle, drop_last, seed, before):
    """A run that is stopped after any batch and goes on elsewhere gives the same batches as one that is not."""

    def run(pairs, epochs, until=None):
        given_now = []
        while pairs.epoch < epochs:
            for batch in pairs:
                given_now.append((pairs.epoch, batch.tolist()))
                if len(given_now) == until:
                    return given_now
        return given_now

    whole = run(make(n, size, shuffle, drop_last, seed), 3)
    first = make(n, size, shuffle, drop_last, seed)
    start = run(first, 3, before)
    state = json.loads(json.dumps(first.state_dict()))
    second = make(n, size, shuffle, drop_last, seed + 7)
    second.load_state_dict(state)
    assert second.state_dict() == state
    assert start + run(second, 3) == whole


class Stored:
    """Rows as h5py gives them: slices, or indices that ascend; it counts what is read."""

    def __init__(self, array):
        self.array, self.shape, self.dtype, self.read = array, array.shape, array.dtype, 0

    def __getitem__(self, rows):
        assert isinstance(rows, slice) or (np.diff(rows) > 0).all()
        taken = self.array[rows]
        self.read += len(taken)
        return taken


@pytest.mark.parametrize("shuffle", [False, True])
def test_kinds_of_arrays(shuffle):
    x = np.arange(20.0, dtype=np.float32).reshape(10, 2)
    stored, tensor = Stored(x), mg.tensor(x, requires_grad=True)
    names = np.array([f"photo {i}" for i in range(10)])
    total = 0
    for plain, read, differentiated, name in batches(x, stored, tensor, names, size=3, shuffle=shuffle, rng=0):
        assert type(plain) is type(read) is np.ndarray
        np.testing.assert_array_equal(plain, read)
        np.testing.assert_array_equal(plain, differentiated.data)
        assert name.tolist() == [f"photo {int(row[0]) // 2}" for row in plain]
        total = total + (differentiated * plain).sum()
        assert not np.shares_memory(plain, x)
        assert not np.shares_memory(differentiated.data, tensor.data)
    assert stored.read == 10
    total.backward()
    np.testing.assert_array_equal(tensor.grad, x)


def test_errors():
    x = np.zeros((4, 2))
    for arrays, options, error, text in [
        ((), {}, TypeError, "at least one array"),
        (([1, 2],), {}, TypeError, "argument 0 must be an array or a tensor with axes, not list"),
        ((np.float64(3),), {}, TypeError, "argument 0 must be an array or a tensor with axes, not float64"),
        ((x, x[:3]), {}, ValueError, "equal lengths, not 4, 3"),
        ((x,), {"size": 0}, ValueError, "size must be an integer of at least 1, not 0"),
        ((x,), {"size": 2.0}, ValueError, "size must be an integer of at least 1, not 2.0"),
        ((x,), {"size": True}, ValueError, "size must be an integer of at least 1, not True"),
        ((x,), {"size": 5, "drop_last": True}, ValueError, "4 examples .* size=5"),
        ((x,), {"rng": "seed"}, TypeError, "rng must be"),
    ]:
        with pytest.raises(error, match=text):
            batches(*arrays, **{"size": 2, **options})


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"seed": -1}, ValueError, "seed is -1 in the state"),
        ({"epoch": 1.5}, ValueError, r"epoch is int64 \(\) here, float32 \(\) in the state"),
        ({"position": [1]}, ValueError, r"position is int64 \(\) here, int64 \(1,\) in the state"),
        ({"position": 3}, ValueError, "position 3 exceeds 2 batches"),
        ({"examples": 5}, ValueError, "examples is 5 in the state and 4 here"),
        ({"size": 3}, ValueError, "size is 3 in the state and 2 here"),
        ({"shuffle": 0}, ValueError, "shuffle is 0 in the state and 1 here"),
        ({"drop_last": 1}, ValueError, "drop_last is 1 in the state and 0 here"),
        ({"more": 1}, ValueError, "more is unexpected"),
        (None, TypeError, "must map names to arrays, not be None"),
    ],
)
def test_states_that_do_not_fit(change, error, text):
    pairs = batches(np.arange(4), size=2, rng=0)
    before = pairs.state_dict()
    with pytest.raises(error, match=text):
        pairs.load_state_dict(None if change is None else {**before, **change})
    assert pairs.state_dict() == before


def test_orders_follow_the_seed_and_change_with_the_epoch():
    mine, twin, other = (batches(np.arange(50), size=50, rng=seed) for seed in (0, 0, 1))
    epochs = [lists_of(mine) for _ in range(3)]
    assert epochs == [lists_of(twin) for _ in range(3)]
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0] != lists_of(other)


def test_a_loop_that_is_left_ends_its_epoch():
    pairs, twin = (batches(np.arange(10), size=3, rng=0) for _ in range(2))
    next(iter(pairs))
    lists_of(twin)
    assert lists_of(pairs) == lists_of(twin)


# --- parts of a batch ------------------------------------------------------------------------------------


def trained(steps, split, make):
    """The weights of a network after some steps; ``split`` gives each batch's parts and their shares."""
    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Linear(3, 4, rng=0, dtype="float64"), nn.Tanh(), nn.Linear(4, 2, rng=1, dtype="float64"))
    optimizer = make(model.parameters())
    for _ in range(steps):
        x, y = rng.normal(size=(12, 3)), rng.integers(0, 2, 12)
        optimizer.zero_grad()
        for share, some_x, some_y in split(x, y):
            (share * mg.mse_loss(model(some_x), np.eye(2)[some_y])).backward()
        optim.clip_grad_norm(model.parameters(), 1.0)
        optimizer.step()
    return [p.data for p in model.parameters()]


@pytest.mark.parametrize("parts", [2, 5, 12, 20])
@pytest.mark.parametrize("make", [lambda p: optim.SGD(p, 0.1, 0.9), lambda p: optim.Adam(p, 0.01)])
def test_parts_give_the_step_of_the_batch(parts, make):
    whole = trained(5, lambda x, y: [(1.0, x, y)], make)
    for p, q in zip(trained(5, lambda x, y: optim.micro_batches(parts, x, y), make), whole, strict=True):
        np.testing.assert_allclose(p, q, rtol=1e-12, atol=1e-14)


def test_parts_of_a_batch():
    parts = list(optim.micro_batches(3, list("abcdefg"), mg.tensor(np.arange(7.0))))
    assert [part[1] for part in parts] == [["a", "b", "c"], ["d", "e"], ["f", "g"]]
    assert [part[2].data.tolist() for part in parts] == [[0, 1, 2], [3, 4], [5, 6]]
    assert sum(part[0] for part in parts) == pytest.approx(1)
    assert list(optim.micro_batches(3, [])) == []
    for make, text in [(lambda: optim.micro_batches(0, [1]), "parts must be an integer of at least 1, not 0"),
                       (lambda: optim.micro_batches(2), "pass the arrays"),
                       (lambda: optim.micro_batches(2, [1], [1, 2]), "arrays have the lengths 1, 2")]:  # fmt: skip
        with pytest.raises(ValueError, match=text):
            make()
    for array, found in [(None, "None"), (3, "int"), (np.ones(()), r"float64 \(\)")]:
        with pytest.raises(TypeError, match=rf"arrays must have rows along their first axes, not be list, {found}"):
            optim.micro_batches(2, [1, 2], array)
