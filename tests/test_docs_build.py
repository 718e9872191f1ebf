"""The documentation builds without a warning, and every relative link leads somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.doc_blocks import ROOT
from tools import docs_reference

PAGES = sorted(
    path
    for path in (
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("examples/*.md"),
        *ROOT.glob("examples/*/*.md"),
    )
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make docs` builds."""
    out = tmp_path_factory.mktemp("docs")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-E", "-b", "html"]
    done = subprocess.run(
        [*command, "-d", str(out / "doctrees"), str(ROOT / "docs"), str(out / "html")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    return out / "html"


class Page(HTMLParser):
    """Its anchors and its links."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: set[str] = set()
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called for each tag."""
        values = dict(attrs)
        for name in ("id", "name"):
            if values.get(name):
                self.anchors.add(str(values[name]))
        link = values.get("href" if tag in ("a", "link") else "src")
        if link:
            self.links.add(link)


def is_relative(link: str) -> bool:
    return not urlsplit(link).scheme and not link.startswith("//")


def test_links_of_the_built_pages(site: Path) -> None:
    pages = {path: Page(path) for path in site.rglob("*.html")}
    assert len(pages) > 10
    bad = []
    for path, page in pages.items():
        for link in filter(is_relative, page.links):
            parts = urlsplit(link)
            target = path if not parts.path else (path.parent / unquote(parts.path)).resolve()
            there = target.exists()
            if there and parts.fragment and target in pages:
                there = unquote(parts.fragment) in pages[target].anchors
            if not there:
                bad.append(f"{path.name}: {link}")
    assert not bad


def test_the_reference_is_complete(site: Path) -> None:
    from otoriscv.gdbstub.commands import monitor, table

    cli = (site / "reference" / "cli.html").read_text()
    for option in ("--expect", "--ram", "--port-file", "--restore"):
        assert f"{option}" in cli
    packets = re.sub(r"<[^>]+>", "", (site / "reference" / "packets.html").read_text())
    names = [name.decode() for name in table._COMMANDS] + list(monitor._MONITORS)
    assert not [name for name in names if name not in packets]
    api = (site / "reference" / "api.html").read_text()
    for anchor in ("otoriscv.Machine.run", "otoriscv.Machine.on_exec", "otoriscv.Device.irq"):
        assert f'id="{anchor}"' in api
    assert "Alias for field" not in api  # what Python says of a named tuple's fields


def anchors(markdown: str) -> set[str]:
    """The anchors that GitHub and Sphinx make of headings."""
    found = set()
    tokens = MarkdownIt("commonmark").parse(docs_reference.fill(markdown))
    for before, token in pairwise(tokens):
        if before.type == "heading_open":
            text = re.sub(r"[^\w\- ]", "", token.content.lower())
            found.add(text.replace(" ", "-"))
    return found


def links(tokens: list[Token]) -> list[str]:
    """Where all links of a page lead."""
    found: list[str] = []
    for token in tokens:
        found += links(token.children or [])
        if token.type in ("link_open", "image"):
            found.append(str(token.attrs.get("href") or token.attrs.get("src")))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_of_the_sources(page: Path) -> None:
    text = page.read_text()
    for link in filter(is_relative, links(MarkdownIt("commonmark").parse(text))):
        path, _, fragment = link.partition("#")
        target = page if not path else (page.parent / unquote(path)).resolve()
        assert target.exists(), f"there is no {link}"
        if fragment and target.suffix == ".md":
            assert fragment in anchors(target.read_text()), f"there is no {link}"


def test_the_makefile_builds_it_with_warnings_as_errors() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(
        r"^docs: setup.*\n\t.*-m sphinx -W --keep-going .* docs build/docs$", makefile, re.M
    )
