"""``--net user``: a network card on a network that libslirp makes of the host's own connections."""

from __future__ import annotations

import select
from collections import deque
from collections.abc import Callable
from typing import Final

from otoriscv import tools
from otoriscv.board import slirp
from otoriscv.board.net_options import Forward, NetError, UserNet
from otoriscv.board.net_pump import FramePump

__all__ = ["UserModeNet"]

_BACKLOG: Final = 4096  # frames of the guest that wait; more are lost, as on a wire
_POLL: Final = (
    (slirp.IN, select.POLLIN),
    (slirp.OUT, select.POLLOUT),
    (slirp.PRI, select.POLLPRI),
    (slirp.ERR, select.POLLERR),
    (slirp.HUP, select.POLLHUP),
)


class UserModeNet(FramePump):
    """Frames in and out of libslirp, on a thread that sleeps until one of its sockets is ready.

    ``forwards`` are those of *config*, with the ports that they really have. `NetError`.
    """

    def __init__(
        self, config: UserNet, wake: Callable[[], None], notice: Callable[[str], None]
    ) -> None:
        lib = slirp.library()
        if lib is None:
            get = tools.hint("slirp", tools.package_manager())
            raise NetError(f"--net user needs libslirp, which is not here: {get}")
        self._from_guest: deque[bytes] = deque()
        self._slirp = slirp.Slirp(lib, config, self.received)
        self.forwards: list[Forward] = []
        try:
            for rule in config.forwards:
                self.forwards.append(rule._replace(host_port=self._slirp.forward(rule)))
        except NetError:
            self._slirp.close()
            raise
        for rule in self.forwards:
            kind = "udp" if rule.udp else "tcp"
            to = f"{rule.guest or config.network[15]}:{rule.guest_port}"
            notice(f"{kind} {rule.host}:{rule.host_port} leads to the guest's {to}")
        super().__init__(wake)
        self.start()

    @property
    def open(self) -> bool:
        """Whether frames may still come."""
        return not self.closed

    def send(self, frame: bytes) -> None:
        """A frame from the guest; it is lost when too many wait."""
        if len(self._from_guest) < _BACKLOG:
            self._from_guest.append(frame)
            self.wake()

    def close(self) -> bool:
        """End the network; connections are cut."""
        ended = super().close()
        if ended:
            self._slirp.close()
        return ended

    def pump(self) -> None:
        """The thread."""
        while not self.closed:
            fds, seconds = self._slirp.wanted()
            poll = select.poll()
            poll.register(self.wake_read, select.POLLIN)
            for fd, events in fds:
                poll.register(fd, sum(host for ours, host in _POLL if events & ours))
            ready = dict(poll.poll(None if seconds is None else -(-seconds * 1000 // 1)))
            if ready.pop(self.wake_read, 0):
                self.woken()
            self._slirp.ready(
                {
                    fd: sum(ours for ours, host in _POLL if events & host)
                    for fd, events in ready.items()
                }
            )
            while self._from_guest:
                self._slirp.input(self._from_guest.popleft())
            if self.waiting:
                self.tell()
