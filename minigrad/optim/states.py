"""Reading what a file kept: a flat dict of arrays, of which all fit or nothing is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..core import Tensor
from ..spec import Array, as_array, describe

__all__ = ["validated"]


def validated(caller: str, expected: Mapping[str, Array], state: Mapping[str, Any]) -> dict[str, Array]:
    """Copies of a state's arrays in native byte order, which have the expected names, shapes and dtypes."""
    if not isinstance(state, Mapping):
        raise TypeError(f"{caller}.load_state_dict: the state must map names to arrays, not be {describe(state)}")
    complaints = [f"{name} is missing" for name in expected if name not in state]
    complaints += [f"{name} is unexpected" for name in state if name not in expected]
    arrays: dict[str, Array] = {}
    for name, like in expected.items():
        if name not in state:
            continue
        value = state[name]
        try:
            array = np.array(value.data if isinstance(value, Tensor) else _as_given(value))
        except (TypeError, ValueError) as error:
            complaints.append(f"{name}: {error}")
            continue
        arrays[name] = array = array.astype(array.dtype.newbyteorder("="), copy=False)
        if array.shape != like.shape or array.dtype != like.dtype:
            complaints.append(f"{name} is {describe(like)} here, {describe(array)} in the state")
    if complaints:
        raise ValueError("\n  ".join([f"{caller}.load_state_dict: nothing was loaded:", *complaints]))
    return arrays


def _as_given(value: Any) -> Array:
    """Numbers as NumPy reads them: Python floats are float64, as options are."""
    array = np.asarray(value)
    as_array(array)  # complains of anything but numbers
    return array
