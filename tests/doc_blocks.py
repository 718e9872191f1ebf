"""The code blocks of Markdown pages, run as a reader would run them.

What a block is, its language says; a comment above it, invisible to readers, adds the rest:

``python``
    Executed, all of a page in one namespace; as a doctest when it has prompts.
``console``
    Lines behind ``$ `` (and ``> `` behind a backslash) go to one bash; what they print must be what
    the block shows. ``...`` stands for anything in a line, or for any lines when alone.
    ``<!-- background -->``: the command stays running until the page ends.
``gdb``
    Lines behind ``(gdb) `` go to the real gdb. ``<!-- gdb: IMAGE -->`` names the image; the machine
    is attached to already, unless the first command is ``target``.
``{directive}``
    Sphinx's, which has a test of its own.
any
    ``<!-- file: NAME -->``: the block is a file of the reader's.
    ``<!-- from: FILE -->``: it is quoted from that file of the repository.
    ``<!-- elsewhere: WHERE -->``: it is not run here, but there.

``<!-- hidden: COMMAND -->`` runs a command that the page does not show, with CHECKOUT the folder of
the repository. Port 1234 is replaced by a free one.
"""

from __future__ import annotations

import doctest
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt

from otoriscv.tools import find_gdb
from tests.gdb_transcript import normalised, transcript

__all__ = ["ROOT", "Block", "Reader", "blocks", "matches"]

ROOT = Path(__file__).resolve().parent.parent
_COMMENT = re.compile(r"<!-- *(\w+)(?:: *(.*?))? *-->")
_PORT = re.compile(r"\b1234\b")
_MARK = "=== end of command"
_PATIENCE = 120


@dataclass(frozen=True, slots=True)
class Block:
    """A code block, or a hidden command: *kind* is its language, *notes* its comments."""

    line: int
    kind: str
    text: str
    notes: dict[str, str] = field(default_factory=dict)


def blocks(markdown: str) -> Iterator[Block]:
    """All of a page, in order."""
    notes: dict[str, str] = {}
    for token in MarkdownIt("commonmark").parse(markdown):
        line = token.map[0] + 1 if token.map else 0
        if token.type == "html_block":
            for name, value in _COMMENT.findall(token.content):
                if name == "hidden":
                    yield Block(line, "hidden", value)
                else:
                    notes[name] = value
        elif token.type == "fence":
            kind = token.info.split()[0] if token.info else ""
            yield Block(line, kind, token.content, notes)
            notes = {}
        elif token.type == "code_block":
            yield Block(line, "indented", token.content, notes)
            notes = {}


def matches(wanted: Sequence[str], got: Sequence[str]) -> bool:
    """Whether lines are as shown; ``...`` in a line is any text, alone any lines."""
    pattern = ""
    for line in wanted:
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += ".*".join(re.escape(part) for part in line.rstrip().split("...")) + r" *\n"
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in got)) is not None


def _prompted(text: str, prompt: str) -> list[tuple[list[str], list[str]]]:
    """Pairs of command lines and the lines shown below them."""
    pairs: list[tuple[list[str], list[str]]] = []
    for line in text.splitlines():
        if line.startswith(prompt):
            pairs.append(([line.removeprefix(prompt)], []))
        elif pairs and not pairs[-1][1] and line.startswith("> ") and _open(pairs[-1][0]):
            pairs[-1][0].append(line.removeprefix("> "))
        else:
            assert pairs, f"no command before {line!r}"
            pairs[-1][1].append(line)
    return pairs


def _open(command: Sequence[str]) -> bool:
    """Whether a command goes on in the next line."""
    in_gdb = command[0].split()[0] == "commands" and command[-1].strip() != "end"
    return in_gdb or command[-1].endswith("\\")


