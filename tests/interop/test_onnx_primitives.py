"""Primitives one by one, on what their own tests draw: written as ONNX, then run by onnxruntime and read again."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad import Tensor, nn
from minigrad.interop.onnx.operators import READERS, WRITERS
from minigrad.primitives import PRIMITIVES
from tests.interop.onnx_files import NEEDS_ONNX, NEEDS_RUNTIME, arrays_in, operators_of, run

FAMILIES = [
    importlib.import_module(f"tests.ops.{path.stem}")
    for path in sorted((Path(__file__).parent.parent / "ops").glob("test_*.py"))
]
CASES = {name: (module, case) for module in FAMILIES for name, case in getattr(module, "CASES", {}).items()}
COMPOSED = ["affine", "binary_cross_entropy_with_logits", "gelu", "group_norm", "gru_step", "lstm_cell", "lstm_step",
            "mse_loss", "norm", "normal_cdf", "pixel_unshuffle", "rms_norm", "rnn_step", "std", "temporal_affine",
            "var"]  # fmt: skip
"""Some without a writer, which are written as their references."""
ELSEWHERE = {"dropout", "lstm"}
"""Dropout can only be refused, and so are all cell states of an LSTM, which are its second result: see the networks."""
FEW = settings(max_examples=3, suppress_health_check=list(HealthCheck))
DRAWN = sorted((WRITERS.keys() | set(COMPOSED)) & CASES.keys() - ELSEWHERE)


class Call(nn.Module):
    """A function of floating arrays; what else it is called with are constants."""

    def __init__(self, name, case, dtype):
        functions = vars(CASES[name][0]).get("FUNCTIONS", {})
        self.function = functions.get(name) or getattr(mg.ops, name)
        self.options = case.options
        self.constants = {i: x for i, x in enumerate(case.inputs) if not is_input(x)}
        self.count = len(case.inputs)
        self.inputs = tuple(tensor(x.astype(dtype)) for x in case.inputs if is_input(x))

    def forward(self, *inputs):
        rest = iter(inputs)
        arguments = [self.constants[i] if i in self.constants else next(rest) for i in range(self.count)]
        return self.function(*arguments, **self.options)


def is_input(x):
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def tensor(array):
    with mg.no_grad():
        return Tensor(array)


def written(name, data, path, dtype):
    """The module of a case, written; a case with nothing in it, or without a counterpart, is drawn anew."""
    case = data.draw(CASES[name][1])
    with mg.no_grad():
        module = Call(name, case, dtype)
    assume(module.inputs and all(x.size for x in module.inputs))
    try:
        mg.export_onnx(module, module.inputs, path)
    except NotImplementedError as error:
        assume("cannot be written" not in str(error))
        raise
    return module, arrays_in(module(*module.inputs))


@NEEDS_RUNTIME
@pytest.mark.parametrize("name", DRAWN)
@FEW
@given(data=st.data())
def test_onnxruntime_computes_the_same(name, data, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "primitive.onnx"
    module, expected = written(name, data, path, np.float32)
    for ours, theirs in zip(expected, run(path, module.inputs), strict=True):
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
        np.testing.assert_allclose(theirs, ours, rtol=2e-5, atol=1e-5)


@NEEDS_ONNX
@pytest.mark.parametrize("name", DRAWN)
@FEW
@given(data=st.data())
def test_what_is_written_is_read_as_the_same(name, data, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "primitive.onnx"
    module, expected = written(name, data, path, np.float64)
    assert operators_of(path) <= READERS.keys()
    for ours, theirs in zip(expected, arrays_in(mg.import_onnx(path)(*module.inputs)), strict=True):
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
        np.testing.assert_allclose(theirs, ours, rtol=1e-6, atol=1e-8)  # numbers such as eps are kept in single


@NEEDS_RUNTIME
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("axes", [1, 2])
def test_padding_by_name(axes, stride, padding, tmp_path):
    """An odd pixel is behind; of a dilated kernel too."""
    kind = {1: nn.Conv1d, 2: nn.Conv2d}[axes]
    module, x = (
        kind(2, 3, 4, stride, padding, dilation=2, rng=0),
        np.random.default_rng(0).normal(size=(2, 2, *(9, 8)[:axes])),
    )
    x = tensor(x.astype(np.float32))
    mg.export_onnx(module, x, tmp_path / "layer.onnx")
    (theirs,) = run(tmp_path / "layer.onnx", [x])
    np.testing.assert_allclose(theirs, module(x).data, rtol=2e-5, atol=1e-5)
    np.testing.assert_allclose(mg.import_onnx(tmp_path / "layer.onnx")(x).data, theirs, rtol=2e-5, atol=1e-5)


# --- what is not differentiated has no cases ---------------------------------------------------------

X, Y = np.array([[1.5, -2.5, 0.5], [0.4, 7.0, -1.2]], np.float32), np.array([1.5, -3.0, 0.5], np.float32)
TRUE = X > 0
WITH_NAN = np.array([1.0, np.nan, np.inf, -np.inf], np.float32)
CONSTANT = {
    **dict.fromkeys(("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"), (X, Y)),
    **dict.fromkeys(("logical_and", "logical_or", "logical_xor"), (TRUE, X > 1)),
    **dict.fromkeys(("sign", "floor", "ceil", "round", "argmax", "argmin", "argsort"), (X,)),
    **dict.fromkeys(("isnan", "isinf", "isfinite"), (WITH_NAN,)),
    "floor_divide": (X, np.array([-0.25, 2.0, 0.1], np.float32)),
    **dict.fromkeys(("any", "all", "logical_not"), (TRUE,)),
    "one_hot": (np.array([[0, 2], [1, 1]]),),
}
OPTIONS = {"one_hot": {"size": 4}, "round": {"decimals": 1}}


@NEEDS_RUNTIME
@pytest.mark.parametrize("name", CONSTANT)
def test_constants_are_written(name, tmp_path):
    class Network(nn.Module):
        def forward(self, *inputs):
            return getattr(mg.ops, name)(*inputs, **OPTIONS.get(name, {}))

    path = tmp_path / "constant.onnx"
    mg.export_onnx(Network(), CONSTANT[name], path)
    (expected,) = arrays_in(Network()(*CONSTANT[name]))
    for theirs in (run(path, CONSTANT[name])[0], mg.import_onnx(path)(*CONSTANT[name]).data):
        assert theirs.dtype == expected.dtype
        np.testing.assert_array_equal(theirs, expected)


def test_every_writer_is_tried():
    assert WRITERS.keys() <= CONSTANT.keys() | {*DRAWN, *ELSEWHERE}
    assert WRITERS.keys() <= {record.name for record in PRIMITIVES.values()}
