"""From a photo to what the page shows, and the queue of photos."""

import asyncio
import dataclasses
import json
import threading

import numpy as np
import pytest

from captioning.data.vocabulary import Vocabulary
from captioning.decoding.beam_search import Beam
from captioning.decoding.captions import Caption, n_best
from captioning.evaluation.calibration import Calibration
from captioning.models.attention_captioner import AttentionCaptioner
from captioning.models.captioner import Captioner
from captioning.photo_captioner import PhotoCaptioner
from captioning.serving.answers import AnswerQueue, Answers, as_json
from captioning.serving.upload_limits import RefusedError
from captioning.vision.extractors import RegionExtractor
from captioning.vision.photo_files import PhotoError, decode_photo
from captioning.vision.regions import RegionProjection
from tests.captioning.serving.served import photo
from tests.captioning.vision.grid_extractor import GridExtractor

WORDS = ["<NULL>", "<START>", "<END>", "<UNK>", "a", "dog", "cat", "runs", "sits"]


def captioner():
    """Return a captioner whose weights are large enough for varied captions."""
    model = Captioner(Vocabulary(WORDS), feature_size=3, wordvec_size=6, hidden_size=8, cell_type="lstm", rng=0)
    for parameter in model.parameters():
        parameter.data[...] *= 4
    return model.eval()


def test_json_of_beams_and_looks():
    looks = np.eye(4, dtype=np.float32)[[0, 2]].reshape(2, 2, 2)
    beams = [
        Caption(["a", "dog"], np.log([0.5, 0.25, 0.125]), -1.25, True, looks, 0.6180339),
        Caption(["a", "cat"], np.log([0.5, 0.2]), -2.0, False, looks),
    ]
    answer = json.loads(json.dumps(as_json(beams)))
    assert (answer["caption"], answer["confidence"], answer["grid"]) == ("a dog", 0.618, [2, 2])
    best, other = answer["beams"]
    assert best["words"][1] == {"word": "dog", "probability": 0.25, "look": [0, 0, 1, 0], "most": 2,
                                "where": "lower left"}  # fmt: skip
    assert (best["end"], best["ended"], best["score"]) == (0.125, True, -1.25)
    assert (other["end"], other["ended"], other["confidence"]) == (None, False, None)
    empty = as_json([Caption([], np.log([0.5]), -0.7, True)])
    assert (empty["caption"], empty["grid"], empty["beams"][0]["words"]) == ("", None, [])


def test_a_photo_is_answered_and_no_photo_is_an_error():
    network = GridExtractor()
    answering = Answers(PhotoCaptioner(captioner(), network, count=5), decode_photo)
    answering.warm_up()
    assert network.seen == 1
    answer = answering(photo(colour="red"))
    json.dumps(answer)
    (expected,) = n_best(captioner(), np.array([[1, 0, 0]], np.float32))
    assert [beam["caption"] for beam in answer["beams"]] == [beam.text for beam in expected]
    assert (answer["grid"], answer["unsure"], answer["milliseconds"] >= 0) == (None, None, True)
    with pytest.raises(PhotoError):
        answering(b"hello")


@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_a_calibrated_captioner_says_whether_it_is_sure(threshold):
    fitted = Calibration.fitted("likelihood", [-3.0, -2.0, -1.0], [0.1, 0.3, 0.9], Beam(3), 3)
    calibration = dataclasses.replace(fitted, unsure_below=threshold)
    photos = PhotoCaptioner(captioner(), GridExtractor(), calibration=calibration, count=5)
    answer = Answers(photos, decode_photo)(photo(colour="red"))
    assert 0 < answer["confidence"] < 1
    assert answer["unsure"] == bool(threshold)
    assert all(beam["confidence"] is not None for beam in answer["beams"][:3])


def test_a_captioner_with_attention_says_where_it_looked():
    network = RegionExtractor(GridExtractor(), RegionProjection(np.eye(3, 2, dtype=np.float32), np.ones(2, np.float32)))
    model = AttentionCaptioner(Vocabulary(WORDS), 11, (4, 2), 6, 8, 6, 4, 2, rng=0).eval()
    answer = Answers(PhotoCaptioner(model, network), decode_photo)(photo(colour="red"))
    assert answer["grid"] == [2, 2]
    for beam in answer["beams"]:
        for word in beam["words"]:
            assert sum(word["look"]) == pytest.approx(1, abs=1e-3)
            assert word["look"][word["most"]] == max(word["look"])
            assert word["where"] in ("upper left", "upper right", "lower left", "lower right")


def test_the_queue_answers_one_photo_after_the_other_and_drops_cancelled_ones():
    going, seen, threads = threading.Event(), [], set()

    def answer(content):
        seen.append(content)
        threads.add(threading.get_ident())
        if content == b"fail":
            raise RuntimeError("no answer")
        return {"went": going.wait(10)}

    async def ask(queue):
        tasks = [asyncio.create_task(queue.answer_to(content)) for content in (b"first", b"cancelled", b"fail")]
        await asyncio.sleep(0.05)
        with pytest.raises(RefusedError, match="3 other photos"):
            await queue.answer_to(b"none")
        tasks[1].cancel()
        await asyncio.wait([tasks[1]])
        last = asyncio.create_task(queue.answer_to(b"last"))
        await asyncio.sleep(0)
        going.set()
        return await asyncio.gather(tasks[0], tasks[2], last, return_exceptions=True)

    with AnswerQueue(answer, places=3) as queue:
        first, failed, last = asyncio.run(ask(queue))
    assert (first, repr(failed), last) == ({"went": True}, "RuntimeError('no answer')", {"went": True})
    assert (seen, queue.waiting) == ([b"first", b"fail", b"last"], 0)
    assert len(threads - {threading.get_ident()}) == 1
