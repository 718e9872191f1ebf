"""Snapshots: a halted machine's whole state as a value.

Memory is shared between snapshots: only pages written since the last one are copied (see
`board/snapshot_pages.py`). The line map knows which were written, whoever did it (docs/abi.md).
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from otoriscv.board.snapshot_check import mismatch
from otoriscv.board.snapshot_pages import Pages, restore_pages, save_pages
from otoriscv.core import mode
from otoriscv.core.layout import HART, HART_FIELDS_END, MACHINE
from otoriscv.devices.state import StateError, Stateful

if TYPE_CHECKING:
    from otoriscv.board.virt import VirtMachine
    from otoriscv.core.hart import Hart

__all__ = ["Event", "Snapshot", "SnapshotError", "restore", "save"]

_SLOTS: Final = (
    *("stop", "steps_end", "slice_end", "skip"),
    *("uart_ier", "uart_lcr", "uart_lsr", "uart_head", "uart_tail"),
    *("traps", "interrupts", "invalidations"),
)
_NAMES: Final = sorted((at, name) for name, at in HART.items() if at < HART_FIELDS_END)
_ENDS: Final = [*(at for at, _ in _NAMES[1:]), HART_FIELDS_END]
_FIELDS: Final = {name: (at, end) for (at, name), end in zip(_NAMES, _ENDS, strict=True)}


class SnapshotError(Exception):
    """This cannot be saved, or not be restored here; one line that says why."""


class Event(NamedTuple):
    """Something that a device will be told, so many instants from now.

    *device* counts the bus's devices, *method* is the one to call; or *callback* is any function.
    """

    delay: int
    device: int
    method: str
    callback: Callable[[], None] | None = None


class Snapshot(NamedTuple):
    """A machine's state. *identity* says which machines it fits."""

    identity: Mapping[str, Any]
    state: Mapping[str, Any]
    events: tuple[Event, ...]
    pages: Pages
    origin: weakref.ref[VirtMachine] | None = None

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write it to a file; OSError, or `SnapshotError` when an event is a local function's."""
        from otoriscv.board.snapshot_file import write

        write(self, os.fspath(path))

    @staticmethod
    def read(path: str | os.PathLike[str]) -> Snapshot:
        """Read a file that `write` made; `SnapshotError` for any other, OSError."""
        from otoriscv.board.snapshot_file import read

        return read(os.fspath(path))


# -- the whole


def save(machine: VirtMachine) -> Snapshot:
    """The state of a halted machine."""
    with machine.lock:
        machine.runner.settle()
        machine.flush()
        now = machine.instant
        state = _everything(machine)
        events = tuple(
            _event(machine, instant - now, call) for instant, call in machine.events.pending()
        )
        for hart in machine.harts:  # as `restore` does, so that both go on alike
            hart.flush_tlb()
        pages = save_pages(machine.memory, _last(machine))
        made = Snapshot(_identity(machine), state, events, pages, weakref.ref(machine))
        machine.checkpoint = made
        return made


def restore(machine: VirtMachine, snapshot: Snapshot) -> None:
    """Bring a halted machine into the state of *snapshot*."""
    with machine.lock:
        _check(machine, snapshot)
        callbacks = [(e.delay, _callback(machine, snapshot, e)) for e in snapshot.events]
        machine.runner.settle()
        machine.flush()
        state = snapshot.state
        restore_pages(machine.memory, _last(machine), snapshot.pages)
        for name, value in state["machine"].items():
            machine.m[MACHINE[name]] = value
        for hart, fields in zip(machine.harts, state["harts"], strict=True):
            _restore_hart(hart, fields)
        machine.clock.resume(*state["clock"])
        machine.runner.restore(state["runner"])
        machine.hub.restore(state["hub"])
        for (_, _, device), saved in zip(machine.bus.devices(), state["devices"], strict=True):
            if saved is not None:
                try:
                    _stateful(device).restore(saved)
                except StateError as error:
                    raise SnapshotError(str(error)) from None
        if machine.htif is not None:
            machine.htif.restore(state["htif"])
        if machine.semihosting is not None:
            machine.semihosting.restore(state["semihosting"])
        machine.events.clear()
        for delay, callback in callbacks:
            machine.events.add(machine.instant + delay, callback)
        machine.take_request()
        machine.ending = None
        machine.checkpoint = machine.origin = snapshot


