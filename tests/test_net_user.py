"""``--net user``: libslirp behind a network card, and a guest of a few frames in front of it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from otoriscv.board import slirp
from otoriscv.board.net_options import Forward, NetError, UserNet, parse_net
from otoriscv.board.net_user import UserModeNet
from otoriscv.devices.virtio.net import VirtioNet
from tests.virtio_driver import BASE, WRITE, Driver

MAC = bytes.fromhex("525400123456")
GUEST, HOST = IPv4Address("10.0.2.15"), IPv4Address("10.0.2.2")
ECHO, DATA = bytes(range(48)), b"forty-two bytes of a UDP datagram, or less"
SYN, ACK, PSH_ACK, FIN_ACK, SYN_ACK = 2, 16, 24, 17, 18


@pytest.fixture(autouse=True)
def _library(request: pytest.FixtureRequest) -> None:
    if slirp.library() is None:
        if request.config.getoption("--otoriscv-strict"):
            pytest.fail("no libslirp (Debian: libslirp0)")
        pytest.skip("no libslirp (Debian: libslirp0)")


def checksum(data: bytes) -> int:
    """RFC 1071."""
    words = sum(
        int.from_bytes(data[i : i + 2].ljust(2, b"\0"), "big") for i in range(0, len(data), 2)
    )
    while words >> 16:
        words = (words & 0xFFFF) + (words >> 16)
    return ~words & 0xFFFF


def half(value: int) -> bytes:
    return value.to_bytes(2, "big")


def ip(protocol: int, source: IPv4Address, to: IPv4Address, payload: bytes) -> bytes:
    """An IPv4 packet; checksums of ICMP (1), UDP (17: none) and TCP (6) are filled in."""
    if protocol == 1:
        payload = payload[:2] + half(checksum(payload)) + payload[4:]
    if protocol == 6:
        pseudo = source.packed + to.packed + bytes([0, 6]) + half(len(payload))
        payload = payload[:16] + half(checksum(pseudo + payload)) + payload[18:]
    head = b"\x45\0" + half(20 + len(payload)) + bytes(4) + bytes([64, protocol])
    both = source.packed + to.packed
    return head + half(checksum(head + both)) + both + payload


class Station:
    """A guest made of a driver: it sends frames and waits for those that it wants."""

    def __init__(self, net: UserModeNet) -> None:
        self._net = net
        self._card = VirtioNet(MAC, net.send)
        self._driver = Driver(self._card).start()
        self._room = BASE + 0x20000
        self.gateway = b"\xff" * 6
        self._offer()

    def _offer(self) -> None:
        self._driver.descriptor(0, 0, self._room, 2000, WRITE, 0)
        self._driver.offer(0)

    def send(self, kind: int, payload: bytes) -> None:
        self._driver.request([bytes(12), self.gateway + MAC + half(kind) + payload], [], 1)

    def expect(self, wanted: Callable[[bytes], bool]) -> bytes:
        """The first frame that is *wanted*."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for frame in self._net.take():
                self._card.receive(frame)
            for _, size in self._driver.used():
                frame = self._driver.ram.read(self._room, size)[12:]
                self._offer()
                if wanted(frame):
                    return frame
            time.sleep(0.002)
        pytest.fail("no such frame came")


@pytest.fixture
def joined() -> Iterator[Callable[..., tuple[Station, UserModeNet, list[str]]]]:
    nets: list[UserModeNet] = []

    def join(text: str = "user,ipv6=off") -> tuple[Station, UserModeNet, list[str]]:
        said: list[str] = []
        config = parse_net(text)
        assert isinstance(config, UserNet)
        nets.append(UserModeNet(config, lambda: None, said.append))
        return Station(nets[-1]), nets[-1], said

    yield join
    for net in nets:
        assert net.close()
        assert net.close()  # harmless twice


Join = Callable[..., tuple[Station, UserModeNet, list[str]]]


def resolve(station: Station) -> None:
    """ARP, for the host's address; gratuitously for ours, as slirp learns it from that."""
    query = b"\0\1\x08\0\6\4\0\1" + MAC + GUEST.packed + bytes(6) + HOST.packed
    station.send(0x806, query)
    answer = station.expect(lambda f: f[12:14] == b"\x08\6" and f[20:22] == b"\0\2")
    assert answer[28:32] == HOST.packed
    station.gateway = answer[22:28]


