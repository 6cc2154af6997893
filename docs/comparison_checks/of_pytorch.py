"""Checks of PyTorch."""

import importlib.util

import numpy as np
from common import raises


def checks():
    """Return a check for each feature, by its name on the page: does the framework have it?"""
    import torch

    at = torch.tensor([1.0, 2.0])

    def cubes(x):
        return (x**3).sum()

    def third():
        f = torch.sin
        for _ in range(3):
            f = torch.func.grad(f)
        return bool(np.isclose(f(torch.tensor(0.3)), -np.cos(0.3)))

    def overwritten():
        x = at.clone().requires_grad_()
        y = (x * x).sum()
        with torch.no_grad():
            x += 1
        seen = raises(RuntimeError, y.backward)
        z = (x * x).sum()
        x.data += 1  # is not seen
        return seen and not raises(RuntimeError, z.backward)

    def in_place():
        x = at.clone().requires_grad_()
        y = x * 1
        y[0] = x[1]
        y.sum().backward()
        return x.grad.tolist() == [0, 2]

    def anomaly():
        x = torch.tensor([-1.0], requires_grad=True)
        with torch.autograd.detect_anomaly():
            y = x.sqrt().sum()
            return raises(RuntimeError, y.backward)

    def hooked():
        seen = []
        x = at.clone().requires_grad_()
        x.register_hook(seen.append)
        (3 * x).sum().backward()
        return len(seen) == 1 and hasattr(torch.nn.Module, "register_forward_hook")

    def profiled(with_stack=False):
        with torch.profiler.profile(with_stack=with_stack) as profile, torch.profiler.record_function("mine"):
            cubes(at)
        return profile

    def checkpointed():
        from torch.utils.checkpoint import checkpoint

        x = at.clone().requires_grad_()
        checkpoint(cubes, x, use_reentrant=False).backward()
        return x.grad.tolist() == [3, 12]

    def packed():
        rnn = torch.nn.utils.rnn
        for layer in (torch.nn.RNN(2, 3), torch.nn.LSTM(2, 3), torch.nn.GRU(2, 3)):
            layer(rnn.pack_padded_sequence(torch.ones(4, 2, 2), [4, 1]))
        return True

    return {
        "derivatives of derivatives": third,
        "forward-mode differentiation": lambda: not torch.func.jvp(cubes, (at,), (at,))[1].requires_grad,
        "jacobian and hessian": lambda: torch.func.hessian(cubes)(at).tolist() == [[6, 0], [0, 12]],
        "`vmap`": lambda: torch.vmap(cubes)(torch.ones(3, 2)).tolist() == [2, 2, 2],
        "checkpoints (recomputation)": checkpointed,
        "NumPy functions accept tensors": lambda: not raises(RuntimeError, lambda: np.exp(at.clone().requires_grad_())),
        "gradients through in-place writes": in_place,
        "complex numbers": lambda: torch.autograd.gradcheck(
            torch.sin, torch.tensor([1 + 1j], dtype=torch.complex128, requires_grad=True)
        ),
        "error if you overwrite a value that a gradient needs": overwritten,
        "line of the first NaN": anomaly,
        "hooks on tensors and modules": hooked,
        "profile by line and module": lambda: "mine" in profiled(True).key_averages(group_by_stack_n=3).table(),
        "drawings of a graph": lambda: importlib.util.find_spec("torch.fx.passes.graph_drawer") is not None,
        "layers with parameters and state": lambda: set(torch.nn.Linear(2, 3).state_dict()) == {"weight", "bias"},
        "RNN, LSTM and GRU over sequences": packed,
        "sequences of unequal length": packed,
        "memory-efficient attention": lambda: hasattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu"),
        "CTC loss": lambda: hasattr(torch.nn.functional, "ctc_loss"),
        "optimisers": lambda: hasattr(torch.optim, "AdamW"),
        "ONNX export": lambda: callable(torch.onnx.export),
        "ONNX import": lambda: any("import" in name or "load" in name for name in dir(torch.onnx) if name[0] != "_"),
        "bfloat16": lambda: at.bfloat16().sum().item() == 3,
        "automatic mixed precision": lambda: callable(torch.autocast),
    }
