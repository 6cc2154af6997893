"""The commands `evaluate`, `sample` and `report`: caption the images of a data set, and score the captions."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

import minigrad as mg
from captioning.cli.decoding import CAPTIONING, SplitJob, given, names_of, open_runs, open_split, refuse_beside
from captioning.cli.options import BEAM, CONSENSUS, Command, check_output, number, unchanged
from captioning.command import shown
from captioning.data.dataset import CaptionData, open_captions
from captioning.data.splits import PARTS, Split, images_of_part
from captioning.evaluation.calibration import Calibration
from captioning.evaluation.split_scores import (
    SCORE_TABLE,
    captions_of,
    known_captions,
    read_results,
    score,
    score_captions,
    signature,
    write_results,
)
from captioning.progress import Progress
from captioning.ranks import on_ranks
from captioning.report.contents import ReportContents, ReportSettings, ScoredSplit, score_split
from captioning.report.page import write_page
from captioning.scoring.cider import DocumentFrequencies
from captioning.training.run_folder import Run
from minigrad.formatting import byte_text
from minigrad.parallel.communicators import ALONE

__all__ = ["EVALUATE", "REPORT", "SAMPLE", "SCORE", "scored_split"]

_UNKNOWN = "unknown"  # how another program decoded its captions


def _evaluate(options: argparse.Namespace, comm: Any, stack: ExitStack) -> int:
    with mg.parallel.agreed(comm):
        if options.out is not None:
            check_output(options.out, ".json")
        progress = Progress(enabled=comm.rank == 0 and not options.quiet)
        job = stack.enter_context(open_split(options, open_runs(options.run)))
        images = images_of_part(job.split, options.part, options.max_images, options.seed)
    stack.callback(progress.close)
    with mg.parallel.together(comm):
        about, figures = _scores(options, job, images, progress, comm)
    stack.close()  # wipe the bar before anything is printed
    if comm.rank == 0:
        print(json.dumps(about | figures)) if options.json else _print_scores(about, figures)
    return 0


def _scores(
    options: argparse.Namespace, job: SplitJob, images: Any, progress: Progress, comm: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what was evaluated, and the figures. Ranks share the images."""
    split, decoding = job.split, job.decoding
    known, frequencies = (None, None) if comm.rank else _of_training(options, job.data, progress)
    captions = _captions(job, images, progress, comm)
    if options.out is not None and comm.rank == 0:
        write_results(options.out, split, images, captions)
    figures = score(job.model, split, images, captions, options.seed, progress, frequencies, known, comm)
    parts = dict.fromkeys(run.chosen_on(job.data) for run in job.runs)
    chosen_on = " and ".join(filter(None, parts)) or None
    about = _about(options, split, images, names_of(job.runs), decoding.text, job.length)
    return about | {"out": options.out, "chosen_on": chosen_on}, figures


def _about(
    options: argparse.Namespace, split: Split, images: Any, run: str, decoding: str, length: int | str
) -> dict[str, Any]:
    drawn_by = options.seed if len(images) < len(images_of_part(split, options.part)) else None
    sign = signature(split, options.part, len(images), decoding, length, drawn_by, options.frequencies)
    return {"run": run, "split": options.split, "part": options.part, "decoding": decoding, "max_length": length,
            "signature": sign}  # fmt: skip


def _of_training(
    options: argparse.Namespace, data: CaptionData, progress: Progress
) -> tuple[set[tuple[str, ...]] | None, DocumentFrequencies | None]:
    """Return the training captions, or None without a training split, and the document frequencies.

    The frequencies are None if they are to be those of the references.
    """
    frequencies = None
    if options.frequencies == "train":
        frequencies = DocumentFrequencies.of(data.train.references_by_image(), progress=progress)
    train = data.get("train")
    return None if train is None else known_captions(train, progress), frequencies


def _score(options: argparse.Namespace) -> int:
    progress = Progress(enabled=not options.quiet)
    with open_captions(options.data) as data:
        split = data[options.split]
        images = images_of_part(split, options.part, options.max_images, options.seed)
        captions = read_results(options.results, split, images, data.splits)
        known, frequencies = _of_training(options, data, progress)
        figures = score_captions(split, images, captions, options.seed, progress, frequencies, known)
        about = _about(options, split, images, options.results, _UNKNOWN, _UNKNOWN)
    progress.close()
    print(json.dumps(about | figures)) if options.json else _print_scores(about, figures)
    return 0


def _captions(job: SplitJob, images: Any, progress: Progress, comm: Any) -> list[list[str]]:
    """Return a caption of each image. Ranks share the images, unless captions are drawn, one after the other."""
    decode, share = job.decoding.decode_for(job.data), ALONE if job.decoding.drawn else comm
    return captions_of(job.model, job.split, images, decode, job.length, progress, share)


