"""What `evaluate` and `sample` share: which images, and how their captions are decoded."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable
from typing import Any

from captioning.data.dataset import CaptionData, open_captions
from captioning.data.parts import PARTS
from captioning.decoding.beam_search import beam
from captioning.decoding.stepwise import greedy, sample
from captioning.training.run_folder import Run

__all__ = ["add_choice", "decoder", "open_data"]


def add_choice(parser: argparse.ArgumentParser) -> None:
    """The options --split, --part, --beam and --seed."""
    parser.add_argument("--split", choices=["train", "val"], default="val", help="(val)")
    parser.add_argument("--part", choices=PARTS, default="all", help="of the split's images: all or one half (all)")
    parser.add_argument("--beam", type=int, metavar="N", help="beam search of this width instead of greedy decoding")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of what is drawn (0)")


def open_data(options: argparse.Namespace, run: Run) -> CaptionData:
    """The data set, with features of the kind that the run was trained on."""
    return open_captions(options.data, pca=run.settings["data"].get("pca", True))


def decoder(options: argparse.Namespace) -> Callable[..., Any]:
    """What turns features into captions, by the options."""
    temperature, top_k = getattr(options, "temperature", None), getattr(options, "top_k", None)
    if temperature is None and top_k is None:
        return greedy if options.beam is None else functools.partial(beam, width=options.beam)
    if options.beam is not None:
        raise ValueError("--beam cannot be combined with --temperature or --top-k")
    return functools.partial(
        sample, temperature=1.0 if temperature is None else temperature, top_k=top_k, rng=options.seed
    )
