"""An assembly guest that accesses pages of every kind, and says on the UART what came of it.

Its code is at its physical address for S and at `USER` for U; every page under test maps the page
``target``, which holds an ecall. A/D bits are left clear in some of them: QEMU 7.2 sets them.
"""

from __future__ import annotations

from typing import Final

from tests.trap_guest import M, S, U, finish, scene, start

__all__ = ["MODES", "lines", "program"]

#: XLEN and satp's MODE.
MODES: Final = {"sv32": (32, 1), "sv39": (64, 8), "sv48": (64, 9)}
RAM: Final = 0x8000_0000
#: Where U finds the code; where the pages under test begin, and superpages that are out of place.
USER: Final = 0x4000_0000
PAGES: Final = 0xC000_0000
_V, _R, _W, _X, _U, _G, _A, _D = (1 << n for n in range(8))
_SUM, _MXR, _MPRV = 1 << 18, 1 << 19, 1 << 17

#: Leaves, and what follows the last: nothing.
_LEAVES: Final = (
    _V | _R | _A,
    _V | _R | _W,
    _V | _R | _W | _A | _D,
    _V | _X | _A,
    _V | _R | _X,
    _V | _R | _W | _X | _A | _D,
    _V | _R | _W | _X | _U,
    _V | _R | _U | _A,
    _V | _X | _U | _A,
    _V | _R | _W | _U | _G | _A | _D,
    _V | _W | _A | _D,
    _V | _W | _X | _A | _D,
    _V,
    _R | _W | _X | _A | _D,
    _V | _A,
)
_ACCESSES: Final = {
    "load": "lw a0, (a1)",
    "store": "sw a0, 64(a1)",
    "fetch": "jr a1",
    "AMO": "addi a1, a1, 128; amoadd.w a0, a0, (a1)",
    "lr": "lr.w a0, (a1)",
}
_STATES: Final = {"": 0, ", SUM": _SUM, ", MXR": _MXR}


def _scenes(xlen: int) -> list[tuple[str, str, dict[str, int], int]]:
    """(label, body, CSR set-up, privilege)."""
    found: list[tuple[str, str, dict[str, int], int]] = []
    pages = {f"leaf {f:#x}": PAGES + (n << 12) for n, f in enumerate(_LEAVES)}
    pages["nothing"] = PAGES + (len(_LEAVES) << 12)
    pages["superpage out of place"] = PAGES + (1 << (22 if xlen == 32 else 21))
    for where, page in pages.items():
        for how, body in _ACCESSES.items():
            for state, bits in _STATES.items():
                for name, priv in (("S", S), ("U", U)):
                    label = f"{how} of {where}{state} in {name}"
                    found.append((label, f"li a1, {page}; {body}", {"mstatus": bits}, priv))
        for lender, mpp in (("S", S), ("U", U)):
            for state, bits in _STATES.items():
                lend = f"li t0, {_MPRV | bits | mpp << 11}; csrc mstatus, t1; csrs mstatus, t0"
                for how in ("load", "store"):
                    body = f"li a1, {page}; li t1, 0x1800; {lend}; {_ACCESSES[how]}"
                    found.append((f"{how} of {where}{state}, lent by {lender}", body, {}, M))
    last = PAGES + (len(_LEAVES) - 10 << 12)  # the page behind it is U's
    data = {"mstatus": 0}
    over = f"li a1, {last - 2}; "
    assert _LEAVES[len(_LEAVES) - 10] == _V | _R | _W | _X | _A | _D
    found += [
        ("load over the end into U's", f"li a1, {last + 4094}; lw a0, (a1)", data, S),
        ("store over the end into U's", f"li a1, {last + 4094}; sw a0, (a1)", data, S),
        ("load over the end from readable", over + "lw a0, (a1)", data, S),
        ("fault, delegated", f"li a1, {pages['nothing']}; lw a0, (a1)", {"medeleg": 1 << 13}, S),
        ("fetch fault, delegated", f"li a1, {pages['nothing']}; jr a1", {"medeleg": 1 << 12}, U),
        ("SUM for fetches", f"li t0, {_SUM}; csrs sstatus, t0; li a1, {USER}; jr a1", {}, S),
        ("satp with TVM", "csrw satp, x0", {"mstatus": 1 << 20}, S),
        ("sfence.vma in U", "sfence.vma", {}, U),
        ("sfence.vma of a page", "li a1, 1; sfence.vma a1, a1", {}, S),
    ]
    if xlen == 64:
        for bad in (1 << 39, 1 << 47, 1 << 63, (1 << 64) - (1 << 40)):
            found.append((f"load from {bad:#x}", f"li a1, {bad:#x}; ld a0, (a1)", {}, S))
    for n in range(len(_LEAVES)):
        at = n * xlen // 8
        load = "lw" if xlen == 32 else "ld"
        mask = (1 << xlen) - 1 & ~0x300  # RSW
        body = f"la a1, table0; {load} a0, {at}(a1); li a1, {mask:#x}; and a0, a0, a1"
        found.append((f"entry {n} afterwards", body, {}, M))
    return found


