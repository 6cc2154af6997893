"""Write the certificates of a claim into a file, which `theory.checker` verifies without the rest of `theory`."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minigrad.runtime.files import replacing
from theory import checker

if TYPE_CHECKING:
    from theory.claims import Claim

__all__ = ["Certificate", "certificate", "write_certificates"]

Certificate = dict[str, Any]
"""JSON values: the `kind`, the sentence that it proves (`says`), and the data of this kind."""


def certificate(kind: str, **data: Any) -> Certificate:
    """Return a certificate of a kind of `theory.checker`.

    data: the arguments of the kind. Fractions become text, and arrays and tuples become lists.

    >>> certificate("cycle", parents={"a": "a"}, cycle=("a",))["says"]
    "The graph of the parents {'a': 'a'} has the cycle ['a'], so it has no topological order"
    """
    plain = json.loads(
        json.dumps(data, default=lambda value: str(value) if type(value) is Fraction else value.tolist())
    )
    return {"kind": kind, "says": checker.KINDS[kind](**plain), **plain}


def write_certificates(claim: Claim, path: str | Path) -> int:
    """Write the certificates of a claim that has some into a file, check the file, and return their number.

    An error leaves an older file as it was.
    """
    title, certificates = f"{claim.number} {claim.title}", list(claim.certify() if claim.certify else ())
    content = {"claim": title, "statement": (claim.corrected or claim.statement).text, "certificates": certificates}
    content["sha256"] = checker.digest(content)
    with replacing(path) as temporary:
        temporary.write_bytes(checker.canonical(content).encode())
        checker.check_file(temporary)
    return len(certificates)
