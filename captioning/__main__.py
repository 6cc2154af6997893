"""`python -m captioning` and the console script `captioning`; see `captioning.cli`."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> int:
    """Run the command line of `sys.argv`; the exit status. Ctrl-C ends it in one line while it is imported, too."""
    try:
        from captioning.cli.entry import main as run
    except KeyboardInterrupt:
        print("captioning: stopped", file=sys.stderr)
        return 130
    return run()


if __name__ == "__main__":
    raise SystemExit(main())
