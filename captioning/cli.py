"""The command line: train, evaluate, sample, demo.

Results go to standard output, progress and errors to standard error. A user's mistake is one line and
exit status 2; Ctrl-C during training leaves a checkpoint and exit status 130.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import minigrad as mg
from captioning.data import CaptionData, Split, open_captions
from captioning.decoding import beam, greedy, sample
from captioning.evaluation import PARTS, captions_of, evaluate, images_of_part
from captioning.model import CELLS, Captioner
from captioning.run import Run, RunError, settings_of
from captioning.solver import Settings, Solver
from minigrad.progress import Progress

__all__ = ["main"]

MODEL_DEFAULTS: dict[str, Any] = {"cell": "lstm", "hidden": 512, "wordvec": 256, "dropout": 0.0, "forget_bias": 0.0}
DATA_DEFAULTS: dict[str, Any] = {"pca": True, "max_train": None}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line (`sys.argv` by default); the exit status."""
    options = _parser().parse_args(arguments)
    try:
        status: int = options.command(options)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # the reader of our output left: nothing to tell it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("captioning: stopped", file=sys.stderr)
        return 130
    except (ValueError, TypeError, OSError, ModuleNotFoundError, IndexError) as error:
        text = " ".join(str(error).split()) or type(error).__name__
        print(f"captioning {options.name}: {text}", file=sys.stderr)
        return 2


# Options ---------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="captioning", description="Train image captioners on minigrad, and let them caption."
    )
    parser.add_argument("--version", action="version", version=f"minigrad {mg.__version__}")
    commands = parser.add_subparsers(title="commands", dest="name", required=True, metavar="COMMAND")
    _add_train(commands)
    _add_evaluate(commands)
    _add_sample(commands)
    _add_demo(commands)
    return parser


def _command(commands: Any, name: str, text: str, function: Callable[[Any], int]) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    parser.set_defaults(command=function)
    return parser


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", metavar="DIR", help="folder of the data set, in the CS231n MS-COCO layout "
                        "(default: the one that CAPTIONING_DATA names)")  # fmt: skip


def _add_train(commands: Any) -> None:
    parser = _command(commands, "train", "train a captioner and leave a run folder", _train)
    _add_data(parser)
    parser.add_argument("--out", metavar="RUN", required=True, help="the run folder to make (or to resume)")
    parser.add_argument("--resume", action="store_true", help="go on with the run in RUN, exactly where it stopped; "
                        "its settings hold, and only --epochs may be changed")  # fmt: skip
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")
    # Options without a default here take it from Settings, *_DEFAULTS or, with --resume, from the run.
    option = functools.partial(parser.add_argument, default=argparse.SUPPRESS)
    d = {field.name: field.default for field in dataclasses.fields(Settings)} | MODEL_DEFAULTS
    option("--cell", choices=list(CELLS), help=f"recurrent cell ({d['cell']})")
    option("--hidden", type=int, metavar="N", help=f"size of the hidden state ({d['hidden']})")
    option("--wordvec", type=int, metavar="N", help=f"size of the word vectors ({d['wordvec']})")
    option("--dropout", type=float, metavar="X", help=f"share of word vectors and states dropped ({d['dropout']})")
    option("--forget-bias", type=float, metavar="X", help=f"first bias of the forget gate ({d['forget_bias']})")
    option("--epochs", type=int, metavar="N", help=f"how often each caption is seen ({d['epochs']})")
    option("--batch-size", type=int, metavar="N", help=f"captions in an iteration ({d['batch_size']})")
    option("--max-train", type=int, metavar="N", help="use so many training captions, drawn by the seed (all)")
    option("--learning-rate", type=float, metavar="X", help=f"Adam's learning rate ({d['learning_rate']})")
    option("--lr-decay", type=float, metavar="X", help=f"times which, after every epoch ({d['lr_decay']})")
    option("--clip-norm", type=_limit, metavar="X",
           help=f"largest norm of the gradient, or 'none' ({d['clip_norm']})")  # fmt: skip
    option("--weight-decay", type=float, metavar="X", help=f"decoupled, as in AdamW ({d['weight_decay']})")
    option("--patience", type=int, metavar="N", help="stop after N epochs without a better one (never)")
    option("--keep", choices=["bleu", "loss"], help="keep the epoch with the highest validation BLEU-4 or the lowest "
           f"validation loss ({d['keep']})")  # fmt: skip
    option("--val-part", choices=PARTS, help="the validation images that decide which epoch is kept "
           f"({d['val_part']} half)")  # fmt: skip
    option("--val-images", type=int, metavar="N", help=f"at most so many of them ({d['val_images']})")
    option("--seed", type=int, metavar="N", help=f"of everything random ({d['seed']})")
    option("--pca", action=argparse.BooleanOptionalAction, help="reduced features, or whole ones (reduced)")


def _limit(text: str) -> float | None:
    return None if text == "none" else float(text)


