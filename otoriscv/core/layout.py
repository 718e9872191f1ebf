"""The arena's layout: the one definition of every offset in docs/abi.md.

Hart and machine structs are arrays of u64 slots. ``HART["pc"]`` and ``MACHINE["stop"]`` give slot
numbers; arrays give the slot of their first element.
"""

from __future__ import annotations

from typing import Final

MACHINE_SIZE: Final = 0x10_0000
HARTS: Final = 0x10_0000
HART_SIZE: Final = 0x1_0000
MAX_HARTS: Final = 240
LINES: Final = 0x100_0000
MEM: Final = 0x1000_0000
LINE_SHIFT: Final = 6
PAGE_SHIFT: Final = 12
PAGE: Final = 1 << PAGE_SHIFT
#: Bytes of a cache block, as Zicbom and Zicboz have it (there are no caches).
CACHE_BLOCK: Final = 64

LINE_CODE: Final = 1
LINE_REGION: Final = 16  # a compiled region contains code of this line
LINE_WATCH: Final = 4  # the board looks at a word in it (HTIF): a store there sets ``stop``
LINE_CLEAN: Final = 8  # its page was not written since the last checkpoint
LINE_READS: Final = 32  # somebody watches reads of a byte in it
LINE_WRITES: Final = 64  # the same, writes

_SENTINEL: Final = 64  # behind the decoded entries of each page
PAGE_ENTRIES: Final = 8 * PAGE + _SENTINEL  # bytes of decoded entries a page of memory has

TLB_ENTRIES: Final = 256
TLB_BANKS: Final = 4
TLB_KINDS: Final = 3
TLB_R: Final = 0
TLB_W: Final = 1
TLB_X: Final = 2
TLB_INVALID: Final = 1 << 11  # no access compares equal: a tag has its page and bits 2 to 0
LARGE_WORDS: Final = 16
WALKS: Final = 64  # page tables of the last level that a walk finds at once
NO_WALK: Final = (1 << 64) - 1  # of no address: it is shifted before it is looked for

RANGE_WORDS: Final = 4  # base, size, arena offset, flags
MAX_RANGES: Final = 64
RANGE_ROM: Final = 1

MAX_BREAKPOINTS: Final = 32768
MAX_WATCHPOINTS: Final = 4096
PRINT_WORDS: Final = 2048  # slots of what breakpoints' commands print
MAX_ACCESS: Final = 8  # bytes of a load or store at most
WATCH_WORDS: Final = 3  # address, length, kinds (1 read, 2 write)
UART_RING: Final = 0x1_0000  # bytes of the console output ring

REGION_WORDS: Final = 4
MAX_REGIONS: Final = 4096
REGION_FILTER: Final = 1024  # slots of the filter of halfwords in regions
MAX_REGION_ENTRIES: Final = 32768
SAMPLES: Final = 1024  # of the pc
SAMPLE_WORDS: Final = 3  # pc; arena offset of it, with bit 0 set for translated code; a kind:
SAMPLE_PC: Final = 0  # where the interpreter is
SAMPLE_JUMP: Final = 1  # where a region jumped to, and the interpreter went on
SAMPLE_REGION: Final = 2  # the beginning of the region that the budget ran out in
TARGETS: Final = 256
EXITS: Final = 64  # of regions: where they jumped out to lately

#: Routines of the compiled interpreter that other native code calls, through ``<name>_fn``.
LIBRARY_ROUTINES: Final = ("watched", "csr_read", "load_slow")

#: In a hart's slot ``device``, which is 0 or has the size of the access at ``phys`` that Python is
#: asked to do: it is a store. The others are all of the slot: that was done, so the instruction
#: goes on when it is executed again; or faulted; and an AMO is executed, two accesses in one.
DEVICE_STORE: Final = 16
DEVICE_DONE: Final = 32
DEVICE_FAULT: Final = 33
DEVICE_AMO: Final = 64

SINK: Final = 32  # x[SINK]: where run-time writes to x0 go


class Exit:
    """Why an engine came back to Python (docs/abi.md, "Entry and exit")."""

    NONE: Final = 0
    SLICE: Final = 1
    STOP: Final = 2
    WFI: Final = 3
    FALLBACK: Final = 4
    BREAKPOINT: Final = 5
    WATCH: Final = 6
    EBREAK: Final = 7
    CRASH: Final = 8
    TRAP: Final = 9


