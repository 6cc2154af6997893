"""Memory shared with other libraries by DLPack: NumPy, and PyTorch where it is installed; what cannot be shared."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
from tests.peers import Peer

PYTORCH = Peer(__name__)
DTYPES = ["bool", *(f"{kind}{bits}" for kind in ("int", "uint", "float") for bits in (8, 16, 32, 64))]
DTYPES.remove("float8")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0, 2)])
def test_there_and_back_without_a_copy(shape, dtype):
    array = np.ones(shape, dtype)
    x = mg.from_dlpack(array)
    assert (x.shape, x.dtype, x.requires_grad) == (shape, np.dtype(dtype), False)
    assert np.shares_memory(x.data, array) == bool(array.size)
    back = np.from_dlpack(mg.from_dlpack(x))
    assert np.shares_memory(back, array) == bool(array.size)
    np.testing.assert_array_equal(back, array)


def test_what_a_library_could_not_take_is_refused():
    with pytest.raises(BufferError, match=r"strides.* tensor\.copy\(\)"):
        np.from_dlpack(mg.flip(mg.tensor([1.0, 2.0])))
    assert np.from_dlpack(mg.flip(mg.tensor([1.0, 2.0])).copy()).tolist() == [2, 1]
    x = mg.tensor([1.0], requires_grad=True)
    for tracked in (x, x * 2, mg.nn.Parameter([1.0])):
        with pytest.raises(BufferError, match=r"requires a gradient.* tensor\.detach\(\)"):
            np.from_dlpack(tracked)
        with mg.no_grad(), pytest.raises(BufferError):  # as PyTorch
            np.from_dlpack(tracked)
        assert np.shares_memory(np.from_dlpack(tracked.detach()), tracked.data)


def test_writes_of_others_are_found_by_fingerprints():
    array = np.array([3.0])
    x, w = mg.from_dlpack(array), mg.tensor([2.0], dtype="float64", requires_grad=True)
    with mg.detect_anomaly():
        y = w * x
        array[0] = 5
        with pytest.raises(ValueError, match="multiply"):
            y.backward()
    y = w * x
    x[0] = 7
    with pytest.raises(ValueError, match="multiply"):  # a tensor's own writes are known without
        y.backward()


# --- PyTorch -----------------------------------------------------------------------------------------------


def test_pytorch_and_back():
    def compute(torch):
        theirs = torch.arange(6.0).reshape(2, 3).T
        x = mg.from_dlpack(theirs)
        theirs[0, 0] = 9
        mine = mg.tensor([1.0, 2.0])
        shared = torch.from_dlpack(mine)
        shared += 1
        same = x.data.ctypes.data == theirs.data_ptr(), shared.data_ptr() == mine.data.ctypes.data
        return [x.tolist(), mine.tolist(), *same]

    answer = PYTORCH.ask("there and back", compute)
    assert answer.expected == [[[9, 3], [1, 4], [2, 5]], [2, 3], True, True]


def test_what_pytorch_does_not_share():
    def compute(torch):
        return [
            refusal(mg.from_dlpack, torch.ones(2, requires_grad=True)),
            refusal(mg.from_dlpack, torch.ones(2, dtype=torch.bfloat16)),
            refusal(mg.from_dlpack, torch.ones(2, device="meta")),
            refusal(torch.from_dlpack, mg.tensor([1.0], requires_grad=True)),
            refusal(torch.from_dlpack, mg.flip(mg.tensor([1.0, 2.0]))),  # at which it would end the process
        ]

    answer = PYTORCH.ask("refused", compute)
    assert answer.expected == [True] * 5


def refusal(function, value):
    """Whether a function raises a BufferError."""
    try:
        function(value)
    except BufferError:
        return True
    return False


def test_what_cannot_be_taken():
    for value, error, text in (
        ([1.0], TypeError, "__dlpack__"), (np.ones(2, np.complex64), TypeError, "complex64"),
        (np.array(["a"]), BufferError, "from_dlpack: .* cannot be shared"),
        (np.ones(2, ">f4"), BufferError, "from_dlpack: .* cannot be shared"),
        (mg.tensor([1.0], requires_grad=True), BufferError, r"float32 \(1,\) .* requires a gradient"),
    ):  # fmt: skip
        with pytest.raises(error, match=text):
            mg.from_dlpack(value)


def test_read_only_memory_stays_so():
    array = np.ones(3)
    array.flags.writeable = False
    x = mg.from_dlpack(array)
    with pytest.raises(ValueError, match="read-only"):
        x[0] = 2
    with pytest.raises(BufferError, match=r"share tensor.copy\(\)"):
        np.from_dlpack(x)
