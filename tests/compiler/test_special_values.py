"""Functions in loops, at NaN, infinities and zeros: as NumPy's."""

from __future__ import annotations

import numpy as np
import pytest

from minigrad.compiler import fused

SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 1e-40, 5e-324, 1e30]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("function", [np.log, np.log1p, np.exp, np.expm1, np.tanh, np.sqrt])
def test_a_function_of_special_values_is_that_of_numpy(function, dtype):
    x = np.resize(np.array(SPECIAL), (700, 10)).astype(dtype)
    with np.errstate(all="ignore"):
        found, expected = fused(lambda x: function(x))(x), function(x)
    np.testing.assert_allclose(found, expected, rtol=4 * np.finfo(dtype).eps)
