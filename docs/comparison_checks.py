"""``python docs/comparison_checks.py``: whether what docs/comparison.md says of other frameworks is so.

Of each framework that is installed (``pip install torch jax equinox autograd mygrad tinygrad graphviz`` brings all) every
cell of the page is tried. For a "yes" or "part" a few lines run and give what they should, or, of what is large, the name is
there; for a "no" they fail, or, where there is nothing to call, no file of the package defines a name of that kind. What
needs hardware, a compiler or a reader is left to the page's links, and counted. Prints each cell that is wrong.

tinygrad runs on its interpreter of Python, which needs no compiler. Names of frameworks as arguments try those alone.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("DEV", "PYTHON")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import numpy as np

PAGE = Path(__file__).with_name("comparison.md")
PACKAGES = {
    "PyTorch": ("torch",),
    "JAX, Equinox": ("jax", "equinox"),
    "autograd": ("autograd",),
    "MyGrad": ("mygrad",),
    "tinygrad": ("tinygrad",),
}

DEFINITIONS = {
    "derivatives of derivatives": r"create_graph|def (grad|hessian)\b",
    "J v (`jvp`)": r"def \w*jvp",
    "forward mode, which keeps no graph": r"def \w*jvp",
    "jacobian and hessian": r"def (jac|hess)\w*\(",
    "their rows together": r"def (jac|hess|vmap)\w*\(",
    "`vmap`": r"def \w*vmap\(",
    "derivatives in nested structures": r"def \w*(pytree|vspace|tree_map)",
    "checkpoints (recomputation)": r"def (checkpoint|remat)\b",
    "gradients checked by differences": r"def \w*(gradcheck|check_grad|numerical_grad|finite_diff)",
    "complex numbers": r"complex(64|128)\b.*=|holomorphic",
    "sparse gradients": r"class \w*Sparse(Tensor|Array|Adam)\b|BCOO",
    "the first NaN, with your line": r"detect_anomaly|debug_nans",
    "hooks on tensors and modules": r"def register_\w*hook",
    "a profile by operation": r"class \w*[Pp]rofile\w*",
    "a profile by line and scope": r"record_function|with_stack",
    "a Chrome trace": r"traceEvents|export_chrome_trace|perfetto",
    "drawings of a graph": r"\b[dD]igraph\b",
    "a certificate of a reverse pass": r"def certif\w*|class \w*Certificate\w*",
    "layers with parameters and state": r"def (state_dict|parameters)\b",
    "RNN, LSTM and GRU over sequences": r"class (\w*LSTM\w*|\w*GRU\w*|RNN\w*)",
    "sequences of unequal length": r"pack_padded_sequence|PackedSequence",
    "attention without all scores in memory": r"flash_attention|memory_efficient_attention",
    "multi-head attention as a layer": r"class Multi[hH]ead\w*",
    "CTC loss": r"def ctc_?loss|class CTCLoss",
    "optimisers": r"class (SGD|Adam)\b|def adam\b",
    "learning-rate schedules": r"class \w*(LRScheduler|CosineAnnealing\w*)\b|def cosine_\w*(decay|schedule)",
    "parameter groups": r"param_groups|OptimizerGroup",
    "minibatches of arrays": r"class \w*DataLoader\b",
    "safetensors": r"def safe_save|\bsave_safetensors",
    "files of PyTorch, without PyTorch": r"def torch_load",
    "weights of PyTorch's layers, layouts turned": r"def (load_torch|from_torch)\w*\(",
    "ONNX written": r"def (export_onnx|to_onnx)\b",
    "ONNX read": r"class OnnxRunner|def (import|from)_onnx",
    "DLPack": r"def (__dlpack__|from_dlpack)\b",
    "SciPy's minimisers on nested parameters": r"def minimize\b",
    "GPU": r"\b(cuda|cupy)\b",
    "a compiler (JIT)": r"def (jit|compile)\b",
    "several machines": r"\b(all_?reduce|init_process_group)\b",
    "bfloat16": r"\bbfloat16\b",
    "automatic mixed precision": r"class autocast\b|def autocast\b",
    "quantised weights": r"def \w*(de)?quantize\w*",
}
"""What a package with a feature would define, for each "no" that has no lines of its own."""

NOT_TRIED = {
    "GPU", "a compiler (JIT)", "several machines", "other shapes in each call", "quantised weights",
    "promotion of dtypes",
}  # fmt: skip
"""Features that need hardware, a compiler or a reader where they are there; a "no" is searched for as any other."""

Tries = dict[str, Callable[[], bool]]


def pytorch() -> Tries:
    import torch

    at = torch.tensor([1.0, 2.0])

    def cubes(x: Any) -> Any:
        return (x**3).sum()

    def third() -> bool:
        f = torch.sin
        for _ in range(3):
            f = torch.func.grad(f)
        return bool(np.isclose(f(torch.tensor(0.3)), -np.cos(0.3)))

    def overwritten() -> bool:
        x = at.clone().requires_grad_()
        y = (x * x).sum()
        with torch.no_grad():
            x += 1
        return raises(RuntimeError, y.backward)

    def in_place() -> bool:
        x = at.clone().requires_grad_()
        y = x * 1
        y[0] = x[1]
        y.sum().backward()
        return x.grad.tolist() == [0, 2]

    def own() -> bool:
        class Twice(torch.autograd.Function):
            @staticmethod
            def forward(ctx: Any, x: Any) -> Any:
                return 2 * x

            @staticmethod
            def backward(ctx: Any, g: Any) -> Any:
                return 5 * g

        x = at.clone().requires_grad_()
        Twice.apply(x).sum().backward()
        return x.grad.tolist() == [5, 5]

    def anomaly() -> bool:
        x = torch.tensor([-1.0], requires_grad=True)
        with torch.autograd.detect_anomaly():
            y = x.sqrt().sum()
            return raises(RuntimeError, y.backward)

    def hooked() -> bool:
        seen: list[Any] = []
        x = at.clone().requires_grad_()
        x.register_hook(seen.append)
        (3 * x).sum().backward()
        return len(seen) == 1 and hasattr(torch.nn.Module, "register_forward_hook")

    def profiled(with_stack: bool = False) -> Any:
        with torch.profiler.profile(with_stack=with_stack) as profile, torch.profiler.record_function("mine"):
            cubes(at)
        return profile

    def sparse() -> bool:
        layer = torch.nn.Embedding(5, 2, sparse=True)
        layer(torch.tensor([1])).sum().backward()
        return bool(layer.weight.grad.is_sparse)

    def checkpointed() -> bool:
        from torch.utils.checkpoint import checkpoint

        x = at.clone().requires_grad_()
        checkpoint(cubes, x, use_reentrant=False).backward()
        return x.grad.tolist() == [3, 12]

    def packed() -> bool:
        rnn = torch.nn.utils.rnn
        for layer in (torch.nn.RNN(2, 3), torch.nn.LSTM(2, 3), torch.nn.GRU(2, 3)):
            layer(rnn.pack_padded_sequence(torch.ones(4, 2, 2), [4, 1]))
        return True

    return {
        "reverse mode": lambda: torch.func.grad(cubes)(at).tolist() == [3, 12],
        "derivatives of derivatives": third,
        "J v (`jvp`)": lambda: torch.func.jvp(cubes, (at,), (at,))[1].item() == 27,
        "forward mode, which keeps no graph": lambda: not torch.func.jvp(cubes, (at,), (at,))[1].requires_grad,
        "jacobian and hessian": lambda: torch.func.hessian(cubes)(at).tolist() == [[6, 0], [0, 12]],
        "their rows together": lambda: torch.func.jacrev(lambda x: x * x)(at).tolist() == [[2, 0], [0, 4]],
        "`vmap`": lambda: torch.vmap(cubes)(torch.ones(3, 2)).tolist() == [2, 2, 2],
        "derivatives in nested structures": lambda: (
            torch.func.grad(lambda d: cubes(d["a"][0]))({"a": [at]})["a"][0][1] == 12
        ),
        "checkpoints (recomputation)": checkpointed,
        "a derivative of one's own": own,
        "gradients checked by differences": lambda: torch.autograd.gradcheck(cubes, at.double().requires_grad_()),
        "NumPy's functions take tensors": lambda: not raises(RuntimeError, lambda: np.exp(at.clone().requires_grad_())),
        "gradients through writes in place": in_place,
        "complex numbers": lambda: torch.autograd.gradcheck(
            torch.sin, torch.tensor([1 + 1j], dtype=torch.complex128, requires_grad=True)
        ),
        "sparse gradients": sparse,
        "values that a gradient needs cannot change unseen": overwritten,
        "the first NaN, with your line": anomaly,
        "hooks on tensors and modules": hooked,
        "a profile by operation": lambda: "aten::pow" in profiled().key_averages().table(),
        "a profile by line and scope": lambda: "mine" in profiled(True).key_averages(group_by_stack_n=3).table(),
        "a Chrome trace": lambda: hasattr(profiled(), "export_chrome_trace"),
        "drawings of a graph": lambda: importlib.util.find_spec("torch.fx.passes.graph_drawer") is not None,
        "layers with parameters and state": lambda: set(torch.nn.Linear(2, 3).state_dict()) == {"weight", "bias"},
        "RNN, LSTM and GRU over sequences": packed,
        "sequences of unequal length": packed,
        "attention without all scores in memory": lambda: hasattr(
            torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu"
        ),
        "multi-head attention as a layer": lambda: hasattr(torch.nn, "MultiheadAttention"),
        "CTC loss": lambda: hasattr(torch.nn.functional, "ctc_loss"),
        "optimisers": lambda: hasattr(torch.optim, "AdamW"),
        "learning-rate schedules": lambda: hasattr(torch.optim.lr_scheduler, "CosineAnnealingLR"),
        "parameter groups": lambda: (
            len(torch.optim.SGD([{"params": [at]}, {"params": [at.clone()]}], lr=1.0).param_groups) == 2
        ),
        "minibatches of arrays": lambda: hasattr(torch.utils.data, "DataLoader"),
        "files of PyTorch, without PyTorch": lambda: False,
        "ONNX written": lambda: callable(torch.onnx.export),
        "ONNX read": lambda: any("import" in name or "load" in name for name in dir(torch.onnx) if name[0] != "_"),
        "DLPack": lambda: torch.from_dlpack(np.ones(2)).tolist() == [1, 1],
        "SciPy's minimisers on nested parameters": lambda: hasattr(torch.optim, "minimize"),
        "float16": lambda: at.half().sum().item() == 3,
        "bfloat16": lambda: at.bfloat16().sum().item() == 3,
        "automatic mixed precision": lambda: callable(torch.autocast),
    }


def jax() -> Tries:
    import equinox
    import jax
    import jax.numpy as jnp
    from jax.experimental import sparse
    from jax.test_util import check_grads

    at = jnp.array([1.0, 2.0])

    def cubes(x: Any) -> Any:
        return (x**3).sum()

    def close(found: Any, wanted: Any) -> bool:
        return bool(np.allclose(found, wanted))

    def own() -> bool:
        @jax.custom_vjp
        def twice(x: Any) -> Any:
            return 2 * x

        twice.defvjp(lambda x: (2 * x, None), lambda _, g: (5 * g,))
        return close(jax.grad(lambda x: twice(x).sum())(at), [5, 5])

    def nans() -> bool:
        jax.config.update("jax_debug_nans", True)
        try:
            return raises(FloatingPointError, lambda: jnp.log(jnp.array([-1.0])))
        finally:
            jax.config.update("jax_debug_nans", False)

    def cell() -> bool:
        lstm = equinox.nn.LSTMCell(2, 3, key=jax.random.PRNGKey(0))
        state = (jnp.zeros(3), jnp.zeros(3))
        _, states = jax.lax.scan(lambda s, x: 2 * (lstm(x, s),), state, jnp.ones((4, 2)))
        return states[0].shape == (4, 3)

    return {
        "reverse mode": lambda: close(jax.grad(cubes)(at), [3, 12]),
        "derivatives of derivatives": lambda: close(jax.grad(jax.grad(jax.grad(jnp.sin)))(0.3), -np.cos(0.3)),
        "J v (`jvp`)": lambda: close(jax.jvp(cubes, (at,), (at,))[1], 27),
        "forward mode, which keeps no graph": lambda: close(jax.jvp(cubes, (at,), (at,))[1], 27),
        "jacobian and hessian": lambda: close(jax.hessian(cubes)(at), [[6, 0], [0, 12]]),
        "their rows together": lambda: close(jax.jacrev(lambda x: x * x)(at), [[2, 0], [0, 4]]),
        "`vmap`": lambda: close(jax.vmap(cubes)(jnp.ones((3, 2))), [2, 2, 2]),
        "derivatives in nested structures": lambda: close(
            jax.grad(lambda d: cubes(d["a"][0]))({"a": [at]})["a"][0], [3, 12]
        ),
        "checkpoints (recomputation)": lambda: close(jax.grad(jax.checkpoint(cubes))(at), [3, 12]),
        "a derivative of one's own": own,
        "gradients checked by differences": lambda: check_grads(cubes, (at,), order=1, rtol=0.05) is None,
        "NumPy's functions take tensors": lambda: (
            not raises(jax.errors.TracerArrayConversionError, lambda: jax.grad(np.exp)(0.3))
        ),
        "gradients through writes in place": lambda: not raises(TypeError, lambda: at.__setitem__(0, 1.0)),
        "complex numbers": lambda: close(jax.grad(lambda z: z**2, holomorphic=True)(1 + 1j), 2 + 2j),
        "sparse gradients": lambda: close((sparse.BCOO.fromdense(jnp.eye(2)) @ at), at),
        "values that a gradient needs cannot change unseen": lambda: raises(TypeError, lambda: at.__setitem__(0, 1.0)),
        "the first NaN, with your line": nans,
        "hooks on tensors and modules": lambda: any("hook" in n for n in [*dir(equinox), *dir(at)] if n[0] != "_"),
        "a profile by operation": lambda: callable(jax.profiler.trace),
        "a profile by line and scope": lambda: callable(jax.profiler.TraceAnnotation) and callable(jax.named_scope),
        "a Chrome trace": lambda: "create_perfetto_trace" in jax.profiler.start_trace.__code__.co_varnames,
        "drawings of a graph": lambda: "digraph" in jax.jit(jnp.sin).lower(1.0).compiler_ir("hlo").as_hlo_dot_graph(),
        "layers with parameters and state": lambda: (
            equinox.nn.Linear(2, 3, key=jax.random.PRNGKey(0)).weight.shape == (3, 2)
        ),
        "RNN, LSTM and GRU over sequences": cell,
        "sequences of unequal length": lambda: any("length" in n or "Packed" in n for n in dir(equinox.nn)),
        "attention without all scores in memory": lambda: "cudnn" in (jax.nn.dot_product_attention.__doc__ or ""),
        "multi-head attention as a layer": lambda: hasattr(equinox.nn, "MultiheadAttention"),
        "optimisers": lambda: hasattr(jax, "optimizers") or hasattr(equinox, "optim"),
        "learning-rate schedules": lambda: hasattr(jax, "optimizers") or hasattr(equinox, "optim"),
        "ONNX written": lambda: hasattr(jax, "to_onnx") or hasattr(equinox, "to_onnx"),
        "DLPack": lambda: close(np.from_dlpack(at), [1, 2]),
        "SciPy's minimisers on nested parameters": lambda: bool(
            importlib.import_module("jax.scipy.optimize")
            .minimize(lambda x: ((x - 1) ** 2).sum(), at, method="BFGS")
            .success
        ),
        "float16": lambda: at.astype("float16").sum().item() == 3,
        "bfloat16": lambda: at.astype("bfloat16").sum().item() == 3,
    }


def autograd() -> Tries:
    import autograd
    import autograd.numpy as anp
    from autograd.extend import defvjp, primitive
    from autograd.misc import optimizers
    from autograd.test_util import check_grads

    at = np.array([1.0, 2.0])

    def cubes(x: Any) -> Any:
        return anp.sum(x**3)

    calls: list[Any] = []

    @primitive
    def twice(x: Any) -> Any:
        return 2 * x

    defvjp(twice, lambda y, x: lambda g: calls.append(g) or 5 * g)

    def rows_together() -> bool:
        calls.clear()
        autograd.jacobian(twice)(np.ones(10))
        return len(calls) == 1

    def watched() -> bool:
        x = at.copy()
        pull, _ = autograd.make_vjp(lambda x: anp.sum(x * x))(x)
        x[:] = 5
        return raises(Exception, lambda: pull(1.0)) or bool((pull(1.0) == [2, 4]).all())

    return {
        "reverse mode": lambda: autograd.grad(cubes)(at).tolist() == [3, 12],
        "derivatives of derivatives": lambda: bool(
            np.isclose(autograd.grad(autograd.grad(autograd.grad(anp.sin)))(0.3), -np.cos(0.3))
        ),
        "J v (`jvp`)": lambda: autograd.make_jvp(cubes)(at)(at)[1] == 27,
        "forward mode, which keeps no graph": lambda: autograd.make_jvp(cubes)(at)(at)[1] == 27,
        "jacobian and hessian": lambda: autograd.hessian(cubes)(at).tolist() == [[6, 0], [0, 12]],
        "their rows together": rows_together,
        "derivatives in nested structures": lambda: (
            autograd.grad(lambda d: cubes(d["a"][0]))({"a": [at]})["a"][0].tolist() == [3, 12]
        ),
        "checkpoints (recomputation)": lambda: autograd.grad(autograd.checkpoint(cubes))(at).tolist() == [3, 12],
        "a derivative of one's own": lambda: autograd.grad(lambda x: anp.sum(twice(x)))(at).tolist() == [5, 5],
        "gradients checked by differences": lambda: check_grads(cubes)(at) is None,
        "NumPy's functions take tensors": lambda: (
            autograd.grad(lambda x: anp.sum(np.exp(x)))(0 * at).tolist() == [1, 1]
        ),
        "gradients through writes in place": lambda: (
            not raises(AttributeError, lambda: autograd.grad(lambda x: x.__setitem__(0, 1.0))(at))
        ),
        "complex numbers": lambda: autograd.holomorphic_grad(lambda z: z**2)(1 + 1j) == 2 + 2j,
        "values that a gradient needs cannot change unseen": watched,
        "optimisers": lambda: all(hasattr(optimizers, name) for name in ("sgd", "rmsprop", "adam")),
        "other shapes in each call": lambda: [autograd.grad(cubes)(np.ones(n)).size for n in (1, 2)] == [1, 2],
        "float16": lambda: autograd.grad(cubes)(at.astype("float16")).dtype == "float16",
        "promotion of dtypes": lambda: (
            autograd.grad(lambda x: anp.sum(x * at))(at.astype("float32")).dtype == "float32"
        ),
    }


def mygrad() -> Tries:
    import mygrad
    from mygrad.operation_base import Operation

    def gradient(f: Callable[[Any], Any], at: Any = (1.0, 2.0), dtype: Any = None) -> Any:
        x = mygrad.tensor(at, dtype=dtype)
        f(x).sum().backward()
        return x.grad

    class Twice(Operation):
        def __call__(self, x: Any) -> Any:
            self.variables = (x,)
            return 2 * x.data

        def backward_var(self, grad: Any, index: int, **options: Any) -> Any:
            return 5 * grad

    def in_place(x: Any) -> Any:
        y = x * 1
        y[0] = x[1]
        return y

    def guarded() -> bool:
        array = np.array([1.0, 2.0])
        x = mygrad.tensor(array, copy=False)
        y = x * x
        return y is not None and raises(ValueError, lambda: array.__setitem__(0, 4.0))

    def drawn() -> bool:
        from mygrad.computational_graph import build_graph

        return "->" in build_graph(mygrad.tensor(1.0) * 2).source

    return {
        "reverse mode": lambda: gradient(lambda x: x**3).tolist() == [3, 12],
        "derivatives of derivatives": lambda: not isinstance(gradient(lambda x: x**3), np.ndarray),
        "a derivative of one's own": lambda: gradient(lambda x: mygrad.execute_op(Twice, x)).tolist() == [5, 5],
        "NumPy's functions take tensors": lambda: (
            gradient(lambda x: np.exp(np.concatenate([x, x])), (0.0,)).tolist() == [2]
        ),
        "gradients through writes in place": lambda: gradient(in_place).tolist() == [0, 2],
        "complex numbers": lambda: not raises(TypeError, lambda: mygrad.tensor(1j)),
        "values that a gradient needs cannot change unseen": guarded,
        "drawings of a graph": drawn,
        "layers with parameters and state": lambda: hasattr(mygrad.nnet.layers, "Linear"),
        "RNN, LSTM and GRU over sequences": lambda: (Path(mygrad.__file__).parent / "nnet/layers/gru.py").exists(),
        "DLPack": lambda: hasattr(mygrad.Tensor, "__dlpack__"),
        "other shapes in each call": lambda: [gradient(lambda x: x, np.ones(n)).size for n in (1, 2)] == [1, 2],
        "float16": lambda: gradient(lambda x: x * x, dtype="float16").dtype == "float16",
        "promotion of dtypes": lambda: (mygrad.tensor(np.ones(1, "float32")) * np.ones(1)).dtype == "float64",
    }


def tinygrad() -> Tries:
    from tinygrad import Tensor, dtypes, helpers, nn

    def gradient(f: Callable[[Any], Any], at: Any = (1.0, 2.0)) -> Any:
        x = Tensor(list(at))
        return f(x).sum().gradient(x)[0].tolist()

    def third() -> bool:
        x = Tensor([0.3])
        y = x.sin()
        for _ in range(3):
            y = y.sum().gradient(x)[0]
        return bool(np.isclose(y.item(), -np.cos(0.3)))

    def in_place(x: Any) -> Any:
        y = x * x
        y[0] = x[1]
        return y

    def watched() -> bool:
        x = Tensor([1.0, 2.0]).realize()
        y = (x * x).sum()
        x.assign(Tensor([5.0, 5.0])).realize()
        return y.gradient(x)[0].tolist() == [2, 4]

    def steps() -> bool:
        w = Tensor([1.0])
        sgd = nn.optim.SGD([w], lr=0.5)
        helpers.TRAINING.value = 1
        (w * w).sum().backward()
        sgd.step()
        return w.item() == 0

    return {
        "reverse mode": lambda: gradient(lambda x: x**3) == [3, 12],
        "derivatives of derivatives": third,
        "a derivative of one's own": lambda: "grad_fxn" in Tensor.custom_kernel.__code__.co_varnames,
        "NumPy's functions take tensors": lambda: isinstance(np.exp(Tensor([1.0])), Tensor),
        "gradients through writes in place": lambda: gradient(in_place) == [0, 5],
        "complex numbers": lambda: not raises(RuntimeError, lambda: Tensor([1j])),
        "values that a gradient needs cannot change unseen": watched,
        "a profile by operation": lambda: importlib.util.find_spec("tinygrad.viz") is not None,
        "drawings of a graph": lambda: importlib.util.find_spec("tinygrad.viz.serve") is not None,
        "layers with parameters and state": lambda: set(nn.state.get_state_dict(nn.Linear(2, 3))) == {"weight", "bias"},
        "RNN, LSTM and GRU over sequences": lambda: hasattr(nn, "LSTMCell") and not hasattr(nn, "LSTM"),
        "optimisers": steps,
        "parameter groups": lambda: hasattr(nn.optim, "OptimizerGroup"),
        "safetensors": lambda: callable(nn.state.safe_save) and callable(nn.state.safe_load),
        "files of PyTorch, without PyTorch": lambda: callable(nn.state.torch_load),
        "weights of PyTorch's layers, layouts turned": lambda: nn.Linear(2, 3).weight.shape != (3, 2),
        "ONNX read": lambda: importlib.util.find_spec("tinygrad.nn.onnx") is not None,
        "float16": lambda: Tensor([1.0, 2.0]).cast(dtypes.float16).float().sum().item() == 3,
        "bfloat16": lambda: hasattr(dtypes, "bfloat16"),
    }


TRIES: dict[str, Callable[[], Tries]] = {
    "PyTorch": pytorch, "JAX, Equinox": jax, "autograd": autograd, "MyGrad": mygrad, "tinygrad": tinygrad,
}  # fmt: skip


def raises(error: type[Exception], call: Callable[[], Any]) -> bool:
    try:
        call()
    except error:
        return True
    return False


def cells(peer: str) -> Iterator[tuple[str, str]]:
    """Each feature of the page with the word that the page says of a framework."""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        row = [cell.strip() for cell in line.strip("|").split("|")]
        if len(row) == 2 + len(PACKAGES) and row[2:] == list(PACKAGES):
            column = row.index(peer)
        elif len(row) == 2 + len(PACKAGES) and (word := re.match(r"yes|part|no\b", row[column])):
            yield row[0], word[0]


def defines(peer: str, pattern: str) -> bool:
    """Whether a file of the package, tests apart, has what a feature would be called."""
    wanted = re.compile(pattern)
    for package in PACKAGES[peer]:
        spec = importlib.util.find_spec(package)
        assert spec is not None and spec.origin
        root = Path(spec.origin).parent
        files = (
            path for path in root.rglob("*.py") if not {"test", "tests", "testing"} & {*path.relative_to(root).parts}
        )
        if any(wanted.search(path.read_text(encoding="utf-8", errors="replace")) for path in files):
            return True
    return False


def check(peer: str) -> tuple[int, int, list[str]]:
    """How many cells were tried and how many could not be, and what is wrong of the former."""
    tries, tried, untried, wrong = TRIES[peer](), 0, 0, []
    for feature, said in cells(peer):
        if feature in tries:
            found = tries[feature]()
        elif said == "no" and feature in DEFINITIONS:
            found = defines(peer, DEFINITIONS[feature])
        elif feature in NOT_TRIED or feature.startswith("types"):
            untried += 1
            continue
        else:
            raise LookupError(f"{peer}: nothing says how to try {feature!r}")
        tried += 1
        if found != (said != "no"):
            wrong.append(f"{peer}: {feature}: the page says {said}")
    return tried, untried, wrong


def main(names: list[str]) -> int:
    failed = False
    for peer, packages in PACKAGES.items():
        if names and peer not in names:
            continue
        if any(importlib.util.find_spec(package) is None for package in packages):
            print(f"{peer}: not installed")
            continue
        with warnings.catch_warnings(action="ignore"):
            tried, untried, wrong = check(peer)
        failed = failed or bool(wrong)
        print(
            "\n".join([f"{peer}: {tried} cells tried, {len(wrong)} wrong, {untried} left to its documentation", *wrong])
        )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
