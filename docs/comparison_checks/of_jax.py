"""Checks of JAX and Equinox."""

import numpy as np
from common import raises


def checks():
    """Return a check for each feature, by its name on the page: does the framework have it?"""
    import equinox
    import jax
    import jax.numpy as jnp

    at = jnp.array([1.0, 2.0])

    def cubes(x):
        return (x**3).sum()

    def close(found, wanted):
        return bool(np.allclose(found, wanted))

    def nans():
        jax.config.update("jax_debug_nans", True)
        try:
            return raises(FloatingPointError, lambda: jnp.log(jnp.array([-1.0])))
        finally:
            jax.config.update("jax_debug_nans", False)

    def cell():
        lstm = equinox.nn.LSTMCell(2, 3, key=jax.random.PRNGKey(0))
        state = (jnp.zeros(3), jnp.zeros(3))
        _, states = jax.lax.scan(lambda s, x: 2 * (lstm(x, s),), state, jnp.ones((4, 2)))
        return states[0].shape == (4, 3)

    return {
        "derivatives of derivatives": lambda: close(jax.grad(jax.grad(jax.grad(jnp.sin)))(0.3), -np.cos(0.3)),
        "forward-mode differentiation": lambda: close(jax.jvp(cubes, (at,), (at,))[1], 27),
        "jacobian and hessian": lambda: close(jax.hessian(cubes)(at), [[6, 0], [0, 12]]),
        "`vmap`": lambda: close(jax.vmap(cubes)(jnp.ones((3, 2))), [2, 2, 2]),
        "checkpoints (recomputation)": lambda: close(jax.grad(jax.checkpoint(cubes))(at), [3, 12]),
        "NumPy functions accept tensors": lambda: (
            not raises(jax.errors.TracerArrayConversionError, lambda: jax.grad(np.exp)(0.3))
        ),
        "gradients through in-place writes": lambda: not raises(TypeError, lambda: at.__setitem__(0, 1.0)),
        "complex numbers": lambda: close(jax.grad(lambda z: z**2, holomorphic=True)(1 + 1j), 2 + 2j),
        "error if you overwrite a value that a gradient needs": lambda: raises(
            TypeError, lambda: at.__setitem__(0, 1.0)
        ),
        "line of the first NaN": nans,
        "hooks on tensors and modules": lambda: any("hook" in n for n in [*dir(equinox), *dir(at)] if n[0] != "_"),
        "profile by line and module": lambda: callable(jax.profiler.TraceAnnotation) and callable(jax.named_scope),
        "drawings of a graph": lambda: "digraph" in jax.jit(jnp.sin).lower(1.0).compiler_ir("hlo").as_hlo_dot_graph(),
        "layers with parameters and state": lambda: (
            equinox.nn.Linear(2, 3, key=jax.random.PRNGKey(0)).weight.shape == (3, 2)
        ),
        "RNN, LSTM and GRU over sequences": cell,
        "sequences of unequal length": lambda: any("length" in n or "Packed" in n for n in dir(equinox.nn)),
        "memory-efficient attention": lambda: "cudnn" in (jax.nn.dot_product_attention.__doc__ or ""),
        "optimisers": lambda: hasattr(jax, "optimizers") or hasattr(equinox, "optim"),
        "ONNX export": lambda: hasattr(jax, "to_onnx") or hasattr(equinox, "to_onnx"),
        "bfloat16": lambda: at.astype("bfloat16").sum().item() == 3,
    }
