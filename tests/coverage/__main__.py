"""``python -m tests.coverage`` writes docs/coverage.md anew, or with --check says whether it would be another one."""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.coverage.page import AGAIN, text

PAGE = Path(__file__).parents[2] / "docs" / "coverage.md"


def main(arguments: list[str] | None = None) -> int:
    """Write the page, or look; 1 if it is not the one that would be written."""
    parser = argparse.ArgumentParser(prog=AGAIN, description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit status 1 if it would be another page")
    options = parser.parse_args(arguments)
    found = text()
    if not options.check:
        PAGE.write_text(found, encoding="utf-8")
    elif not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != found:
        print(f"{PAGE.name} is not what the registry and the tests say: {AGAIN}")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
