"""Check that every local link of a built site leads to a file and, if it has a fragment, to an element there.

Sphinx checks the links in Markdown, but not those in HTML. Usage: python docs/check_links.py build/site
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The links of a page and the ids of its elements."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.ids = {"", "top"}
        self.feed(file.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect the links and the id of an element."""
        if ("class", "viewcode-back") not in attrs:  # hidden: wrong for a name that two pages document
            self.links.update(value or "" for name, value in attrs if name in ("href", "src"))
        self.ids.update(value or "" for name, value in attrs if name in ("id", "name"))


def main(site: Path) -> int:
    """Print the broken links of a site, and return the exit status."""
    pages = {file: Page(file) for file in site.resolve().rglob("*.html")}
    broken = []
    for file, page in pages.items():
        for link in page.links:
            scheme, host, path, _, fragment = urlsplit(link)
            target = (file.parent / unquote(path)).resolve() if path else file
            found = target.exists() and (target not in pages or unquote(fragment) in pages[target].ids)
            if not (scheme or host or found):
                broken.append(f"{file.relative_to(site.resolve())}: {link}")
    print(*sorted(broken), sep="\n", end="\n" * bool(broken), file=sys.stderr)
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
