"""The command `evaluate`: the loss and the BLEU of a run's best weights."""

from __future__ import annotations

import argparse
import json
from typing import Any

from captioning.cli.decoding_options import add_choice, decoder, open_data
from captioning.cli.options import add_command, add_data
from captioning.data.parts import images_of_part
from captioning.scoring.evaluation import evaluate
from captioning.training.run_folder import Run

__all__ = ["add_evaluate"]


def add_evaluate(commands: Any) -> None:
    """The command `evaluate`."""
    parser = add_command(commands, "evaluate", "say the loss and the BLEU of a run's best weights", _evaluate,
                         "captioning evaluate RUN --split val --part second")  # fmt: skip
    parser.add_argument("run", metavar="RUN", help="a run folder")
    add_data(parser)
    add_choice(parser)
    parser.add_argument("--max-images", type=int, metavar="N", help="at most so many images, drawn by the seed")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _evaluate(options: argparse.Namespace) -> int:
    run = Run.open(options.run)
    decode = decoder(options)
    with open_data(options, run) as data:
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
