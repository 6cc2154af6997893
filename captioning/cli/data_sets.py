"""The commands `prepare` and `download`: make a data set of your photos and captions, or download a published one."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from captioning.cli.options import Command, number
from captioning.data.folder import PHOTOS_FOLDER, RAW_CAPTIONS_FILE
from captioning.data.tokens import TOKENIZERS
from captioning.downloading.archives import Patience, fetch
from captioning.downloading.data_sets import make_coco, make_flickr8k
from captioning.downloading.sources import DATA_SETS, DownloadError, Source, sources_of, table
from captioning.preparing.photo_features import compute_batch
from captioning.preparing.pipeline import prepare_data
from captioning.preparing.recipe import PHOTO_FILES, Recipe, report
from captioning.preparing.region_sample import SAMPLE
from captioning.preparing.sources import FORMATS
from captioning.preparing.work_folder import has_features
from captioning.progress import Progress
from captioning.ranks import MapTasks, lead
from captioning.storage import FolderLock
from captioning.training.run_features import extractor_of, tokenizer_name
from captioning.training.run_folder import Run
from captioning.vision.extractors import (
    EXTRACTORS,
    EfficientNetLite0Extractor,
    FeatureExtractor,
    RegionExtractor,
    extractor,
)
from minigrad.formatting import byte_text

__all__ = ["DOWNLOAD", "PREPARE"]

_REGIONS = 256  # numbers of a region, by default
_ABOUT_PREPARE = """\
SOURCE is one of
  coco      COCO's caption JSON: images with id and file_name, annotations with
            image_id and caption; several files, if each has its split, train or
            val, in its name
  karpathy  JSON with splits: images with filename, split (train, restval, val,
            test) and sentences with raw or tokens
  csv       a UTF-8 table with the header image,split,caption or image,caption,
            and one caption a line
  folder    photos NAME.jpg, each beside a NAME.txt with one caption a line

DIR gets coco2014_captions.h5, coco2014_vocab.json and captions.csv. Each split
gets its features in ...2014_vgg16_fc7.h5, whichever network made them, and the
names of its photos in ...2014_images.txt. --regions adds ...2014_regions.h5, the
features of the regions of a photo, reduced by a PCA, and regions.safetensors,
which reduces those of new photos. If the command is stopped or killed, run it
again to continue. DIR appears when the data set is complete.

examples:
  captioning prepare photos/ --out data
  captioning prepare captions.csv --photos-dir photos/ --out data --test 0.1
  captioning prepare captions_val2017.json --out words --no-features
  captioning prepare captions_train2014.json captions_val2014.json \\
    --photos-dir train2014/ val2014/ --out data
  captioning prepare photos/ --regions --out data-with-regions
  captioning prepare photos/ --like shipped --out data-like-shipped
  captioning prepare photos/ --like shipped --val 0 --test 1 --out test-data
