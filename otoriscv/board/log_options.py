"""What ``--log`` and ``--log-range`` can say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from otoriscv.board.virt import VirtMachine

__all__ = ["KINDS", "parse_range"]

KINDS: Final = ("exec", "trap", "mmio", "unmapped", "csr")


def parse_range(text: str, machine: VirtMachine) -> tuple[int, int]:
    """``A-B``, each a number or a symbol: first and last address. ValueError says what is wrong."""
    low, dash, high = text.partition("-")
    if not dash:
        raise ValueError(f"--log-range {text}: should be A-B, two addresses or symbols")
    ends = []
    for word in (low, high):
        symbol = machine.symbols.get(word)
        if symbol is not None:
            ends.append(symbol.address)
            continue
        try:
            ends.append(int(word, 0))
        except ValueError:
            raise ValueError(
                f"--log-range {text}: {word!r} is neither an address nor a symbol of the image"
            ) from None
    return ends[0], ends[1]
