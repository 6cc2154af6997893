"""Checks of autograd."""

import numpy as np
from common import raises


def checks():
    """Return a check for each feature, by its name on the page: does the framework have it?"""
    import autograd
    import autograd.numpy as anp
    from autograd.misc import optimizers

    at = np.array([1.0, 2.0])

    def cubes(x):
        return anp.sum(x**3)

    def watched():
        x = at.copy()
        pull, _ = autograd.make_vjp(lambda x: anp.sum(x * x))(x)
        x[:] = 5
        return raises(Exception, lambda: pull(1.0)) or bool((pull(1.0) == [2, 4]).all())

    return {
        "derivatives of derivatives": lambda: bool(
            np.isclose(autograd.grad(autograd.grad(autograd.grad(anp.sin)))(0.3), -np.cos(0.3))
        ),
        "forward mode without a graph": lambda: autograd.make_jvp(cubes)(at)(at)[1] == 27,
        "jacobian and hessian": lambda: autograd.hessian(cubes)(at).tolist() == [[6, 0], [0, 12]],
        "checkpoints (recomputation)": lambda: autograd.grad(autograd.checkpoint(cubes))(at).tolist() == [3, 12],
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
    }