def lines(mode: str) -> list[str]:
    """A label for each line that the guest prints."""
    return [label for label, *_ in _scenes(MODES[mode][0])]


def _entry(xlen: int, table: str, index: int, target: str, flags: int) -> list[str]:
    """Store an entry for physical *target*."""
    store = "sw" if xlen == 32 else "sd"
    return [
        f"la t0, {target}" if target.isidentifier() else f"li t0, {target}", "srli t0, t0, 2",
        f"li t1, {flags}", "or t0, t0, t1", f"la t1, {table}", f"li t2, {index * xlen // 8}",
        "add t1, t1, t2", f"{store} t0, (t1)",
    ]  # fmt: skip


def _tables(mode: str) -> list[str]:
    xlen, _ = MODES[mode]
    out: list[str] = []
    if mode == "sv48":
        out += _entry(xlen, "table3", 0, "table2", _V)
    top, shift = ("table1", 22) if xlen == 32 else ("table2", 30)
    all_ = _V | _R | _W | _X | _A | _D
    for address, physical, flags in ((0x1000_0000, 0x1000_0000, all_), (RAM, RAM, all_),
                                     (USER, RAM, all_ | _U)):  # fmt: skip
        where = physical >> shift << shift
        out += _entry(xlen, top, address >> shift, f"{where:#x}", flags)
    out += _entry(xlen, top, PAGES >> shift, "table0" if xlen == 32 else "table1", _V)
    if xlen == 64:
        out += _entry(xlen, "table1", 0, "table0", _V)
    # a superpage whose address is not aligned, behind the pages under test
    out += _entry(
        xlen, "table1", (PAGES >> 22) + 1 if xlen == 32 else 1, f"{RAM + 0x1000:#x}", all_
    )
    for n, flags in enumerate(_LEAVES):
        out += _entry(xlen, "table0", n, "target", flags)
    return out


def program(mode: str) -> str:
    """The guest's assembly. Its first line of output is empty."""
    xlen, number = MODES[mode]
    root = {"sv32": "table1", "sv39": "table2", "sv48": "table3"}[mode]
    out = [
        *start(), *_tables(mode), f"la t0, {root}", "srli t0, t0, 12",
        f"li t1, {number << (31 if xlen == 32 else 60):#x}", "or t0, t0, t1", "csrw satp, t0",
        "sfence.vma",
    ]  # fmt: skip
    for _, body, setup, priv in _scenes(xlen):
        out += scene(len(out), body, setup, priv, USER - RAM if priv == U else 0)
    out += finish(xlen)
    out += [".balign 4096", "target: ecall", ".zero 4092"]
    out += [f"table{n}: .zero 4096" for n in range(4)]
    return "\n".join(out) + "\n"