then:
  captioning train --data data --out run
  captioning train --model attention --data data-with-regions --out run
  captioning train --start shipped --data data-like-shipped --out run
  captioning evaluate shipped --data test-data --split test"""


def _open(options: argparse.Namespace, first: bool) -> tuple[Recipe, FeatureExtractor | None]:
    given = vars(options)
    chosen = {field.name: given[field.name] for field in dataclasses.fields(Recipe) if field.name in given}
    name = given.get("extractor", EfficientNetLite0Extractor.name)
    if options.like is None:
        return Recipe(**chosen), None if options.no_features else extractor(name)
    if options.regions is not None:
        raise ValueError(f"--regions cannot be combined with --like: the regions are those of {options.like}")
    run = Run.open(options.like)
    chosen |= {"vocabulary": run.vocabulary, "tokenizer": tokenizer_name(run, given.get("tokenizer"))}
    network = None if options.no_features else extractor_of(run, given.get("extractor"))
    if isinstance(network, RegionExtractor):
        chosen |= {"projection": network.projection, "regions": network.projection.weight.shape[1]}
        network = network.network
    return Recipe(**chosen), network


def _prepare(options: argparse.Namespace, job: tuple[Recipe, FeatureExtractor | None], map_batches: MapTasks) -> int:
    recipe, network = job
    progress = Progress(enabled=not options.quiet)
    try:
        made = prepare_data(options.source, options.out, recipe, network, options.photos_dir, progress, map_batches)
    except KeyboardInterrupt as stop:
        if not has_features(options.out):
            raise
        raise type(stop)("stopped; run the same command to continue from the features computed so far") from None
    finally:
        progress.close()
    print(report(made, recipe, options.like))
    return 0


_RECIPE = Recipe()

PREPARE = Command(
    "prepare", "make a data set of your own photos and captions",
    lead(_open, lambda job: functools.partial(compute_batch, extractor=job[1]), _prepare),  # type: ignore[arg-type]
    {
        "source": {"metavar": "SOURCE", "nargs": "+", "help": "a file of captions, or a folder of photos with text "
                   "files; see below"},
        "--out": {"metavar": "DIR", "help": "the folder to create; must be new or empty"},
        "--photos-dir": {"metavar": "DIR", "nargs": "+", "default": [], "help": "folders to search for photos "
                         "(default: the folder of SOURCE and its subfolders photos and images)"},
        "--format": {"choices": FORMATS, "help": "the format of SOURCE (default: detected from its name and "
                     "keys)"},
        "--skip-missing": {"action": "store_true", "help": "skip photos without captions and captions without photos "
                           "instead of stopping with an error"},
        "--like": {"group": "size", "metavar": "RUN", "help": "take the vocabulary, the tokenizer, the extractor and "
                   "the projection of regions from a run, or shipped, the Flickr8k captioner, to evaluate or fine-tune "
                   "the captioner of RUN on DIR"},
        "--tokenizer": {"choices": list(TOKENIZERS), "help": "tokenizer: ptb splits like the COCO "
                        "scores (do n't, t-shirt); words splits at all punctuation except apostrophes (don't, t "
                        "shirt)"},
        "--min-count": {"group": "size", "type": int, "default": _RECIPE.min_count, "metavar": "N", "help": "replace "
                        "words that occur fewer than N times in training captions by <UNK>"},
        "--words": {"group": "size", "type": int, "metavar": "N", "help": "keep the N most frequent words instead"},
        "--max-length": {"type": int, "help": "the maximum caption length in words, at most 1000 (default: the length "
                         "that 99 %% of training captions do not exceed)"},
        "--val": {"type": float, "default": _RECIPE.val, "metavar": "X", "help": "share of the images for validation, "
                  "if SOURCE has no splits, or with --resplit; may be 0 with --like"},
        "--test": {"type": float, "default": _RECIPE.test, "metavar": "X", "help": "share of the images for the test "
                   "split; with --like, --val and --test may add up to 1"},
        "--seed": {"help": "random seed for dividing the images into splits"},
        "--resplit": {"action": "store_true", "help": "ignore the splits of SOURCE and make new random ones from "
                      "--val, --test and --seed"},
        "--extractor": {"group": "network", "choices": list(EXTRACTORS), "help": "the network that computes the "
                        "features"},
        "--no-features": {"group": "network", "action": "store_true", "help": "prepare only captions; no photos are "
                          "needed"},
        "--regions": {"type": int, "nargs": "?", "const": _REGIONS, "metavar": "K", "help": "also store at most K "
                      f"numbers ({_REGIONS} without K) for each region of a photo, for `train --model attention`; a "
                      f"sample of up to {SAMPLE} photos determines how to reduce them"},
        "--photos": {"choices": list(PHOTO_FILES), "default": _RECIPE.photos, "help": "fill DIR/photos with relative "
                     "symbolic links (link), copies (copy) or nothing (none)"},
        "--strict": {"action": "store_true", "help": "stop at a photo that cannot be read instead of skipping it"},
        "--quiet": {},
    },
    _ABOUT_PREPARE,
    {"tokenizer": _RECIPE.tokenizer, "extractor": EfficientNetLite0Extractor.name},
)  # fmt: skip


class _DataSet(NamedTuple):
    """How to unpack a data set, the default folder, and the command line for the next step."""

    make: Callable[[Path, Mapping[Source, Path], Progress], str]
    folder: str
    next_step: Callable[[Path], list[str]]


def _prepare_flickr8k(folder: Path) -> list[str]:
    base = folder if folder.name not in ("", "..") else folder.resolve()  # `.` has no name
    captions, photos = folder / RAW_CAPTIONS_FILE, folder / PHOTOS_FOLDER
    return ["prepare", str(captions), "--photos-dir", str(photos), "--out", f"{base}-data"]


_DATA_SETS = {
    "coco": _DataSet(
        make_coco, "datasets/coco_captioning", lambda folder: ["train", "--data", str(folder), "--out", "RUN"]
    ),
    "flickr8k": _DataSet(make_flickr8k, "datasets/flickr8k", _prepare_flickr8k),
}
_ABOUT_DOWNLOAD = """
coco      CS231n's archive of MS-COCO 2014: captions, vocabulary and features, which the other
          commands can use as they are; 2.3 GB, plus the archive.
