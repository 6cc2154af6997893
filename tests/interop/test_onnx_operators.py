"""Operators that are read, on the cases of ONNX's own test suite: all of them, but for a list with reasons."""

from __future__ import annotations

import functools
import importlib
import re
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from minigrad.interop.onnx.readers import READERS
from minigrad.interop.onnx.writers import WRITERS
from tests.interop.onnx_files import NEEDS_ONNX, arrays_in

NOT_READ = {
    r"batchnorm_.*_training_mode": "batches are normalised by running averages alone",
    r"training_dropout(?!_zero)": "dropout is that of inference",
    r"dropout_(default|random)_old": "a version of 2017, with other inputs",
    r"convtranspose_3d": "convolutions have one or two axes of pixels",
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
