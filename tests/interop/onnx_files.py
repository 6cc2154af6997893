"""Shared by tests of ONNX files: skips without the packages, and onnxruntime."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, nn


def _needs(*packages: str) -> pytest.MarkDecorator:
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    return pytest.mark.skipif(bool(missing), reason=f"no onnx: {' and '.join(missing)} not installed")


NEEDS_ONNX, NEEDS_RUNTIME = _needs("onnx"), _needs("onnx", "onnxruntime")


class Function(nn.Module):
    """A module of a function, with weights or layers as attributes."""

    def __init__(self, function: Any, **state: Any) -> None:
        self.function = function
        vars(self).update(state)

    def forward(self, *inputs: Any) -> Any:
        return self.function(*inputs)


def arrays_in(value: Any) -> list[np.ndarray]:
    """The arrays in nested arguments or results."""
    if isinstance(value, (tuple, list)):
        return [array for part in value for array in arrays_in(part)]
    return [value.data if isinstance(value, Tensor) else value] if isinstance(value, (Tensor, np.ndarray)) else []


def run(path: Path, inputs: Any) -> list[np.ndarray]:
    """The outputs of a file in onnxruntime, for nested inputs in order."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [entry.name for entry in session.get_inputs()]
    return session.run(None, dict(zip(names, arrays_in(inputs), strict=True)))


def operators_of(path: Path) -> set[str]:
    """The operators in a file."""
    import onnx

    return {node.op_type for node in onnx.load(str(path)).graph.node}
