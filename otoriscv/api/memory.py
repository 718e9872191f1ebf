"""Guest memory by slices and typed views."""

from __future__ import annotations

import struct
from typing import Final, Protocol, overload

from otoriscv.api.symbols import Address, Symbols

__all__ = ["GuestMemory", "MemoryView", "TypedView"]

_CHUNK: Final = 256
_Slice = slice


class GuestMemory(Protocol):
    """What a view is of: physical memory, or memory under a hart's addresses."""

    def available(self, address: int, length: int) -> int:
        """How many of *length* bytes at *address* can be read."""
        ...

    def read(self, address: int, length: int) -> bytes:
        """Exactly that many bytes; `MemoryHole` when they are not there."""
        ...

    def write(self, address: int, data: bytes, *, rom: bool = False) -> None:
        """Write all of it, or nothing and raise `MemoryHole`."""
        ...


def _span(index: slice, symbols: Symbols) -> tuple[int, int]:
    """Address and length of ``[start:stop]``; a stop that is not above start is a length."""
    if index.start is None or index.stop is None or index.step is not None:
        raise TypeError("memory is sliced as [start:stop] or [start:+length]")
    start, stop = symbols.resolve(index.start), symbols.resolve(index.stop)
    if stop < 0:
        raise ValueError(f"a length of {stop}")
    return start, stop - start if stop > start else stop


class TypedView:
    """Memory as little-endian numbers of one type.

    An index is an address (of any alignment); a slice gives the numbers in that many *bytes*.

    Examples
    --------
    >>> from otoriscv import Machine
    >>> m = Machine()
    >>> m.mem.u32[0x80000000] = 0xdeadbeef
    >>> hex(m.mem.u16[0x80000002])
    '0xdead'
    >>> m.mem.u8[0x80000000:+4]
    [239, 190, 173, 222]
    """

    def __init__(self, memory: GuestMemory, symbols: Symbols, code: str) -> None:
        self._memory = memory
        self._symbols = symbols
        self._item = struct.Struct(f"<{code}")

    @overload
    def __getitem__(self, index: Address) -> int: ...
    @overload
    def __getitem__(self, index: _Slice) -> list[int]: ...
    def __getitem__(self, index: Address | _Slice) -> int | list[int]:
        size = self._item.size
        if isinstance(index, slice):
            address, length = _span(index, self._symbols)
            raw = self._memory.read(address, length - length % size)
            return [value for (value,) in self._item.iter_unpack(raw)]
        value: int = self._item.unpack(self._memory.read(self._symbols.resolve(index), size))[0]
        return value

    def __setitem__(self, index: Address, value: int) -> None:
        size = self._item.size
        raw = (value & (1 << 8 * size) - 1).to_bytes(size, "little")
        self._memory.write(self._symbols.resolve(index), raw, rom=True)


class MemoryView:
    """RAM and ROM of a machine: ``mem`` by physical address, ``memory`` through page tables.

    Addresses may be symbols. ``[start:stop]`` is the bytes between, ``[start:+length]`` (a stop
    that is not above start) that many bytes. What is written takes effect on code that was
    translated already. `MemoryHole` where no memory is; devices are not reached from here.

    Examples
    --------
    >>> from otoriscv import Machine
    >>> m = Machine()
    >>> m.mem[0x80000000:+5] = b"hello"
    >>> m.mem[0x80000001:0x80000003], m.mem[0x80000004]
    (b'el', 111)
    >>> m.mem.cstring(0x80000000)
    'hello'
    """

    def __init__(self, memory: GuestMemory, symbols: Symbols) -> None:
        self._memory = memory
        self._symbols = symbols
        self.u8 = TypedView(memory, symbols, "B")
        self.u16 = TypedView(memory, symbols, "H")
        self.u32 = TypedView(memory, symbols, "I")
        self.u64 = TypedView(memory, symbols, "Q")
        self.i8 = TypedView(memory, symbols, "b")
        self.i16 = TypedView(memory, symbols, "h")
        self.i32 = TypedView(memory, symbols, "i")
        self.i64 = TypedView(memory, symbols, "q")

    @overload
    def __getitem__(self, index: Address) -> int: ...
    @overload
    def __getitem__(self, index: _Slice) -> bytes: ...
    def __getitem__(self, index: Address | _Slice) -> int | bytes:
        if isinstance(index, slice):
            return self._memory.read(*_span(index, self._symbols))
        return self.u8[index]

    def __setitem__(self, index: Address | _Slice, value: int | bytes) -> None:
        if isinstance(index, slice):
            address, length = _span(index, self._symbols)
            if isinstance(value, int) or len(value) != length:
                raise ValueError(f"{length} bytes of memory take {length} bytes")
            self._memory.write(address, value, rom=True)
        elif isinstance(value, int):
            self.u8[index] = value
        else:
            self._memory.write(self._symbols.resolve(index), value, rom=True)

    def cstring(self, where: Address, limit: int = 1 << 16) -> str:
        """The C string at *where*, decoded as UTF-8; *limit* bytes at most."""
        address, data = self._symbols.resolve(where), bytearray()
        while len(data) < limit:
            n = self._memory.available(address + len(data), min(_CHUNK, limit - len(data)))
            piece = self._memory.read(address + len(data), max(n, 1))
            end = piece.find(0)
            data += piece if end < 0 else piece[:end]
            if end >= 0:
                break
        return data.decode(errors="replace")
