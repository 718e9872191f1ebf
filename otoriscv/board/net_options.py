"""``--net`` as data: a card on a TCP connection, or on a network that the host makes for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import Final, NamedTuple

__all__ = ["Forward", "Net", "NetError", "UserNet", "parse_net"]

_MAC: Final = bytes.fromhex("525400123456")  # QEMU's first
_LOOPBACK: Final = IPv4Address("127.0.0.1")
_NETWORK: Final = IPv4Network("10.0.2.0/24")  # QEMU's
_FORWARD: Final = re.compile(r"(tcp|udp|):([\d.]*):(\d+)-([\d.]*):(\d+)")
_SWITCH: Final = {"on": True, "off": False}


class NetError(Exception):
    """The network cannot be had; one line that says why."""


class Net(NamedTuple):
    """A network card on a TCP connection, which it makes or (*listen*) waits for."""

    host: str
    port: int
    listen: bool
    mac: bytes = _MAC


class Forward(NamedTuple):
    """A port of the host (0: any free one) that leads to one of the guest.

    *guest* None is the address that the first guest gets by DHCP.
    """

    udp: bool
    host: IPv4Address
    host_port: int
    guest: IPv4Address | None
    guest_port: int

    def __str__(self) -> str:
        kind = "udp" if self.udp else "tcp"
        return f"{kind}:{self.host}:{self.host_port}-{self.guest or ''}:{self.guest_port}"


class UserNet(NamedTuple):
    """A network behind the host's own connections, with DHCP and DNS (libslirp).

    The host is *network*'s address 2, DNS 3, and the first guest gets 15. *restrict*: the guest
    reaches nothing but forwarded ports.
    """

    forwards: tuple[Forward, ...] = ()
    network: IPv4Network = _NETWORK
    restrict: bool = False
    ipv6: bool = True
    hostname: str = ""
    mac: bytes = _MAC


def parse_net(text: str) -> Net | UserNet:
    """``user``, ``connect:[HOST:]PORT`` or ``listen:[HOST:]PORT``, then options; ValueError."""
    where, *options = text.split(",")
    return _user(text, options) if where == "user" else _socket(text, where, options)


def _mac(value: str) -> bytes:
    mac = bytes.fromhex(value.replace(":", ""))
    if len(mac) != 6 or mac[0] & 1:
        raise ValueError
    return mac


def _port(text: str, lowest: int = 0) -> int:
    if not lowest <= int(text) < 1 << 16:
        raise ValueError
    return int(text)


def _socket(text: str, where: str, options: list[str]) -> Net:
    kind, _, rest = where.partition(":")
    host, _, port = rest.rpartition(":")
    mac = _MAC
    try:
        for option in options:
            key, _, value = option.partition("=")
            if key != "mac":
                raise ValueError
            mac = _mac(value)
        if kind not in ("connect", "listen"):
            raise ValueError
        number = _port(port)
    except ValueError:
        raise ValueError(
            f"{text!r} is not user, connect:[HOST:]PORT or listen:[HOST:]PORT, perhaps with ,mac="
        ) from None
    return Net(host.strip("[]") or "127.0.0.1", number, kind == "listen", mac)


def _forward(value: str) -> Forward:
    match = _FORWARD.fullmatch(value)
    if match is None:
        raise ValueError
    kind, host, host_port, guest, guest_port = match.groups()
    return Forward(
        kind == "udp",
        IPv4Address(host) if host else _LOOPBACK,
        _port(host_port),
        IPv4Address(guest) if guest else None,
        _port(guest_port, 1),
    )


def _network(value: str) -> IPv4Network:
    network = IPv4Network(value, strict=False)
    if not 1 <= network.prefixlen <= 27:  # room for the addresses 2, 3 and 15 and those behind
        raise ValueError
    return network


def _hostname(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.-]{1,32}", value):  # longer ones libslirp leaves out
        raise ValueError
    return value


def _switch(value: str) -> bool:
    if value not in _SWITCH:
        raise ValueError
    return _SWITCH[value]


#: The options of ``user``: what each does to a network, and how its value is written.
_USER: Final[Mapping[str, tuple[Callable[[UserNet, str], UserNet], str]]] = {
    "hostfwd": (
        lambda net, value: net._replace(forwards=(*net.forwards, _forward(value))),
        "[tcp|udp]:[HOSTADDRESS]:PORT-[GUESTADDRESS]:PORT",
    ),
    "net": (
        lambda net, value: net._replace(network=_network(value)),
        "ADDRESS/LENGTH, at most /27",
    ),
    "restrict": (lambda net, value: net._replace(restrict=_switch(value)), "on or off"),
    "ipv6": (lambda net, value: net._replace(ipv6=_switch(value)), "on or off"),
    "hostname": (
        lambda net, value: net._replace(hostname=_hostname(value)),
        "a name of at most 32 letters",
    ),
    "mac": (lambda net, value: net._replace(mac=_mac(value)), "six bytes, of no group of stations"),
}


def _user(text: str, options: list[str]) -> UserNet:
    net = UserNet()
    for option in options:
        key, _, value = option.partition("=")
        if key not in _USER:
            raise ValueError(f"{text!r}: user has the options {', '.join(_USER)}, not {key!r}")
        change, shape = _USER[key]
        try:
            net = change(net, value)
        except ValueError as error:
            raise ValueError(f"{text!r}: {key}={value} should be {key}={shape}") from error
    return net
