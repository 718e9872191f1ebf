"""Flattened device tree writer (Devicetree Specification v0.4, chapter 5, format version 17)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final, TypeAlias

__all__ = ["Cells", "Node", "Value", "cells", "to_blob"]

_MAGIC: Final = 0xD00D_FEED
_VERSION: Final = 17
_COMPATIBLE_VERSION: Final = 16
_BEGIN_NODE, _END_NODE, _PROP, _END = 1, 2, 3, 9
_HEADER: Final = struct.Struct(">10I")


class Cells(tuple[int, ...]):
    """A property made of 32-bit cells."""

    __slots__ = ()


#: What a property can be: empty (None), one cell, cells, a string, strings, raw bytes.
Value: TypeAlias = int | Cells | str | Sequence[str] | bytes | None


def cells(*values: int, size: int = 1) -> Cells:
    """*values* as big-endian numbers of *size* cells each."""
    out: list[int] = []
    for value in values:
        if not 0 <= value < 1 << 32 * size:
            raise ValueError(f"{value:#x} does not fit {size} cells")
        out += [value >> 32 * i & 0xFFFF_FFFF for i in reversed(range(size))]
    return Cells(out)


class Node:
    """A node: properties by name and child nodes, both kept in order."""

    def __init__(self, name: str, properties: dict[str, Value] | None = None) -> None:
        self.name = name
        self.properties = {} if properties is None else properties
        self.children: list[Node] = []

    def add(self, name: str, properties: dict[str, Value] | None = None) -> Node:
        """Append and return a child node."""
        child = Node(name, properties)
        self.children.append(child)
        return child

    def find(self, path: str) -> Node:
        """The node at *path* below this one; KeyError when there is none."""
        node = self
        for part in filter(None, path.split("/")):
            for child in node.children:
                if child.name == part:
                    node = child
                    break
            else:
                raise KeyError(path)
        return node


class _Writer:
    def __init__(self) -> None:
        self.structure = bytearray()
        self.strings = bytearray()
        self._offsets: dict[str, int] = {}

    def node(self, node: Node) -> None:
        self._word(_BEGIN_NODE)
        self._padded(node.name.encode("ascii") + b"\0")
        for name, value in node.properties.items():
            data = _encode(value)
            self._word(_PROP)
            self._word(len(data))
            self._word(self._string(name))
            self._padded(data)
        for child in node.children:
            self.node(child)
        self._word(_END_NODE)

    def finish(self) -> None:
        self._word(_END)

    def _string(self, name: str) -> int:
        if name not in self._offsets:
            self._offsets[name] = len(self.strings)
            self.strings += name.encode("ascii") + b"\0"
        return self._offsets[name]

    def _word(self, value: int) -> None:
        self.structure += value.to_bytes(4, "big")

    def _padded(self, data: bytes) -> None:
        self.structure += data + bytes(-len(data) % 4)


def _encode(value: Value) -> bytes:
    if value is None:
        return b""
    if isinstance(value, int):
        return value.to_bytes(4, "big")
    if isinstance(value, Cells):
        return b"".join(v.to_bytes(4, "big") for v in value)
    if isinstance(value, bytes):
        return value
    strings = [value] if isinstance(value, str) else value
    return b"".join(s.encode("utf-8") + b"\0" for s in strings)


def to_blob(root: Node, *, boot_cpu: int = 0, reservations: bytes = bytes(16)) -> bytes:
    """*root* as a blob: header, memory reservation block (empty as it is), structure, strings."""
    writer = _Writer()
    writer.node(root)
    writer.finish()
    structure_at = _HEADER.size + len(reservations)
    strings_at = structure_at + len(writer.structure)
    header = _HEADER.pack(
        _MAGIC,
        strings_at + len(writer.strings),
        structure_at,
        strings_at,
        _HEADER.size,
        _VERSION,
        _COMPATIBLE_VERSION,
        boot_cpu,
        len(writer.strings),
        len(writer.structure),
    )
    return header + reservations + bytes(writer.structure + writer.strings)
