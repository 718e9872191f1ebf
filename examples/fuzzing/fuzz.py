"""Fuzz the parser in parser.c: hypothesis invents inputs, a snapshot makes each run a fresh one.

    make && python fuzz.py build/parser.elf

The machine runs up to `parse` once. For each input it goes back to that point, the input is written
into its memory, and it goes on until the parser returns. A hook on the red zone behind the result
sees the first byte that is written where it must not be: no instrumented build is needed, and the
other stores run at full speed.
"""

from __future__ import annotations

import sys
import time

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from otoriscv import Machine, StopReason
from otoriscv.api import AccessEvent

STEPS = 100_000  # a parser that needs more hangs
NAME, VALUE, RED_ZONE = 8, 16, 64
ESCAPES = {"n": "\n", "t": "\t", "\\": "\\"}

#: Names, values and their escapes; at most 35 of the 64 bytes that there is room for.
inputs = st.builds(
    "".join,
    st.tuples(
        st.text("ab", max_size=8),
        st.sampled_from(["=", ""]),
        st.text("ab=\\nt", max_size=24) | st.text("ab", max_size=15),
        st.sampled_from(["", "\\n", "\\\\", "\\x", "\\"]),
    ),
)


def model(text: str) -> tuple[str, str] | str:
    """What the parser should say: name and value, or the error's name."""
    name, equals, rest = text.partition("=")
    if len(name) >= NAME:
        return "TOO_LONG"
    if not name:
        return "NO_NAME"
    if not equals:
        return "NO_VALUE"
    value = ""
    characters = iter(rest)
    for character in characters:
        if character == "\\":
            found = ESCAPES.get(next(characters, ""))
            if found is None:
                return "BAD_ESCAPE"
            character = found
        if len(value) == VALUE - 1:
            return "TOO_LONG"
        value += character
    return name, value


class Target:
    """The parser on a machine that stands before it."""

    ERRORS = ("OK", "NO_NAME", "NO_VALUE", "TOO_LONG", "BAD_ESCAPE")

    def __init__(self, image: str) -> None:
        self.machine = Machine(image)
        self.machine.run("main")
        self._ready = self.machine.save()
        behind = self.machine.symbols["output"] + NAME + VALUE
        self.machine.on_write(range(behind, behind + RED_ZONE), self._overflow)
        self.runs = 0

    def _overflow(self, event: AccessEvent) -> None:
        where = self.machine.symbols.describe(event.pc)
        raise AssertionError(f"{where} writes {event.value:#x} behind the result")

    def parse(self, text: str) -> tuple[str, str] | str:
        """What the parser says to *text*."""
        machine = self.machine
        self.runs += 1
        machine.restore(self._ready)
        machine.mem["input"] = text.encode()
        machine.mem.u32["input_length"] = len(text)
        stop = machine.run("parsed", count=STEPS)
        assert stop.reason is StopReason.UNTIL, f"the parser does not return: {stop.reason.value}"
        code = machine.mem.i32["result"]
        if code:
            return self.ERRORS[code]
        return machine.mem.cstring("output"), machine.mem.cstring(f"output+{NAME}")


def fuzz(image: str, examples: int = 1000) -> Target:
    """Compare parser and model; AssertionError with the smallest input that shows a bug."""
    target = Target(image)

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(inputs)
    def agree(text: str) -> None:
        got = target.parse(text)
        assert got == model(text), f"{text!r} gives {got}, not {model(text)}"

    agree()
    return target


def main() -> int:
    """The command line."""
    began = time.perf_counter()
    try:
        target = fuzz(sys.argv[1])
    except AssertionError as error:
        print(error, *error.__notes__, sep="\n")
        return 1
    seconds = time.perf_counter() - began
    print(f"{target.runs} inputs, nothing found, {target.runs / seconds:.0f} inputs a second")
    return 0


if __name__ == "__main__":
    sys.exit(main())
