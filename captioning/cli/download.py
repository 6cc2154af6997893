"""The command `download`: a data set is fetched from where it is published."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from captioning.cli.options import Command, number
from captioning.data.folder import PHOTOS_FOLDER, RAW_CAPTIONS_FILE
from captioning.downloading.archives import Patience, fetch
from captioning.downloading.data_sets import make_coco, make_flickr8k
from captioning.downloading.sources import DATA_SETS, DownloadError, Source, sources_of, table
from captioning.progress import Progress
from captioning.storage import FolderLock
from minigrad.units import byte_text

__all__ = ["DOWNLOAD"]


class _Way(NamedTuple):
    """How the archives of a data set become files, where they go, and what is done with them."""

    make: Callable[[Path, Mapping[Source, Path], Progress], str]
    folder: str
    then: Callable[[Path], list[str]]


def _train_coco(folder: Path) -> list[str]:
    return ["train", "--data", str(folder), "--out", "RUN"]


def _prepare_flickr8k(folder: Path) -> list[str]:
    """Into a folder beside that of the download, also where that is `.`, which has no name."""
    beside = folder if folder.name not in ("", "..") else folder.resolve()
    table, photos = folder / RAW_CAPTIONS_FILE, folder / PHOTOS_FOLDER
    return ["prepare", str(table), "--photos-dir", str(photos), "--out", f"{beside}-data"]


_WAYS = {
    "coco": _Way(make_coco, "datasets/coco_captioning", _train_coco),
    "flickr8k": _Way(make_flickr8k, "datasets/flickr8k", _prepare_flickr8k),
}

_ABOUT = """
coco      CS231n's archive of MS-COCO 2014: captions, vocabulary and features, in the layout that
          every command here reads; 2.3 GB unpacked, besides the archive.
flickr8k  8,000 photos with five captions each, about 1 GB; leaves photos/ and captions.csv, of which
          `captioning prepare` makes a data set.

An archive that is in DIR already, from you or from an earlier call, is used. The same command
continues a download that stopped. The addresses are those that
--list prints; they belong to others, and may move: --address and --mirror say where to look instead.

example:
  captioning download coco --out datasets/coco_captioning
  captioning train --data datasets/coco_captioning --out run
"""


def _download(options: argparse.Namespace) -> int:
    if options.list:
        print(table())
        return 0
    if options.data_set is None:
        raise ValueError(f"needs what to fetch, one of {', '.join(DATA_SETS)}; or --list")
    if options.annotations and options.data_set != "coco":
        raise ValueError(f"--annotations is for coco alone; got {options.data_set}")
    sources = sources_of(options.data_set, options.address, options.mirror, options.annotations)
    if options.no_verify:
        sources = [replace(source, size=None, checksum=None) for source in sources]
    patience = Patience(options.timeout, options.attempts)
    way = _WAYS[options.data_set]
    folder = Path(options.out or way.folder)
    progress = Progress(enabled=not options.quiet)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FolderLock(folder, "downloading", DownloadError):
            archives = {source: fetch(source, folder, progress, patience) for source in sources}
            made = way.make(folder, archives, progress)
    except KeyboardInterrupt as stop:
        kept = f"what has arrived is kept in {folder}, and the same command goes on there"
        raise type(stop)(f"stopped; {kept}") from None
    finally:
        progress.close()
    print(made)
    room = sum(path.stat().st_size for path in archives.values())
    print(f"no longer needed: {', '.join(map(str, archives.values()))} ({byte_text(room)})")
    print(f"next: {shlex.join(['captioning', *way.then(folder)])}")
    return 0


_D = Patience()

DOWNLOAD = Command(
    "download", "fetch a data set from where it is published", _download,
    {
        "data_set": {"nargs": "?", "choices": list(DATA_SETS), "metavar": "{coco,flickr8k}", "help": "what to fetch"},
        "--out": {"metavar": "DIR", "required": False, "help": "folder for archives and files ("
                  + ", ".join(f"{way.folder} for {name}" for name, way in _WAYS.items()) + ")"},
        "--list": {"action": "store_true", "help": "print what there is, with addresses and checksums, and exit"},
        "--annotations": {"action": "store_true", "help": "of coco also COCO's own captions, 241 MiB"},
        "--address": {"action": "append", "default": [], "metavar": "NAME=URL", "help": "where one archive is; NAME as "
                      "--list has it; may be given again"},
        "--mirror": {"metavar": "URL", "help": "folder on the web with all archives, by their file names"},
        "--no-verify": {"action": "store_true", "help": "take an archive whose size or checksum is not that of --list; "
                        "it must still be a whole zip archive"},
        "--timeout": {"type": number(float, 0.001, 24 * 3600), "default": _D.timeout, "metavar": "S", "help": "wait so "
                      "many seconds for the next byte"},
        "--attempts": {"type": number(int, 1, 1000), "default": _D.attempts, "metavar": "N", "help": "give up after so "
                       "many attempts in a row that brought nothing"},
        "--quiet": {},
    },
    _ABOUT,
)  # fmt: skip
