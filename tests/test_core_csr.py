"""CSRs: existence, access rules, legalisation, counters."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from otoriscv.core.csr import CSRS, existing, find
from otoriscv.core.isa_string import Isa
from otoriscv.core.mstatus import MSTATUS
from tests.core_box import Box

M64 = (1 << 64) - 1


@pytest.fixture(params=[32, 64])
def box(request: pytest.FixtureRequest) -> Iterator[Box]:
    box = Box(request.param)
    yield box
    box.close()


def number(csr: str | int) -> int:
    if isinstance(csr, int):
        return csr
    return next(c.number for c in CSRS.values() if c.name == csr)


def write(box: Box, csr: str | int, value: int) -> int:
    """As an instruction does; the value read back."""
    box.call("csr_write", number(csr), value & (1 << box.xlen) - 1)
    return read(box, csr)


def read(box: Box, csr: str | int) -> int:
    return box.call("csr_read", number(csr))


def allowed(box: Box, csr: str | int, *, to_write: bool = False) -> bool:
    return bool(box.call("csr_allowed", number(csr), to_write))


def ones(box: Box) -> int:
    return (1 << box.xlen) - 1


def test_existence_agrees_with_the_table(box: Box) -> None:
    names = {c.number for c in existing(box.xlen, box.hart.isa_bits)}
    got = {n for n in range(0x1000) if allowed(box, n)}
    fp = {1, 2, 3}  # exist with F, but FS is off after a reset
    assert got == names - fp
    for n in range(0xC00, 0x1000):
        assert not allowed(box, n, to_write=True)
    assert ("mstatush" in {c.name for c in existing(box.xlen, box.hart.isa_bits)}) == (
        box.xlen == 32
    )


def test_privilege(box: Box) -> None:
    write(box, "mcounteren", -1)
    write(box, "menvcfgh" if box.xlen == 32 else "menvcfg", -1)  # stimecmp, too
    for priv in (0, 1):
        box.hart.priv = priv
        for c in existing(box.xlen, box.hart.isa_bits):
            if c.privilege > priv:
                assert not allowed(box, c.number)
            elif c.privilege == 1:
                assert allowed(box, c.number, to_write=True)


def test_names() -> None:
    for xlen in (32, 64):
        bits = Isa.full(xlen).bits
        names = [c.name for c in existing(xlen, bits)]
        assert len(names) == len(set(names))
        assert {"mhpmcounter3", "mhpmcounter31", "hpmcounter3", "pmpaddr15"} <= set(names)
    assert find("MSTATUS", 64, bits).number == 0x300
    assert find(0x300, 64, bits).name == "mstatus"
    for bad in ("mstatush", 0x310, "mcycleh", "pmpcfg1", 0x5C0):
        with pytest.raises(KeyError):
            find(bad, 64, bits)
    bare = Isa.parse("rv32i_zicsr").bits
    with pytest.raises(KeyError):
        find("time", 32, bare)


def test_without_s_and_u() -> None:
    box = Box(32, off="S U F D")
    for name in ("sstatus", "medeleg", "mideleg", "satp", "mcounteren", "menvcfg"):
        assert not allowed(box, name)
    assert write(box, "mstatus", -1) == MSTATUS.MIE | MSTATUS.MPIE | MSTATUS.MPP
    assert write(box, "mstatus", 0) == MSTATUS.MPP  # 0 is not a mode: the old value stays
    assert write(box, "mie", -1) == 0x888
    box.close()
    box = Box(32, off="S")
    assert write(box, "mstatus", -1) & 0x7E_19AA == (
        MSTATUS.MIE | MSTATUS.MPIE | MSTATUS.MPP | MSTATUS.MPRV | MSTATUS.TW
    )
    write(box, "mstatus", 1 << 11)
    assert read(box, "mstatus") & MSTATUS.MPP == MSTATUS.MPP  # S is not a mode
    write(box, "mstatus", 0)
    assert read(box, "mstatus") & MSTATUS.MPP == 0
    box.close()


def test_mstatus(box: Box) -> None:
    got = write(box, "mstatus", -1)
    fixed = 0 if box.xlen == 32 else 0xA_0000_0000
    fs = 0 if not box.hart.has("F") else MSTATUS.FS | 1 << (box.xlen - 1)
    assert got == 0x7E_19AA | fixed | fs
    write(box, "mstatus", 2 << 11)
    assert read(box, "mstatus") & MSTATUS.MPP == MSTATUS.MPP  # 2 is reserved: the old value stays
    assert write(box, "mstatus", 1 << 11) & MSTATUS.MPP == 1 << 11
    assert write(box, "mstatus", 0) == fixed
    if box.xlen == 32:
        assert write(box, "mstatush", -1) == 0


def test_the_mode_follows_each_bit_of_mstatus(box: Box) -> None:
    """Computed anew it is what it was."""
    lent = MSTATUS.MPRV | 1 << 11  # loads and stores are supervisor mode's
    for name in ("mstatus", "sstatus"):
        for start in (0, -1, lent, lent | MSTATUS.SUM | MSTATUS.FS):
            for bit in range(23):
                write(box, "mstatus", start)
                write(box, name, start ^ 1 << bit)
                after = [box.get(slot) for slot in ("mode", "data_bank", "fetch_bank")]
                box.call("refresh_mode")
                again = [box.get(slot) for slot in ("mode", "data_bank", "fetch_bank")]
                assert after == again, (name, bit)


def test_sstatus(box: Box) -> None:
    write(box, "mstatus", MSTATUS.MIE | MSTATUS.TSR)
    visible = MSTATUS.SIE | MSTATUS.SPIE | MSTATUS.SPP | MSTATUS.SUM | MSTATUS.MXR
    got = write(box, "sstatus", -1)
    assert got & 0xF_FFFF & ~MSTATUS.FS == visible
    assert read(box, "mstatus") & (MSTATUS.MIE | MSTATUS.TSR) == MSTATUS.MIE | MSTATUS.TSR
    assert read(box, "mstatus") & (MSTATUS.TVM | MSTATUS.MPP) == 0
    if box.xlen == 64:
        assert got >> 32 & 3 == 2


def test_interrupt_registers(box: Box) -> None:
    assert write(box, "mie", -1) == 0xAAA
    assert write(box, "mideleg", -1) == 0x222
    assert write(box, "medeleg", -1) == 0xB3FF
    assert write(box, "mip", -1) == 0x222  # M bits are the devices'
    assert (read(box, "sie"), read(box, "sip")) == (0x222, 0x222)
    assert write(box, "sip", 0) == 0x220  # only SSIP
    assert write(box, "sie", 0) == 0
    assert read(box, "mie") == 0x888
    write(box, "mideleg", 2)
    assert (write(box, "sie", -1), read(box, "sip")) == (2, 0)
    assert write(box, "mip", 0) == 0
    box.hart.set_irq(9, True)
    assert write(box, "mip", 0) == 1 << 9  # the controller's line stays
    box.hart.set_irq(9, False)
    assert read(box, "mip") == 0
    for n in (3, 7, 11):
        box.hart.set_irq(n, True)
    assert write(box, "mip", 0) == 0x888


def test_plain(box: Box) -> None:
    for name in ("mscratch", "sscratch", "mtval", "stval", "mcause", "scause"):
        assert write(box, name, -1) == ones(box)
        assert write(box, name, 0) == 0
    for name in ("mepc", "sepc"):
        assert write(box, name, -1) == ones(box) - 1
    for name in ("mtvec", "stvec"):
        assert write(box, name, 0x8000_0001) == 0x8000_0001
        for reserved in (2, 3):
            assert write(box, name, 0x9000_0000 | reserved) == 0x8000_0001
    for name in ("mcounteren", "scounteren"):
        assert write(box, name, -1) == 0xFFFF_FFFF
    block = 0xF1  # CBZE, CBCFE, CBIE, FIOM
    stce = 1 << 63
    assert write(box, "menvcfg", -1) == (block | stce if box.xlen == 64 else block)
    assert write(box, "senvcfg", -1) == block
    for name in ("menvcfg", "senvcfg"):
        write(box, name, 0x10)
        assert write(box, name, 0x21) == 0x11  # CBIE 2 is reserved: the old value stays
    if box.xlen == 32:
        assert write(box, "menvcfgh", -1) == stce >> 32
    if box.xlen == 32:
        assert write(box, "satp", -1) == 0xFFFF_FFFF
    else:
        for mode, known in ((8, True), (9, True), (10, False), (1, False), (15, False), (0, True)):
            old = read(box, "satp")
            new = mode << 60 | 0xABC << 44 | 0x80000
            assert write(box, "satp", new) == (new if known else old)
    misa = read(box, "misa")
    assert write(box, "misa", 0) == misa
    for name in ("mvendorid", "marchid", "mimpid", "mhartid", "mconfigptr", "tselect", "tdata1"):
        assert write(box, name, -1) == 0


def test_epc_without_compressed() -> None:
    box = Box(32, isa="rv32i_zicsr")
    assert write(box, "mepc", -1) == 0xFFFF_FFFC
    box.close()


def test_satp_tvm(box: Box) -> None:
    box.hart.priv = 1
    assert allowed(box, "satp")
    box.set(mstatus=MSTATUS.TVM)
    assert not allowed(box, "satp")
    box.hart.priv = 3
    assert allowed(box, "satp")


def test_pmp(box: Box) -> None:
    width = box.xlen // 8
    assert write(box, "pmpcfg0", -1) == int.from_bytes(b"\x9f" * width, "little")
    assert write(box, "pmpcfg0", 0) == int.from_bytes(b"\x9f" * width, "little")  # locked
    top = (1 << 54) - 1 if box.xlen == 64 else ones(box)
    assert write(box, "pmpaddr0", -1) == 0  # locked
    assert write(box, "pmpaddr15", -1) == top
    box.hart.reset()
    assert write(box, "pmpcfg0", 0x02) == 0  # W without R
    assert write(box, "pmpcfg2", 0x8F00) == 0x8F00  # entry 9: locked TOR
    assert write(box, "pmpaddr8", -1) == 0  # its lower bound is locked too
    assert write(box, "pmpaddr7", -1) == top
    assert allowed(box, "pmpcfg1") == (box.xlen == 32)
    assert not allowed(box, "pmpcfg1") or write(box, "pmpcfg1", 0x1F) == 0x1F
    assert not allowed(box, 0x3A4)
    assert not allowed(box, 0x3C0)


def step(box: Box, count: int = 1) -> None:
    """*count* instructions retire."""
    box.set(budget=box.get("budget") - count)


def test_counters(box: Box) -> None:
    step(box, 10)
    box.set_m(skip=1000)
    assert (read(box, "minstret"), read(box, "mcycle")) == (10, 1010)
    assert (read(box, "instret"), read(box, "cycle")) == (10, 1010)
    for name in ("minstret", "mcycle"):
        write(box, name, 500)
        step(box)  # the csrw itself
        assert read(box, name) == 500
        step(box)
        assert read(box, name) == 501
        box.hart.write_csr(name, 600)  # a debugger's write counts no instruction
        assert box.hart.read_csr(name) == 600
    assert read(box, "mhpmcounter3") == 0
    assert write(box, "mhpmcounter31", 5) == 0
    assert write(box, "mhpmevent3", 5) == 0


def test_counter_halves() -> None:
    box = Box(32)
    for name in ("minstret", "mcycle"):
        write(box, name, 0xFFFF_FFFE)
        step(box)
        write(box, name + "h", 7)
        step(box)
        # the writing instruction is not counted in the other half either
        assert (read(box, name + "h"), read(box, name)) == (7, 0xFFFF_FFFE)
        step(box)
        assert (read(box, name + "h"), read(box, name)) == (7, 0xFFFF_FFFF)
        step(box)
        assert (read(box, name + "h"), read(box, name)) == (8, 0)
        write(box, name, 5)
        step(box)
        assert (read(box, name + "h"), read(box, name)) == (8, 5)
        for half, value in (("h", 3), ("", 9)):  # as a debugger writes
            box.hart.write_csr(name + half, value)
        assert (read(box, name + "h"), read(box, name)) == (3, 9)
        box.hart.write_csr(name + "h", 4)
        assert (read(box, name + "h"), read(box, name)) == (4, 9)
    box.set_m(time_delta=0x1_0000_0000)
    assert (read(box, "timeh"), read(box, "time")) == (1, 1000 - box.get("budget"))
    box.close()


def test_inhibit(box: Box) -> None:
    step(box, 5)
    assert write(box, "mcountinhibit", -1) == 0xFFFF_FFFD
    step(box)  # the csrw counts
    for _ in range(2):
        assert (read(box, "minstret"), read(box, "mcycle")) == (6, 6)
        step(box, 3)
    write(box, "minstret", 100)
    step(box)
    assert read(box, "minstret") == 100
    write(box, "mcountinhibit", 1)  # minstret runs again, from the next instruction on
    step(box)
    assert read(box, "minstret") == 100
    step(box, 4)
    assert (read(box, "minstret"), read(box, "mcycle")) == (104, 6)


@pytest.mark.parametrize("name", ["cycle", "time", "instret", "hpmcounter3"])
def test_counter_enables(box: Box, name: str) -> None:
    bit = 1 << (number(name) & 31)
    for priv, m, s, ok in [
        (3, 0, 0, True),
        (1, 0, bit, False),
        (1, bit, 0, True),
        (0, bit, 0, False),
        (0, 0, bit, False),
        (0, bit, bit, True),
        (0, ~bit & 0xFFFF_FFFF, ~bit & 0xFFFF_FFFF, False),
    ]:
        box.hart.priv = priv
        box.set(mcounteren=m, scounteren=s)
        assert allowed(box, name) == ok, (priv, m, s)
        assert not allowed(box, name, to_write=True)


def test_counter_enable_without_s() -> None:
    box = Box(64, off="S")
    box.hart.priv = 0
    assert not allowed(box, "cycle")
    box.set(mcounteren=1)
    assert allowed(box, "cycle")
    box.close()


def test_floating_point_csrs() -> None:
    box = Box(64)
    box.set(isa=box.get("isa") | 1 << 3)  # F
    assert not allowed(box, "fcsr")
    box.set(mstatus=1 << 13)
    assert allowed(box, "fcsr")
    assert write(box, "fcsr", -1) == 0xFF
    assert (read(box, "frm"), read(box, "fflags")) == (7, 0x1F)
    assert box.get("mstatus") & MSTATUS.FS == MSTATUS.FS
    assert write(box, "frm", 2) == 2
    assert read(box, "fcsr") == 2 << 5 | 0x1F
    assert write(box, "fflags", 5) == 5
    assert read(box, "fcsr") == 2 << 5 | 5
    assert read(box, "mstatus") >> 63 == 1
    box.close()
