"""Regenerate the marked tables; with `--check` nothing is written, and stale pages are an error."""

import sys

from .pages import PAGES, ROOT, regenerated


def rebuild() -> None:
    """Rewrite the pages, or with --check only compare them."""
    stale = [page for page in PAGES if regenerated(page) != page.read_text(encoding="utf-8")]
    for page in stale:
        print(page.relative_to(ROOT))
        if "--check" not in sys.argv:
            page.write_text(regenerated(page), encoding="utf-8")
    sys.exit("stale: run make tables" if stale and "--check" in sys.argv else 0)


rebuild()
