"""The board's virtio devices: ``--drive``, ``--net`` and ``--device``, as data and as devices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from otoriscv.devices.entropy import Entropy
from otoriscv.devices.virtio.blk import VirtioBlk
from otoriscv.devices.virtio.console import VirtioConsole
from otoriscv.devices.virtio.device import VirtioDevice
from otoriscv.devices.virtio.disk import Disk
from otoriscv.devices.virtio.net import VirtioNet
from otoriscv.devices.virtio.rng import VirtioRng

if TYPE_CHECKING:
    from otoriscv.board.net_options import Net, UserNet
    from otoriscv.board.net_pump import FramePump

__all__ = ["DEVICES", "Drive", "VirtioConfig", "VirtioParts", "parse_drive"]

#: What ``--device`` can name.
DEVICES: Final = ("virtio-console", "virtio-rng")
_FLAGS: Final = ("readonly", "snapshot")


class Drive(NamedTuple):
    """A disk: an image file; writes go nowhere, or are forgotten."""

    path: str
    readonly: bool = False
    snapshot: bool = False


class VirtioConfig(NamedTuple):
    """All virtio devices of a machine."""

    drives: Sequence[Drive] = ()
    net: Net | UserNet | None = None
    devices: Sequence[str] = ()

    @property
    def repeatable(self) -> bool:
        """Whether a run depends on nothing but these files, and leaves them alone."""
        return self.net is None and all(d.readonly or d.snapshot for d in self.drives)


def parse_drive(text: str) -> Drive:
    """``FILE[,readonly][,snapshot]``; ValueError. A comma in the name is taken as it is."""
    path, flags = text, set()
    while (head := path.rpartition(","))[2] in _FLAGS and head[1]:
        flags.add(head[2])
        path = head[0]
    if not path:
        raise ValueError(f"{text!r} is not FILE[,readonly][,snapshot]")
    return Drive(path, "readonly" in flags, "snapshot" in flags)


def _connect(
    net: Net | UserNet, wake: Callable[[], None], notice: Callable[[str], None]
) -> FramePump:
    """What a network card is connected to; `NetError`."""
    from otoriscv.board.net_options import UserNet

    if isinstance(net, UserNet):
        from otoriscv.board.net_user import UserModeNet

        return UserModeNet(net, wake, notice)
    from otoriscv.board.net_socket import SocketNet

    return SocketNet(net, wake, notice)


class VirtioParts:
    """The devices made from a `VirtioConfig`, and what has to be closed."""

    def __init__(self) -> None:
        self.devices: list[VirtioDevice] = []
        self.disks: list[Disk] = []
        self.console: VirtioConsole | None = None
        self.card: VirtioNet | None = None
        self.net: FramePump | None = None

    @staticmethod
    def make(
        config: VirtioConfig,
        *,
        output: Callable[[bytes], None],
        wake: Callable[[], None],
        notice: Callable[[str], None],
        repeatable: bool,
    ) -> VirtioParts:
        """Open everything; `DiskError`, `NetError`. *repeatable*: random numbers are no secret."""
        parts = VirtioParts()
        try:
            for number, drive in enumerate(config.drives):
                disk = Disk(drive.path, readonly=drive.readonly, snapshot=drive.snapshot)
                parts.disks.append(disk)
                parts.devices.append(VirtioBlk(disk, f"oto{number}"))
            if config.net is not None:
                parts.net = _connect(config.net, wake, notice)
                parts.card = VirtioNet(config.net.mac, parts.net.send)
                parts.devices.append(parts.card)
            for name in config.devices:
                if name == "virtio-rng":
                    parts.devices.append(VirtioRng(Entropy(name, repeatable=repeatable)))
                else:
                    parts.console = VirtioConsole(output)
                    parts.devices.append(parts.console)
        except BaseException:
            parts.close()
            raise
        return parts

    def pump(self) -> None:
        """Let frames in."""
        if self.net is not None and self.card is not None:
            for frame in self.net.take():
                self.card.receive(frame)

    def close(self) -> None:
        """Close files and connections."""
        for disk in self.disks:
            disk.close()
        if self.net is not None:
            self.net.close()
