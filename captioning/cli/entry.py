"""The command line: train, refine, evaluate, sample, demo.

Results go to standard output, progress and errors to standard error. A user's mistake is one line and
exit status 2; Ctrl-C during training leaves a checkpoint and exit status 130.
"""

from __future__ import annotations

import argparse
import functools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import minigrad as mg
from captioning.cli.options import add_command, add_data
from captioning.cli.training import add_refine, add_train
from captioning.data.dataset import CaptionData, open_captions
from captioning.data.splits import Split
from captioning.decoding.beam_search import beam
from captioning.decoding.stepwise import greedy, sample
from captioning.scoring.evaluation import PARTS, captions_of, evaluate, images_of_part
from captioning.training.run import Run
from minigrad.runtime.commands import MISTAKES, run_command

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line (`sys.argv` by default); the exit status."""
    return run_command(_parser(), arguments, lambda options: options.command(options), (*MISTAKES, IndexError))


# Options ---------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="captioning", description="Train image captioners on minigrad, and let them caption."
    )
    parser.add_argument("--version", action="version", version=f"minigrad {mg.__version__}")
    commands = parser.add_subparsers(title="commands", dest="name", required=True, metavar="COMMAND")
    add_train(commands)
    add_refine(commands)
    _add_evaluate(commands)
    _add_sample(commands)
    _add_demo(commands)
    return parser


def _add_evaluate(commands: Any) -> None:
    parser = add_command(commands, "evaluate", "say the loss and the BLEU of a run's best weights", _evaluate)
    parser.add_argument("run", metavar="RUN", help="a run folder")
    add_data(parser)
    _add_choice(parser)
    parser.add_argument("--max-images", type=int, metavar="N", help="at most so many images, drawn by the seed")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _add_choice(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--split", choices=["train", "val"], default="val", help="(val)")
    parser.add_argument("--part", choices=PARTS, default="all", help="of the split's images: all or one half (all)")
    parser.add_argument("--beam", type=int, metavar="N", help="beam search of this width instead of greedy decoding")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of what is drawn (0)")


def _add_sample(commands: Any) -> None:
    parser = add_command(commands, "sample", "caption some images of a split", _sample)
    parser.add_argument("run", metavar="RUN", help="a run folder")
    add_data(parser)
    _add_choice(parser)
    parser.add_argument("-n", type=int, default=5, metavar="N", help="how many images (5)")
    parser.add_argument("--temperature", type=float, metavar="X", help="draw words from softmax(scores / X)")
    parser.add_argument("--top-k", type=int, metavar="N", help="draw from the N likeliest words only")
    parser.add_argument("--out", metavar="PNG", help="draw the pictures with their captions, of images whose picture "
                        "is at hand")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _add_demo(commands: Any) -> None:
    parser = add_command(commands, "demo", "draw small worlds, train a captioner on them and judge what it says", _demo)
    parser.add_argument("--out", metavar="DIR", default="captioning-demo", help="folder to make (captioning-demo)")
    parser.add_argument("--quick", action="store_true", help="a smaller one, in about a minute instead of three")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of everything random (0)")


# evaluate and sample ---------------------------------------------------------------------------


def _open_for(options: argparse.Namespace, run: Run) -> CaptionData:
    return open_captions(options.data, pca=run.settings["data"].get("pca", True))


def _decoder(options: argparse.Namespace) -> Callable[..., Any]:
    """What turns features into captions, by the options."""
    temperature, top_k = getattr(options, "temperature", None), getattr(options, "top_k", None)
    if temperature is None and top_k is None:
        return greedy if options.beam is None else functools.partial(beam, width=options.beam)
    if options.beam is not None:
        raise ValueError("--beam cannot be combined with --temperature or --top-k")
    return functools.partial(
        sample, temperature=1.0 if temperature is None else temperature, top_k=top_k, rng=options.seed
    )


def _evaluate(options: argparse.Namespace) -> int:
    run = Run.open(options.run)
    decode = _decoder(options)
    with _open_for(options, run) as data:
        split = data[options.split]
        run.check_fits(split)
        model = run.load_model()
        images = images_of_part(split, options.part, options.max_images, options.seed)
        figures = evaluate(model, split, images, decode, options.seed)
    decoding = "greedy" if options.beam is None else f"beam {options.beam}"
    training = run.settings["training"]
    about = {"run": str(run.folder), "split": options.split, "part": options.part, "decoding": decoding,
             "chosen_on": training.get("val_part")}  # fmt: skip
    if options.json:
        print(json.dumps(about | figures))
        return 0
    print(f"{run.folder}: {options.split} split, {options.part} images: {figures['images']} images, "
          f"{figures['captions']} captions, {decoding} decoding")  # fmt: skip
    if options.split == "val":
        print(f"(the weights were chosen on the validation images: {training.get('val_part')})")
    print(f"loss a caption                                       {figures['loss']:8.3f}")
    print(f"exercise BLEU (unigrams, one reference, mean)        {figures['exercise_bleu']:8.4f}")
    print(f"  in the mean over all references                     {figures['exercise_bleu_mean']:8.4f}")
    if figures["exercise_bleu_human"] is not None:
        print(f"  of one human caption against another                {figures['exercise_bleu_human']:8.4f}")
    for n in range(1, 5):
        print(f"corpus BLEU-{n} (all references, as papers print it)   {figures[f'corpus_bleu_{n}']:8.4f}")
    return 0


def _sample(options: argparse.Namespace) -> int:
    run = Run.open(options.run)
    decode = _decoder(options)
    if options.n < 1:
        raise ValueError(f"-n must be at least 1; got {options.n}")
    with _open_for(options, run) as data:
        split = data[options.split]
        run.check_fits(split)
        model = run.load_model()
        rows = images_of_part(split, options.part)
        if options.out is not None:
            rows = _with_pictures(split, rows)
        rows = np.random.default_rng(options.seed).permutation(rows)[: options.n]
        captions = [" ".join(words) for words in captions_of(model, split, rows, decode)]
        references = [" ".join(split.references(int(i))[0]) for i in rows]
        if options.out is not None:
            _draw_sheet(split, rows, captions, references, options.out)
    if options.json:
        shown = [
            {"image": int(i), "caption": caption, "reference": reference}
            for i, caption, reference in zip(rows, captions, references, strict=True)
        ]
        print(json.dumps({"run": str(run.folder), "split": options.split, "out": options.out, "captions": shown}))
        return 0
    for i, caption, reference in zip(rows, captions, references, strict=True):
        print(f"image {i}: {caption}\n    a human: {reference}")
    if options.out is not None:
        print(f"pictures: {options.out}")
    return 0


def _picture(split: Split, i: int) -> Path | None:
    """The file of an image's picture: in the folder photos, or where its address says if that is a path inside."""
    photo = split.photo(i)
    if photo is None and split.has_urls:
        path = split.folder / split.urls[i].decode("utf-8", errors="replace")
        photo = path if path.is_file() else None
    return photo


def _with_pictures(split: Split, rows: Any) -> Any:
    found = [i for i in rows if _picture(split, int(i)) is not None]
    if not found:
        raise ValueError(f"--out: {split.folder} has no pictures of the {split.name} split at hand")
    return np.array(found)


def _draw_sheet(split: Split, rows: Any, captions: list[str], references: list[str], out: str) -> None:
    from captioning.pictures.photos import image_from_url
    from captioning.pictures.sheets import caption_sheet

    files = [_picture(split, int(i)) for i in rows]
    images = [image_from_url(str(path.relative_to(split.folder)), split.folder) for path in files if path]
    caption_sheet(images, captions, references, Path(out))


def _demo(options: argparse.Namespace) -> int:
    from captioning.cli.demonstration import FULL, QUICK, demo

    demo(Path(options.out), QUICK if options.quick else FULL, options.seed)
    return 0
