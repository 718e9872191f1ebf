"""Flattened device tree reader (Devicetree Specification v0.4, chapter 5)."""

from __future__ import annotations

import struct
from typing import Final

from otoriscv.board.fdt import Node

__all__ = ["FdtError", "from_blob"]

_MAGIC: Final = 0xD00D_FEED
_BEGIN_NODE, _END_NODE, _PROP, _NOP, _END = 1, 2, 3, 4, 9
_HEADER: Final = struct.Struct(">10I")
_DEEPEST: Final = 64


class FdtError(ValueError):
    """Bytes that are no device tree; one line that says why."""


def from_blob(blob: bytes) -> tuple[Node, bytes, int]:
    """The root, the memory reservation block, and the boot CPU's number.

    All properties are ``bytes``. `FdtError` for anything damaged.
    """
    if len(blob) < _HEADER.size:
        raise FdtError("is too short for a device tree")
    magic, total, structure, strings, reserved, version, oldest, boot_cpu, _, _ = (
        _HEADER.unpack_from(blob)
    )
    if magic != _MAGIC:
        raise FdtError("is no device tree blob (dtc -I dts -O dtb makes one of a source)")
    if total > len(blob):
        raise FdtError("is a truncated device tree")
    if version < 17 or oldest > 17:
        raise FdtError(f"is a device tree of version {version}; 17 is read")
    try:
        root = _Reader(blob[:total], strings).tree(structure)
        return root, _reservations(blob[:total], reserved), boot_cpu
    except (struct.error, ValueError) as error:
        raise FdtError(f"is a damaged device tree: {error}") from None


def _reservations(blob: bytes, at: int) -> bytes:
    start = at
    while True:
        entry = struct.unpack_from(">2Q", blob, at)
        at += 16
        if entry == (0, 0):
            return blob[start:at]


class _Reader:
    def __init__(self, blob: bytes, strings: int) -> None:
        self._blob = blob
        self._strings = strings

    def tree(self, at: int) -> Node:
        """The root node, whose token is at *at*."""
        top = Node("")
        open_nodes = [top]
        while True:
            token = self._word(at)
            at += 4
            if token == _BEGIN_NODE:
                name = self._string(at)
                at += len(name) + 4 & -4
                if len(open_nodes) > _DEEPEST:
                    raise ValueError("nodes are nested too deeply")
                open_nodes.append(open_nodes[-1].add(name))
            elif token == _END_NODE:
                open_nodes.pop()
                if not open_nodes:
                    raise ValueError("a node ends that never began")
            elif token == _PROP:
                size, name_at = self._word(at), self._word(at + 4)
                at += 8
                if at + size > len(self._blob):
                    raise ValueError("a property ends behind the end")
                name = self._string(self._strings + name_at)
                open_nodes[-1].properties[name] = self._blob[at : at + size]
                at += size + 3 & -4
            elif token == _END:
                if len(open_nodes) != 1 or len(top.children) != 1 or top.properties:
                    raise ValueError("it has not one root")
                return top.children[0]
            elif token != _NOP:
                raise ValueError(f"token {token:#x}")

    def _word(self, at: int) -> int:
        value: int = struct.unpack_from(">I", self._blob, at)[0]
        return value

    def _string(self, at: int) -> str:
        end = self._blob.index(0, at)
        return self._blob[at:end].decode("ascii")
