"""Check every link and anchor of the built site.

python docs/check_links.py SITE              # within the site: pages, pictures, anchors
python docs/check_links.py SITE --external   # also that other sites' pages answer; needs a network

mkdocs checks what is written in Markdown; this also sees generated pages, docstrings and the theme.
"""

import argparse
import sys
from collections import defaultdict
from html.parser import HTMLParser
from pathlib import Path
from urllib.error import URLError
from urllib.parse import unquote, urldefrag
from urllib.request import Request, urlopen

_EXTERNAL = ("http://", "https://")


class _Page(HTMLParser):
    """Collects a page's links and anchors."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note where a tag points, and what points to it."""
        for name, value in attrs:
            if value and (name == "id" or (tag, name) == ("a", "name")):
                self.anchors.add(value)
            elif value and name in ("href", "src"):
                self.links.add(value)


def broken_links(site: Path) -> tuple[list[str], dict[str, list[Path]]]:
    """Return what is broken within a site, a line each, and the external links with the pages that have them."""
    pages = {path.resolve(): _Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    broken, external = [], defaultdict(list)
    for path, page in pages.items():
        for link in sorted(page.links):
            if link.startswith(_EXTERNAL):
                external[urldefrag(link).url].append(path)
            elif not link.startswith(("mailto:", "data:", "javascript:")):
                address, anchor = urldefrag(link)
                # Only 404.html has absolute links: it is shown for any address.
                target = (
                    site.resolve() / address.lstrip("/") if address.startswith("/") else path.parent / unquote(address)
                )
                target = (target / "index.html" if target.is_dir() else target).resolve() if address else path
                if not target.exists():
                    broken.append(f"{path.relative_to(site.resolve())}: {link}: no such file")
                elif anchor and target in pages and unquote(anchor) not in pages[target].anchors:
                    broken.append(f"{path.relative_to(site.resolve())}: {link}: no such anchor")
    return broken, dict(external)


def unanswered(address: str) -> str | None:
    """Return why an external page does not answer; None if it does."""
    try:
        with urlopen(Request(address, headers={"User-Agent": "Mozilla/5.0"}), timeout=20):
            return None
    except (URLError, TimeoutError, ValueError) as error:
        return str(error)


def main() -> int:
    """Print what is broken; 1 if anything is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("site", type=Path, help="folder that `mkdocs build` wrote")
    parser.add_argument("--external", action="store_true", help="also ask for the pages of other sites")
    args = parser.parse_args()
    broken, external = broken_links(args.site)
    if args.external:
        for address, pages in external.items():
            if problem := unanswered(address):
                broken.append(f"{pages[0].name}: {address}: {problem}")
    for line in broken:
        print(line)
    print(f"{len(broken)} broken links; {len(external)} external addresses{'' if args.external else ' not asked for'}")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
