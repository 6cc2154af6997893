"""Caption an uploaded photo, with the probability of each word and the attention to each region.

An answer is a dict that becomes JSON:

| key | value |
|---|---|
| `caption` | the caption of the best beam |
| `confidence` | the confidence in the best beam, from 0 to 1, or null |
| `unsure` | whether the captioner is unsure of the best beam; null without a calibration |
| `beams` | a list, best first, of `caption`, `score`, `confidence`, `ended`, `words` and `end` |
| `grid` | the rows and columns of the regions, or null if the captioner has no attention |
| `milliseconds` | the time to read and caption the photo |

Beams are ranked by `score`, the log-probability per word; higher (closer to 0) is more likely. The grid covers the
largest centred square of the photo. `words` is a list of `word`, `probability` and `look`: an attention weight for each
region, row by row, with the sum 1, or null. With attention, `most` is the index of the region with the largest weight,
and `where` its part of the photo, such as "upper left". `end` is the probability that the caption ends where it does,
or null if it was truncated.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from captioning.decoding.captions import Caption, caption_as_json, most_attended
from captioning.photo_captioner import PhotoCaptioner
from captioning.serving.upload_limits import RefusedError

__all__ = ["AnswerQueue", "Answers", "as_json"]

Answer = dict[str, Any]

_DIGITS = 4  # decimal places: the page shows percentages


def as_json(beams: Sequence[Caption]) -> Answer:
    """Return the answer for a photo, without its time. beams: at least one, best first.

    >>> answer = as_json([Caption(["dog"], np.log([0.5, 0.75]), -0.49, True)])
    >>> answer["caption"], answer["beams"][0]["words"], answer["beams"][0]["end"]
    ('dog', [{'word': 'dog', 'probability': 0.5, 'look': None}], 0.75)
    """
    rows, maps = [_beam_as_json(beam) for beam in beams], beams[0].attention
    return {
        "caption": rows[0]["caption"],
        "confidence": rows[0]["confidence"],
        "unsure": beams[0].unsure,
        "beams": rows,
        "grid": None if maps is None else list(maps.shape[1:]),
    }


def _beam_as_json(beam: Caption) -> Answer:
    row = caption_as_json(beam, _DIGITS)
    looks: list[Answer] = [{"look": None}] * len(beam.words)
    if beam.attention is not None:
        looks = [_look_as_json(attention) for attention in beam.attention]
    words = [word | look for word, look in zip(row["words"], looks, strict=True)]
    confidence = None if beam.confidence is None else round(float(beam.confidence), _DIGITS)
    return row | {"confidence": confidence, "words": words}


def _look_as_json(attention: NDArray[np.float32]) -> Answer:
    row, column, where = most_attended(attention)
    look = np.round(attention.astype(float).ravel(), _DIGITS).tolist()
    return {"look": look, "most": row * attention.shape[1] + column, "where": where}


class Answers:
    """Captions the bytes of a photo file; the module docstring describes the result.

    read: turns these bytes into RGB uint8 (H, W, 3) whose shorter side has at least the given number of pixels, or
    raises a PhotoError.
    """

    def __init__(self, captioner: PhotoCaptioner, read: Callable[[bytes, int], NDArray[np.uint8]]) -> None:
        self.captioner, self.read = captioner, read

    def __call__(self, content: bytes) -> Answer:
        """Return the answer, or raise a PhotoError if the content is not a photo."""
        start = time.perf_counter()
        photo = self.read(content, 2 * self.captioner.network.side)
        (beams,) = self.captioner.decode(self.captioner.features(photo)[None])
        return {**as_json(beams), "milliseconds": round(1000 * (time.perf_counter() - start))}

    def warm_up(self) -> None:
        """Caption a black photo, so that the first real one does not wait for lazy initialisation."""
        side = self.captioner.network.side
        self.captioner.caption(np.zeros((side, side, 3), np.uint8))


class AnswerQueue:
    """Captions uploads one at a time in its own thread, because BLAS uses all cores.

    answer: turns an upload into its answer in that thread; whatever it raises goes to the caller of `answer_to`.
    places: the most uploads in the queue, including the one being captioned. waiting: the current number.

    >>> async def twice():
    ...     with AnswerQueue(lambda content: {"bytes": len(content)}) as queue:
    ...         return await asyncio.gather(queue.answer_to(b"a"), queue.answer_to(b"bc"))
    >>> asyncio.run(twice())
    [{'bytes': 1}, {'bytes': 2}]
    """

    def __init__(self, answer: Callable[[bytes], Answer], places: int = 16) -> None:
        self.answer, self.places, self.waiting = answer, places, 0
        self._thread = ThreadPoolExecutor(1, "captioning")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def answer_to(self, content: bytes) -> Answer:
        """Return the answer to an upload. Cancelling this removes the upload from the queue.

        Raises:
            RefusedError: 503 if the queue is full.
            Exception: what `answer` raises.
        """
        if self.waiting >= self.places:
            raise RefusedError(503, f"{self.waiting} other photos are waiting: try again in a moment")
        upload = [content]  # emptied below, because the executor keeps cancelled jobs until their turn
        self.waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._thread, lambda: self.answer(upload.pop()))
        finally:
            upload.clear()
            self.waiting -= 1
