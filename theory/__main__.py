"""`python -m theory` and the console script `theory`; see `theory.cli`."""

from __future__ import annotations

from theory.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    raise SystemExit(main())