def _print_scores(about: dict[str, Any], figures: dict[str, Any]) -> None:
    print(f"{about['run']}: {figures['images']} images of the {PARTS[about['part']]}{about['split']} split, "
          f"{figures['captions']} human captions, {about['decoding']} decoding")  # fmt: skip
    if about["split"] == "val" and about.get("chosen_on") is not None:
        named = " and ".join(
            f"the {PARTS.get(part, '')}validation images" for part in about["chosen_on"].split(" and ")
        )
        print(f"(the weights were chosen on {named})")
    for heading, rows in SCORE_TABLE.items():
        print(f"\n{heading}")
        for key, (name, form, meaning) in rows.items():
            if figures.get(key) is not None:
                print(f"  {name:24}{figures[key]:>9{form}}  {meaning}")
    print(f"\nsignature: {about['signature']}")
    if about.get("out") is not None:
        print(f"captions: {about['out']}")


def _sample(options: argparse.Namespace, comm: Any, stack: ExitStack) -> int:
    with mg.parallel.agreed(comm):
        job = stack.enter_context(open_split(options, open_runs(options.run)))
        rows = _sampled_rows(options, job)
    progress = Progress(enabled=comm.rank == 0 and not options.quiet)
    stack.callback(progress.close)
    with mg.parallel.together(comm):
        captions = _captions(job, rows, progress, comm)
        progress.close()
    if comm.rank == 0:
        _print_samples(options, job, rows, [" ".join(words) for words in captions])
    return 0


def _sampled_rows(options: argparse.Namespace, job: SplitJob) -> Any:
    """Return the images to caption, drawn by the seed; for a sheet, only images with a photo."""
    rows = images_of_part(job.split, options.part)
    if options.out is not None:
        rows = np.array([i for i in rows if job.split.photo(int(i)) is not None])
        check_output(options.out, ".png", min(len(rows), options.n))
        if not rows.size:
            raise ValueError(f"--out: {job.split.photos_folder} has no photos of the {options.split} split. If they "
                             "have moved, pass their folder with --photos-dir.")  # fmt: skip
    return np.random.default_rng(options.seed).permutation(rows)[: options.n]


def _print_samples(options: argparse.Namespace, job: SplitJob, rows: Any, captions: Sequence[str]) -> None:
    """Print the captions, and draw the sheet if --out is given."""
    split = job.split
    samples: list[dict[str, Any]] = [
        {"image": int(i), "name": split.image_names[i] if split.has_image_names else None, "caption": caption,
         "reference": " ".join(split.references(int(i))[0])}
        for i, caption in zip(rows, captions, strict=True)
    ]  # fmt: skip
    if options.out is not None:
        from captioning.pictures.photos import sheet_photo
        from captioning.pictures.sheets import caption_sheet

        paths = [path for path in (split.photo(int(i)) for i in rows) if path]
        references = [sample["reference"] for sample in samples]
        caption_sheet(list(map(sheet_photo, paths)), captions, references, options.out,
                      names=[path.name for path in paths])  # fmt: skip
    if options.json:
        about = {"run": names_of(job.runs), "split": options.split, "decoding": job.decoding.text, "out": options.out}
        print(json.dumps(about | {"captions": samples}))
        return
    for sample in samples:
        name = "" if sample["name"] is None else f" ({shown(str(sample['name']))})"
        print(f"image {sample['image']}{name}: {sample['caption']}\n    a human: {sample['reference']}")
    if options.out is not None:
        print(f"pictures: {shown(options.out)}")


def _report(options: argparse.Namespace) -> int:
    if options.no_data:
        refuse_beside("--no-data", given(options, "--max-length", *BEAM, *CONSENSUS, "--max-images", "--photos-dir"))
    run = Run.open(options.run)
    check_output(options.out, ".html")
    history, progress = run.history(), Progress(enabled=not options.quiet)
    try:
        model, scored = (run.load_model(), None) if options.no_data else scored_split(options, run, progress)
        contents = ReportContents(Path(run.name).resolve().name, run.settings, history, model, scored)
        size = write_page(contents, options.out, progress)
    finally:
        progress.close()
    print(f"report: {shown(options.out)} ({byte_text(size)})")
    return 0


def scored_split(
    options: argparse.Namespace, run: Run, progress: Progress, warn: bool = True
) -> tuple[Any, ScoredSplit]:
    """Caption the images that the options choose by a run; return its captioner, and the captions with their scores.

    warn: whether to say how many photos are missing.
    """
    with open_split(options, [run]) as job:
        decoding = job.decoding
        calibration = None
        if decoding.beam is not None:
            calibration = Calibration.load(run.folder, decoding.beam, job.length, progress.say)
        settings = ReportSettings(
            decoding.decode_for(job.data), decoding.text, options.part, options.max_images, options.seed,
            job.length, calibration,
        )  # fmt: skip
        scored = score_split(job.model, job.split, settings, progress, run.chosen_on(job.data), job.data.get("train"))
        if scored.moved and warn:
            progress.say(f"{job.split.photos_folder}: the photos of {scored.moved} of {len(scored.captions)} images "
                         "have moved or are missing. Pass their folder with --photos-dir.")  # fmt: skip
        return job.model, scored


