"""minigrad: a small autodiff framework on NumPy with an explicit graph engine.

>>> import minigrad as mg
>>> x = mg.tensor([1.0, 2.0, 3.0], requires_grad=True)
>>> (x * x).sum().backward()
>>> x.grad
array([2., 4., 6.], dtype=float32)

Importing minigrad reads no settings and changes nothing in the process: a setting applies when it is first needed.
"""

import sys
from typing import TYPE_CHECKING, Any

from . import check, data, graph, io, linalg, nn, ops, optim
from . import gradients as _gradients  # noqa: F401 (adds Tensor.backward)
from . import hooks as _hooks  # noqa: F401 (adds Tensor.register_hook)
from . import notebooks as _notebooks  # noqa: F401 (adds methods that notebooks call)
from .anomaly import detect_anomaly
from .check import gradcheck, gradgradcheck, numerical_gradient
from .core import Tensor, no_grad, scope, tensor
from .dlpack import from_dlpack
from .higher_order import create_graph
from .io import load, load_metadata, save
from .jacobians import hessian, jacobian
from .numpy_files import load_numpy
from .ops import *  # noqa: F403
from .ops.methods import missing as _missing
from .primitives import primitive
from .profiling import profile
from .recording import record
from .rematerialization import checkpoint
from .rng import manual_seed, rng_state, set_rng_state
from .runtime.threads import get_num_threads, set_num_threads
from .spec import get_default_dtype, set_default_dtype
from .transforms import grad, hvp, jvp, linearize, value_and_grad, vjp

if sys.platform == "emscripten":
    from .runtime import webassembly as _webassembly

    _webassembly.free_without_recursion()

if TYPE_CHECKING:
    from . import interop, render
    from .interop.onnx.exporting import export_onnx
    from .interop.onnx.importing import import_onnx

__version__ = "0.2.0"

__all__ = [
    "Tensor", "check", "checkpoint", "create_graph", "data", "detect_anomaly", "export_onnx", "from_dlpack",
    "get_default_dtype", "get_num_threads", "grad", "gradcheck", "gradgradcheck", "graph", "hessian", "hvp",
    "import_onnx", "interop", "io", "jacobian", "jvp", "linalg", "linearize", "load", "load_metadata", "load_numpy",
    "manual_seed", "nn", "no_grad", "numerical_gradient", "ops", "optim", "primitive", "profile", "record", "render",
    "rng_state", "save", "scope", "set_default_dtype", "set_num_threads", "set_rng_state", "tensor", "value_and_grad",
    "vjp",
    *ops.__all__,
]  # fmt: skip


_LATE = {"export_onnx": ".interop.onnx.exporting", "import_onnx": ".interop.onnx.importing"}


def __getattr__(name: str) -> Any:
    """Import optional modules on first use, because importing them takes time."""
    import importlib

    if name in ("interop", "parallel", "render"):
        return importlib.import_module(f".{name}", __name__)
    if name in _LATE:
        return getattr(importlib.import_module(_LATE[name], __name__), name)
    raise _missing(f"module {__name__!r}", name)
