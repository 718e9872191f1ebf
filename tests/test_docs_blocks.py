"""Every code block of the documentation and of the examples' READMEs runs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from otoriscv.tools import find_gdb, find_picolibc
from tests.doc_blocks import ROOT, Reader, blocks, matches

PAGES = sorted(
    str(path.relative_to(ROOT))
    for path in (
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("examples/README.md"),
        *ROOT.glob("examples/*/README.md"),
    )
)
_NOT_COPIED = shutil.ignore_patterns("build", "__pycache__", ".*cache")

needs_tools = pytest.mark.skipif(
    not (find_picolibc().usable and find_gdb().usable),
    reason="no RISC-V compiler with picolibc, or no gdb",
)


@needs_tools
@pytest.mark.parametrize("page", PAGES)
def test_page(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an empty folder, or, if it is the README of an example, in a copy of the example's."""
    folder = tmp_path / "here"
    if page.startswith("examples"):
        shutil.copytree(ROOT / "examples", folder / "examples", ignore=_NOT_COPIED)
        folder /= os.path.dirname(page)
    else:
        folder.mkdir()
    monkeypatch.chdir(folder)
    reader = Reader(folder, tmp_path / "bin")
    try:
        for block in blocks((ROOT / page).read_text()):
            try:
                reader.run(block)
            except AssertionError as error:
                raise AssertionError(f"{page}:{block.line}: {error}") from None
    finally:
        reader.close()


def test_what_runs_elsewhere_is_little() -> None:
    found = {
        (page, block.notes["elsewhere"])
        for page in PAGES
        for block in blocks((ROOT / page).read_text())
        if "elsewhere" in block.notes
    }
    assert found <= {
        ("README.md", ".ci/run"),
        ("CONTRIBUTING.md", ".ci/run"),
        ("docs/howto/linux.md", "tests/test_linux.py"),
        ("examples/systems/README.md", "tests/test_systems.py"),
    }


def test_shown_output_is_compared() -> None:
    assert matches(["a...c", "...", "z"], ["abc", "x", "y", "z"])
    assert matches(["...", "z"], ["z"])
    assert not matches(["a", "z"], ["a", "y", "z"])
    assert not matches(["a"], [])
    assert not matches([], ["a"])


@needs_tools
@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("```console\n$ echo one\ntwo\n```", "not what is shown"),
        ("```console\n$ false\n$ echo $?\n0\n```", "not what is shown"),
        ("```python\n>>> 1 + 1\n3\n```", "Expected"),
        ("```python\nassert 1 > 2, 'wrong'\n```", "wrong"),
        ("```\nwhat is this\n```", "nothing says"),
        ("    indented\n", "nothing says"),
        ("<!-- from: README.md -->\n```text\nnot in there\n```", "not in that file"),
        ("<!-- hidden: echo no; false -->", "no"),
        ("<!-- background -->\n```console\n$ echo no; exit 1\nyes\n```", "has ended"),
    ],
)
def test_a_wrong_block_is_found(tmp_path: Path, text: str, complaint: str) -> None:
    reader = Reader(tmp_path, tmp_path / "bin")
    with pytest.raises(AssertionError, match=complaint):
        for block in blocks(text):
            reader.run(block)
    reader.close()
