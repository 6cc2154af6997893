"""The command `demo`: generate scenes, train a captioner on them, and check which of its statements are true.

A network first learns features of the regions of a picture from the training scenes and their captions
(`captioning.scenes.features`). Then an attention captioner is trained on these features.

The content of a scene is known, so the statements of a caption can be checked. Precision is the share of statements
that are true, and recall the share of the scene that they describe. For comparison, it also prints these
figures for captions of other scenes, which show what guessing achieves, and for the scenes' own captions.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from captioning.cli.options import Command, make_parser
from captioning.cli.train import TRAIN
from captioning.data.dataset import CaptionData, open_captions
from captioning.data.splits import images_of_part
from captioning.decoding.beam_search import beam
from captioning.evaluation.split_scores import captions_of, score
from captioning.models.kinds import AnyCaptioner
from captioning.pictures.sheets import caption_sheet
from captioning.progress import Progress
from captioning.training.run_files import RunError
from captioning.training.run_folder import Run

__all__ = ["DEMO", "FULL", "QUICK", "Size"]


@dataclass(frozen=True)
class Size:
    """The number of training and validation scenes, and the size of the captioner's hidden state.

    Scenes are cheap to draw, so there are many, and training takes few epochs: `learning` for the network of features,
    and one for the captioner.
    """

    train: int
    val: int
    hidden: int
    learning: int = 3


FULL = Size(16000, 400, hidden=160)
QUICK = Size(6000, 200, hidden=128)
_TRAINING = (
    "--model attention --wordvec 96 --picture 192 --attention-size 96 --heads 4 --dropout 0.1 --epochs 1 "
    "--batch-size 25 --learning-rate 2e-3 --schedule cosine --warmup 100 --buckets 20 --weight-decay 0.02 --keep loss"
)


def _demo(options: argparse.Namespace) -> int:
    """Make the demonstration; print figures of scenes that were not used to choose weights, and the files."""
    from captioning.scenes.dataset import write_scenes

    folder, size = Path(options.out), QUICK if options.quick else FULL
    if (folder / "run").exists():
        raise RunError(f"{folder}: already contains a demonstration: choose another folder with --out")
    progress = Progress()
    progress.say(f"drawing {size.train + size.val} scenes")
    try:  # the reduced features, of 128 dimensions, are not used here
        write_scenes(folder / "data", seed=options.seed, train=size.train, val=size.val, dimensions=128,
                     learning=size.learning, progress=_drawing(progress))  # fmt: skip
    except OSError as error:
        raise OSError(f"{folder}: cannot be written: {error.strerror or error}") from error
    finally:
        progress.close()
    line = ["train", "--data", str(folder / "data"), "--out", str(folder / "run"), "--hidden", str(size.hidden),
            "--seed", str(options.seed), *_TRAINING.split()]  # fmt: skip
    training = make_parser((TRAIN,)).parse_args(line)
    if status := training.command(training):
        return int(status)
    with open_captions(folder / "data", regions=True) as data:
        _report(data, Run.open(folder / "run").load_model(), folder)
    return 0


def _drawing(progress: Progress) -> Callable[[str, int, int], None]:
    """Return a function that shows how many scenes are done, with a bar for each stage."""
    stages: list[str] = []

    def show(stage: str, done: int, total: int) -> None:
        if stage not in stages:
            stages.append(stage)
            progress.begin(total, what=stage)
        progress.update(done)

    return show


def _report(data: CaptionData, model: AnyCaptioner, folder: Path) -> None:
    from captioning.scenes.checker import judge, judge_all, judge_others
    from captioning.scenes.dataset import load_captions, load_scenes
    from captioning.scenes.drawing import render_array
    from captioning.scenes.world import is_held_out

    images = images_of_part(data.val, "second")
    scenes = load_scenes(data.folder, "val")
    own = load_captions(data.folder, "val")
    scenes, own = [scenes[i] for i in images], [own[i] for i in images]
    captions = captions_of(model, data.val, images, beam)
    new = [i for i, scene in enumerate(scenes) if is_held_out(scene)]
    old = [i for i in range(len(scenes)) if i not in set(new)]
    rows = {
        "the captioner": judge_all(captions, scenes),
        "  combinations seen in training": judge_all([captions[i] for i in old], [scenes[i] for i in old]),
        "  combinations never seen": judge_all([captions[i] for i in new], [scenes[i] for i in new]),
        "captions of other scenes": judge_others(own, scenes),
        "the scenes' own captions": judge_all([item[0] for item in own], scenes),
    }
    bleu = score(model, data.val, images, captions)
    print(f"\n{len(images)} validation scenes that were not used to choose weights")
    print(f"{'statements':36}precision  recall")
    for name, figures in rows.items():
        print(f"{name:36}{figures.precision:9.3f}{figures.recall:8.3f}")
    scores = "  ".join(f"{bleu[f'corpus_bleu_{n}']:.3f}" for n in range(1, 5))
    print(f"\ncorpus BLEU-1 to BLEU-4  {scores};  exercise BLEU  {bleu['exercise_bleu']:.3f}")
    shown = np.linspace(0, len(images) - 1, 12).astype(int)
    marks = [[(_words(statement), true) for statement, true in judge(captions[i], scenes[i]).statements] for i in shown]
    caption_sheet([render_array(scenes[i], 256) for i in shown], [" ".join(captions[i]) for i in shown],
                  [own[i][0] for i in shown], folder / "captions.png", marks=marks,
                  title="The captions, with each statement marked true or false")  # fmt: skip
    print("\nfiles")
    for path, text in (("data", "the scenes as a data set"), ("run", "weights, history and loss curve"),
                       ("captions.png", "pictures and captions, with true and false statements marked")):  # fmt: skip
        print(f"  {folder / path}: {text}")


def _words(statement: Any) -> str:
    """Return a statement as text, such as "dog: red" or "dog on box"."""
    topic, terms = statement.topic, statement.terms
    if topic in ("count", "colour", "size"):
        return f"{terms[0]}: {terms[1]}"
    if topic in ("kind", "background"):
        return str(terms[0])
    return f"{terms[0]} {topic} {terms[1]}"


DEMO = Command(
    "demo", "generate simple scenes, train a captioner on them, and check its captions", _demo,
    {
        "--out": {"metavar": "DIR", "default": "captioning-demo", "required": False, "help": "the folder to create"},
        "--quick": {"action": "store_true", "help": "run a smaller demonstration, in a third of the time"},
        "--seed": {},
    },
    "example:\n  captioning demo --quick --out DIR",
)  # fmt: skip
