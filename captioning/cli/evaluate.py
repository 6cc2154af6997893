"""The command `evaluate`: the loss and the BLEU of a run's best weights, and what it says as a file."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from captioning.cli.decoding_options import add_choice, decoding_of, open_data
from captioning.cli.options import add_command, add_data, check_least
from captioning.cli.speakers import check_fit, load_together, names_of, open_runs
from captioning.data.parts import images_of_part
from captioning.decoding.lengths import length_for
from captioning.progress import Progress
from captioning.scoring.coco_results import write_results
from captioning.scoring.evaluation import captions_of, score
from captioning.scoring.signatures import signature
from captioning.training.run_folder import Run
from minigrad.runtime.files import check_writable

__all__ = ["add_evaluate"]

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
        commands, "evaluate", "say how good a trained captioner is on images with human captions: its loss and its "
        "BLEU, with the weights of its best epoch; exercise BLEU is unigram BLEU against one human caption, as the "
        "course's exercise has it", _evaluate, example=_EXAMPLE
    )  # fmt: skip
    parser.add_argument("run", metavar="RUN", nargs="+", help="a run folder, as train and refine leave it; of several "
                        "the captioners speak together: the next word's probability is the mean of theirs")  # fmt: skip
    add_data(parser, "the one that RUN")
    add_choice(parser)
    parser.add_argument("--max-images", type=int, metavar="N", help="at most so many images, drawn by the seed (all)")
    parser.add_argument("--out", metavar="JSON", help="write the captions to this file too, in COCO's results format: "
                        "image_id is the number in the names of COCO's files, or else the image's row")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object; its signature says what a score "
                        "that is compared with these must agree in")  # fmt: skip


def _evaluate(options: argparse.Namespace) -> int:
    runs = open_runs(options.run)
    decoding = decoding_of(options)
    if options.max_images is not None:
        check_least("--max-images", options.max_images, 1)
    if options.out is not None:
        check_writable(options.out)
    progress = Progress(enabled=not options.quiet)
    with open_data(options, runs[0]) as data:
        split = data[options.split]
        check_fit(runs, split)
        model = load_together(runs)
        every = images_of_part(split, options.part)
        images = images_of_part(split, options.part, options.max_images, options.seed)
        length = length_for(split) if options.max_length is None else options.max_length
        decoding.check(model.vocabulary, length)
        try:
            said = captions_of(model, split, images, decoding.decode, length, progress)
            if options.out is not None:
                write_results(options.out, split, images, said)
            figures = score(model, split, images, said, options.seed, progress)
        finally:
            progress.close()
        drawn_by = options.seed if len(images) < len(every) else None
        sign = signature(split, options.part, len(images), decoding.text, length, drawn_by)
    about = {"run": names_of(runs), "split": options.split, "part": options.part, "decoding": decoding.text,
             "max_length": length, "chosen_on": _chosen_on(runs), "signature": sign,
             "out": options.out}  # fmt: skip
    if options.json:
        print(json.dumps(about | figures))
    else:
        _print(about, figures)
    return 0


def _chosen_on(runs: Sequence[Run]) -> str | None:
    """On which part of the validation images weights were chosen; of several runs each part once."""
    parts = [run.settings["training"].get("val_part") for run in runs]
    return " and ".join(dict.fromkeys(map(str, parts))) if any(parts) else None


def _print(about: dict[str, Any], figures: dict[str, Any]) -> None:
    print(f"{about['run']}: {about['split']} split, {about['part']} images: {figures['images']} images, "
          f"{figures['captions']} captions, {about['decoding']} decoding")  # fmt: skip
    if about["split"] == "val":
        print(f"(the weights were chosen on the validation images: {about['chosen_on']})")
    print(f"loss a caption                                       {figures['loss']:8.3f}")
    print(f"exercise BLEU (unigrams, one reference, mean)        {figures['exercise_bleu']:8.4f}")
    print(f"  in the mean over all references                     {figures['exercise_bleu_mean']:8.4f}")
    if figures["exercise_bleu_human"] is not None:
        print(f"  of one human caption against another                {figures['exercise_bleu_human']:8.4f}")
    for n in range(1, 5):
        print(f"corpus BLEU-{n} (all references, as papers print it)   {figures[f'corpus_bleu_{n}']:8.4f}")
    print(f"signature: {about['signature']}")
    if about["out"] is not None:
        print(f"captions: {about['out']}")
