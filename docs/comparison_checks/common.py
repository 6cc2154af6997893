"""What the checks share: the cells of docs/explanations/comparison.md, and what to search for in a package."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[1] / "explanations/comparison.md"
PACKAGES = {
    "PyTorch": ("torch",),
    "JAX, Equinox": ("jax", "equinox"),
    "MyGrad": ("mygrad",),
    "tinygrad": ("tinygrad",),
}
"""The packages of each framework, by its name on the page."""


def cells(peer):
    """Yield each feature of the page, and what the page says about a framework: yes, part or no."""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        row = [cell.strip() for cell in line.strip("|").split("|")]
        if len(row) == 2 + len(PACKAGES) and row[2:] == list(PACKAGES):
            column = row.index(peer)
        elif len(row) == 2 + len(PACKAGES) and (word := re.match(r"yes|part|no\b", row[column])):
            yield row[0], word[0]


def raises(error, call):
    """Return whether a call raises an error of this kind."""
    try:
        call()
    except error:
        return True
    return False


DEFINITIONS = {
    "derivatives of derivatives": r"create_graph|def (grad|hessian)\b",
    "forward-mode differentiation": r"def \w*jvp",
    "jacobian and hessian": r"def (jac|hess)\w*\(",
    "`vmap`": r"def \w*vmap\(",
    "checkpoints (recomputation)": r"def (checkpoint|remat)\b",
    "complex numbers": r"complex(64|128)\b.*=|holomorphic",
    "line of the first NaN": r"detect_anomaly|debug_nans",
    "hooks on tensors and modules": r"def register_\w*hook",
    "profile by line and module": r"record_function|with_stack",
    "drawings of a graph": r"\b[dD]igraph\b",
    "a certificate of a reverse pass": r"def certif\w*|class \w*Certificate\w*",
    "layers with parameters and state": r"def (state_dict|parameters)\b",
    "RNN, LSTM and GRU over sequences": r"class (\w*LSTM\w*|\w*GRU\w*|RNN\w*)",
    "sequences of unequal length": r"pack_padded_sequence|PackedSequence",
    "memory-efficient attention": r"flash_attention|memory_efficient_attention",
    "CTC loss": r"def ctc_?loss|class CTCLoss",
    "optimisers": r"class (SGD|Adam)\b|def adam\b",
    "reads PyTorch files without PyTorch": r"def torch_load",
    "PyTorch weights, with layouts converted": r"def (load_torch|from_torch)\w*\(",
    "ONNX export": r"def (export_onnx|to_onnx)\b",
    "ONNX import": r"class OnnxRunner|def (import|from)_onnx",
    "GPU": r"\b(cuda|cupy)\b",
    "a compiler (JIT)": r"def (jit|compile)\b",
    "several machines": r"\b(all_?reduce|init_process_group)\b",
    "bfloat16": r"\bbfloat16\b",
    "automatic mixed precision": r"class autocast\b|def autocast\b",
    "quantised weights": r"def \w*(de)?quantize\w*",
}
"""What the files of a package with a feature would define, for features without a check of their own."""

NOT_TRIED = {"GPU", "a compiler (JIT)", "several machines", "dynamic shapes", "quantised weights"}
"""Features that need hardware or a compiler; only a "no" is searched for."""
