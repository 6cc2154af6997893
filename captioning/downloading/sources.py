"""Where the data sets are published: the one table of addresses, with what is known of each archive.

No address is tried when this project is built or tested. Sizes and checksums are those that others publish, as
`known_from` says; None is not known, and then not checked. Whatever they are, an archive is only used if it is whole
by its own checksums.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from urllib.parse import urlsplit

from captioning.downloading.errors import DownloadError
from minigrad.units import byte_text

__all__ = ["DATA_SETS", "Source", "check_address", "sources_of", "table"]


@dataclass(frozen=True)
class Source:
    """An archive to fetch.

    name: for --address; the file is called NAME.zip. size: bytes. checksum: 'sha256:…' or 'md5:…', hexadecimal.
    largest: bytes that its content may take; more is refused before anything is unpacked. optional: only fetched when
    asked for.
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
        """The name of the archive."""
        return f"{self.name}.zip"


_FLICKR8K = "https://github.com/jbrownlee/Datasets/releases/download/Flickr8k"
_MD5_FROM = "mlverse/torchvision (R), flickr8k dataset"

DATA_SETS: Mapping[str, tuple[Source, ...]] = MappingProxyType({
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
            "COCO's own annotations of 2014, of which the captions are unpacked (--annotations)",
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
})  # fmt: skip
"""By the name of a data set: its archives."""


def sources_of(
    data_set: str, addresses: Sequence[str] = (), mirror: str | None = None, optional: bool = False
) -> list[Source]:
    """The archives of a data set, at the addresses that are asked for.

    addresses: 'NAME=URL', of archives by name. mirror: a folder on the web that has all of them, by their file names.
    optional: with the optional ones. A DownloadError names what is no address or no archive of the data set.

    >>> [source.address for source in sources_of("coco", mirror="https://example.org/data/")]
    ['https://example.org/data/coco_captioning.zip']
    """
    known = DATA_SETS[data_set]
    chosen = dict(_named(text, [source.name for source in known]) for text in addresses)
    base = mirror if mirror is None else check_address("--mirror", mirror).rstrip("/")
    elsewhere = {source.name: f"{base}/{source.file}" for source in known} if base else {}
    wanted = [source for source in known if optional or not source.optional or source.name in chosen]
    return [replace(s, address=chosen.get(s.name, elsewhere.get(s.name, s.address))) for s in wanted]


def _named(text: str, names: Sequence[str]) -> tuple[str, str]:
    name, equals, address = text.partition("=")
    if not equals or name not in names:
        raise DownloadError(f"--address must be NAME=URL with NAME one of {', '.join(names)}; got {text!r}")
    return name, check_address(f"--address {name}", address)


def check_address(what: str, address: str) -> str:
    """The address, if it is one of http or https with a host; else a DownloadError that begins with `what`."""
    try:
        parts = urlsplit(address)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        fits = False
    if not fits or not address.isascii() or any(character <= " " for character in address):
        raise DownloadError(f"{what}: needs an address that begins with http:// or https://; got {address!r}")
    return address


def table() -> str:
    """All archives as text, a paragraph each.

    >>> print(table().split("\\n\\n")[1])
    coco: annotations_trainval2014
      what      COCO's own annotations of 2014, of which the captions are unpacked (--annotations)
      address   http://images.cocodataset.org/annotations/annotations_trainval2014.zip
      size      241.2 MiB
      checksum  sha256:031296bbc80c45a1d1f76bf9a90ead27e94e99ec629208449507a4917a3bf009
      known     from tensorflow/datasets, url_checksums/coco.txt; address not verified by this project
    """
    return "\n\n".join(_paragraph(data_set, source) for data_set, group in DATA_SETS.items() for source in group)


def _paragraph(data_set: str, source: Source) -> str:
    unknown = "not known, so not checked"
    lines = {
        "what": source.about,
        "address": source.address,
        "size": unknown if source.size is None else byte_text(source.size),
        "checksum": source.checksum or unknown,
        "known": (f"from {source.known_from}; " if source.known_from else "") + "address not verified by this project",
    }
    return "\n".join([f"{data_set}: {source.name}", *(f"  {name:8}  {text}" for name, text in lines.items())])
