"""What tests of ONNX files share: whether the packages are there, and how a file is run by its runtime."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor

__all__ = ["NEEDS_ONNX", "NEEDS_RUNTIME", "arrays_in", "operators_of", "run"]


def _needs(*packages: str) -> pytest.MarkDecorator:
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    return pytest.mark.skipif(bool(missing), reason=f"no onnx: {' and '.join(missing)} not installed")


NEEDS_ONNX, NEEDS_RUNTIME = _needs("onnx"), _needs("onnx", "onnxruntime")


def arrays_in(value: Any) -> list[np.ndarray]:
    """The arrays in nested arguments or results."""
    if isinstance(value, (tuple, list)):
        return [array for part in value for array in arrays_in(part)]
    return [value.data if isinstance(value, Tensor) else value] if isinstance(value, (Tensor, np.ndarray)) else []


def run(path: Path, inputs: Any) -> list[np.ndarray]:
    """The outputs of a file by onnxruntime, on nested inputs in order."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [entry.name for entry in session.get_inputs()]
    return session.run(None, dict(zip(names, arrays_in(inputs), strict=True)))


def operators_of(path: Path) -> set[str]:
    """Which operators a file has."""
    import onnx

    return {node.op_type for node in onnx.load(str(path)).graph.node}
