"""Mutated packets: every one is answered or ignored, and the session stays usable."""

from __future__ import annotations

import random
import time

import pytest

from otoriscv.gdbstub.packets import Parser, Wire, frame
from otoriscv.gdbstub.session import Session
from tests.fake_target import BASE, EBREAK, EXIT, LOOP, PRINT, STORE, FakeTarget

SEEDS = [
    b"qSupported:multiprocess+;swbreak+;hwbreak+;error-message+;xmlRegisters=i386",
    b"QStartNoAckMode", b"vMustReplyEmpty", b"!", b"?", b"Hg1", b"Hc-1", b"T1", b"qC",
    b"qfThreadInfo", b"qsThreadInfo", b"qThreadExtraInfo,1", b"qAttached", b"qTStatus",
    b"qXfer:features:read:target.xml:0,ffb", b"qXfer:threads:read::0,1000",
    b"qXfer:exec-file:read:1:0,1000", b"g", b"G" + b"00" * 132, b"p20", b"P1=00000080",
    b"m80000000,40", b"M80000100,4:deadbeef", b"X80000200,4:\x01\x02\x03}\x03", b"Z0,80000010,4",
    b"z0,80000010,4", b"Z1,80000014,2", b"Z2,80000100,8", b"Z3,80000100,3", b"Z4,80000103,1",
    b"z4,80000103,1", b"c", b"C05", b"c80000000", b"s", b"S05;80000000", b"vCont?", b"vCont;c",
    b"vCont;s:1;c", b"vCont;C05:2;s:1", b"vCont;t", b"qRcmd," + b"help".hex().encode(),
    b"qRcmd," + b"info fake".hex().encode(), b"qRcmd," + b"reset".hex().encode(), b"D", b"k",
    b"vKill;1", b"vRun;", b"vAttach;1", b"R00", b"vFile:open:2f,0,0", b"vFile:setfs:0",
]  # fmt: skip
GARBAGE = [b"\x03", b"+", b"-", b"$", b"#", b"$#00", b"}", b"*", b"$$##", b"$*~#a8", b"\xff\x00"]


def mutate(rng: random.Random, packet: bytes) -> bytes:
    """A packet like *packet*, with some bytes changed, cut, doubled or inserted."""
    data = bytearray(packet)
    for _ in range(rng.choice((0, 0, 1, 1, 2, 4))):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(6):
            case 0 if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                del data[at : at + rng.randrange(1, 5)]
            case 2:
                data[at:at] = rng.randbytes(rng.randrange(1, 5))
            case 3:
                data[at:at] = rng.choice((b"ffffffffffffffff", b"-1", b":", b";", b",", b"0" * 30))
            case 4:
                data[at:] = rng.choice(SEEDS)[rng.randrange(5) :]
            case _:
                data[at:at] = data[: rng.randrange(20)]
    return bytes(data)


def run(count: int, seed: int) -> None:
    """Feed *count* mutated packets to sessions; a session that ends is followed by another."""
    rng = random.Random(seed)
    target = FakeTarget(rng.choice((32, 64)), harts=2)
    target.load(0, 0, STORE, 0, EBREAK, 0, PRINT, LOOP, EXIT)
    answers = bytearray()
    session = start(target, answers)
    for number in range(count):
        wire = frame(mutate(rng, rng.choice(SEEDS)))
        if rng.random() < 0.1:
            wire = mutate(rng, wire)
        if rng.random() < 0.1:
            wire += rng.choice(GARBAGE)
        session.receive(wire)
        if (session.detached or session.clients.killed) and rng.random() < 0.2:
            session.receive(b"#00" + frame(b"vRun;"))
        if session.running:
            session.receive(b"#00\x03")
            settle(session)
        if number % 500 == 0 and not session.finished:
            check_usable(session, answers)
        if session.finished:
            session.leave()
            session = start(target, answers)
        if len(answers) > 1 << 20:
            check_well_formed(answers)
    check_well_formed(answers)
    detached = session.detached  # then the guest runs on without a debugger
    session.leave()
    assert not target.breakpoints
    assert detached or not target.running


def start(target: FakeTarget, answers: bytearray) -> Session:
    session = Session(target, answers.extend)
    session.enter()
    return session


def settle(session: Session) -> None:
    """Let a run end."""
    while session.running:
        session.target.stop()
        end = time.monotonic() + 10
        while session.target.running:
            assert time.monotonic() < end, "the machine does not stop"
        session.poll()


def check_usable(session: Session, answers: bytearray) -> None:
    """After anything, this much must work."""
    session.receive(b"#00" + frame(b"vRun;"))
    check_well_formed(answers)
    session.receive(frame(b"m80000000,4"))
    assert b"00000000" in answers
    session.receive(frame(b"vCont;s:1"))
    assert b"T05thread:1;" in answers
    assert session.target.read_register(0, 32) == BASE + 4


def check_well_formed(answers: bytearray) -> None:
    """What the session says is a sequence of good packets."""
    events = Parser().feed(bytes(answers))
    assert Wire.BAD not in events
    assert Wire.TOO_LONG not in events
    answers.clear()


@pytest.mark.parametrize("seed", range(4))
def test_mutated_packets(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    run(2_000, seed)
    assert not caplog.records  # no exception was caught at the last door


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 110))
def test_a_hundred_thousand_mutated_packets(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    run(10_000, seed)
    assert not caplog.records
