"""Operators that are read, on the cases of ONNX's own test suite: all of them, but for a list with reasons."""

from __future__ import annotations

import functools
import importlib
import re
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from minigrad.interop.onnx.operators import READERS, WRITERS
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
"""Cases of operators that are read which are refused, by a pattern of their names, and why."""
NATIVE = {1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13}  # the types that NumPy has, as ONNX numbers them


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
    """The cases in which an operator stands first; importing a module of ONNX makes those of its operators."""
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


# Operators whose cases are all of types that NumPy lacks, or that ONNX has none of.
WITHOUT_CASES = {"Swish"}


@NEEDS_ONNX
@pytest.mark.filterwarnings("ignore")  # of what NumPy meets while the cases are made
@pytest.mark.parametrize("kind", sorted(READERS))
def test_cases_of_onnx(kind, tmp_path):
    path = tmp_path / "case.onnx"
    for case in cases(kind):
        path.write_bytes(case.model.SerializeToString())
        if reason(case):
            with pytest.raises(NotImplementedError):
                runs(path, case)
        else:
            runs(path, case)


def runs(path, case):
    network = mg.import_onnx(path)
    for inputs, outputs in case.data_sets:
        for ours, theirs in zip(arrays_in(network(*map(array, inputs))), map(array, outputs), strict=True):
            assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape), case.name
            np.testing.assert_allclose(ours, theirs, rtol=case.rtol, atol=case.atol, err_msg=case.name)


@NEEDS_ONNX
@pytest.mark.filterwarnings("ignore")
def test_nearly_every_operator_has_cases_and_every_exception_one():
    """So that a release of ONNX that moves them is noticed."""
    assert {kind for kind in READERS if not cases(kind)} <= WITHOUT_CASES
    refused = {reason(case) for kind in READERS for case in cases(kind)}
    assert set(NOT_READ.values()) <= refused


def test_the_page_lists_the_operators():
    page = (Path(__file__).parents[2] / "docs/onnx.md").read_text()
    (listed,) = re.findall(r"<!-- operators -->\n(.*?)\n<!-- end -->", page, re.DOTALL)
    assert re.findall(r"\w+", listed) == sorted(READERS)
    (listed,) = re.findall(r"<!-- primitives -->\n(.*?)\n<!-- end of primitives -->", page, re.DOTALL)
    assert re.findall(r"\w+", listed) == sorted(WRITERS)


# --- beside onnxruntime -------------------------------------------------------------------------------


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
WAYS = [
    *({"mode": mode, "coordinate_transformation_mode": way} for mode in ("linear", "cubic")
      for way in ("half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners")),
    *({"mode": "nearest", "coordinate_transformation_mode": way, "nearest_mode": nearest}
      for way in ("half_pixel", "asymmetric") for nearest in ("floor", "round_prefer_floor", "round_prefer_ceil")),
    {"mode": "cubic", "cubic_coeff_a": -0.5, "exclude_outside": 1},
]  # fmt: skip


@NEEDS_RUNTIME
@pytest.mark.parametrize("options", WAYS, ids=lambda options: "-".join(map(str, options.values())))
def test_resized_images_are_those_of_onnxruntime(options, tmp_path):
    path, second = tmp_path / "resize.onnx", tmp_path / "second.onnx"
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype(np.float32)
    for constants in ([None, SCALES], [None, None, np.array([2, 3, 7, 3])]):
        of_one(path, "Resize", x, constants, **options)
        network = mg.import_onnx(path)
        mg.export_onnx(network, x, second)
        (theirs,) = run(path, [x])
        for ours in (network(x).data, run(second, [x])[0]):
            assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


@NEEDS_RUNTIME
@pytest.mark.parametrize("scale", [0.6, 1.3, 1.7, 2.5])
def test_nearest_entries_are_chosen_in_single_precision(scale, tmp_path):
    """In double precision 17 / float32(1.7) is just below 10, and its floor another entry."""
    x, path = np.arange(16, dtype=np.float32).reshape(1, 1, 1, 16), tmp_path / "resize.onnx"
    options = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    of_one(path, "Resize", x, [None, np.array([1, 1, 1, scale], np.float32)], **options)
    np.testing.assert_array_equal(mg.import_onnx(path)(x).data, run(path, [x])[0])


@NEEDS_ONNX
def test_resized_images_are_those_of_upsample_and_have_its_gradient(tmp_path):
    x = np.random.default_rng(0).standard_normal((1, 2, 3, 4)).astype(np.float32)
    for theirs, mode in (("nearest", "nearest"), ("linear", "bilinear")):
        of_one(tmp_path / "r.onnx", "Resize", x, [None, SCALES], mode=theirs)
        network = mg.import_onnx(tmp_path / "r.onnx")
        ours, expected = (mg.grad(lambda x, f=f: (f(x) ** 2).sum())(x) for f in (
            network, lambda x, mode=mode: mg.ops.upsample(x, (2, 3), mode)))  # fmt: skip
        np.testing.assert_allclose(ours.data, expected.data, rtol=1e-4)


@NEEDS_RUNTIME
@pytest.mark.parametrize("fmod", [0, 1])
def test_remainders_are_those_of_onnxruntime_and_have_gradients(fmod, tmp_path):
    path, second = tmp_path / "mod.onnx", tmp_path / "second.onnx"
    b = np.array([3, -3, 2, -2, 5])
    of_one(path, "Mod", a := np.array([7, 7, -7, -7, 5]), [b], fmod=fmod)
    np.testing.assert_array_equal(mg.import_onnx(path)(a).data, run(path, [a])[0])
    if fmod:
        a, b = np.array([7.25, 1, 0.3, 1e8, -1], np.float32), np.array([-3.25, 0.1, 0.1, 0.3, 0.1], np.float32)
        of_one(path, "Mod", a, [b], fmod=1)
        network = mg.import_onnx(path)
        mg.export_onnx(network, a, second)
        for ours in (network(a).data, run(second, [a])[0]):
            np.testing.assert_allclose(ours, run(path, [a])[0], rtol=1e-6)
        network(a).sum().backward()
        np.testing.assert_allclose(network.c0.grad, -np.trunc(a.astype(float) / b), rtol=1e-6)
