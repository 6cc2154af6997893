"""Check VJPs against numerical derivatives, and reverse passes against the chain rule.

`gradcheck` and `gradgradcheck` compare VJPs with differences of values. `certify_backward` runs a reverse pass and
proves that it summed the results of the VJPs correctly: it returns a certificate, which `check_certificate` checks.
"""

from .certificates import Certificate, certify_backward, check_certificate
from .derivatives import TOLERANCES, GradcheckError, gradcheck, gradgradcheck
from .differences import numerical_gradient

__all__ = [
    "TOLERANCES", "Certificate", "GradcheckError", "certify_backward", "check_certificate", "gradcheck",
    "gradgradcheck", "numerical_gradient",
]  # fmt: skip