_SEVERAL = {"nargs": "+", "help": "a run folder written by train, refine or reinforce, or shipped, the Flickr8k "
            "captioner; name several to average their word probabilities"}  # fmt: skip

_FREQUENCIES = {"choices": ("corpus", "train"), "default": "corpus", "help": "where CIDEr-D counts n-grams for its "
                "weights: in the reference captions, as in papers (corpus), or in the training captions, which makes "
                "the weights independent of the number of images (train)"}  # fmt: skip

EVALUATE = Command(
    "evaluate", "print the scores of a captioner on images with human captions. The scores are the loss, BLEU, ROUGE-L "
    "and CIDEr-D with the weights of the best epoch, and the diversity of the captions. Exercise BLEU is unigram BLEU "
    "against one human caption, as in the CS231n exercise", on_ranks(_evaluate),
    {
        "run": _SEVERAL, "--data": {}, **unchanged(*CAPTIONING), "--max-images": {},
        "--frequencies": _FREQUENCIES,
        "--out": {"metavar": "JSON", "required": False, "help": "also write the captions to this file in the "
                  "COCO results format; image_id is the number in the names of COCO files, or else the row of the "
                  "image"},
        "--json": {"help": "print one JSON object; compare two scores only if their signatures are equal"},
    },
    """example:
  captioning evaluate RUN --data DIR --split val --beam 3 --out results.json
    prints the scores of captions of the validation images, and writes the
    captions to a file; the data set must have the vocabulary and the kind of
    features of the run (reduced ones are in ..._fc7_pca.h5, others in ..._fc7.h5)
  captioning evaluate RUN RUN2 RUN3 --data DIR --beam 5 --no-repeat 3
    averages three captioners and never repeats three words in a row""",
)  # fmt: skip

SCORE = Command(
    "score", "print the scores of captions that any program wrote. They are the scores that evaluate prints, except "
    "the loss. The file has the COCO results format, a JSON list of objects with image_id and caption, as evaluate "
    "--out writes it", _score,
    {
        "results": {"metavar": "JSON", "help": "the file of captions, with one caption per image"},
        "--data": {"help": "data set folder in the CS231n MS-COCO layout (default: $CAPTIONING_DATA)"},
        **unchanged("--split", "--part", "--max-images", "--seed"), "--frequencies": _FREQUENCIES,
        **unchanged("--json", "--quiet"),
    },
    "example:\n  captioning score results.json --data DIR --part second",
)  # fmt: skip

SAMPLE = Command(
    "sample", "print captions of some images of a data set next to human captions. The seed selects the images",
    on_ranks(_sample),
    {
        "run": _SEVERAL, "--data": {},
        **unchanged(*CAPTIONING, "--temperature", "--top-k", "--photos-dir", "--json"),
        "-n": {"type": number(int, 1), "default": 5, "metavar": "N", "help": "the number of images"},
        "--out": {"metavar": "PNG", "required": False, "help": "also draw a sheet of the photos with their captions; "
                  "uses only images with a photo in the data set"},
    },
    """example:
  captioning sample RUN --data DIR -n 12 --beam 3 --out sheet.png
    prints captions of twelve validation images next to human captions, and
    draws a sheet of them
  captioning sample RUN --data DIR --temperature 0.7 --top-k 20 --seed 1
    samples captions at random, depending on the seed
  captioning sample RUN --data DIR --beam 6 --with dog --without man
    prints the best captions with one word and without another""",
)  # fmt: skip

REPORT = Command(
    "report", "write an HTML page about a run. It shows the training curves, scores, captions next to human ones, and "
    "settings",
    _report,
    {
        "run": {}, "--data": {"group": "source"}, **unchanged(*CAPTIONING, "--max-images", "--photos-dir"),
        "--no-data": {"group": "source", "action": "store_true", "help": "write a page without captions and scores, "
                      "which need the data set"},
        "--out": {"default": "report.html", "required": False, "metavar": "HTML", "help": "the page; replaces "
                  "an existing file"},
    },
    """example:
  captioning report RUN --data DIR --beam 3 --out report.html
    writes a page with the training curves, the scores on the validation
    images, and the best, typical and worst captions, with photos if the data set
    has them; the page needs no network
  captioning report RUN --no-data
    writes a page without captions and scores""",
)  # fmt: skip
