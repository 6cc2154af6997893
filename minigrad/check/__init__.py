"""Checks of gradients: derivatives against numerical ones, and reverse passes against their definition.

`gradcheck` and `gradgradcheck` compare VJPs with differences of values. `certify_backward` proves that a reverse pass
adds up what the VJPs give: it runs a pass and returns a certificate, which `check_certificate` checks.
"""

from .certificates import Certificate, certify_backward, check_certificate
from .derivatives import TOLERANCES, GradcheckError, gradcheck, gradgradcheck
from .differences import numerical_gradient

__all__ = [
    "TOLERANCES", "Certificate", "GradcheckError", "certify_backward", "check_certificate", "gradcheck",
    "gradgradcheck", "numerical_gradient",
]  # fmt: skip
