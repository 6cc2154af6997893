"""`python -m captioning` and the console script `captioning`; see `captioning.cli`."""

from __future__ import annotations

from captioning.cli.entry import main

__all__ = ["main"]

if __name__ == "__main__":
    raise SystemExit(main())
