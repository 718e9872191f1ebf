"""One function of 1,000 branches: `python3 generate_branches.py > branches.c`."""

from __future__ import annotations

import sys
from collections.abc import Iterator

BRANCHES = 1000


def random_numbers(state: int) -> Iterator[int]:
    """xorshift32: the same everywhere."""
    while True:
        state ^= state << 13 & 0xFFFFFFFF
        state ^= state >> 17
        state ^= state << 5 & 0xFFFFFFFF
        yield state


def source() -> str:
    """The text of branches.c."""
    numbers = random_numbers(2463534242)
    lines = [
        "/* Written by generate_branches.py: a function too large and branchy for small tricks. */",
        '#include "runtime.h"',
        "",
        "static uint32_t cells[64];",
        "",
        "static NOINLINE uint32_t branches(uint32_t x)",
        "{",
    ]
    for index in range(BRANCHES):
        shift, low, high = (next(numbers) % 28 for _ in range(3))
        factor, cell = next(numbers) | 1, next(numbers) % 64
        test = (
            f"x >> {shift} & 1",
            f"(x >> {shift} & 15) > {low % 15}",
            f"x < {next(numbers)}u",
            f"(x ^ cells[{cell}]) & {1 << high}u",
        )[next(numbers) % 4]
        lines.append(f"    if ({test})")
        lines.append(f"        x = x * {factor}u + {index};")
        lines.append("    else")
        lines.append(f"        cells[{cell}] += x ^= x >> {1 + low % 15};")
    lines += ["    return x;", "}", "", "uint32_t run(uint32_t n)", "{", "    uint32_t sum = 1;"]
    lines += ["    while (n--)", "        sum = mix(sum, branches(sum + n));"]
    lines += ["    return sum;", "}"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(source())