def _everything(machine: VirtMachine) -> dict[str, Any]:
    """All state but memory and events."""
    return {
        "machine": {name: machine.m[MACHINE[name]] for name in _SLOTS},
        "harts": [_save_hart(hart) for hart in machine.harts],
        "clock": [machine.clock.elapsed(), machine.clock.ticks()],
        "runner": machine.runner.save(),
        "hub": machine.hub.save(),
        "devices": [_state(device) for _, _, device in machine.bus.devices()],
        "htif": None if machine.htif is None else machine.htif.save(),
        "semihosting": _semihosting(machine),
    }


def _last(machine: VirtMachine) -> Pages | None:
    return machine.checkpoint.pages if machine.checkpoint is not None else None


def _identity(machine: VirtMachine) -> dict[str, Any]:
    config = machine.config
    return {
        "isa": str(machine.isa),
        "memory": [[r.base, r.size, "rom" if r.rom else "ram"] for r in machine.memory.ranges()],
        "harts": len(machine.harts),
        "clock": config.clock,
        "mips": config.mips,
        "misaligned": config.misaligned,
        "devices": [[base, size, device.name] for base, size, device in machine.bus.devices()],
        "semihosting": config.semihosting,
        "htif": None if machine.htif is None else machine.htif.tohost,
    }


def _check(machine: VirtMachine, snapshot: Snapshot) -> None:
    here = _identity(machine)
    for what, value in here.items():
        there = snapshot.identity.get(what)
        if there != value:
            raise SnapshotError(f"it is of another machine: {what} {there}, here {value}")
    if snapshot.origin is None:  # it is from a file
        where = mismatch(_everything(machine), snapshot.state)
        if where is not None:
            raise SnapshotError(f"it was not written by this version: {where} is different here")


# -- parts


def _save_hart(hart: Hart) -> dict[str, list[int]]:
    return {name: hart.q[at:end].tolist() for name, (at, end) in _FIELDS.items()}


def _restore_hart(hart: Hart, fields: Mapping[str, list[int]]) -> None:
    q = hart.q
    watching = q[HART["mode"]] & (mode.WATCH_R | mode.WATCH_W)
    for name, values in fields.items():
        at = HART[name]
        for n, value in enumerate(values):
            q[at + n] = value
    q[HART["mode"]] = q[HART["mode"]] & ~(mode.WATCH_R | mode.WATCH_W) | watching
    hart.flush_tlb()


def _stateful(device: object) -> Stateful:
    own = getattr(device, "device", device)  # inside the API's wrapper
    assert isinstance(own, Stateful)
    return own


def _state(device: object) -> dict[str, Any] | None:
    own = getattr(device, "device", device)
    try:
        return own.save() if isinstance(own, Stateful) else None
    except StateError as error:
        raise SnapshotError(str(error)) from None


def _semihosting(machine: VirtMachine) -> dict[str, Any] | None:
    host = machine.semihosting
    if host is None:
        return None
    if host.files_open:
        raise SnapshotError("the guest has a host file open through semihosting")
    return host.save()


def _event(machine: VirtMachine, delay: int, callback: Callable[[], None]) -> Event:
    owner, name = getattr(callback, "__self__", None), getattr(callback, "__name__", "")
    for n, (_, _, device) in enumerate(machine.bus.devices()):
        if owner is not None and owner is getattr(device, "device", device):
            return Event(delay, n, name)
    return Event(delay, -1, "", callback)


def _callback(machine: VirtMachine, snapshot: Snapshot, event: Event) -> Callable[[], None]:
    if event.callback is not None:
        if snapshot.origin is None or snapshot.origin() is not machine:
            raise SnapshotError("a function of another machine is to be called later")
        return event.callback
    devices = machine.bus.devices()
    if not 0 <= event.device < len(devices):
        raise SnapshotError(f"its event is of device {event.device}: there are {len(devices)}")
    device: object = devices[event.device][2]
    found = getattr(getattr(device, "device", device), event.method, None)
    if not callable(found):
        raise SnapshotError(f"its {devices[event.device][2].name} is another device")
    callback: Callable[[], None] = found
    return callback
