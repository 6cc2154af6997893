"""What a trained network has learnt of parity, and how that is measured."""

from __future__ import annotations

import math

import numpy as np
import pytest

from minigrad.runtime import blas
from theory import CLAIMS
from theory.parity.gain import adversary, fails_at
from theory.parity.training import (
    BASE,
    Learnt,
    Setting,
    critical_scale,
    fisher,
    holds,
    random_sequences,
    structured_sequences,
    train,
)  # fmt: skip
from theory.parity.units import parity


def designed(gain):
    """The tanh parity network as one that might have been learnt: inputs -1/+1, z = s - 1/2."""
    Wh = gain * np.array([[0.5, 0.5], [-0.5, -0.5]])
    return Learnt(gain * np.array([[0.5, 0.5]]), Wh, gain * np.array([0.0, -1.0]), np.array([[0.5], [-0.5]]),
                  np.array([-0.5]))  # fmt: skip


def test_measurements_of_a_network_that_is_known():
    strong, weak, almost = designed(4.0), designed(1.8), designed(2.25)
    random, structured = random_sequences(1_200), structured_sequences(1_200)
    assert holds(strong, random) == holds(strong, structured) == 1_200
    assert holds(weak, random) == 4  # 1 0 0 0 0 is right four times
    assert critical_scale(strong, structured) == pytest.approx(2.3302 / 4, abs=0.02)
    assert critical_scale(weak, structured) == 1.0
    assert holds(almost, random_sequences(1_000)) == 1_000  # random bits do not show it,
    assert holds(almost, structured) == fails_at(adversary(1_200), 2.25) - 1  # 1 0 … 0 does


def test_structured_sequences_are_those_that_are_said():
    bits = structured_sequences(10_000)
    assert bits.shape == (35, 10_000)
    assert bits[:3].sum(axis=1).tolist() == [0, 1, 10_000]
    assert bits[1, 0] == 1
    for rows, density in zip(np.split(bits[3:], 4), (0.001, 0.01, 0.99, 0.999), strict=True):
        assert rows.mean() == pytest.approx(density, abs=1e-3)


def test_fisher_adds_up_tables_that_are_as_unlikely():
    assert fisher(0, 10, 10, 10) == pytest.approx(2 / math.comb(20, 10))
    assert fisher(5, 10, 5, 10) == fisher(0, 10, 0, 10) == fisher(10, 10, 10, 10) == 1
    assert fisher(0, 10, 5, 10) == fisher(5, 10, 0, 10) == pytest.approx(2 * math.comb(10, 5) / math.comb(20, 5))
    assert fisher(1, 10, 11, 14) == pytest.approx(0.002759, abs=1e-6)


@pytest.mark.parametrize("gain", [1.8, 2.22, 2.235, 2.3])
def test_holds_finds_the_first_error(gain, monkeypatch):
    """Against one run of everything, without chunks or states handed on."""
    monkeypatch.setattr("theory.parity.training._CHUNK", 50)
    learnt, bits = designed(gain), random_sequences(430)
    wrong = ((learnt.run(bits)[0] > 0) != parity(bits)).any(axis=0)
    assert holds(learnt, bits) == (int(wrong.argmax()) if wrong.any() else 430)


def test_a_network_learns():
    learnt = train(BASE, 1)
    assert learnt.loss < 0.01
    assert holds(learnt, random_sequences(2_000)) == 2_000
    assert np.linalg.norm(learnt.Wh, 2) > 2
    assert holds(learnt.scaled(0.5), random_sequences(500)) < 500


def test_a_curriculum_goes_on_when_the_loss_is_low(monkeypatch):
    lengths = []
    run = parity
    monkeypatch.setattr("theory.parity.training.parity", lambda bits: lengths.append(bits.shape[1]) or run(bits))
    train(Setting("two stages", hidden=8, lengths=(1, 2), iterations=200, rate=0.05), 0)
    assert lengths[0] == 1
    assert lengths == sorted(lengths)
    assert lengths[-1] == 2


def test_tables_of_the_page(monkeypatch):
    quick = Setting("quick", hidden=2, lengths=(3,), iterations=2, batch=2)
    monkeypatch.setattr("theory.parity.training.SETTINGS", (quick,))
    monkeypatch.setattr("theory.parity.training.LIMIT", 100)
    text = CLAIMS["3-1 alt"].measure()
    assert "| quick | 0 | 0 | 1 |" in text
    assert text.count("| quick |") == 2
    assert f"measured with NumPy {np.__version__} and the OpenBLAS kernel {blas.kernel() or '(unknown)'} on" in text
