"""Virtio network cards and the socket behind them."""

from __future__ import annotations

import random
import socket
import time

import pytest

from otoriscv.board.net_options import Net, NetError, parse_net
from otoriscv.board.net_socket import SocketNet
from otoriscv.core.bus import Access
from otoriscv.devices.virtio.net import VirtioNet
from tests.virtio_driver import BASE, WRITE, Driver


def test_network_card() -> None:
    sent: list[bytes] = []
    mac = bytes.fromhex("525400123456")
    device = VirtioNet(mac, sent.append)
    driver = Driver(device).start()
    assert bytes(driver.mmio.read(0x100 + i, Access(1, 0)) for i in range(6)) == mac
    frame = random.Random(4).randbytes(300)
    driver.request([bytes(12), frame], [], 1)
    assert sent == [frame]
    driver.descriptor(0, 0, BASE + 0x20000, 2000, WRITE, 0)
    driver.offer(0)
    assert driver.used() == []
    device.receive(frame)
    assert driver.used() == [(0, 312)]
    assert driver.ram.read(BASE + 0x20000, 312) == bytes(10) + b"\1\0" + frame
    for _ in range(2000):
        device.receive(frame)
    assert device.dropped == 976


def test_net_options() -> None:
    assert parse_net("listen:0") == Net("127.0.0.1", 0, True)
    found = parse_net("connect:[::1]:99,mac=02:00:00:00:00:01")
    assert found == Net("::1", 99, False, bytes.fromhex("020000000001"))
    for bad in (
        "", "9", "listen:", "connect:x:y", "listen:1,mac=5", "listen:1,mac=01:0:0:0:0:0",
        "listen:1,tap=02:00:00:00:00:01",
    ):  # fmt: skip
        with pytest.raises(ValueError, match="is not user, connect"):
            parse_net(bad)


def test_two_machines_exchange_frames() -> None:
    said: list[str] = []
    one = SocketNet(Net("127.0.0.1", 0, True), lambda: None, said.append)
    two = SocketNet(Net("127.0.0.1", one.port, False), lambda: None, said.append)
    frames = [random.Random(n).randbytes(60 + 700 * n) for n in range(20)]
    deadline = time.monotonic() + 20
    got: list[bytes] = []
    while one._peer is None and time.monotonic() < deadline:
        time.sleep(0.01)
    for frame in frames:
        two.send(frame)
        one.send(frame)
    back: list[bytes] = []
    while (len(got) < 20 or len(back) < 20) and time.monotonic() < deadline:
        got += one.take()
        back += two.take()
        time.sleep(0.01)
    assert got == frames and back == frames and "tcp 127.0.0.1" in said[0]
    two.close()
    one.close()
    one.close()


def test_a_peer_with_another_language_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    one = SocketNet(Net("127.0.0.1", 0, True), lambda: None, lambda text: None)
    with socket.create_connection(("127.0.0.1", one.port), timeout=20) as peer:
        peer.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert peer.recv(10) == b""  # hung up
    with pytest.raises(NetError, match="cannot listen on"):
        SocketNet(Net("127.0.0.1", one.port, True), lambda: None, lambda text: None)
    one.close()
