"""Zip archives of the tests."""

from __future__ import annotations

import io
import zipfile

import numpy as np


def zipped(members):
    """A zip archive with members: bytes by name or by ZipInfo. The same members give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in members.items():
            info = zipfile.ZipInfo(name) if isinstance(name, str) else name  # of the year 1980
            file.writestr(info, content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def of_size(size, seed=0):
    """A zip archive of somewhat more than `size` bytes, which cannot be packed."""
    return zipped({"a.bin": np.random.default_rng(seed).bytes(size)})
