"""libslirp through ctypes: TCP/IP in the host's user space (libslirp.h, SlirpConfig version 1).

Everything here is called on one thread, the callbacks too. A callback never raises into C: what it
raises comes out of the Python call that led to it.
"""

from __future__ import annotations

import ctypes
import os
import re
import socket
import time
from collections.abc import Callable
from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    c_bool,
    c_char_p,
    c_int,
    c_int64,
    c_size_t,
    c_ssize_t,
    c_uint8,
    c_uint32,
    c_void_p,
)
from functools import lru_cache
from ipaddress import IPv4Address
from typing import Any, Final

from otoriscv.board.net_options import Forward, NetError, UserNet

__all__ = ["IN", "LIBRARIES", "OUT", "Slirp", "library", "version"]

LIBRARIES: Final = ("libslirp.so.0", "libslirp.0.dylib")
#: What is polled for, and what came of it.
IN, OUT, PRI, ERR, HUP = 1, 2, 4, 8, 16
_FOREVER: Final = 0xFFFF_FFFF
_PREFIX6: Final = bytes.fromhex("fec0" + "00" * 14)  # QEMU's site-local one


class _In(Structure):
    """struct in_addr: network byte order."""

    _fields_ = (("s_addr", c_uint32),)

    @staticmethod
    def of(address: IPv4Address) -> _In:
        """*address*."""
        return _In.from_buffer_copy(address.packed)


class _In6(Structure):
    _fields_ = (("s6_addr32", c_uint32 * 4),)  # in words, as that is how it is aligned


_Timer = CFUNCTYPE(None, c_void_p)
_AddPoll = CFUNCTYPE(c_int, c_int, c_int, c_void_p)
_GetEvents = CFUNCTYPE(c_int, c_int, c_void_p)


class _Callbacks(Structure):
    _fields_ = (
        ("send_packet", CFUNCTYPE(c_ssize_t, c_void_p, c_size_t, c_void_p)),
        ("guest_error", CFUNCTYPE(None, c_char_p, c_void_p)),
        ("clock_get_ns", CFUNCTYPE(c_int64, c_void_p)),
        ("timer_new", CFUNCTYPE(c_void_p, c_void_p, c_void_p, c_void_p)),
        ("timer_free", CFUNCTYPE(None, c_void_p, c_void_p)),
        ("timer_mod", CFUNCTYPE(None, c_void_p, c_int64, c_void_p)),
        ("register_poll_fd", CFUNCTYPE(None, c_int, c_void_p)),
        ("unregister_poll_fd", CFUNCTYPE(None, c_int, c_void_p)),
        ("notify", CFUNCTYPE(None, c_void_p)),
    )


class _Config(Structure):
    _fields_ = (
        ("version", c_uint32),
        ("restricted", c_int),
        ("in_enabled", c_bool),
        ("vnetwork", _In),
        ("vnetmask", _In),
        ("vhost", _In),
        ("in6_enabled", c_bool),
        ("vprefix_addr6", _In6),
        ("vprefix_len", c_uint8),
        ("vhost6", _In6),
        ("vhostname", c_char_p),
        ("tftp_server_name", c_char_p),
        ("tftp_path", c_char_p),
        ("bootfile", c_char_p),
        ("vdhcp_start", _In),
        ("vnameserver", _In),
        ("vnameserver6", _In6),
        ("vdnssearch", c_void_p),
        ("vdomainname", c_char_p),
        ("if_mtu", c_size_t),
        ("if_mru", c_size_t),
        ("disable_host_loopback", c_bool),
        ("enable_emu", c_bool),
    )


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL | None:
    """libslirp, None when this system has none."""
    for name in LIBRARIES:
        try:
            lib = ctypes.CDLL(name, use_errno=True)
        except OSError:
            continue
        for function, result, *arguments in (
            ("slirp_new", c_void_p, POINTER(_Config), POINTER(_Callbacks), c_void_p),
            ("slirp_cleanup", None, c_void_p),
            ("slirp_pollfds_fill", None, c_void_p, POINTER(c_uint32), _AddPoll, c_void_p),
            ("slirp_pollfds_poll", None, c_void_p, c_int, _GetEvents, c_void_p),
            ("slirp_input", None, c_void_p, c_char_p, c_int),
            ("slirp_add_hostfwd", c_int, c_void_p, c_int, _In, c_int, _In, c_int),
            ("slirp_connection_info", c_void_p, c_void_p),
            ("g_free", None, c_void_p),  # of GLib, which libslirp is linked with
            ("slirp_version_string", c_char_p),
        ):
            getattr(lib, function).restype = result
            getattr(lib, function).argtypes = arguments
        return lib
    return None


def version() -> str:
    """The library's version, "" when there is none."""
    lib = library()
    return "" if lib is None else lib.slirp_version_string().decode()


def _nothing(*arguments: object) -> None:
    """What the library tells here is of no use."""


def _config(net: UserNet) -> _Config:
    def place(number: int) -> _In:
        return _In.of(net.network[number])

    def place6(number: int) -> _In6:
        return _In6.from_buffer_copy(_PREFIX6[:-1] + bytes([number]))

    return _Config(
        version=1,
        restricted=net.restrict,
        in_enabled=True,
        vnetwork=place(0),
        vnetmask=_In.of(net.network.netmask),
        vhost=place(2),
        in6_enabled=net.ipv6,
        vprefix_addr6=place6(0),
        vprefix_len=64,
        vhost6=place6(2),
        vhostname=net.hostname.encode() or None,
        vdhcp_start=place(15),
        vnameserver=place(3),
        vnameserver6=place6(3),
    )