class Reader:
    """Runs the blocks of one page in *folder*."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder = folder
        self._servers: list[subprocess.Popen[bytes]] = []
        self.port = _free_port()  #: what 1234 stands for
        self._namespace: dict[str, Any] = {"__name__": "__page__"}
        self._programs = programs
        _write_programs(programs)
        path = f"{programs}{os.pathsep}{os.environ['PATH']}"
        self._environment = {
            **os.environ,
            "PATH": path,
            "PYTHONPATH": str(ROOT),
            "CHECKOUT": str(ROOT),
            "COLUMNS": "80",
        }

    def close(self) -> None:
        """End what still runs."""
        for server in self._servers:
            if server.poll() is None:
                os.killpg(server.pid, signal.SIGKILL)
            server.wait()

    def run(self, block: Block) -> None:
        """Run one; AssertionError when it does not do what it says."""
        notes = block.notes
        if "from" in notes:
            assert block.text.strip() in (ROOT / notes["from"]).read_text(), "not in that file"
        elif "file" in notes:
            path = self.folder / notes["file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
        elif "elsewhere" not in notes and not block.kind.startswith("{"):
            runner = {
                "hidden": self._hidden,
                "python": self._python,
                "console": self.background if "background" in notes else self._console,
                "gdb": self._gdb,
            }.get(block.kind)
            assert runner is not None, f"nothing says what to do with this {block.kind or 'block'}"
            runner(block)

    # -- python

    def _python(self, block: Block) -> None:
        if ">>>" in block.text:
            test = doctest.DocTestParser().get_doctest(
                block.text, self._namespace, "block", None, block.line
            )
            said: list[str] = []
            runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
            failed, _ = runner.run(test, out=said.append, clear_globs=False)
            self._namespace.update(test.globs)
            assert not failed, "".join(said)
        else:
            exec(compile(block.text, f"block at line {block.line}", "exec"), self._namespace)

    # -- console

    def _hidden(self, block: Block) -> None:
        output, code = self._bash([block.text])
        assert code == 0, "\n".join(output[0])

    def _console(self, block: Block) -> None:
        pairs = _prompted(block.text, "$ ")
        outputs, _ = self._bash(["\n".join(command) for command, _ in pairs])
        for (command, wanted), got in zip(pairs, outputs, strict=True):
            shown = "\n".join(got)
            assert matches(wanted, got), f"{command[0]!r} printed\n{shown}\nnot what is shown"

    def _bash(self, commands: Sequence[str]) -> tuple[list[list[str]], int]:
        """The lines that each command prints, and the last one's exit code."""
        script = ""
        for command in commands:
            # The shell's $? survives the mark.
            script += f'{self._local(command)}\n_code=$?; printf "\\n{_MARK}\\n"; (exit $_code)\n'
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
        )
        text = done.stdout.replace(str(self.port), "1234").replace(f"{self.folder}/", "")
        parts = text.split(f"\n{_MARK}\n")[:-1]
        return [part.rstrip().splitlines() for part in parts], done.returncode

    def background(self, block: Block) -> None:
        """Start what the block shows, and wait until it has printed that."""
        (command, wanted), *more = _prompted(block.text, "$ ")
        assert not more, "one command runs in the background"
        output = self._programs / f"output-{block.line}"
        with output.open("wb") as file:
            server = subprocess.Popen(
                ["bash", "-c", f"exec {self._local(' '.join(command))}"],
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._servers.append(server)
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            got = output.read_text().replace(str(self.port), "1234").splitlines()
            if matches(wanted, got[: len(wanted)]):
                return
            assert server.poll() is None, "it has ended:\n" + "\n".join(got)
            time.sleep(0.02)
        raise AssertionError("it printed\n" + "\n".join(got))

    # -- gdb

    def _gdb(self, block: Block) -> None:
        commands: list[str] = []
        for command, _ in _prompted(block.text, "(gdb) "):
            commands += [self._local(line) for line in command]
        remote = commands[0].split()[0] == "target"
        image = self.folder / block.notes["gdb"]
        said = transcript(image, commands, serve=not remote)
        got, wanted = normalised(said.replace(str(self.port), "1234")), normalised(block.text)
        assert matches(wanted, got), f"gdb said\n{said}\nnot what is shown"

    def _local(self, command: str) -> str:
        return _PORT.sub(str(self.port), command)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _write_programs(folder: Path) -> None:
    """What a reader has installed: otoriscv, pytest with our plugin, python, and gdb-multiarch."""
    python = shlex.quote(sys.executable)
    installed = any(entry.name == "otoriscv" for entry in entry_points(group="pytest11"))
    plugin = "" if installed else "-p otoriscv.testing.plugin"
    commands = {
        "otoriscv": f"{python} -m otoriscv",
        "pytest": f"{python} -m pytest {plugin} -p no:cacheprovider",
        "python": python,
    }
    gdb = find_gdb()
    if gdb.usable:
        commands["gdb-multiarch"] = shlex.join(gdb.command)
    folder.mkdir(parents=True, exist_ok=True)
    for name, command in commands.items():
        program = folder / name
        program.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        program.chmod(0o755)
