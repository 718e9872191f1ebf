"""A fast RISC-V emulator in Python, made for debugging.

Everything public can be imported from here; the modules behind it are loaded when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from otoriscv.api import Device, ExpectError, Machine
    from otoriscv.board.console import BufferConsole
    from otoriscv.board.loaders import Image, ImageError, load_image
    from otoriscv.board.snapshot import Snapshot, SnapshotError
    from otoriscv.board.stops import Stop, StopReason
    from otoriscv.board.target import BoardTarget
    from otoriscv.board.virt import VirtConfig, VirtMachine
    from otoriscv.core.bus import BusFault
    from otoriscv.core.isa_string import Isa
    from otoriscv.core.memory import MemoryHole
    from otoriscv.gdbstub.server import GdbServer
    from otoriscv.jit.engine import EngineUnavailable

__version__: Final = "0.1.0"

_HOME: Final = {
    "BoardTarget": "otoriscv.board.target",
    "BufferConsole": "otoriscv.board.console",
    "BusFault": "otoriscv.core.bus",
    "Device": "otoriscv.api",
    "EngineUnavailable": "otoriscv.jit.engine",
    "ExpectError": "otoriscv.api",
    "GdbServer": "otoriscv.gdbstub.server",
    "Image": "otoriscv.board.loaders",
    "ImageError": "otoriscv.board.loaders",
    "Isa": "otoriscv.core.isa_string",
    "Machine": "otoriscv.api",
    "MemoryHole": "otoriscv.core.memory",
    "Snapshot": "otoriscv.board.snapshot",
    "SnapshotError": "otoriscv.board.snapshot",
    "Stop": "otoriscv.board.stops",
    "StopReason": "otoriscv.board.stops",
    "VirtConfig": "otoriscv.board.virt",
    "VirtMachine": "otoriscv.board.virt",
    "load_image": "otoriscv.board.loaders",
}

__all__ = [
    "BoardTarget",
    "BufferConsole",
    "BusFault",
    "Device",
    "EngineUnavailable",
    "ExpectError",
    "GdbServer",
    "Image",
    "ImageError",
    "Isa",
    "Machine",
    "MemoryHole",
    "Snapshot",
    "SnapshotError",
    "Stop",
    "StopReason",
    "VirtConfig",
    "VirtMachine",
    "__version__",
    "load_image",
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
