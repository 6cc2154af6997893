"""The command `evaluate`: the loss and the scores of a run's best weights, and what it says as a file."""

from __future__ import annotations

import argparse
import functools
import json
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

import minigrad as mg
from captioning.cli.decoding_options import Decoding, add_choice, decoding_of, open_data
from captioning.cli.options import add_command, add_data, check_least, check_output, threads
from captioning.cli.ranks import on_ranks
from captioning.cli.speakers import check_fit, load_together, names_of, open_runs
from captioning.data.dataset import CaptionData
from captioning.data.parts import images_of_part
from captioning.data.splits import Split
from captioning.decoding.batches import length_for
from captioning.evaluation.results import signature, write_results
from captioning.evaluation.split_scores import captions_of, known_captions, score
from captioning.progress import Progress
from captioning.scoring.cider import DocumentFrequencies
from captioning.training.run_folder import Run
from minigrad.parallel.communicators import ALONE

__all__ = ["FREQUENCIES", "add_evaluate", "check_evaluation", "checked_decoding"]

FREQUENCIES = ("corpus", "train")
"""Whose captions say how rare an n-gram is: those that are compared with, or the training's."""

_EXAMPLE = """example:
  captioning evaluate RUN --data DIR --split val --beam 3 --out results.json
    says how good the captions of the validation images are, and writes them
    down; the data needs the vocabulary and the features that the run was
    trained on (…_fc7_pca.h5 of a run with reduced ones, else …_fc7.h5)
  captioning evaluate RUN RUN2 RUN3 --data DIR --beam 5 --no-repeat 3
    three captioners speak together, and say no three words twice"""


def add_evaluate(commands: Any) -> None:
    """The command `evaluate`."""
    parser = add_command(
        commands, "evaluate", "say how good a trained captioner is on images with human captions: its loss, its "
        "BLEU, ROUGE-L and CIDEr-D, and how varied its captions are, with the weights of its best epoch; exercise BLEU "
        "is unigram BLEU against one human caption, as the course's exercise has it", _evaluate, example=_EXAMPLE
    )  # fmt: skip
    parser.add_argument("run", metavar="RUN", nargs="+", help="a run folder, as train and refine leave it; of several "
                        "the captioners speak together: the next word's probability is the mean of theirs")  # fmt: skip
    add_data(parser, "the one that RUN")
    add_choice(parser)
    parser.add_argument("--max-images", type=int, metavar="N", help="at most so many images, drawn by the seed (all)")
    parser.add_argument("--frequencies", choices=FREQUENCIES, default="corpus", help="what CIDEr-D takes for rare: "
                        "what few of the human captions it compares with have, as papers do, or few of the training "
                        "captions, which does not depend on how many images there are (corpus)")  # fmt: skip
    parser.add_argument("--out", metavar="JSON", help="write the captions to this file too, in COCO's results format: "
                        "image_id is the number in the names of COCO's files, or else the image's row")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object; its signature says what a score "
                        "that is compared with these must agree in")  # fmt: skip


def _evaluate(options: argparse.Namespace) -> int:
    return on_ranks(functools.partial(_shared, options))


def _shared(options: argparse.Namespace, comm: Any, fair: int, stack: ExitStack) -> int:
    with mg.parallel.agreed(comm):
        stack.enter_context(threads(fair))
        what = _opened(options, comm.rank == 0, stack)
    with mg.parallel.together(comm):
        about, figures = _scored(options, what, comm)
    stack.close()  # the bar is wiped before anything is printed
    if comm.rank:
        return 0
    if options.json:
        print(json.dumps(about | figures))
    else:
        _print(about, figures)
    return 0


class _What(NamedTuple):
    """What is evaluated, on what. train: the captions that were learnt from. every: how many images the part has."""

    runs: Sequence[Run]
    model: Any
    train: Split
    split: Split
    images: Any
    every: int
    decoding: Decoding
    length: int
    progress: Progress


def _opened(options: argparse.Namespace, first: bool, stack: ExitStack) -> _What:
    """All that is asked for, checked. first: whether this rank is the one that speaks."""
    runs = open_runs(options.run)
    decoding = checked_decoding(options)
    progress = Progress(enabled=first and not options.quiet)
    stack.callback(progress.close)
    data = stack.enter_context(open_data(options, runs[0]))
    split = data[options.split]
    check_fit(runs, split)
    model = load_together(runs)
    every = images_of_part(split, options.part)
    images = images_of_part(split, options.part, options.max_images, options.seed)
    length = _length(options, split)
    decoding.check(model.vocabulary, length)
    decoding = decoding.knowing(data.train, split)
    return _What(runs, model, data.train, split, images, len(every), decoding, length, progress)


