"""Imported operators, on the cases of ONNX's own test suite and against onnxruntime."""

from __future__ import annotations

import contextlib
import functools
import importlib
import re
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from minigrad.interop.onnx.operators import READERS
from tests.interop.onnx_files import NEEDS_ONNX, NEEDS_RUNTIME, arrays_in, run

NOT_READ = {
    r"batchnorm_.*_training_mode": "batches are normalised by running averages alone",
    r"training_dropout(?!_zero)": "dropout is that of inference",
    r"dropout_(default|random)_old": "a version of 2017, with other inputs",
    r"convtranspose_3d": "convolutions have one or two axes of pixels",
    r"resize_tf_crop_and_resize.*": "images are not cut while they are resized",
    r"resize_.*_antialias": "images are not smoothed before they are made smaller",
    r"scatter_elements_with_(duplicate_indices|reduction_\w+)": "ScatterElements replaces, and reduces nothing",
}
"""Refused cases of supported operators, by a pattern of their names, and why."""
NATIVE = {1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13}  # ONNX's numbers of the types that NumPy has


@functools.cache
def folder():
    import onnx.backend.test.case.node as node

    return node, {
        kind: path.stem
        for path in sorted(Path(node.__file__).parent.glob("*.py"))
        for kind in re.findall(r"^class (\w+)\(Base\)", path.read_text(), re.MULTILINE)
    }


@functools.cache
def cases(kind):
    """The cases that begin with an operator. Importing a module of ONNX makes the cases of its operators."""
    node, homes = folder()
    if kind in homes:
        importlib.import_module(f"{node.__name__}.{homes[kind]}")
    return [case for case in node._NodeTestCases if case.model.graph.node[0].op_type == kind and suits(case)]


def suits(case):
    graph = case.model.graph
    types = [value.type for value in (*graph.input, *graph.output)]
    return all(node.op_type in READERS for node in graph.node) and all(
        kind.HasField("tensor_type") and kind.tensor_type.elem_type in NATIVE for kind in types
    )


def reason(case):
    return next((why for pattern, why in NOT_READ.items() if re.match(f"test_{pattern}", case.name)), None)


def array(value):
    import onnx

    return onnx.numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else np.asarray(value)


SLOW = {"AveragePool", "MaxPool"}
"""Operators whose cases take ONNX long to make; only --full runs them."""


@pytest.mark.slow
@NEEDS_ONNX
@pytest.mark.filterwarnings("ignore")  # NumPy warns while the cases are made
@pytest.mark.parametrize("initial", sorted({kind[0] for kind in READERS}))
def test_cases_of_onnx(initial, tmp_path, full):
    """Those of operators with a first letter."""
    path = tmp_path / "case.onnx"
    for case in (case for kind in READERS if kind[0] == initial and (full or kind not in SLOW) for case in cases(kind)):
        path.write_bytes(case.model.SerializeToString())
        with pytest.raises(NotImplementedError) if reason(case) else contextlib.nullcontext():
            runs(path, case)


def runs(path, case):
    network = mg.import_onnx(path)
    for inputs, outputs in case.data_sets:
        for ours, theirs in zip(arrays_in(network(*map(array, inputs))), map(array, outputs), strict=True):
            assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape), case.name
            np.testing.assert_allclose(ours, theirs, rtol=case.rtol, atol=case.atol, err_msg=case.name)


def of_one(path, kind, x, constants, **attributes):
    """Write a file with one operator on x and on constants."""
    from onnx import helper, numpy_helper

    names = [f"c{i}" if c is not None else "" for i, c in enumerate(constants)]
    tensors = [numpy_helper.from_array(c, name) for c, name in zip(constants, names, strict=True) if name]
    node = helper.make_node(kind, ["x", *names], ["y"], **attributes)
    dtype = helper.np_dtype_to_tensor_dtype(x.dtype)
    ends = [
        helper.make_tensor_value_info("x", dtype, x.shape),
        helper.make_tensor_value_info("y", dtype, [None] * x.ndim),
    ]
    graph = helper.make_graph([node], "graph", ends[:1], ends[1:], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    path.write_bytes(model.SerializeToString())


SCALES = np.array([1, 1, 2, 3], np.float32)
RESIZES = [
    *({"mode": mode, "coordinate_transformation_mode": transform}
      for mode, transform in (("linear", "half_pixel"), ("linear", "align_corners"), ("cubic", "pytorch_half_pixel"),
                              ("cubic", "asymmetric"))),
    *({"mode": "nearest", "coordinate_transformation_mode": "half_pixel", "nearest_mode": nearest}
      for nearest in ("floor", "round_prefer_floor", "round_prefer_ceil")),
    {"mode": "cubic", "cubic_coeff_a": -0.5, "exclude_outside": 1},
]  # fmt: skip
POOLS = [
    {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
    {"auto_pad": "SAME_LOWER", "strides": [2, 2]},
    {"ceil_mode": 1, "strides": [3, 3]},
    {"ceil_mode": 1, "strides": [2, 2], "pads": [1, 1, 1, 1]},
    {"ceil_mode": 1, "strides": [4, 3], "pads": [1, 0, 0, 1]},
]


IMAGE = np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype(np.float32)
ROW = np.arange(16, dtype=np.float32).reshape(1, 1, 1, 16)
NEAREST = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
INTEGERS = [np.array([7, 7, -7, -7, 5]), np.array([3, -3, 2, -2, 5])]
FLOATS = np.array([7.25, 1, 0.3, 1e8, -1], np.float32), np.array([-3.25, 0.1, 0.1, 0.3, 0.1], np.float32)


@NEEDS_RUNTIME
@pytest.mark.parametrize(
    ("kind", "x", "constants", "options"),
    [
        *(("Resize", IMAGE, [None, SCALES], options) for options in RESIZES),
        *(("Resize", IMAGE, [None, None, np.array([2, 3, 7, 3])], options) for options in RESIZES),
        # In double precision 17 / float32(1.7) is just below 10, so its floor is another entry
        *(("Resize", ROW, [None, np.array([1, 1, 1, s], np.float32)], NEAREST) for s in (0.6, 1.3, 1.7, 2.5)),
        *(
            (f"{kind}Pool", IMAGE, [], {"kernel_shape": [2, 2], **pool})
            for kind in ("Average", "Max")
            for pool in POOLS
        ),
        *(("AveragePool", IMAGE, [], {"kernel_shape": [3, 3], "count_include_pad": 1, **pool}) for pool in POOLS[2:]),
        ("Mod", FLOATS[0], FLOATS[1:], {"fmod": 1}),
    ],
)
def test_results_are_those_of_onnxruntime(kind, x, constants, options, tmp_path):
    path, second = tmp_path / "first.onnx", tmp_path / "second.onnx"
    of_one(path, kind, x, constants, **options)
    network = mg.import_onnx(path)
    mg.export_onnx(network, x, second)
    (theirs,) = run(path, [x])
    for ours in (network(x).data, run(second, [x])[0]):
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


@NEEDS_RUNTIME
def test_remainders_of_integers_and_gradients(tmp_path):
    path = tmp_path / "mod.onnx"
    for fmod in (0, 1):
        of_one(path, "Mod", INTEGERS[0], INTEGERS[1:], fmod=fmod)
        np.testing.assert_array_equal(mg.import_onnx(path)(INTEGERS[0]).data, run(path, INTEGERS[:1])[0])
    a, b = FLOATS
    of_one(path, "Mod", a, [b], fmod=1)
    network = mg.import_onnx(path)
    network(a).sum().backward()
    np.testing.assert_allclose(network.c0.grad, -np.trunc(a.astype(float) / b), rtol=1e-6)