@pytest.mark.parametrize("net", ["10.0.2.0/24", "192.168.7.96/27"])
def test_an_address_by_dhcp(joined: Join, net: str) -> None:
    station, _, _ = joined(f"user,ipv6=off,hostname=otter,net={net}")
    network = IPv4Network(net)
    host, names, guest = (network[n].packed for n in (2, 3, 15))
    boot = b"\1\1\6\0" + b"oto!" + bytes(20) + MAC + bytes(202)
    options = b"\x63\x82\x53\x63" + b"\x35\1\1" + b"\xff"
    payload = (boot + options).ljust(300, b"\0")
    datagram = half(68) + half(67) + half(8 + len(payload)) + b"\0\0" + payload
    everyone = IPv4Address("255.255.255.255")
    station.send(0x800, ip(17, IPv4Address(0), everyone, datagram))
    offer = station.expect(lambda f: f[23:24] == b"\x11" and f[36:38] == half(68))
    answer = offer[42:]
    assert answer[4:8] == b"oto!" and answer[16:20] == guest  # yiaddr
    assert b"\x35\1\2" in answer and b"otter" in answer
    for number, data in ((1, network.netmask.packed), (3, host), (6, names)):
        assert bytes([number, 4]) + data in answer


def test_the_host_answers_echo_requests(joined: Join) -> None:
    station, _, _ = joined()
    resolve(station)
    station.send(0x800, ip(1, GUEST, HOST, b"\x08\0\0\0\x12\x34\0\1" + ECHO))
    answer = station.expect(lambda f: f[23:24] == b"\1")
    assert answer[34] == 0 and answer[38:42] == b"\x12\x34\0\1" and answer[42:] == ECHO


def test_datagrams_to_the_host(joined: Join) -> None:
    station, _, _ = joined()
    resolve(station)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.settimeout(60)
        server.bind(("127.0.0.1", 0))
        to = half(server.getsockname()[1])
        station.send(
            0x800, ip(17, GUEST, HOST, b"\x13\x88" + to + half(8 + len(DATA)) + b"\0\0" + DATA)
        )
        data, back = server.recvfrom(100)
        assert data == DATA
        server.sendto(data[::-1], back)
        answer = station.expect(lambda f: f[23:24] == b"\x11" and f[36:38] == b"\x13\x88")
    assert answer[42 : 42 + len(DATA)] == DATA[::-1]


def test_a_guest_that_is_restricted_reaches_no_sockets(joined: Join) -> None:
    station, _, _ = joined("user,ipv6=off,restrict=on")
    resolve(station)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.setblocking(False)
        server.bind(("127.0.0.1", 0))
        ports = b"\x13\x88" + half(server.getsockname()[1])
        station.send(0x800, ip(17, GUEST, HOST, ports + half(8 + len(DATA)) + b"\0\0" + DATA))
        station.send(0x800, ip(1, GUEST, HOST, b"\x08\0\0\0\x12\x34\0\1" + ECHO))
        station.expect(lambda f: f[23:24] == b"\1")  # so the datagram was handled, too
        with pytest.raises(BlockingIOError):
            server.recv(100)


def test_an_ipv6_prefix(joined: Join) -> None:
    """A router solicitation gets fec0::/64."""
    station, _, _ = joined("user")
    all_routers = bytes.fromhex("ff02" + 13 * "00" + "02")
    link_local = bytes.fromhex("fe80" + 6 * "00" + "5054 00ff fe12 3456")
    body = b"\x85\0\0\0" + bytes(4) + b"\1\1" + MAC
    pseudo = link_local + all_routers + half(0) + half(len(body)) + bytes(3) + b"\x3a"
    body = body[:2] + half(checksum(pseudo + body)) + body[4:]
    station.gateway = bytes.fromhex("333300000002")
    head = b"\x60\0\0\0" + half(len(body)) + b"\x3a\xff" + link_local + all_routers
    station.send(0x86DD, head + body)
    answer = station.expect(lambda f: f[12:14] == b"\x86\xdd" and f[54:55] == b"\x86")
    prefix = bytes.fromhex("fec0" + 14 * "00")
    assert b"\3\4\x40" in answer and prefix in answer


