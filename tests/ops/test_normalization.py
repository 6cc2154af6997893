"""Normalisations: values and gradients against references and PyTorch, hard inputs, and shapes that do not fit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.ops.normalization import batch_norm_with_statistics
from tests.checks import Case, check_primitive, leaf, pull
from tests.peers import Peer
from tests.strategies import arrays, shapes

PYTORCH = Peer(__name__)
EPS = st.sampled_from([1e-5, 1e-2, 1.0])


@st.composite
def maybe(draw, shape, low=-2.0, high=2.0):
    """An array of a shape, or None."""
    return draw(arrays(shape, low, high)) if draw(st.booleans()) else None


@st.composite
def over_axes(draw, bias=True):
    """Any axes of entries that differ, counted from either end and in any order; with weight and bias or without."""
    x = draw(arrays(shapes(min_dims=1, min_side=2, max_side=4), distinct=True))
    chosen = draw(st.lists(st.integers(0, x.ndim - 1), min_size=1, unique=True))
    signed = [i - draw(st.sampled_from([0, x.ndim])) for i in chosen]
    features = tuple(x.shape[i] for i in sorted(chosen))
    axis = signed[0] if len(signed) == 1 and draw(st.booleans()) else tuple(signed)
    others = [draw(maybe(features)) for _ in range(1 + bias)]
    return Case([x, *others], {"axis": axis, "eps": draw(EPS)})


@st.composite
def in_groups(draw):
    groups, size = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    image = draw(st.lists(st.integers(1, 3), max_size=2))
    image = image if size > 1 or np.prod(image) > 1 else [2]
    shape = draw(st.integers(1, 3)), groups * size, *image
    x = draw(arrays(shape, distinct=True))
    return Case([x, *(draw(maybe(shape[1:2])) for _ in range(2))], {"groups": groups, "eps": draw(EPS)})


@st.composite
def of_batches(draw):
    shape = draw(st.integers(2, 4)), draw(st.integers(1, 3)), *draw(st.lists(st.integers(1, 3), max_size=2))
    x = draw(arrays(shape, distinct=True))
    moments = [draw(arrays(shape[1:2])), draw(arrays(shape[1:2], 0.1, 2.0))] if draw(st.booleans()) else [None, None]
    return Case([x, *(draw(maybe(shape[1:2])) for _ in range(2)), *moments], {"eps": draw(EPS)})


CASES = {
    "batch_norm": of_batches(),
    "group_norm": in_groups(),
    "layer_norm": over_axes(),
    "rms_norm": over_axes(bias=False),
}


def batch_norm_of(*inputs, eps):
    """The result, and the batch's statistics where they are used."""
    x, weight, bias, mean, var = inputs
    if mean is None:
        return batch_norm_with_statistics(x, weight, bias, eps)
    return mg.ops.batch_norm(x, weight, bias, mean, var, eps)


def group_norm_of(x, weight, bias, groups, eps):
    return mg.ops.group_norm(x, groups, weight, bias, eps)


batch_norm_of.primitive = mg.ops.batch_norm.primitive
group_norm_of.primitive = mg.ops.group_norm.primitive
FUNCTIONS = {"batch_norm": batch_norm_of, "group_norm": group_norm_of}


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
def test_gradients(name, data):
    check_primitive(FUNCTIONS.get(name) or getattr(mg.ops, name), data.draw(CASES[name]))
