"""The solver of the exercises, which trains a model, and the score of a trained model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import minigrad as mg
from captioning.cs231n.coco_data import last_coco_data, sample_coco_minibatch
from captioning.data.vocabulary import decode_captions
from captioning.scoring.metrics import exercise_bleu

__all__ = ["CaptioningSolver", "evaluate_model"]

# for each update rule: how to make its optimiser, and CS231n's hyperparameters with their defaults
_RULES: dict[str, tuple[Any, dict[str, float]]] = {
    "sgd": (lambda p, c: mg.optim.SGD(p, lr=c["learning_rate"]), {"learning_rate": 1e-2}),
    "sgd_momentum": (
        lambda p, c: mg.optim.SGD(p, lr=c["learning_rate"], momentum=c["momentum"]),
        {"learning_rate": 1e-2, "momentum": 0.9},
    ),
    "rmsprop": (
        lambda p, c: mg.optim.RMSprop(p, lr=c["learning_rate"], alpha=c["decay_rate"], eps=c["epsilon"]),
        {"learning_rate": 1e-2, "decay_rate": 0.99, "epsilon": 1e-8},
    ),
    "adam": (
        lambda p, c: mg.optim.Adam(p, lr=c["learning_rate"], betas=(c["beta1"], c["beta2"]), eps=c["epsilon"]),
        {"learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
    ),
}


class CaptioningSolver:
    """Trains a model that has `params`, a dict of float ndarrays, and `loss(features, captions) -> (loss, grads)`.

    Args:
        data: the dict of `load_coco_data`.
        update_rule: 'sgd', 'sgd_momentum', 'rmsprop' or 'adam'.
        optim_config: its hyperparameters: `learning_rate`, `momentum`, `decay_rate`, `epsilon`, `beta1`, `beta2`.
        lr_decay: the factor of the learning rate after each epoch.

    `train()` runs num_epochs * max(captions // batch_size, 1) iterations and appends each loss to `loss_history`.
    Minibatches are drawn with replacement from NumPy's global generator.

    `best_val_acc`, `best_params`, `train_acc_history` and `val_acc_history` stay empty, as in CS231n: a captioner has
    no accuracy. `evaluate_model` scores one.
    """

    def __init__(
        self,
        model: Any,
        data: dict[str, Any],
        update_rule: str = "sgd",
        optim_config: Mapping[str, float] | None = None,
        lr_decay: float = 1.0,
        batch_size: int = 100,
        num_epochs: int = 10,
        print_every: int = 10,
        verbose: bool = True,
    ) -> None:
        if update_rule not in _RULES:
            raise ValueError(f"update_rule must be one of {', '.join(_RULES)}; got {update_rule!r}")
        make, defaults = _RULES[update_rule]
        unknown = set(optim_config or ()) - set(defaults)
        if unknown:
            raise ValueError(f"optim_config: {update_rule} has {', '.join(defaults)}; got {', '.join(sorted(unknown))}")
        for name, value in (("batch_size", batch_size), ("num_epochs", num_epochs), ("print_every", print_every)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1; got {value!r}")
        self.model, self.data, self.update_rule = model, data, update_rule
        self.optim_config = {**defaults, **(optim_config or {})}
        self.lr_decay, self.batch_size, self.num_epochs = lr_decay, batch_size, num_epochs
        self.print_every, self.verbose = print_every, verbose
        self._make = make
        self._reset()

    def _reset(self) -> None:
        """Reset epochs, losses and the state of the update rule, but not the weights."""
        self.epoch = 0
        self.best_val_acc = 0.0
        self.best_params: dict[str, Any] = {}
        self.loss_history: list[float] = []
        self.train_acc_history: list[float] = []
        self.val_acc_history: list[float] = []
        self._tensors = {name: mg.tensor(array, requires_grad=True) for name, array in self.model.params.items()}
        self._optimiser = self._make(list(self._tensors.values()), self.optim_config)

    def train(self) -> None:
        """Train; with `verbose` print the loss every `print_every` iterations."""
        per_epoch = max(len(self.data["train_captions"]) // self.batch_size, 1)
        iterations = self.num_epochs * per_epoch
        for t in range(iterations):
            captions, features, _ = sample_coco_minibatch(self.data, batch_size=self.batch_size, split="train")
            loss, grads = self.model.loss(features, captions)
            self.loss_history.append(float(loss))
            for name, tensor in self._tensors.items():
                tensor.data = self.model.params[name]  # it may have been replaced
                tensor.grad = grads[name]
            self._optimiser.step()
            for name, tensor in self._tensors.items():
                self.model.params[name] = tensor.data
            if self.verbose and t % self.print_every == 0:
                print(f"(Iteration {t + 1} / {iterations}) loss: {self.loss_history[-1]:f}")
            if (t + 1) % per_epoch == 0:
                self.epoch += 1
                self._optimiser.lr *= self.lr_decay


def evaluate_model(
    model: Any, data: dict[str, Any] | None = None, batch_size: int = 1000, verbose: bool = True
) -> dict[str, float]:
    """Return the exercise BLEU of a model on `batch_size` captions drawn from each split: {'train': …, 'val': …}.

    It is unigram BLEU against the one caption drawn, not corpus BLEU.

    model: anything with `sample(features)`. data: a dict of `load_coco_data`; None means the last one that it returned,
    and raises a DataError if there is none.
    """
    data = last_coco_data() if data is None else data
    scores = {}
    for split in ("train", "val"):
        captions, features, _ = sample_coco_minibatch(data, batch_size=batch_size, split=split)
        references = decode_captions(captions, data["idx_to_word"])
        candidates = decode_captions(model.sample(features), data["idx_to_word"])
        scores[split] = exercise_bleu(zip(references, candidates, strict=True))
        if verbose:
            print(f"Average BLEU score for {split}: {scores[split]:f}")
    return scores
