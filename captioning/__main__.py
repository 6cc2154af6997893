"""`python -m captioning` and the console script `captioning`; see `captioning.cli`."""

from __future__ import annotations

from captioning.command import guarded

__all__ = ["main"]


def main() -> int:
    """Run the command line of `sys.argv`; return the exit status. Ctrl-C during the imports prints one line."""
    return guarded("captioning", _run)


def _run() -> int:
    from captioning.cli.entry import main as run

    return run()


if __name__ == "__main__":
    raise SystemExit(main())
