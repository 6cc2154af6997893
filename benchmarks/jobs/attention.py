"""Forward and backward of attention of several heads, with the gradients of queries, keys and values.

PyTorch runs ``scaled_dot_product_attention``, and the same compiled.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.job import Aim, Case, Rival, Work
from benchmarks.jobs.pulling import pulled_by_minigrad, pulled_by_pytorch

__all__ = ["cases"]


@dataclass(frozen=True)
class Attention:
    """The batch, heads, queries, keys, and features of a head; whether later keys are hidden."""

    N: int
    heads: int
    T: int
    S: int
    D: int
    causal: bool = False

    def arrays(self) -> tuple[dict[str, Any], Any]:
        """Queries, keys and values, and the cotangent of what is looked up."""
        import numpy as np

        rng = np.random.default_rng(0)
        lengths = {"q": self.T, "k": self.S, "v": self.S}
        inputs = {n: rng.standard_normal((self.N, self.heads, t, self.D), np.float32) for n, t in lengths.items()}
        return inputs, rng.standard_normal(inputs["q"].shape, np.float32)


_ATTENTIONS = {
    "16 sentences of 128 words, 8 heads": Attention(16, 8, 128, 128, 32),
    "text of 512, causal, 8 heads": Attention(2, 8, 512, 512, 64, causal=True),
    "text of 2,000, causal, 4 heads": Attention(1, 4, 2000, 2000, 64, causal=True),
    "64 texts of 32, causal, 4 heads": Attention(64, 4, 32, 32, 16, causal=True),
    "25 queries of 49 regions": Attention(25, 1, 1, 49, 256),
}


def cases(quick: bool = False) -> list[Case]:
    """Five sizes, of a transformer's layers and of a captioner's look at a picture."""
    return [
        Case(
            name,
            [
                Rival("minigrad", "minigrad", partial(_minigrad, attention)),
                Rival("PyTorch", "PyTorch", partial(_pytorch, attention), ("torch",)),
                Rival("PyTorch, compiled", "PyTorch", partial(_pytorch, attention, compile=True), ("torch",)),
            ],
            [Aim("PyTorch", 1.1)],
        )
        for name, attention in list(_ATTENTIONS.items())[: 1 if quick else None]
    ]


def _minigrad(attention: Attention) -> Work:
    import minigrad as mg

    return pulled_by_minigrad(partial(mg.ops.attention, causal=attention.causal), *attention.arrays())


def _pytorch(attention: Attention, compile: bool = False) -> Work:
    import torch

    attend = torch.nn.functional.scaled_dot_product_attention
    function = partial(attend, is_causal=attention.causal)
    return pulled_by_pytorch(function, *attention.arrays(), compile=compile)
