"""gdb sessions as text: the commands behind their prompts, and what gdb says to each."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from otoriscv import Machine
from otoriscv.tools import find_gdb

__all__ = ["normalised", "transcript"]

_SETTINGS = (
    "set pagination off",
    "set confirm off",
    "set width 0",
    "set style enabled off",
    "set print entry-values no",
)
_ADDRESS = re.compile(r"0x[0-9a-f]+")
_FOLDER = re.compile(r"\S*/(?=[\w.-]+\.[chS]\b)")
_SPACE = re.compile(r"[ \t]+")


def normalised(text: str) -> list[str]:
    """Lines without what depends on the compiler's version and on where the sources are."""
    text = _ADDRESS.sub("0x...", _FOLDER.sub("", text))
    lines = (_SPACE.sub(" ", line).strip() for line in text.splitlines())
    return [line for line in lines if line]


def transcript(image: Path, commands: Sequence[str], *, serve: bool = True) -> str:
    """What gdb prints for *commands*; with *serve* it is attached to a machine with *image*."""
    with ExitStack() as stack:
        words = [*find_gdb().command, "-nx", "-batch"]
        for line in _SETTINGS:
            words += ["-ex", line]
        if serve:
            machine = stack.enter_context(Machine(image))
            port = stack.enter_context(closing(machine.gdb_server())).address[1]
            words += ["-ex", f"target remote localhost:{port}"]
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        for number, group in enumerate(_groups(commands)):
            words += ["-ex", f"echo (gdb) {_quoted(group)}\\n"]
            if len(group) == 1:
                words += ["-ex", group[0]]
            else:
                script = Path(folder, f"{number}.gdb")
                script.write_text("\n".join(group) + "\n")
                words += ["-ex", f"source {script}"]
        done = subprocess.run(
            [*words, str(image)],
            cwd=image.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=120,
        )
    _, prompt, rest = done.stdout.partition("(gdb) ")
    return prompt + rest.removesuffix("[Inferior 1 (Remote target) detached]\n")


def _groups(commands: Sequence[str]) -> Iterator[list[str]]:
    """Each command; ``commands`` with its lines up to ``end``."""
    group: list[str] = []
    for line in commands:
        group.append(line)
        if group[0].split()[0] != "commands" or line.strip() == "end":
            yield group
            group = []


def _quoted(group: Sequence[str]) -> str:
    return "\\n> ".join(line.replace("\\", "\\\\") for line in group)
