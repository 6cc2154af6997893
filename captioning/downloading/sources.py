"""The table of published archives, with their addresses and checksums.

Neither the build nor the tests of this project try these addresses. The sizes and checksums are published by others;
`known_from` names the source. None means unknown and unchecked. An archive must also match its own checksums.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from minigrad.formatting import byte_text

__all__ = ["DATA_SETS", "DownloadError", "Source", "sources_of", "table"]


class DownloadError(ValueError):
    """An archive that cannot be fetched or used. The message names it and says what to do."""


@dataclass(frozen=True)
class Source:
    """An archive to fetch.

    name: for --address; the file is called NAME.zip. largest: the most bytes that its content may have. size: bytes of
    the archive. checksum: 'sha256:…' or 'md5:…', in hexadecimal digits. optional: fetched only on request.
    """

    name: str
    address: str
    about: str
    largest: int
    size: int | None = None
    checksum: str | None = None
    known_from: str = ""
    optional: bool = False

    @property
    def file(self) -> str:
        """The name of the archive's file."""
        return f"{self.name}.zip"


_ADDRESS = re.compile(r"https?://[!-.0-~]+(/[!-~]*)?")  # printable ASCII, with a host
_FLICKR8K = "https://github.com/jbrownlee/Datasets/releases/download/Flickr8k"
_MD5_FROM = "mlverse/torchvision (R), flickr8k dataset"

DATA_SETS: Mapping[str, tuple[Source, ...]] = {
    "coco": (
        Source(
            "coco_captioning",
            "http://cs231n.stanford.edu/coco_captioning.zip",
            "MS-COCO 2014 as CS231n prepared it: captions, vocabulary, fc7 features, addresses of photos",
            largest=8 * 2**30,
        ),
        Source(
            "annotations_trainval2014",
            "http://images.cocodataset.org/annotations/annotations_trainval2014.zip",
            "COCO's own annotations of 2014; only their captions are unpacked (--annotations)",
            largest=4 * 2**30,
            size=252_872_794,
            checksum="sha256:031296bbc80c45a1d1f76bf9a90ead27e94e99ec629208449507a4917a3bf009",
            known_from="tensorflow/datasets, url_checksums/coco.txt",
            optional=True,
        ),
    ),
    "flickr8k": (
        Source(
            "Flickr8k_Dataset",
            f"{_FLICKR8K}/Flickr8k_Dataset.zip",
            "the photos of Flickr8k",
            largest=4 * 2**30,
            checksum="md5:f18a1e2920de5bd84dae7cf08ec78978",
            known_from=_MD5_FROM,
        ),
        Source(
            "Flickr8k_text",
            f"{_FLICKR8K}/Flickr8k_text.zip",
            "five captions of each photo, and which photos are for training, validation and test",
            largest=2**28,
            checksum="md5:bf6c1abcb8e4a833b7f922104de18627",
            known_from=_MD5_FROM,
        ),
    ),
}
"""The archives of each data set."""


def sources_of(
    data_set: str, addresses: Sequence[str] = (), mirror: str | None = None, optional: bool = False
) -> list[Source]:
    """Return the archives of a data set, with the addresses to fetch them from.

    addresses: 'NAME=URL' for single archives. mirror: the URL of a folder with all of them, by their file names.
    optional: include the optional ones.

    Raises:
        DownloadError: for a wrong name or URL.

    >>> [source.address for source in sources_of("coco", mirror="https://example.org/data/")]
    ['https://example.org/data/coco_captioning.zip']
    """
    known = DATA_SETS[data_set]
    names = [source.name for source in known]
    chosen = {}
    for text in addresses:
        name, _, address = text.partition("=")
        if name not in names:
            raise DownloadError(f"--address must be NAME=URL with NAME one of {', '.join(names)}; got {text!r}")
        chosen[name] = _checked(f"--address {name}", address)
    wanted = [source for source in known if optional or not source.optional or source.name in chosen]
    if mirror is not None:
        base = _checked("--mirror", mirror).rstrip("/")
        chosen = {source.name: f"{base}/{source.file}" for source in wanted} | chosen
    return [replace(source, address=chosen.get(source.name, source.address)) for source in wanted]


def _checked(option: str, address: str) -> str:
    if not _ADDRESS.fullmatch(address):
        raise DownloadError(f"{option}: needs an address that begins with http:// or https://; got {address!r}")
    return address


def table() -> str:
    """Return all archives as text, with a paragraph for each.

    >>> print(table().split("\\n\\n")[1])
    coco: annotations_trainval2014
      what      COCO's own annotations of 2014; only their captions are unpacked (--annotations)
      address   http://images.cocodataset.org/annotations/annotations_trainval2014.zip
      size      241.2 MiB
      checksum  sha256:031296bbc80c45a1d1f76bf9a90ead27e94e99ec629208449507a4917a3bf009
      known     from tensorflow/datasets, url_checksums/coco.txt; address not verified by this project
    """
    unknown = "unknown, so not checked"
    paragraphs = []
    for data_set, sources in DATA_SETS.items():
        for source in sources:
            paragraphs.append(
                f"{data_set}: {source.name}\n"
                f"  what      {source.about}\n"
                f"  address   {source.address}\n"
                f"  size      {unknown if source.size is None else byte_text(source.size)}\n"
                f"  checksum  {source.checksum or unknown}\n"
                f"  known     {source.known_from and f'from {source.known_from}; '}address not verified by this project"
            )
    return "\n\n".join(paragraphs)
