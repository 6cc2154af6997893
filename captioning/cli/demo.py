"""The command `demo`: small worlds are drawn and captioned, a captioner trains on them, and its captions are judged.

The pictures are seen by a network that has learnt from the training pictures and their captions what a place shows
(`captioning.scenes.learnt_features`), and the captioner looks at the places while it speaks.

What is true of a scene is known, so a caption is judged by its statements: which of them are true
(precision), and how much of the scene they tell (recall). The same figures for captions of other scenes
say what guessing is worth, and those of the scenes' own captions what can be reached.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from captioning.cli.options import Command, make_parser
from captioning.cli.train import TRAIN
from captioning.data.dataset import CaptionData, open_captions
from captioning.data.splits import images_of_part
from captioning.evaluation.consensus import ConsensusSettings, TrainingCaptions, decode_consensus
from captioning.evaluation.split_scores import captions_of, score
from captioning.models.kinds import AnyCaptioner
from captioning.pictures.sheets import caption_sheet
from captioning.progress import Progress
from captioning.training.run_files import RunError
from captioning.training.run_folder import Run

__all__ = ["DEMO", "FULL", "QUICK", "Size"]


@dataclass(frozen=True)
class Size:
    """How many scenes the demonstration draws, and how large the captioner's hidden state is.

    Scenes are cheap to draw, so there are many, and each is seen few times: `learning` epochs by the network that
    learns to see, one by the captioner.
    """

    train: int
    val: int
    hidden: int
    learning: int = 3


FULL = Size(16000, 400, hidden=160)
QUICK = Size(6000, 200, hidden=128)
_TRAINING = (
    "--model attention --wordvec 96 --picture 192 --looking 96 --heads 4 --dropout 0.1 --epochs 1 --batch-size 25 "
    "--learning-rate 2e-3 --schedule cosine --warmup 100 --buckets 20 --weight-decay 0.02 --keep loss"
)


def _demo(options: argparse.Namespace) -> int:
    """Make the demonstration, and print the figures, of scenes that no choice was made on, and the files made."""
    from captioning.scenes.dataset import write_scenes

    folder, size = Path(options.out), QUICK if options.quick else FULL
    if (folder / "run").exists():
        raise RunError(f"{folder}: has a demonstration already: choose another folder with --out")
    progress = Progress()
    progress.say(f"drawing {size.train + size.val} scenes")
    try:  # nothing here reads the reduced features, which have 128 dimensions
        write_scenes(folder / "data", seed=options.seed, train=size.train, val=size.val, dimensions=128,
                     learning=size.learning, progress=_drawing(progress))  # fmt: skip
    finally:
        progress.close()
    line = ["train", "--data", str(folder / "data"), "--out", str(folder / "run"), "--hidden", str(size.hidden),
            "--seed", str(options.seed), *_TRAINING.split()]  # fmt: skip
    training = make_parser((TRAIN,)).parse_args(line)
    if status := training.command(training):
        return int(status)
    with open_captions(folder / "data", regions=True) as data:
        _report(data, Run.open(folder / "run").load_model(), folder, options.seed)
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


def _report(data: CaptionData, model: AnyCaptioner, folder: Path, seed: int) -> None:
    from captioning.scenes.checker import judge, judge_all, judge_others
    from captioning.scenes.dataset import load_captions, load_scenes
    from captioning.scenes.world import is_held_out

    images = images_of_part(data.val, "second")
    scenes = load_scenes(data.folder, "val")
    own = load_captions(data.folder, "val")
    scenes, own = [scenes[i] for i in images], [own[i] for i in images]
    # a consensus of drafts is true more often, and says more, than the likeliest word at every step; it asks no
    # training scenes, so that combinations never seen are captioned by sight
    decode = functools.partial(
        decode_consensus,
        training=TrainingCaptions(data.train),
        how=ConsensusSettings(neighbours=0),
        rng=np.random.default_rng(seed),
    )
    said = captions_of(model, data.val, images, decode)
    new = [i for i, scene in enumerate(scenes) if is_held_out(scene)]
    old = [i for i in range(len(scenes)) if i not in set(new)]
    rows = {
        "the captioner": judge_all(said, scenes),
        "  combinations seen in training": judge_all([said[i] for i in old], [scenes[i] for i in old]),
        "  combinations never seen": judge_all([said[i] for i in new], [scenes[i] for i in new]),
        "captions of other scenes": judge_others(own, scenes),
        "the scenes' own captions": judge_all([captions[0] for captions in own], scenes),
    }
    bleu = score(model, data.val, images, said)
    print(f"\n{len(images)} validation scenes that no choice was made on")
    print(f"{'statements':36}precision  recall")
    for name, figures in rows.items():
        print(f"{name:36}{figures.precision:9.3f}{figures.recall:8.3f}")
    scores = "  ".join(f"{bleu[f'corpus_bleu_{n}']:.3f}" for n in range(1, 5))
    print(f"\ncorpus BLEU-1 to BLEU-4  {scores};  exercise BLEU  {bleu['exercise_bleu']:.3f}")
    shown = np.linspace(0, len(images) - 1, 12).astype(int)
    verdicts = [judge(said[i], scenes[i]) for i in shown]
    _draw(folder / "captions.png", [scenes[i] for i in shown], [said[i] for i in shown],
          [own[i][0] for i in shown], verdicts)  # fmt: skip
    print("\nfiles")
    for path, text in (("data", "the scenes as a data set"), ("run", "weights, history and curve of the training"),
                       ("captions.png", "pictures, captions and what is true of them")):  # fmt: skip
        print(f"  {folder / path}: {text}")


def _draw(
    path: Path, scenes: Sequence[Any], said: Sequence[Sequence[str]], own: Sequence[str], verdicts: Sequence[Any]
) -> None:
    from captioning.scenes.drawing import render_array

    pictures = [render_array(scene, 256) for scene in scenes]
    marks = [[(_words(statement), true) for statement, true in verdict.statements] for verdict in verdicts]
    caption_sheet(pictures, [" ".join(words) for words in said], own, path,
                  title="What the captioner says, and which of it is true", marks=marks)  # fmt: skip


def _words(statement: Any) -> str:
    """A statement in words, such as "dog: red" or "dog on box"."""
    topic, terms = statement.topic, statement.terms
    if topic in ("count", "colour", "size"):
        return f"{terms[0]}: {terms[1]}"
    if topic in ("kind", "background"):
        return str(terms[0])
    return f"{terms[0]} {topic} {terms[1]}"


DEMO = Command(
    "demo", "draw small worlds, train a captioner on them and judge what it says", _demo,
    {
        "--out": {"metavar": "DIR", "default": "captioning-demo", "required": False, "help": "folder to make"},
        "--quick": {"action": "store_true", "help": "run a smaller demonstration, in a third of the time"},
        "--seed": {},
    },
    "example:\n  captioning demo --quick --out DIR",
)  # fmt: skip
