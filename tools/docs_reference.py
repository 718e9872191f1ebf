"""A Sphinx extension: reference pages from what the program itself knows.

A page says ``<!-- generated: NAME -->`` where a part of it belongs; the part is written when the
documentation is built, so it cannot be out of date.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from otoriscv.cli.main import COMMANDS
from otoriscv.gdbstub.commands import files, monitor, query, table, transfer

if TYPE_CHECKING:
    from sphinx.application import Sphinx

__all__ = ["fill", "setup"]

_EXAMPLES: Final = Path(__file__).resolve().parent.parent / "examples"
_PLACE: Final = re.compile(r"<!-- generated: (\w+) -->")


def fill(page: str) -> str:
    """The page with its parts."""
    return _PLACE.sub(lambda match: _PARTS[match[1]](), page)


def _fill_source(app: Sphinx, name: str, source: list[str]) -> None:
    source[0] = fill(source[0])


def _skip_fields(
    app: Sphinx, what: str, name: str, member: object, skip: bool, options: object
) -> bool | None:
    """A record's fields are in its signature; autodoc says "Alias for field number 0" of each."""
    return True if (member.__doc__ or "").startswith("Alias for field number") else None


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    from pygments.lexers.special import TextLexer

    app.add_lexer("gdb", TextLexer)
    app.connect("source-read", _fill_source)
    app.connect("autodoc-skip-member", _skip_fields)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
    yield ""


def _prose(docstring: str | None) -> str:
    """A docstring's first paragraph as Markdown on one line."""
    paragraph = (docstring or "").strip().partition("\n\n")[0]
    return " ".join(paragraph.split()).replace("``", "`")


# -- the command line


def _cli() -> str:
    lines: list[str] = []
    for name, (module_name, summary) in COMMANDS.items():
        if importlib.util.find_spec(module_name) is None:
            continue
        parser = argparse.ArgumentParser(prog=f"otoriscv {name}")
        importlib.import_module(module_name).add_arguments(parser)
        usage = " ".join(parser.format_usage().removeprefix("usage: ").split())
        lines += [f"## otoriscv {name}", "", summary[0].upper() + summary[1:] + ".", ""]
        lines += ["```text", usage, "```", ""]
        lines += ["```text", *(parser.description or "").strip().splitlines(), "```", ""]
        for group in parser._action_groups:
            actions = [a for a in group._group_actions if a.dest != "help"]
            if actions:
                title = (group.title or "").replace("positional arguments", "arguments")
                lines += [f"### {name}: {title}", ""]
                lines += _table(
                    ("option", "meaning"), [(_option(a), (a.help or "")) for a in actions]
                )
        if parser.epilog:
            lines += ["```text", *parser.epilog.strip().splitlines(), "```", ""]
    return "\n".join(lines)


def _option(action: argparse.Action) -> str:
    value = action.metavar or action.dest.upper()
    if action.choices is not None:
        value = "{" + ",".join(str(choice) for choice in action.choices) + "}"
    if not action.option_strings:
        return f"`{value}`"
    takes = "" if action.nargs == 0 else f" {value}"
    return ", ".join(f"`{text}{takes}`" for text in action.option_strings)


# -- the debugger's side


def _packets() -> str:
    groups: dict[str, dict[Callable[..., Any], list[str]]] = {}
    for name, command in table._COMMANDS.items():
        handlers = groups.setdefault(command.handler.__module__, {})
        handlers.setdefault(command.handler, []).append(name.decode())
    lines: list[str] = []
    for module, handlers in groups.items():
        title = _prose(importlib.import_module(module).__doc__).partition(":")[0].rstrip(".")
        lines += [f"### {title}", ""]
        rows = [
            (", ".join(f"`{name}`" for name in names), _prose(handler.__doc__))
            for handler, names in handlers.items()
        ]
        lines += _table(("packet", "meaning"), rows)
    return "\n".join(lines)


def _features() -> str:
    return ", ".join(f"`{feature}`" for feature in query._FEATURES)


def _objects() -> str:
    names = [name.decode() for name in transfer._OBJECTS]
    return ", ".join(f"`{name}`" for name in names)


def _files() -> str:
    return ", ".join(f"`{name.decode()}`" for name in files._OPERATIONS)


def _monitor() -> str:
    rows = [(f"`{command.usage}`", command.summary) for command in monitor._MONITORS.values()]
    return "\n".join(_table(("monitor ...", "meaning"), rows))


# -- the examples' READMEs


def _examples() -> str:
    folders = re.findall(r"\]\((\w+)/README.md\)", (_EXAMPLES / "README.md").read_text())
    pages = {folder: (_EXAMPLES / folder / "README.md").read_text() for folder in folders}
    anchors = {
        folder: re.sub(r"[^a-z0-9 -]", "", page.partition("\n")[0][2:].lower()).replace(" ", "-")
        for folder, page in pages.items()
    }

    def moved(folder: str, link: str) -> str:
        path = os.path.normpath(f"../examples/{folder}/{link}")
        if path.startswith("../docs/"):
            return path.removeprefix("../docs/")
        found = re.fullmatch(r"../examples/(\w+)/README.md", path)
        return path if found is None else f"#{anchors[found[1]]}"

    def under(folder: str, page: str) -> str:
        """One level lower, its links made the page's."""
        return "#" + re.sub(r"(?<=\]\()[^):#]+(?=\))", lambda link: moved(folder, link[0]), page)

    return "\n".join(under(folder, page) for folder, page in pages.items())


_PARTS: Final[dict[str, Callable[[], str]]] = {
    "cli": _cli,
    "examples": _examples,
    "packets": _packets,
    "features": _features,
    "objects": _objects,
    "files": _files,
    "monitor": _monitor,
}
