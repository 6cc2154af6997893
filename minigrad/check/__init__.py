"""Checks of gradients: derivatives against numerical ones, and reverse passes against their definition.

`gradcheck` and `gradgradcheck` compare what VJPs give with differences of values. That a reverse pass sums up rightly
what VJPs give is proven otherwise: `certify_backward` runs one and returns what proves it, `check_certificate` checks
that.
"""

from .certificates import Certificate, check_certificate
from .derivatives import TOLERANCES, GradcheckError, gradcheck, gradgradcheck
from .differences import numerical_gradient
from .witnesses import certify_backward

__all__ = [
    "TOLERANCES", "Certificate", "GradcheckError", "certify_backward", "check_certificate", "gradcheck",
    "gradgradcheck", "numerical_gradient",
]  # fmt: skip
