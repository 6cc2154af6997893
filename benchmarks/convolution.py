"""Forward and backward of a 2-D convolution, minigrad beside PyTorch.

Both run in this process, in turns, on the same arrays; that outputs and gradients are equal is checked
first. A ratio below 1 means that minigrad is faster.
"""

from __future__ import annotations

import argparse
from typing import Any

import timing

# label: batch, channels, height and width, filters, kernel (padded so that sizes stay)
SHAPES = {
    "32x3x32x32, 16 filters 3x3": (32, 3, 32, 16, 3),
    "8x64x56x56, 64 filters 3x3": (8, 64, 56, 64, 3),
}


def rivals(batch: int, channels: int, size: int, filters: int, kernel: int) -> dict[str, Any]:
    """Two functions that return (y, dx, dw, db) in float32 for the same random arrays."""
    import numpy as np
    import torch

    import minigrad as mg

    rng = np.random.default_rng(0)
    shapes = [(batch, channels, size, size), (filters, channels, kernel, kernel), (filters,)]
    arrays = [rng.standard_normal(shape, dtype=np.float32) for shape in shapes]
    g = rng.standard_normal((batch, filters, size, size), dtype=np.float32)
    mine = [mg.tensor(a, requires_grad=True) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    their_g = torch.tensor(g)

    def minigrad() -> Any:
        for t in mine:
            t.zero_grad()
        y = mg.ops.conv2d(*mine, padding=kernel // 2)
        y.backward(g)
        return y.data, *(t.grad for t in mine)

    def pytorch() -> Any:
        for t in theirs:
            t.grad = None
        y = torch.nn.functional.conv2d(*theirs, padding=kernel // 2)
        y.backward(their_g)
        return y.detach(), *(t.grad for t in theirs)

    return {"minigrad": minigrad, "pytorch": pytorch}


def check_equal(functions: dict[str, Any]) -> None:
    """Outputs and gradients agree to float32's accuracy, relative to the largest entry of each."""
    import numpy as np

    mine, theirs = functions["minigrad"](), functions["pytorch"]()
    for name, a, b in zip(("y", "dx", "dw", "db"), mine, theirs, strict=True):
        scale = np.abs(b.numpy()).max()
        np.testing.assert_allclose(a / scale, b.numpy() / scale, atol=1e-5, rtol=0, err_msg=name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="numbers of threads to try")
    parser.add_argument("--repeats", type=int, default=20, help="rounds, of which the best counts")
    args = parser.parse_args()

    print(f"NumPy's BLAS: {timing.kernel()}")
    results = {}
    for label, shape in SHAPES.items():
        functions = rivals(*shape)
        check_equal(functions)
        for number in args.threads:
            with timing.threads(number):
                seconds = timing.compare(functions, args.repeats)
            results[f"{label}, {number} thread{'s' * (number > 1)}"] = seconds
    timing.print_ratios(results)


if __name__ == "__main__":
    main()