flickr8k  8,000 photos with five captions each, about 1 GB: photos/ and captions.csv, of which
          `captioning prepare` makes a data set.

Archives already in DIR are reused. If a download stops, run the same command to continue it.
--list prints the addresses. They belong to third parties and may change; --address and --mirror
replace them.

example:
  captioning download coco --out datasets/coco_captioning
  captioning train --data datasets/coco_captioning --out run
"""


def _download(options: argparse.Namespace) -> int:
    if options.list:
        print(table())
        return 0
    if options.data_set is None:
        raise ValueError(f"name a data set ({', '.join(DATA_SETS)}), or use --list")
    if options.annotations and options.data_set != "coco":
        raise ValueError(f"--annotations is only for coco; got {options.data_set}")
    sources = sources_of(options.data_set, options.address, options.mirror, options.annotations)
    if options.no_verify:
        sources = [dataclasses.replace(source, size=None, checksum=None) for source in sources]
    patience, data_set = Patience(options.timeout, options.attempts), _DATA_SETS[options.data_set]
    folder, progress = Path(options.out or data_set.folder), Progress(enabled=not options.quiet)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FolderLock(folder, "downloading", DownloadError):
            archives = {source: fetch(source, folder, progress, patience) for source in sources}
            made = data_set.make(folder, archives, progress)
    except KeyboardInterrupt as stop:
        raise type(stop)(f"stopped; run the same command to continue from what {folder} already contains") from None
    finally:
        progress.close()
    print(made)
    size = sum(path.stat().st_size for path in archives.values())
    print(f"no longer needed: {', '.join(map(str, archives.values()))} ({byte_text(size)})")
    print(f"next: {shlex.join(['captioning', *data_set.next_step(folder)])}")
    return 0


_PATIENCE = Patience()

DOWNLOAD = Command(
    "download", "download a published data set", _download,
    {
        "data_set": {"nargs": "?", "choices": list(DATA_SETS), "metavar": "{coco,flickr8k}", "help": "the data set"},
        "--out": {"metavar": "DIR", "required": False, "help": "folder for archives and files (default: "
                  + ", ".join(f"{each.folder} for {name}" for name, each in _DATA_SETS.items()) + ")"},
        "--list": {"action": "store_true", "help": "print all archives with addresses and checksums, and exit"},
        "--annotations": {"action": "store_true", "help": "with coco, also download COCO's own captions, 241 MiB"},
        "--address": {"action": "append", "default": [], "metavar": "NAME=URL", "help": "download archive NAME, as "
                      "--list prints it, from URL; may be repeated"},
        "--mirror": {"metavar": "URL", "help": "download all archives from this folder, by their file names"},
        "--no-verify": {"action": "store_true", "help": "accept archives whose size or checksum differs from --list; "
                        "they must still be complete zip archives"},
        "--timeout": {"type": number(float, 0.001, 24 * 3600), "default": _PATIENCE.timeout, "metavar": "S",
                      "help": "give up an attempt after S seconds without data"},
        "--attempts": {"type": number(int, 1, 1000), "default": _PATIENCE.attempts, "metavar": "N", "help": "give up "
                       "after N attempts in a row without a new byte"},
        "--quiet": {},
    },
    _ABOUT_DOWNLOAD,
)  # fmt: skip
