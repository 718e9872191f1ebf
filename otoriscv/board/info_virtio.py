"""``monitor info virtio``: each device's status, features and queues."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otoriscv.devices.virtio.mmio import VirtioMmio

if TYPE_CHECKING:
    from otoriscv.board.virt import VirtMachine

__all__ = ["virtio"]


def virtio(machine: VirtMachine) -> str:
    """All devices, by address."""
    found = [(base, d) for base, _, d in machine.bus.devices() if isinstance(d, VirtioMmio)]
    found.sort(key=lambda pair: pair[0])
    return "".join(_device(base, device) for base, device in found) or (
        "there are no virtio devices\n"
    )


def _device(base: int, device: VirtioMmio) -> str:
    features = device.features
    chosen = [name for name, taken in features.items() if taken]
    others = [name for name, taken in features.items() if not taken]
    rows = [
        f"{device.name} at {base:#x}: {' '.join(device.status) or 'reset'}\n",
        f"  features: {' '.join(chosen) or 'none'}; also offered: {' '.join(others) or 'none'}\n",
    ]
    for index, queue in enumerate(device.queues):
        if not queue.ready:
            rows.append(f"  queue {index}: not ready, up to {queue.largest} entries\n")
            continue
        rows.append(
            f"  queue {index}: {queue.size} entries, descriptors {queue.descriptors:#x}, "
            f"available {queue.driver:#x}, used {queue.device:#x}; "
            f"{queue.taken} taken, {queue.given} given back (modulo 65536)\n"
        )
    if device.error:
        rows.append(f"  the driver's mistake: {device.error}\n")
    return "".join(rows)