def _slots(*fields: str | tuple[str, int]) -> tuple[dict[str, int], int]:
    table: dict[str, int] = {}
    at = 0
    for field in fields:
        name, count = (field, 1) if isinstance(field, str) else field
        table[name] = at
        at += count
    return table, at


#: Slot numbers in a hart struct.
HART, HART_FIELDS_END = _slots(
    ("x", 33),
    ("f", 32),
    "pc",
    "priv",
    "mode",
    "budget",
    "retired_end",
    "exit_code",
    "exit_addr",
    "exit_kind",
    "exit_access",  # where a watched access begins, its size
    "exit_size",
    "exit_stores",  # whether it is a store, and what that writes
    "exit_value",
    "waiting",  # in wfi
    "res_valid",  # LR/SC reservation
    "res_addr",
    "trap_cause",  # set by a routine that reports a trap
    "trap_tval",
    "trap_pc",  # pc and retired count of the last trap taken: a trap loop is seen by them
    "trap_retired",
    "value",  # result of a slow-path load
    "isa",  # bit set of core.isa extensions
    "hartid",
    "misaligned_trap",
    "watch_skip",  # set: accesses are not checked against watchpoints (a resume steps over one)
    "fflags",
    "frm",
    "mstatus",
    "misa",
    "medeleg",
    "mideleg",
    "mie",
    "mip",
    "seip_soft",  # mip.SEIP is the or of what software wrote and the interrupt controller's line
    "seip_line",
    "mtvec",
    "mcounteren",
    "mcountinhibit",
    "mscratch",
    "mepc",
    "mcause",
    "mtval",
    "menvcfg",
    "minstret_delta",
    "mcycle_delta",
    "stvec",
    "scounteren",
    "sscratch",
    "sepc",
    "scause",
    "stval",
    "satp",
    "senvcfg",
    "stimecmp",
    "mtimecmp",
    "tselect",
    ("pmpcfg", 16),  # one slot per pmpcfg byte's owner, unpacked
    ("pmpaddr", 16),
    "pmp_active",  # entries up to the last one that is on
    "pmp_machine",  # one of them binds machine mode
    "pmp_open",  # core/pmp.py: who may do everything with all of RAM
    "pmp_free",  # the start and the size of a range where S and U may do everything
    "pmp_free_size",
    "data_bank",  # where the TLB's bank of loads and stores begins, in slots from the first
    "fetch_bank",  # the same for fetches, in bytes
)

#: First slot left out of snapshots and comparisons: host pointers, then the TLB banks.
PRIVATE: Final = 0x700
HART["table"] = PRIVATE  # the interpreter's handler table
HART["exact_table"] = PRIVATE + 1  # the same, one instruction at a time
HART["region_handlers"] = PRIVATE + 2  # u16 per region entry: the instruction's own handler
_private: tuple[str | tuple[str, int], ...] = (
    "phys",  # the physical address of the last slow access; whether its page is alike throughout
    "page_ok",
    "device",  # that an access is left to Python, or that it was done: see `DEVICE_STORE`
    "device_value",  # what it stores, or loaded
    "store_at",  # arena offsets of the first and the last byte of the last slow store
    "store_end",
    "tlb_generation",  # how often translations were forgotten
    ("large", 2 * LARGE_WORDS),  # a bit for each superpage known, by a hash: users', then others'
    ("large_span", 2),  # the offset bits inside the largest of either
    "local_kernel",  # supervisor mode's own bank has entries of pages that are not global
    ("walk_tags", WALKS),  # last-level page tables by what of an address leads to them
    ("walk_tables", WALKS),  # their physical addresses
)
_private_slots, _end = _slots(*_private)
HART.update({name: PRIVATE + 3 + n for name, n in _private_slots.items()})
assert PRIVATE + 3 + _end <= 0x800
HART["tlb"] = 0x800