def _scored(options: argparse.Namespace, what: _What, comm: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """What was evaluated, and the figures. Ranks share the images; what is drawn at random each of them draws alike."""
    _, model, train, split, images, every, decoding, length, progress = what
    first = comm.rank == 0
    known = known_captions(train, progress) if first else None
    frequencies = _frequencies(options.frequencies, train, progress) if first else None
    said = captions_of(model, split, images, decoding.decode, length, progress, ALONE if decoding.drawn else comm)
    if options.out is not None and first:
        write_results(options.out, split, images, said)
    figures = score(model, split, images, said, options.seed, progress, frequencies, known, comm)
    drawn_by = options.seed if len(images) < every else None
    sign = signature(split, options.part, len(images), decoding.text, length, drawn_by, options.frequencies)
    about = {"run": names_of(what.runs), "split": options.split, "part": options.part, "decoding": decoding.text,
             "max_length": length, "chosen_on": _chosen_on(what.runs), "signature": sign,
             "out": options.out}  # fmt: skip
    return about, figures


def checked_decoding(options: argparse.Namespace) -> Decoding:
    """The decoding that the options ask for; a ValueError for whatever makes no sense in them, without any data."""
    decoding = decoding_of(options)
    if options.max_images is not None:
        check_least("--max-images", options.max_images, 1)
    if options.out is not None:
        check_output(options.out, ".json")
    return decoding


def check_evaluation(options: argparse.Namespace, data: CaptionData) -> None:
    """Raise what `evaluate` would raise of a run that is trained on a data set, before there is one."""
    decoding, split = checked_decoding(options), data[options.split]
    images_of_part(split, options.part, options.max_images, options.seed)
    decoding.check_split(data.train, split)
    if decoding.beam is not None:
        decoding.check(data.vocabulary, _length(options, split))


def _length(options: argparse.Namespace, split: Split) -> int:
    length: int = length_for(split) if options.max_length is None else options.max_length
    return length


def _chosen_on(runs: Sequence[Run]) -> str | None:
    """On which part of the validation images weights were chosen; of several runs each part once."""
    parts = [run.settings["training"].get("val_part") for run in runs]
    return " and ".join(dict.fromkeys(map(str, parts))) if any(parts) else None


def _frequencies(source: str, training: Split, progress: Progress) -> DocumentFrequencies | None:
    return DocumentFrequencies.of(training.references_by_image(), progress=progress) if source == "train" else None


_TABLE = {
    "against all human captions of an image, as papers print them": [
        *((f"corpus BLEU-{n}", f"corpus_bleu_{n}", ".4f") for n in range(1, 5)),
        ("ROUGE-L", "rouge_l", ".4f"),
        ("CIDEr-D (0 to 10; papers often print 100 x)", "cider_d", ".4f"),
    ],
    "against one human caption": [
        ("loss, nats a caption", "loss", ".3f"),
        ("exercise BLEU (unigrams, one reference, mean)", "exercise_bleu", ".4f"),
        ("  in the mean over all references", "exercise_bleu_mean", ".4f"),
        ("  of one human caption against another", "exercise_bleu_human", ".4f"),
    ],
    "what was said, true or not": [
        ("distinct-1: different words, of all words", "distinct_1", ".4f"),
        ("distinct-2: different pairs, of all pairs", "distinct_2", ".4f"),
        ("words in use", "words_in_use", "d"),
        ("  of the vocabulary", "vocabulary_share", ".1%"),
        ("captions that are no training caption", "novel_share", ".1%"),
        ("mean length, words", "mean_length", ".2f"),
        ("<UNK>, of all words", "unknown_rate", ".2%"),
    ],
}
"""Of each heading the rows: a name, the figure's key and how it is written."""


def _print(about: dict[str, Any], figures: dict[str, Any]) -> None:
    print(f"{about['run']}: {about['split']} split, {about['part']} images: {figures['images']} images, "
          f"{figures['captions']} captions, {about['decoding']} decoding")  # fmt: skip
    if about["split"] == "val":
        print(f"(the weights were chosen on the validation images: {about['chosen_on']})")
    for heading, rows in _TABLE.items():
        print(f"\n{heading}")
        for name, key, form in rows:
            if figures[key] is not None:
                print(f"  {name:48}{figures[key]:>9{form}}")
    print()
    print(f"signature: {about['signature']}")
    if about["out"] is not None:
        print(f"captions: {about['out']}")
