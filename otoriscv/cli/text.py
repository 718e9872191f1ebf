"""Text given on the command line."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["unescape"]

_NAMED: Final = {"n": b"\n", "r": b"\r", "t": b"\t", "0": b"\0", "e": b"\x1b", "\\": b"\\"}
_ESCAPE: Final = re.compile(r"\\(x[0-9a-fA-F]{2}|.|$)", re.DOTALL)


def unescape(text: str) -> bytes:
    r"""*text* as UTF-8, with ``\n \r \t \e \0 \\`` and ``\x1b`` replaced; ValueError for others."""
    out, at = bytearray(), 0
    for found in _ESCAPE.finditer(text):
        out += text[at : found.start()].encode("utf-8", "surrogateescape")
        at, code = found.end(), found[1]
        if code.startswith("x") and len(code) == 3:
            out.append(int(code[1:], 16))
        elif code in _NAMED:
            out += _NAMED[code]
        else:
            raise ValueError(f"--send {text!r}: there is no escape \\{code}")
    return bytes(out + text[at:].encode("utf-8", "surrogateescape"))
