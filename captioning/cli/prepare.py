"""The command `prepare`: your photos and captions become a data set to train on."""

from __future__ import annotations

import argparse
import dataclasses
import functools
from typing import Any

from captioning.cli.options import Command
from captioning.data.tokens import TOKENIZERS
from captioning.preparing.photo_features import compute_batch
from captioning.preparing.pipeline import prepare_data
from captioning.preparing.recipe import PHOTO_FILES, Recipe, report
from captioning.preparing.region_sample import SAMPLE
from captioning.preparing.sources import FORMATS
from captioning.preparing.work_folder import has_features
from captioning.progress import Progress
from captioning.ranks import help_map, lead, map_on_ranks
from captioning.vision.extractors import EXTRACTORS, EfficientNetLite0Extractor, FeatureExtractor, extractor

__all__ = ["PREPARE"]

_GO_ON = "; the same command goes on with the features that were computed"

_REGIONS = 256  # numbers of a place where `--regions` does not say how many

_Opened = tuple[Recipe, FeatureExtractor | None]
_MORE = """\
SOURCE is one of
  coco      COCO's caption JSON: images with id and file_name, annotations with
            image_id and caption; of several files each is of the split, train
            or val, that is in its name
  karpathy  JSON with splits: images with filename, split (train, restval, val,
            test) and sentences with raw or tokens
  csv       a table in UTF-8 with the first line image,split,caption or
            image,caption, and a caption a line
  folder    photos, and beside each NAME.jpg a NAME.txt with a caption a line

DIR gets coco2014_captions.h5, coco2014_vocab.json, captions.csv and, of each
split, its features in ...2014_vgg16_fc7.h5 (so called whichever network they
are of) and its photos' names in ...2014_images.txt; with --regions also
...2014_regions.h5, what the network sees at each place of a photo, reduced by a
PCA, and regions.safetensors, by which a run reduces other photos' alike. A job that was stopped or
killed goes on when the same command is given again; DIR becomes a data set
when all of it is there.

examples:
  captioning prepare photos/ --out data
  captioning prepare captions.csv --photos-dir photos/ --out data --test 0.1
  captioning prepare captions_val2017.json --out words --no-features
  captioning prepare captions_train2014.json captions_val2014.json \\
    --photos-dir train2014/ val2014/ --out data
  captioning prepare photos/ --regions --out looking
then:
  captioning train --data data --out run
  captioning train --model attention --data looking --out run"""


def _open(options: argparse.Namespace, first: bool) -> _Opened:
    recipe = Recipe(**{field.name: vars(options)[field.name] for field in dataclasses.fields(Recipe)})
    return recipe, None if options.no_features else extractor(options.extractor)


def _help(opened: _Opened, comm: Any) -> bool:
    return help_map(functools.partial(compute_batch, extractor=opened[1]), comm)  # type: ignore[arg-type]


def _prepare(options: argparse.Namespace, opened: _Opened, comm: Any) -> int:
    recipe, network = opened
    progress = Progress(enabled=not options.quiet)
    try:
        places, ranked = options.photos_dir, map_on_ranks(comm)
        prepared = prepare_data(options.source, options.out, recipe, network, places, progress, ranked)
    except KeyboardInterrupt as stop:
        if not has_features(options.out):
            raise
        raise type(stop)(f"stopped{_GO_ON}") from None
    finally:
        progress.close()
    print(report(prepared, recipe))
    return 0


_D = Recipe()

PREPARE = Command(
    "prepare", "make a data set of your own photos and captions", lead(_open, _help, _prepare),
    {
        "source": {"metavar": "SOURCE", "nargs": "+", "help": "a file of captions, or a folder of photos with text "
                   "files; of COCO's also several files, a split each"},
        "--out": {"metavar": "DIR", "help": "folder to make, new or empty"},
        "--photos-dir": {"metavar": "DIR", "nargs": "+", "default": [], "help": "where the photos are (where SOURCE "
                         "is, or in photos or images there)"},
        "--format": {"choices": FORMATS, "help": "what SOURCE is (found by its name and keys)"},
        "--skip-missing": {"action": "store_true", "help": "leave out photos without a caption and captions without a "
                           "photo, which are errors otherwise"},
        "--tokenizer": {"choices": list(TOKENIZERS), "default": _D.tokenizer, "help": "how captions are split into "
                        "words: ptb as COCO's scores, do n't, t-shirt; words at every punctuation mark"},
        "--min-count": {"group": "size", "type": int, "default": _D.min_count, "metavar": "N", "help": "a word with "
                        "fewer occurrences in training captions is <UNK>"},
        "--words": {"group": "size", "type": int, "metavar": "N", "help": "keep the N most frequent words instead"},
        "--max-length": {"type": int, "help": "words of a caption, at most 1000 (what holds 99%% of training captions "
                         "whole)"},
        "--val": {"type": float, "default": _D.val, "metavar": "X", "help": "share of the images to validate on, where "
                  "SOURCE has no splits, or with --resplit"},
        "--test": {"type": float, "default": _D.test, "metavar": "X", "help": "share of the images to test on"},
        "--seed": {"help": "random seed that divides the images into splits"},
        "--resplit": {"action": "store_true", "help": "ignore the splits of SOURCE, and draw new ones by --val, --test "
                      "and --seed"},
        "--extractor": {"group": "network", "choices": list(EXTRACTORS), "default": EfficientNetLite0Extractor.name,
                        "help": "network of the features"},
        "--no-features": {"group": "network", "action": "store_true", "help": "prepare captions alone; photos need not "
                          "be there"},
        "--regions": {"type": int, "nargs": "?", "const": _REGIONS, "metavar": "K", "help": "store at most K numbers "
                      "for each place of a photo too, for `train --model attention`; looks at a sample of up to "
                      f"{SAMPLE} photos first (without K: {_REGIONS})"},
        "--photos": {"choices": list(PHOTO_FILES), "default": _D.photos, "help": "what DIR/photos has: relative "
                     "symbolic links to the photos, copies, or nothing"},
        "--strict": {"action": "store_true", "help": "stop at a photo that cannot be read, instead of leaving it out"},
        "--quiet": {},
    },
    _MORE,
)  # fmt: skip