#: Slot numbers in the machine struct.
MACHINE, MACHINE_FIELDS_END = _slots(
    "stop",  # written by other threads: leave at the next refill
    "steps_end",
    "slice_end",
    "skip",
    "retime",  # a deadline has moved: the budget must be made anew
    "time_num",
    "time_den",
    "time_delta",
    "clock_host",
    "ebreak_exits",
    "trap_exits",  # leave behind each trap
    "past",  # this address + 1: the breakpoint there is passed once, unless a trap comes first
    "code_writes",  # bumped by native stores into code
    "pool",  # arena offset of the decoded entries
    "mem_end",
    "nharts",
    "nranges",
    "nbreakpoints",
    "nwatchpoints",
    "clint_base",
    "uart_base",
    "uart_fast",  # console bytes may stay in the ring until the slice ends
    ("uart_stops", 4),  # but not those whose bit is set here: somebody waits for them
    "uart_ier",
    "uart_lcr",
    "uart_lsr",
    "uart_head",  # total bytes ever written to the ring
    "uart_tail",  # total bytes taken out by Python
    "traps",
    "interrupts",
    "invalidations",
    "sample_every",  # steps between two samples of the pc, 0: none
    "sample_due",  # the step of the next one
    "samples",  # how many were taken; the last `SAMPLES` are kept
    "nregions",
    "print_head",  # slots of `print_ring` in use
    "print_next",  # the same with what the current command printed so far
    "region_steps",  # instructions retired in compiled regions
    "region_left",  # where the last jumped out; its beginning + 1 for lack of budget; or 0
    ("region_exits", EXITS),  # jumps out, by the step that they were at; bit 0 for translated code
    ("scratch", 16),  # a page-crossing instruction is decoded here
    ("host_time", 2),  # struct timespec for the native clock
    "host_clock_fn",
    *(f"{name}_fn" for name in LIBRARY_ROUTINES),  # host addresses
    ("ranges", MAX_RANGES * RANGE_WORDS),
    ("region_filter", REGION_FILTER),  # a bit for each halfword of a region, by bits 16:1
)
MACHINE["watchpoints"] = 0x1000
MACHINE["breakpoints"] = 0x8000
MACHINE["region_entries"] = 0x1_0000  # arena offsets of the decoded entries that enter regions
MACHINE["uart_ring"] = 0x1_8000  # UART_RING bytes
MACHINE["regions"] = 0x1_A000  # REGION_WORDS each: arena start and end, first entry, entries
MACHINE["sample_ring"] = 0x1_E000
MACHINE["targets"] = 0x1_F000  # where regions' indirect jumps went lately, by bits 8:1 of it
MACHINE["print_ring"] = 0x1_F100
assert MACHINE_FIELDS_END <= 0x1000
assert MACHINE["watchpoints"] + MAX_WATCHPOINTS * WATCH_WORDS <= MACHINE["breakpoints"]
assert MACHINE["breakpoints"] + MAX_BREAKPOINTS <= MACHINE["region_entries"]
assert MACHINE["region_entries"] + MAX_REGION_ENTRIES <= MACHINE["uart_ring"]
assert MACHINE["uart_ring"] * 8 + UART_RING <= MACHINE["regions"] * 8
assert MACHINE["regions"] + MAX_REGIONS * REGION_WORDS <= MACHINE["sample_ring"]
assert MACHINE["sample_ring"] + SAMPLES * SAMPLE_WORDS <= MACHINE["targets"]
assert MACHINE["targets"] + TARGETS <= MACHINE["print_ring"]
assert (MACHINE["print_ring"] + PRINT_WORDS) * 8 <= MACHINE_SIZE
assert HART_FIELDS_END <= PRIVATE
assert HART["tlb"] * 8 + TLB_BANKS * TLB_KINDS * TLB_ENTRIES * 16 <= HART_SIZE


def hart_offset(index: int) -> int:
    """Arena offset of hart *index*'s struct."""
    return HARTS + index * HART_SIZE


def tlb_slot(bank: int, kind: int) -> int:
    """Slot in the hart struct of a TLB bank's first entry."""
    row = TLB_BANKS * 2 + bank if kind == TLB_X else bank * 2 + kind
    return HART["tlb"] + row * TLB_ENTRIES * 2


def entry_offset(pool: int, offset: int) -> int:
    """Arena offset of the decoded entry of the halfword at arena *offset*."""
    o = offset - MEM
    return pool + 8 * o + _SENTINEL * (o >> PAGE_SHIFT)


def entry_place(pool: int, entry: int) -> int:
    """Arena offset of the halfword whose decoded entry is at arena offset *entry*."""
    page, inside = divmod(entry - pool, PAGE_ENTRIES)
    return MEM + (page << PAGE_SHIFT) + (inside >> 3)
