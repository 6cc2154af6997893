"""Each primitive as an ONNX file, on the cases of its own tests: run by onnxruntime, and imported again."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad import Tensor
from minigrad.interop.onnx.operators import READERS, WRITERS
from minigrad.primitives import PRIMITIVES
from tests.interop.onnx_files import NEEDS_RUNTIME, Function, arrays_in, operators_of, run

FAMILIES = [
    importlib.import_module(f"tests.ops.{path.stem}")
    for path in sorted((Path(__file__).parent.parent / "ops").glob("test_*.py"))
]
CASES = {name: (module, case) for module in FAMILIES for name, case in getattr(module, "CASES", {}).items()}
COMPOSED = ["additive_attention", "affine", "binary_cross_entropy_with_logits", "gelu", "group_norm", "gru_step",
            "lstm_cell", "lstm_step", "mse_loss", "norm", "normal_cdf", "pixel_unshuffle", "rms_norm", "rnn_step",
            "std", "temporal_affine", "var"]  # fmt: skip
"""Primitives without a writer of their own, which are written as their references; and compositions."""
ELSEWHERE = {"dropout", "lstm"}
"""Primitives whose cases are refused; test_onnx_networks.py tests them."""
FEW = settings(max_examples=2, suppress_health_check=list(HealthCheck))
DRAWN = sorted((WRITERS.keys() | set(COMPOSED)) & CASES.keys() - ELSEWHERE)


def is_input(x):
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def tensor(array):
    with mg.no_grad():
        return Tensor(array)


@NEEDS_RUNTIME
@pytest.mark.parametrize("name", DRAWN)
@FEW
@given(data=st.data())
def test_onnxruntime_and_the_imported_network_compute_the_same(name, data, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "primitive.onnx"
    case = data.draw(CASES[name][1])
    inputs = tuple(tensor(x.astype(np.float32)) for x in case.inputs if is_input(x))
    function = vars(CASES[name][0]).get("FUNCTIONS", {}).get(name) or getattr(mg.ops, name)

    def call(*given):
        rest = iter(given)
        return function(*(next(rest) if is_input(x) else x for x in case.inputs), **case.options)

    module = Function(call)
    assume(inputs and all(x.size for x in arrays_in([*case.inputs, *case.options.values()])))
    try:
        mg.export_onnx(module, inputs, path)
    except NotImplementedError as error:
        assume("cannot be written" not in str(error))  # a case without a counterpart
        raise
    assert operators_of(path) <= READERS.keys()
    results = [
        arrays_in(module(*inputs)),
        run(path, inputs),
        arrays_in(mg.import_onnx(path)(*inputs)),
    ]
    for ours, *others in zip(*results, strict=True):
        for theirs in others:
            assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
            np.testing.assert_allclose(theirs, ours, rtol=2e-5, atol=1e-5)


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
def test_primitives_without_a_gradient(name, tmp_path):
    module = Function(lambda *inputs: getattr(mg.ops, name)(*inputs, **OPTIONS.get(name, {})))
    path = tmp_path / "constant.onnx"
    mg.export_onnx(module, CONSTANT[name], path)
    (expected,) = arrays_in(module(*CONSTANT[name]))
    for theirs in (run(path, CONSTANT[name])[0], mg.import_onnx(path)(*CONSTANT[name]).data):
        assert theirs.dtype == expected.dtype
        np.testing.assert_array_equal(theirs, expected)


def test_every_writer_is_tested():
    assert WRITERS.keys() <= CONSTANT.keys() | {*DRAWN, *ELSEWHERE}
    assert WRITERS.keys() <= {record.name for record in PRIMITIVES.values()}
