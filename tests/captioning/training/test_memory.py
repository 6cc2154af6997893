"""What a captioner needs of memory is known before it is made."""

from __future__ import annotations

import pytest

from captioning.models.attention_captioner import AttentionCaptioner
from captioning.models.captioner import Captioner
from captioning.models.recurrent_cells import CELLS
from captioning.training import memory
from captioning.training.memory import check_memory, count_weights


@pytest.mark.parametrize("cell", CELLS)
def test_the_weights_are_counted_as_the_model_has_them(small_data, cell):
    model = Captioner(small_data.vocabulary, 6, 8, 12, cell)
    assert count_weights(len(small_data.vocabulary), model.settings) == sum(p.size for p in model.parameters())


@pytest.mark.parametrize("cell", CELLS)
def test_the_weights_with_attention_are_counted_too(small_data, cell):
    model = AttentionCaptioner(small_data.vocabulary, 6 + 4 * 3, (4, 3), 8, 12, 10, 6, 2, cell)
    counted = count_weights(len(small_data.vocabulary), {"kind": "attention", **model.settings})
    assert counted == sum(p.size for p in model.parameters())


def test_what_the_machine_has_not_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "_memory", lambda: 16 * 2**30)
    check_memory(2**30)
    with pytest.raises(MemoryError, match=r"1,073,741,825 weights need at least 16 GiB, of 16 GiB here"):
        check_memory(2**30 + 1)
    monkeypatch.setattr(memory, "_memory", lambda: None)
    check_memory(10**15)  # nobody knows