class Slirp:
    """One network. *receive* gets the frames for the guest."""

    def __init__(self, lib: ctypes.CDLL, net: UserNet, receive: Callable[[bytes], None]) -> None:
        self._lib = lib
        self._receive = receive
        self._raised: BaseException | None = None
        self._timers: dict[int, tuple[Any, int | None]] = {}  # (function, its argument)
        self._due: dict[int, int] = {}  # by timer, milliseconds of the clock
        self._last_timer = 0
        self._fds: list[tuple[int, int]] = []
        self._events: dict[int, int] = {}
        self._add_poll = _AddPoll(self._guarded(self._polled, -1))
        self._get_events = _GetEvents(self._guarded(self._event, ERR))
        functions: tuple[tuple[Callable[..., object], object], ...] = (  # and what a failure gives
            (self._sent, -1),
            (_nothing, None),
            (lambda opaque: time.monotonic_ns(), 0),
            (self._new_timer, None),
            (self._free_timer, None),
            (self._set_timer, None),
            (_nothing, None),
            (_nothing, None),
            (_nothing, None),
        )
        kinds: list[Any] = [kind for _, kind in _Callbacks._fields_]
        self._callbacks = _Callbacks(  # kept: the library does not copy it
            *(
                kind(self._guarded(*function))
                for kind, function in zip(kinds, functions, strict=True)
            )
        )
        self._slirp = lib.slirp_new(ctypes.byref(_config(net)), ctypes.byref(self._callbacks), None)
        if not self._slirp:
            raise NetError("--net user: libslirp refuses this network")
        self._check()

    def close(self) -> None:
        """Free it, and close its sockets."""
        slirp, self._slirp = self._slirp, None
        if slirp:
            self._lib.slirp_cleanup(slirp)

    def forward(self, rule: Forward) -> int:
        """Let *rule* in; the host's port. `NetError`."""
        guest = IPv4Address(0) if rule.guest is None else rule.guest
        before = self._forwarding(rule)
        ends = (_In.of(rule.host), rule.host_port, _In.of(guest), rule.guest_port)
        if self._lib.slirp_add_hostfwd(self._slirp, int(rule.udp), *ends) < 0:
            why = os.strerror(ctypes.get_errno())
            raise NetError(f"--net user: hostfwd={rule}: {why}")
        if rule.host_port:
            return rule.host_port
        # the host chose one: only the list of sockets leads to it
        for fd in self._forwarding(rule) - before:
            with socket.socket(fileno=os.dup(fd)) as end:
                return int(end.getsockname()[1])
        raise NetError(f"--net user: hostfwd={rule}: libslirp does not tell its port")

    def _forwarding(self, rule: Forward) -> set[int]:
        """The descriptors on which connections of *rule*'s kind are let in."""
        text = self._lib.slirp_connection_info(self._slirp)
        listing = ctypes.string_at(text).decode()
        self._lib.g_free(text)
        kind = "UDP" if rule.udp else "TCP"
        return {int(fd) for fd in re.findall(rf"{kind}\[HOST_FORWARD\]\s+(\d+)", listing)}

    def input(self, frame: bytes) -> None:
        """A frame from the guest."""
        self._lib.slirp_input(self._slirp, frame, len(frame))
        self._check()

    def wanted(self) -> tuple[list[tuple[int, int]], float | None]:
        """(descriptor, IN | OUT | PRI) to wait for, and for how long, in seconds."""
        self._fds = []
        timeout = c_uint32(_FOREVER)
        self._lib.slirp_pollfds_fill(self._slirp, ctypes.byref(timeout), self._add_poll, None)
        self._check()
        waits = [timeout.value / 1e3] if timeout.value != _FOREVER else []
        if self._due:
            waits.append(max(0.0, min(self._due.values()) / 1e3 - time.monotonic()))
        return self._fds, min(waits, default=None)

    def ready(self, events: dict[int, int]) -> None:
        """What came of it, by descriptor; timers that are due are served, too."""
        self._events = events
        self._lib.slirp_pollfds_poll(self._slirp, 0, self._get_events, None)
        self._check()
        now = time.monotonic_ns() // 10**6
        for timer in [timer for timer, due in self._due.items() if due <= now]:
            del self._due[timer]
            function, argument = self._timers[timer]
            function(argument)
            self._check()

    # -- called by the library

    def _guarded(self, function: Callable[..., object], failed: object) -> Callable[..., object]:
        def call(*arguments: object) -> object:
            try:
                return function(*arguments)
            except BaseException as error:
                self._raised = error
                return failed

        return call

    def _check(self) -> None:
        raised, self._raised = self._raised, None
        if raised is not None:
            raise raised

    def _sent(self, data: int, size: int, opaque: object) -> int:
        self._receive(ctypes.string_at(data, size))
        return size

    def _new_timer(self, function: int, argument: int | None, opaque: object) -> int:
        self._last_timer += 1
        self._timers[self._last_timer] = (_Timer(function), argument)
        return self._last_timer

    def _free_timer(self, timer: int, opaque: object) -> None:
        del self._timers[timer]
        self._due.pop(timer, None)

    def _set_timer(self, timer: int, due: int, opaque: object) -> None:
        self._due[timer] = due

    def _polled(self, fd: int, events: int, opaque: object) -> int:
        self._fds.append((fd, events))
        return len(self._fds) - 1

    def _event(self, index: int, opaque: object) -> int:
        return self._events.get(self._fds[index][0], 0)
