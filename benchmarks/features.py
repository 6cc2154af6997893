"""What features of a photo cost, beside PyTorch: `python -m benchmarks.features [THREADS]`, two by default.

EfficientNet-Lite0 with its norms folded, as `captioning caption` uses it, and the same folded weights in PyTorch's
functions, turn about, on 1, 8 and 16 photos. Maps must agree to 1e-4 first.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

__all__ = ["main"]

_ROUNDS = 7


def in_pytorch(network: Any) -> Callable[[Any], Any]:
    """The maps of a folded network, (N, 3, H, W) to (N, 1280, h, w), by PyTorch's functions."""
    import numpy as np
    import torch

    state = {name: torch.from_numpy(np.array(p.data)) for name, p in network.named_parameters()}

    def unit(name: str, x: Any, own: Any) -> Any:
        weight, bias = state[f"{name}.convolution.weight"], state[f"{name}.convolution.bias"]
        stride = own.convolution.stride
        step, kernel, side = stride if isinstance(stride, int) else stride[0], weight.shape[-1], x.shape[-1]
        more = max((-(-side // step) - 1) * step + kernel - side, 0)  # TensorFlow's SAME
        padded = torch.nn.functional.pad(x, (more // 2, more - more // 2) * 2) if more else x
        y = torch.nn.functional.conv2d(padded, weight, bias, step, groups=own.convolution.groups)
        return y.clamp(0, 6) if own.active else y

    def maps(x: Any) -> Any:
        with torch.no_grad():
            x = unit("stem", x, network.stem)
            for i, block in enumerate(network.blocks):
                name = f"blocks.{i}"
                y = x if block.expand is None else unit(f"{name}.expand", x, block.expand)
                y = unit(f"{name}.project", unit(f"{name}.depthwise", y, block.depthwise), block.project)
                x = x + y if block.residual else y
            return unit("head", x, network.head)

    return maps


def _seconds(maps: Callable[[Any], Any], photos: Any) -> float:
    start = time.perf_counter()
    maps(photos)
    return time.perf_counter() - start


def main(arguments: list[str] | None = None) -> int:
    """Print seconds a photo, the median of seven rounds, and their ratio."""
    import numpy as np
    import torch

    import minigrad as mg
    from benchmarks.machine import describe
    from captioning.vision.efficientnet import folded
    from captioning.vision.published import published_network

    given = sys.argv[1:] if arguments is None else arguments
    threads = int(given[0]) if given else 2
    mg.set_num_threads(threads)
    torch.set_num_threads(threads)
    network = folded(published_network())
    theirs = in_pytorch(network)
    print(f"{describe()['processor']}, {threads} threads; seconds a photo")
    for count in (1, 8, 16):
        x = np.random.default_rng(0).standard_normal((count, 3, 224, 224)).astype(np.float32)
        tensor = torch.from_numpy(x)
        with mg.no_grad():
            difference = float(np.abs(network.maps(x).data - theirs(tensor).numpy()).max())
            assert difference < 1e-4, difference
            rounds = [(_seconds(network.maps, x), _seconds(theirs, tensor)) for _ in range(_ROUNDS)]
        ours, peer = (statistics.median(times) / count for times in zip(*rounds, strict=True))
        print(f"  {count:2} photos: minigrad {ours:.3f}, PyTorch {peer:.3f}, ratio {ours / peer:.2f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