def test_a_forwarded_port(joined: Join) -> None:
    """The host connects to the guest, which takes the connection, answers and hangs up."""
    station, net, said = joined("user,ipv6=off,hostfwd=tcp::0-:22")
    resolve(station)
    (rule,) = net.forwards
    assert rule.host == IPv4Address("127.0.0.1") and rule.host_port > 0
    assert said == [f"tcp 127.0.0.1:{rule.host_port} leads to the guest's 10.0.2.15:22"]
    got: list[bytes] = []

    def client() -> None:
        with socket.create_connection(("127.0.0.1", rule.host_port), timeout=60) as end:
            end.sendall(b"hello")
            while data := end.recv(100):
                got.append(data)

    def segment(flags: int, seq: int, ack: int, data: bytes = b"") -> None:
        numbers = seq.to_bytes(4, "big") + ack.to_bytes(4, "big")
        head = b"\0\x16" + port + numbers + bytes([0x50, flags]) + half(8000) + bytes(4)
        station.send(0x800, ip(6, GUEST, peer, head + data))

    def number(frame: bytes) -> int:
        return int.from_bytes(frame[38:42], "big")

    thread = threading.Thread(target=client)
    thread.start()
    syn = station.expect(lambda f: f[23:24] == b"\6" and f[47] == SYN)
    assert syn[36:38] == b"\0\x16"
    port, peer, first = syn[34:36], IPv4Address(syn[26:30]), number(syn) + 1
    segment(SYN_ACK, 1000, first)
    data = station.expect(lambda f: f[23:24] == b"\6" and f[54:59] == b"hello")
    assert number(data) == first
    segment(PSH_ACK, 1001, first + 5, b"and good-bye")
    segment(FIN_ACK, 1013, first + 5)
    thread.join(60)
    assert b"".join(got) == b"and good-bye"


def test_a_forwarded_port_of_datagrams(joined: Join) -> None:
    station, net, _ = joined("user,ipv6=off,hostfwd=tcp::0-:69,hostfwd=udp::0-:69")
    resolve(station)
    rule = net.forwards[1]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        end.sendto(DATA, ("127.0.0.1", rule.host_port))
        frame = station.expect(lambda f: f[23:24] == b"\x11")
    assert frame[30:34] == GUEST.packed and frame[36:38] == half(69)
    assert frame[42 : 42 + len(DATA)] == DATA


def test_a_port_forwarded_to_another_guest_from_one_address(joined: Join) -> None:
    station, net, _ = joined("user,ipv6=off,hostfwd=tcp:127.0.0.1:0-10.0.2.20:22")
    resolve(station)
    port = net.forwards[0].host_port
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.2", port), timeout=10)
    with socket.create_connection(("127.0.0.1", port), timeout=10):  # slirp asks where that is
        question = station.expect(lambda f: f[12:14] == b"\x08\6" and f[20:22] == b"\0\1")
    assert question[38:42] == IPv4Address("10.0.2.20").packed


def test_the_guest_is_not_reached_from_elsewhere_unless_told() -> None:
    (rule,) = forwards("user,hostfwd=::8080-:80")
    assert str(rule) == "tcp:127.0.0.1:8080-:80"
    (rule,) = forwards("user,hostfwd=udp:0.0.0.0:53-10.0.2.20:5353")
    assert str(rule) == "udp:0.0.0.0:53-10.0.2.20:5353"


def forwards(text: str) -> tuple[Forward, ...]:
    config = parse_net(text)
    assert isinstance(config, UserNet)
    return config.forwards


def test_options() -> None:
    assert parse_net("user") == UserNet()
    text = "user,net=192.168.7.0/24,restrict=on,ipv6=off,hostname=h,mac=02:00:00:00:00:01"
    assert parse_net(text) == UserNet(
        (), IPv4Network("192.168.7.0/24"), True, False, "h", bytes.fromhex("020000000001")
    )
    text = f"user,net=10.1.2.3/27,hostname={'h' * 32}"
    assert parse_net(text) == UserNet(network=IPv4Network("10.1.2.0/27"), hostname="h" * 32)
    assert len(forwards("user,hostfwd=::1-:1,hostfwd=::2-:2")) == 2


