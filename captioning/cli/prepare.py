"""The command `prepare`: one's own photos and captions become a data set to train on."""

from __future__ import annotations

import argparse
import functools
from contextlib import ExitStack
from typing import Any

import minigrad as mg
from captioning.assistance import assisted
from captioning.cli.options import add_command, threads
from captioning.cli.ranks import on_ranks
from captioning.data.tokens import TOKENIZERS
from captioning.preparing.photo_features import compute_batch
from captioning.preparing.pipeline import prepare_data
from captioning.preparing.recipe import PHOTO_FILES, Recipe, report
from captioning.preparing.region_sample import SAMPLE
from captioning.preparing.sources import FORMATS
from captioning.preparing.work_folder import has_features
from captioning.progress import Progress
from captioning.rank_map import help_map, map_on_ranks
from captioning.vision.extractors import EXTRACTORS, EfficientNetLite0Extractor, FeatureExtractor, extractor

__all__ = ["add_prepare"]

_EXTRACTOR = EfficientNetLite0Extractor.name
_GO_ON = "; the same command goes on with the features that were computed"

REGIONS = 256
"""Numbers of a place where `--regions` does not say how many."""

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


def add_prepare(commands: Any) -> None:
    """The command `prepare`."""
    parser = add_command(commands, "prepare", "make a data set of one's own photos and captions", _prepare, _MORE)
    option, d = parser.add_argument, Recipe()
    option("source", metavar="SOURCE", nargs="+", help="a file of captions, or a folder of photos with text files; of "
           "COCO's also several files, a split each")  # fmt: skip
    option("--out", metavar="DIR", required=True, help="folder to make, new or empty")
    option("--photos-dir", metavar="DIR", nargs="+", default=[],
           help="where the photos are (where SOURCE is, or in photos or images there)")  # fmt: skip
    option("--format", choices=FORMATS, help="what SOURCE is (found by its name and keys)")
    option("--skip-missing", action="store_true",
           help="leave out photos without a caption and captions without a photo, which are errors")  # fmt: skip
    option("--tokenizer", choices=list(TOKENIZERS), default=d.tokenizer,
           help="how captions are split: ptb as COCO's scores, do n't, t-shirt; words at every sign (ptb)")  # fmt: skip
    vocabulary = parser.add_mutually_exclusive_group()
    vocabulary.add_argument("--min-count", type=int, default=d.min_count, metavar="N",
                            help="a word that stands less often in training captions is <UNK> (4)")  # fmt: skip
    vocabulary.add_argument("--words", type=int, metavar="N", help="keep the N most frequent words instead")
    option(
        "--max-length",
        type=int,
        metavar="N",
        help="words of a caption, at most 1000 (what holds 99%% of training captions whole)",
    )
    option("--val", type=float, default=d.val, metavar="X",
           help="share of the images to validate on, where SOURCE has no splits, or with --resplit (0.1)")  # fmt: skip
    option("--test", type=float, default=d.test, metavar="X", help="share of them to test on (0)")
    option("--seed", type=int, default=d.seed, metavar="N", help="which images are in which split (0)")
    option("--resplit", action="store_true",
           help="forget the splits of SOURCE, and draw new ones by --val, --test and --seed")  # fmt: skip
    features = parser.add_mutually_exclusive_group()
    features.add_argument(
        "--extractor", choices=list(EXTRACTORS), default=_EXTRACTOR, help=f"network of the features ({_EXTRACTOR})"
    )
    features.add_argument("--no-features", action="store_true", help="captions alone; photos need not be there")
    option("--regions", type=int, nargs="?", const=REGIONS, metavar="K",
           help="also at most K numbers of each place of a photo, for `train --model attention`; "
           f"a sample of up to {SAMPLE} photos is looked at first (without K: {REGIONS})")  # fmt: skip
    option("--photos", choices=list(PHOTO_FILES), default=d.photos,
           help="what DIR/photos has: relative symbolic links to the photos, copies, or nothing (link)")  # fmt: skip
    option("--strict", action="store_true", help="a photo that cannot be read is an error, and not left out")
    option("--quiet", action="store_true", help="no progress")


def _prepare(options: argparse.Namespace) -> int:
    return on_ranks(functools.partial(_shared, options))


def _shared(options: argparse.Namespace, comm: Any, fair: int, stack: ExitStack) -> int:
    with mg.parallel.agreed(comm):
        stack.enter_context(threads(fair))
        recipe = _recipe(options)
        network = None if options.no_features else extractor(options.extractor)
    if comm.rank:
        work = functools.partial(compute_batch, extractor=network)  # type: ignore[arg-type]
        return 0 if help_map(work, comm) else 2
    with assisted(comm):
        return _prepare_all(options, recipe, network, comm)


def _prepare_all(options: argparse.Namespace, recipe: Recipe, network: FeatureExtractor | None, comm: Any) -> int:
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


def _recipe(options: argparse.Namespace) -> Recipe:
    return Recipe(
        format=options.format,
        tokenizer=options.tokenizer,
        min_count=options.min_count,
        words=options.words,
        max_length=options.max_length,
        val=options.val,
        test=options.test,
        seed=options.seed,
        resplit=options.resplit,
        photos=options.photos,
        skip_missing=options.skip_missing,
        strict=options.strict,
        regions=options.regions,
    )
