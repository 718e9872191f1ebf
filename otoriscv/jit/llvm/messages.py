"""What goes over a compile worker's pipes: pickles with their length in front."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import IO, Any, Final

__all__ = ["message", "messages", "taken"]

#: The largest message that makes sense; a length beyond is garbage.
_LARGEST: Final = 1 << 28


def message(content: object) -> bytes:
    """*content* as it is sent."""
    data = pickle.dumps(content)
    return len(data).to_bytes(8, "little") + data


def messages(file: IO[bytes]) -> Iterator[Any]:
    """What was sent into *file*, to the last whole message."""
    while len(head := file.read(8)) == 8:
        size = int.from_bytes(head, "little")
        data = file.read(size)
        if len(data) < size:
            return
        yield pickle.loads(data)


def taken(received: bytearray) -> Any:
    """The one message in *received*, which is emptied; None while it is not whole. ValueError for
    garbage, and whatever unpickling that raises."""
    if len(received) < 8:
        return None
    size = int.from_bytes(received[:8], "little")
    if size > _LARGEST:
        raise ValueError("an answer that makes no sense")
    if len(received) < 8 + size:
        return None
    if len(received) > 8 + size:
        raise ValueError("an answer that makes no sense")
    content = pickle.loads(bytes(received[8:]))
    received.clear()
    return content
