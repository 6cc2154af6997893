"""Checks of autograd."""

import numpy as np
from common import raises


def checks():
    """Return a check for each feature, by its name on the page: does the framework have it?"""
    import autograd
    import autograd.numpy as anp
    from autograd.extend import defvjp, primitive
    from autograd.misc import optimizers
    from autograd.test_util import check_grads

    at = np.array([1.0, 2.0])

    def cubes(x):
        return anp.sum(x**3)

    calls = []

    @primitive
    def twice(x):
        return 2 * x

    defvjp(twice, lambda y, x: lambda g: calls.append(g) or 5 * g)

    def rows_together():
        calls.clear()
        autograd.jacobian(twice)(np.ones(10))
        return len(calls) == 1

    def watched():
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
        "forward mode without a graph": lambda: autograd.make_jvp(cubes)(at)(at)[1] == 27,
        "jacobian and hessian": lambda: autograd.hessian(cubes)(at).tolist() == [[6, 0], [0, 12]],
        "rows computed in one batch": rows_together,
        "derivatives in nested structures": lambda: (
            autograd.grad(lambda d: cubes(d["a"][0]))({"a": [at]})["a"][0].tolist() == [3, 12]
        ),
        "checkpoints (recomputation)": lambda: autograd.grad(autograd.checkpoint(cubes))(at).tolist() == [3, 12],
        "custom derivatives": lambda: autograd.grad(lambda x: anp.sum(twice(x)))(at).tolist() == [5, 5],
        "gradients checked by differences": lambda: check_grads(cubes)(at) is None,
        "NumPy's functions take tensors": lambda: (
            autograd.grad(lambda x: anp.sum(np.exp(x)))(0 * at).tolist() == [1, 1]
        ),
        "gradients through writes in place": lambda: (
            not raises(AttributeError, lambda: autograd.grad(lambda x: x.__setitem__(0, 1.0))(at))
        ),
        "complex numbers": lambda: autograd.holomorphic_grad(lambda z: z**2)(1 + 1j) == 2 + 2j,
        "detects overwritten values that a gradient needs": watched,
        "optimisers": lambda: all(hasattr(optimizers, name) for name in ("sgd", "rmsprop", "adam")),
        "dynamic shapes": lambda: [autograd.grad(cubes)(np.ones(n)).size for n in (1, 2)] == [1, 2],
        "float16": lambda: autograd.grad(cubes)(at.astype("float16")).dtype == "float16",
        "promotion of dtypes": lambda: (
            autograd.grad(lambda x: anp.sum(x * at))(at.astype("float32")).dtype == "float32"
        ),
    }
