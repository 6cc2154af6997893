"""The command `demo`: small worlds are drawn and captioned, a captioner trains on them, and its captions are judged.

The pictures are seen by a network that has learnt from the training pictures and their captions what a place shows
(`captioning.scenes.features`), and the captioner looks at the places while it speaks.

What is true of a scene is known, so a caption is judged by its statements: which of them are true
(precision), and how much of the scene they tell (recall). The same figures for captions of other scenes
say what guessing is worth, and those of the scenes' own captions what can be reached.
"""

from __future__ import annotations

import argparse
import functools
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from captioning.cli.options import add_command
from captioning.command import Terminated
from captioning.data.dataset import CaptionData, open_captions
from captioning.data.parts import images_of_part
from captioning.data.regions import FeaturesAndRegions
from captioning.decoding.consensus import Agreement, Voters, agreed
from captioning.models.attention_captioner import AttentionCaptioner
from captioning.models.kinds import AnyCaptioner
from captioning.pictures.sheets import caption_sheet
from captioning.progress import Progress
from captioning.scoring.evaluation import captions_of, score
from captioning.training.errors import RunError
from captioning.training.run_folder import Run
from captioning.training.run_settings import settings_of
from captioning.training.settings import Settings
from captioning.training.solver import Solver

__all__ = ["FULL", "QUICK", "Size", "add_demo", "demonstrate"]


def add_demo(commands: Any) -> None:
    """The command `demo`."""
    parser = add_command(commands, "demo", "draw small worlds, train a captioner on them and judge what it says", _demo,
                         "example:\n  captioning demo --quick --out DIR")  # fmt: skip
    parser.add_argument("--out", metavar="DIR", default="captioning-demo", help="folder to make (captioning-demo)")
    parser.add_argument("--quick", action="store_true", help="a smaller one, in a third of the time")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of everything random (0)")


def _demo(options: argparse.Namespace) -> int:
    demonstrate(Path(options.out), QUICK if options.quick else FULL, options.seed)
    return 0


@dataclass(frozen=True)
class Size:
    """How large the demonstration is: scenes, the network that learns to see, the captioner and its training.

    Scenes are cheap to draw, so there are many, and each is seen few times: `learning` epochs by the network, `epochs`
    by the captioner, in small batches: what counts at first is the number of steps.
    """

    train: int = 16000
    val: int = 400
    learning: int = 3
    wordvec: int = 96
    hidden: int = 160
    picture: int = 192
    looking: int = 96
    heads: int = 4
    dropout: float = 0.1
    epochs: int = 1
    batch_size: int = 25
    learning_rate: float = 2e-3
    warmup: int = 100
    weight_decay: float = 0.02


FULL = Size()
QUICK = Size(train=6000, val=200, hidden=128)


def demonstrate(folder: Path, size: Size = FULL, seed: int = 0) -> dict[str, Any]:
    """Make the demonstration in `folder`, print the figures and the files made; the figures.

    Of several epochs the best one is chosen on the first half of the validation scenes; everything printed is of the
    second. A folder that has a demonstration already is a RunError.
    """
    from captioning.scenes.dataset import write_scenes

    if (folder / "run").exists():
        raise RunError(f"{folder}: has a demonstration already: choose another folder with --out")
    progress = Progress()
    progress.say(f"drawing {size.train + size.val} scenes")
    try:
        write_scenes(
            folder / "data",
            seed=seed,
            train=size.train,
            val=size.val,
            dimensions=128,  # of reduced features, which nothing here reads
            learning=size.learning,
            progress=_Drawing(progress),
        )
    finally:
        progress.close()
    with open_captions(folder / "data", regions=True) as data:
        model = _train(data, folder / "run", size, seed, progress)
        return _report(data, model, folder, seed)


class _Drawing:
    """Shows how far the scenes are, a bar for each stage."""

    def __init__(self, progress: Progress) -> None:
        self.progress, self.stage = progress, ""

    def __call__(self, stage: str, done: int, total: int) -> None:
        if stage != self.stage:
            self.stage = stage
            self.progress.begin(total, what=stage)
        self.progress.update(done)


def _train(data: CaptionData, folder: Path, size: Size, seed: int, progress: Progress) -> AnyCaptioner:
    training = Settings(
        epochs=size.epochs,
        batch_size=size.batch_size,
        learning_rate=size.learning_rate,
        schedule="cosine",
        warmup=size.warmup,
        buckets=20,
        weight_decay=size.weight_decay,
        keep="loss",
        seed=seed,
    )
    features = data.train.features
    assert isinstance(features, FeaturesAndRegions)  # what open_captions gives with regions
    model = AttentionCaptioner(
        data.vocabulary,
        features.shape[1],
        features.grid,
        wordvec_size=size.wordvec,
        hidden_size=size.hidden,
        picture_size=size.picture,
        looking_size=size.looking,
        heads=size.heads,
        dropout=size.dropout,
        rng=seed,
    )
    model.standardise(features[:2000])
    solver = Solver(model, data.train, data.val, training, progress=progress)
    settings = settings_of(model, training, data, regions=True)
    run = solver.run = Run.create(folder, settings, data.vocabulary, solver.state())
    progress.say(f"training on {len(data.train)} captions, {sum(p.size for p in model.parameters()):,} weights")
    solver.train()
    if solver.interrupted:
        raise Terminated if solver.stopped_by == signal.SIGTERM else KeyboardInterrupt
    return run.load_model()


def _by_consensus(data: CaptionData, seed: int) -> Callable[..., Any]:
    """The way of saying with which most of 40 drafts agree: of scenes it is more often right, and says more, than the
    likeliest word at every step. No training scenes are asked, so that combinations never seen are told by sight."""
    return functools.partial(agreed, voters=Voters(data.train), how=Agreement(neighbours=0),
                             rng=np.random.default_rng(seed))  # fmt: skip


def _report(data: CaptionData, model: AnyCaptioner, folder: Path, seed: int) -> dict[str, Any]:
    from captioning.scenes.checker import judge, judge_all, judge_others
    from captioning.scenes.dataset import load_captions, load_scenes
    from captioning.scenes.world import is_held_out

    images = images_of_part(data.val, "second")
    scenes = load_scenes(data.folder, "val")
    own = load_captions(data.folder, "val")
    scenes, own = [scenes[i] for i in images], [own[i] for i in images]
    said = captions_of(model, data.val, images, _by_consensus(data, seed))
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
    return {"statements": rows, "bleu": bleu}


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