@pytest.mark.parametrize(
    ("text", "why"),
    (
        ("user,hostfwd=tcp::1-22", "should be hostfwd="),
        ("user,hostfwd=sctp::1-:22", "should be hostfwd="),
        ("user,hostfwd=tcp::65536-:22", "should be hostfwd="),
        ("user,hostfwd=tcp:1.2.3.400:1-:22", "should be hostfwd="),
        ("user,hostfwd=tcp::1-:0", "should be hostfwd="),
        ("user,net=10.0.0.0/28", "should be net="),
        ("user,net=0.0.0.0/0", "should be net="),
        ("user,net=::/64", "should be net="),
        ("user,restrict=yes", "restrict=on or off"),
        ("user,mac=01:00:00:00:00:00", "should be mac="),
        ("user,mac=02:00:00:00:00", "should be mac="),
        (f"user,hostname={'h' * 33}", "should be hostname="),
        ("user,hostname=a_b", "should be hostname="),
        ("user,tftp=/x", "has the options hostfwd, net,"),
        ("user,", "has the options hostfwd, net,"),
        ("users", "is not user, connect"),
    ),
)
def test_bad_options(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_net(text)


def test_ports_that_the_host_chooses() -> None:
    """Each is its own, whichever socket has the lower descriptor."""
    lib = slirp.library()
    assert lib is not None
    low = os.open(os.devnull, os.O_RDONLY)
    net = slirp.Slirp(lib, UserNet(), lambda frame: None)
    rule = Forward(False, IPv4Address("127.0.0.1"), 0, None, 7)
    try:
        first = net.forward(rule)
        os.close(low)
        second = net.forward(rule)
        third = net.forward(rule)
        assert len({first, second, third} - {0}) == 3
        for port in (first, second, third):
            socket.create_connection(("127.0.0.1", port), timeout=10).close()
    finally:
        net.close()


def test_a_port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        rule = f"tcp::{taken.getsockname()[1]}-:22"
        config = parse_net(f"user,hostfwd={rule}")
        assert isinstance(config, UserNet)
        with pytest.raises(
            NetError, match=r"hostfwd=tcp:127.0.0.1:\d+-:22: Address already in use"
        ):
            UserModeNet(config, lambda: None, lambda text: None)


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slirp, "library", lambda: None)
    monkeypatch.setattr("otoriscv.tools.package_manager", lambda: "apt-get")
    with pytest.raises(NetError, match=r"needs libslirp, which is not here: .* libslirp0$"):
        UserModeNet(UserNet(), lambda: None, lambda text: None)
    assert slirp.version() == ""


def test_what_a_callback_raises_comes_out(joined: Join) -> None:
    def refuse(frame: bytes) -> None:
        raise RuntimeError("no room")

    lib = slirp.library()
    assert lib is not None
    net = slirp.Slirp(lib, UserNet(), refuse)
    query = b"\0\1\x08\0\6\4\0\1" + MAC + GUEST.packed + bytes(6) + HOST.packed
    with pytest.raises(RuntimeError, match="no room"):
        net.input(b"\xff" * 6 + MAC + half(0x806) + query)
    net.close()


@pytest.mark.parametrize("ipv6", [True, False])
def test_timers_are_served(monkeypatch: pytest.MonkeyPatch, ipv6: bool) -> None:
    """A router advertises itself from time to time (RFC 4861: every half an hour, or sooner)."""
    lib = slirp.library()
    assert lib is not None
    frames: list[bytes] = []
    net = slirp.Slirp(lib, UserNet(ipv6=ipv6), frames.append)
    net.ready({})
    assert not frames
    later = time.monotonic_ns() + 1800 * 10**9
    monkeypatch.setattr("otoriscv.board.slirp.time.monotonic_ns", lambda: later)
    net.ready({})
    assert [frame[54] for frame in frames] == [134] * ipv6
    net.close()


def test_it_sleeps(joined: Join, monkeypatch: pytest.MonkeyPatch) -> None:
    """With nothing to do the thread waits: it does not ask libslirp again and again."""
    asked = 0
    real = slirp.Slirp.wanted

    def count(self: slirp.Slirp) -> tuple[list[tuple[int, int]], float | None]:
        nonlocal asked
        asked += 1
        return real(self)

    monkeypatch.setattr(slirp.Slirp, "wanted", count)
    station, _, _ = joined("user,hostfwd=tcp::0-:22")
    resolve(station)
    before = asked
    time.sleep(0.3)
    assert asked - before <= 5


def test_the_command_line(tmp_path: Path) -> None:
    image = Path(__file__).parents[1] / "otoriscv" / "demo" / "tiny64.elf"
    words = [
        "boot",
        str(image),
        "--net",
        "user,hostfwd=tcp::0-:22",
        "--dumpdtb",
        str(tmp_path / "t"),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "otoriscv", *words], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0 and "leads to the guest's 10.0.2.15:22" in done.stderr
    words[3] = "user,hostfwd=22"
    done = subprocess.run(
        [sys.executable, "-m", "otoriscv", *words], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2 and "hostfwd=22 should be hostfwd=" in done.stderr
    assert "Traceback" not in done.stderr
