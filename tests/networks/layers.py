"""The layers that whole networks are made of, by minigrad and by PyTorch: the same text builds and trains both."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

import minigrad as mg

__all__ = ["minigrads_layers", "pytorchs_layers"]

Array = np.ndarray


class Layers:
    """A namespace of layers and of functions of tensors; those of the two frameworks have the same names."""

    array: Callable[[Any], Array]

    def __init__(self, **names: Any) -> None:
        vars(self).update(names)
        self.seen: list[Array] = []

    def see(self, output: Any) -> Any:
        """An output of a network, of which a copy is kept."""
        self.seen.append(self.array(output).copy())
        return output

    def __getattr__(self, name: str) -> Any:  # only what is not there
        raise AttributeError(f"no layer or function {name!r} for both frameworks")


def minigrads_layers() -> Layers:
    """By minigrad: all layers of ``mg.nn``, batch first."""
    return Layers(
        **{name: getattr(mg.nn, name) for name in mg.nn.__all__},
        relu=mg.ops.relu,
        tanh=mg.ops.tanh,
        leaky_relu=mg.ops.leaky_relu,
        concatenate=mg.ops.concatenate,
        reshape=mg.ops.reshape,
        last_states=lambda h: mg.ops.concatenate([h[-2], h[-1]], axis=-1),
        encoder_layer=lambda width, heads, hidden: mg.nn.TransformerEncoderLayer(width, heads, hidden, 0.0),
        cross_entropy=mg.ops.cross_entropy,
        binary_cross_entropy=lambda x, t: mg.ops.binary_cross_entropy_with_logits(x, t.astype(x.dtype)),
        constant=lambda a: a,
        number=lambda loss: float(loss.data),
        gradient=lambda p: p.grad.copy(),
        array=lambda t: t.data,
        sgd=lambda params, lr: mg.optim.SGD(params, lr=lr, momentum=0.9),
        parameters=lambda model: dict(model.named_parameters()),
    )


def pytorchs_layers(torch: Any) -> Layers:
    """By PyTorch, with recurrent layers batch first and classes last."""
    nn, F = torch.nn, torch.nn.functional

    def recurrent(layer: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *sizes, **options: layer(*sizes, batch_first=True, **options)

    names = {name: getattr(nn, name) for name in mg.nn.__all__ if hasattr(nn, name)}
    names.update(LSTM=recurrent(nn.LSTM), GRU=recurrent(nn.GRU), RNN=recurrent(nn.RNN))
    return Layers(
        **names,
        relu=F.relu,
        tanh=torch.tanh,
        leaky_relu=F.leaky_relu,
        concatenate=torch.cat,
        reshape=lambda x, shape: x.reshape(shape),
        last_states=lambda h: torch.cat([h[-2], h[-1]], -1),
        encoder_layer=lambda width, heads, hidden: nn.TransformerEncoderLayer(
            width, heads, hidden, 0.0, batch_first=True
        ),
        cross_entropy=lambda x, t: F.cross_entropy(x.movedim(-1, 1), torch.tensor(t)),
        binary_cross_entropy=lambda x, t: F.binary_cross_entropy_with_logits(x, torch.tensor(t).to(x.dtype)),
        constant=torch.tensor,
        number=lambda loss: loss.item(),
        gradient=lambda p: p.grad.numpy().copy(),
        array=lambda t: t.detach().numpy(),
        sgd=lambda params, lr: torch.optim.SGD(params, lr=lr, momentum=0.9),
        # an LSTM's second bias would double the steps of the first
        parameters=lambda model: {k: p for k, p in model.named_parameters() if "lstm.bias_hh" not in k},
    )


Losses = Iterable[tuple[str, Callable[[], Any]]]


def train(b: Layers, model: Any, losses: Losses, steps: int, lr: float) -> tuple[list[float], dict[str, Array]]:
    """Steps of gradient descent with momentum: each loss in turn moves the parameters below its part of the model.

    Returns:
        all losses, in order; and by name the gradients of the first step.
    """
    parts = [
        (loss, {name: p for name, p in b.parameters(model).items() if name.startswith(part)}) for part, loss in losses
    ]
    optimisers = [b.sgd(list(params.values()), lr) for _, params in parts]
    values: list[float] = []
    gradients: dict[str, Array] = {}
    for step in range(steps):
        for (loss, params), optimiser in zip(parts, optimisers, strict=True):
            model.zero_grad()
            value = loss()
            value.backward()
            if not step:
                gradients.update({name: b.gradient(p) for name, p in params.items()})
            optimiser.step()
            values.append(b.number(value))
    return values, gradients