def _add_evaluate(commands: Any) -> None:
    parser = _command(commands, "evaluate", "say the loss and the BLEU of a run's best weights", _evaluate)
    parser.add_argument("run", metavar="RUN", help="a run folder")
    _add_data(parser)
    _add_choice(parser)
    parser.add_argument("--max-images", type=int, metavar="N", help="at most so many images, drawn by the seed")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _add_choice(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--split", choices=["train", "val"], default="val", help="(val)")
    parser.add_argument("--part", choices=PARTS, default="all", help="of the split's images: all or one half (all)")
    parser.add_argument("--beam", type=int, metavar="N", help="beam search of this width instead of greedy decoding")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of what is drawn (0)")


def _add_sample(commands: Any) -> None:
    parser = _command(commands, "sample", "caption some images of a split", _sample)
    parser.add_argument("run", metavar="RUN", help="a run folder")
    _add_data(parser)
    _add_choice(parser)
    parser.add_argument("-n", type=int, default=5, metavar="N", help="how many images (5)")
    parser.add_argument("--temperature", type=float, metavar="X", help="draw words from softmax(scores / X)")
    parser.add_argument("--top-k", type=int, metavar="N", help="draw from the N likeliest words only")
    parser.add_argument("--out", metavar="PNG", help="draw the pictures with their captions, of images whose picture "
                        "is at hand")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _add_demo(commands: Any) -> None:
    parser = _command(commands, "demo", "draw small worlds, train a captioner on them and judge what it says", _demo)
    parser.add_argument("--out", metavar="DIR", default="captioning-demo", help="folder to make (captioning-demo)")
    parser.add_argument("--quick", action="store_true", help="half a minute instead of three")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of everything random (0)")


# train -----------------------------------------------------------------------------------------


def _train(options: argparse.Namespace) -> int:
    given = {name: value for name, value in vars(options).items() if name not in _NOT_SETTINGS}
    run = Run.open(options.out) if options.resume else None
    if run is not None:
        given = _to_resume(run, given)
    training = Settings(**{f.name: given[f.name] for f in dataclasses.fields(Settings) if f.name in given})
    chosen = {**MODEL_DEFAULTS, **DATA_DEFAULTS, **given}
    with open_captions(options.data, chosen["pca"], chosen["max_train"], training.seed) as data:
        progress = Progress(enabled=not options.quiet)
        if run is None:
            model = _new_model(data, chosen, training.seed)
            solver = Solver(model, data.train, data.val, training, progress=progress)
            settings = settings_of(model, training, data, pca=chosen["pca"], max_train=chosen["max_train"])
            run = solver.run = Run.create(options.out, settings, data.vocabulary)  # all is well: leave a folder
            solver.save_checkpoint()
        else:
            run.check_fits(data.train)
            _check_same_data(run, data)
            model = run.new_model(rng=training.seed)
            solver = Solver(model, data.train, data.val, training, run, progress)
            solver.resume()
            run.settings["training"] = dataclasses.asdict(training)
            run.write_settings()
        solver.train()
    return _report_training(solver, run)


_NOT_SETTINGS = {"name", "command", "data", "out", "resume", "quiet"}


def _new_model(data: CaptionData, chosen: dict[str, Any], seed: int) -> Captioner:
    return Captioner(
        data.vocabulary,
        data.train.features.shape[1],
        chosen["wordvec"],
        chosen["hidden"],
        chosen["cell"],
        chosen["dropout"],
        forget_bias=chosen["forget_bias"],
        rng=seed,
    )


def _to_resume(run: Run, given: dict[str, Any]) -> dict[str, Any]:
    """The settings of a run to resume, with the epochs that were asked for; anything else must agree."""
    model, training, data = (run.settings[key] for key in ("model", "training", "data"))
    missing = [f.name for f in dataclasses.fields(Settings) if f.name not in training]
    missing += [key for key in DATA_DEFAULTS if key not in data]
    if missing:
        raise RunError(f"{run.folder / 'settings.json'}: the settings {', '.join(missing)} are missing")
    known = {**training, **data}
    known |= {"cell": model["cell_type"], "hidden": model["hidden_size"], "wordvec": model["wordvec_size"],
              "dropout": model["dropout"], "forget_bias": model["forget_bias"]}  # fmt: skip
    changed = [key for key, value in given.items() if key != "epochs" and known.get(key) != value]
    if changed:
        told = ", ".join(f"--{key.replace('_', '-')} {given[key]} (the run has {known.get(key)})" for key in changed)
        raise RunError(f"{run.folder}: --resume keeps the run's settings, only --epochs may change; got {told}")
    return known | given


def _check_same_data(run: Run, data: CaptionData) -> None:
    was, now = run.settings["data"].get("train_captions"), len(data.train)
    if was != now:
        raise RunError(f"{run.folder}: was trained on {was} captions; {data.folder} has {now}: it is another data set")


def _report_training(solver: Solver, run: Run) -> int:
    if solver.interrupted and not solver.finished:
        print(f"stopped after iteration {solver.iteration} of {solver.total}; "
              f"go on with: captioning train --out {run.folder} --resume", file=sys.stderr)  # fmt: skip
        return 130
    best = solver.best_entry
    assert best is not None  # a run that is finished has ended an epoch
    print(f"trained {solver.iteration} iterations; kept epoch {best['epoch']}: "
          f"validation loss {best['val_loss']:.3f}, BLEU-4 {best['val_bleu']:.4f} "
          f"({solver.settings.val_part} images)")  # fmt: skip
    print(f"run folder: {run.folder}")
    return 0


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
    from captioning.pictures import caption_sheet, image_from_url

    files = [_picture(split, int(i)) for i in rows]
    images = [image_from_url(str(path.relative_to(split.folder)), split.folder) for path in files if path]
    caption_sheet(images, captions, references, Path(out))


def _demo(options: argparse.Namespace) -> int:
    from captioning.demo import FULL, QUICK, demo

    demo(Path(options.out), QUICK if options.quick else FULL, options.seed)
    return 0
