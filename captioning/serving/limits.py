"""How much a server takes from its clients, and how long it waits for them."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True)
class Limits:
    """Bounds on uploads, connections and photos.

    Attributes:
        upload_bytes: of one upload. Photos of telephones have 2 to 15 MB.
        upload_seconds: within which an upload must have arrived. It comes from this machine, where it takes
            milliseconds, or through a tunnel from a telephone.
        held_bytes: of all uploads together that are arriving, wait or are read.
        places: uploads that arrived whole and wait for their answer, with the one that is being computed.
        photo_seconds: that decoding a photo may take. The largest that are read take up to 12 (PNG and WebP of 120
            megapixels on a busy laptop), and a JPEG of some kB can be made to need hours.
        silent_seconds: that a connection may take to say what it wants, and to read what it is told.
        connections: open at once.
        lingering_seconds: that the rest of an upload is thrown away for, after it was refused: who still sends does not
            see an answer before that, and a connection that is closed at once takes the answer with it.

    >>> Limits(places=2).upload_bytes // 2**20
    32
    """

    upload_bytes: int = 32 * 2**20
    upload_seconds: float = 15.0
    held_bytes: int = 256 * 2**20
    places: int = 16
    photo_seconds: float = 20.0
    silent_seconds: float = 10.0
    connections: int = 200
    lingering_seconds: float = 2.0
