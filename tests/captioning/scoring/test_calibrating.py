"""What a calibration is fitted on: captions scored beside those of people."""

from __future__ import annotations

import numpy as np
import pytest

from captioning.data.errors import DataError
from captioning.evaluation.calibration import Measured, human_cider_d
from captioning.scoring.cider import CiderD, DocumentFrequencies

REFERENCES = [
    [["a", "dog", "runs"], ["one", "dog"], ["a", "dog", "is", "there"]],
    [["a", "cat"]],
    [],
    [["the", "sea"], ["the", "blue", "sea"]],
]


def test_people_are_scored_against_the_others_of_the_image():
    frequencies = DocumentFrequencies.of(REFERENCES)
    means = []
    for item in (REFERENCES[0], REFERENCES[3]):
        each = [CiderD([item[:k] + item[k + 1 :]], frequencies).score(0, words) for k, words in enumerate(item)]
        means.append(np.mean(each))
    assert human_cider_d(REFERENCES, frequencies) == pytest.approx(np.mean(means))
    assert means[0] > 0


def test_without_two_captions_of_an_image_nobody_knows_what_people_reach():
    with pytest.raises(DataError, match="no image with two human captions"):
        human_cider_d(REFERENCES[1:3], DocumentFrequencies.of(REFERENCES))


def test_correlations_are_of_each_measure():
    found = Measured({"up": np.array([1.0, 2.0, 3.0]), "down": np.array([3.0, 2.0, 1.0])}, np.array([0.1, 0.2, 0.9]))
    assert found.correlations() == {"up": 1.0, "down": -1.0}
