"""Files as PyTorch writes them: some that it wrote, kept in a folder, and what builds others byte by byte.

``python -m tests.interop.written`` has PyTorch write those of the folder anew.
"""

from __future__ import annotations

import collections
import io
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "files"

# --- pickles -------------------------------------------------------------------------------------------


def text(content: str) -> bytes:
    raw = content.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(raw)) + raw


def number(value: int) -> bytes:
    raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def name(dotted: str) -> bytes:
    module, _, last = dotted.rpartition(".")
    return f"c{module}\n{last}\n".encode()


def several(*items: bytes) -> bytes:
    return b"(" + b"".join(items) + b"t"


def numbers(*values: int) -> bytes:
    return several(*map(number, values))


def call(dotted: str, *arguments: bytes) -> bytes:
    return name(dotted) + several(*arguments) + b"R"


def mapping(items: Mapping[str, bytes]) -> bytes:
    return b"}(" + b"".join(text(key) + value for key, value in items.items()) + b"u"


def stored(kind: str = "torch.FloatStorage", key: str = "0", numel: int = 6) -> bytes:
    return several(text("storage"), name(kind), text(key), text("cpu"), number(numel)) + b"Q"


def tensor(storage: bytes, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *more: bytes) -> bytes:
    rest = more or (b"\x89", b"N")
    return call("torch._utils._rebuild_tensor_v2", storage, number(offset), numbers(*shape), numbers(*strides), *rest)


def pickled(body: bytes) -> bytes:
    return b"\x80\x02" + body + b"."


# --- files ---------------------------------------------------------------------------------------------


def archive(body: bytes, records: Mapping[str, bytes] | None = None, compression: int = zipfile.ZIP_STORED) -> bytes:
    """A zip archive of a pickle and records, whose names are below ``archive/`` unless they begin with a slash."""
    file = io.BytesIO()
    contents = {"data.pkl": pickled(body), "data/0": struct.pack("<6f", *range(6)), **(records or {})}
    with zipfile.ZipFile(file, "w", compression) as writer:
        for record, content in contents.items():
            writer.writestr(record.removeprefix("/") if record.startswith("/") else f"archive/{record}", content)
    return file.getvalue()


def legacy(body: bytes, storages: Mapping[str, tuple[int, bytes]] | None = None, keys: bytes | None = None) -> bytes:
    """A file of the older format, of a pickle and storages: the number of entries and the bytes of each.

    By default there is one storage, if the pickle refers to any.
    """
    usual = {"0": (6, struct.pack("<6f", *range(6)))} if b"Storage\n" in body else {}
    contents = usual if storages is None else storages
    listed = keys or b"](" + b"".join(map(text, contents)) + b"e"
    head = [number(0x1950A86A20F9469CFC6C), number(1001), mapping({"little_endian": b"\x88"}), body, listed]
    data = [struct.pack("<q", numel) + raw for numel, raw in contents.values()]
    return b"".join([*map(pickled, head), *data])


STATE = mapping({"a": tensor(stored(), 0, (2, 3), (3, 1)), "b": tensor(stored(), 1, (2, 2), (1, 3))})
"""A state of two tensors that share a storage."""


# --- what PyTorch wrote --------------------------------------------------------------------------------


def contents(torch: Any, zipped: bool = True) -> dict[str, Any]:
    """What the files of the folder hold, by their names without an ending.

    In the older format PyTorch writes larger unsigned integers, but cannot read them.
    """
    torch.manual_seed(0)
    layers = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU(), torch.nn.BatchNorm1d(2))
    shared = torch.arange(24.0).reshape(2, 3, 4)
    floats = {str(d): torch.randn(3).to(d) for d in (torch.float64, torch.float32, torch.float16, torch.bfloat16)}
    whole = [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8]
    whole += [torch.uint16, torch.uint32, torch.uint64] if zipped else []
    integers = {str(d): torch.tensor([0, 1, 100]).to(d) for d in whole}
    checkpoint = {
        "dtypes": {**floats, **integers, "bool": torch.tensor([True, False])},
        "views": [shared, shared[1], shared[:, 1:, ::2], shared.permute(2, 0, 1), torch.tensor(2.5).expand(2, 3)],
        "shapes": (torch.tensor(1.5), torch.zeros(0, 3), torch.ones(1, 1, 1)),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "epoch": 3, "large": 2**70, "negative": -5, "loss": 0.25, "name": "größer", "nothing": None, "best": True,
        "size": torch.Size([2, 3]), "bytes": b"\x00\xff", "dtype": torch.bfloat16, "device": torch.device("cuda", 1),
        "milestones": collections.Counter([3, 3, 5]), "ordered": collections.OrderedDict(a=[1, (2,)]),
    }  # fmt: skip
    return {"state": layers.state_dict(), "checkpoint": checkpoint}


def main() -> None:
    import torch

    FOLDER.mkdir(exist_ok=True)
    for zipped, ending in ((True, ".pt"), (False, "_legacy.pt")):
        for title, content in contents(torch, zipped).items():
            torch.save(content, FOLDER / f"{title}{ending}", _use_new_zipfile_serialization=zipped)


if __name__ == "__main__":
    main()
