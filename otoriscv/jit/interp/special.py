"""The handlers that are not instructions: decoding in place, page ends, exits, traps, polling.

They are written in LLVM terms because they are the dispatch mechanism itself; what is architecture
in them (decoding, traps, polling, translation) they call as routines.
"""

from __future__ import annotations

from otoriscv.core.handlers import (
    BREAKPOINT,
    CROSSING,
    FIRST_REGION,
    PAGE_END,
    RESUME,
    RESUME_INTERP,
    SPECIAL,
    UNDECODED,
    Handler,
)
from otoriscv.core.layout import (
    DEVICE_DONE,
    DEVICE_FAULT,
    HART,
    LINE_CODE,
    LINE_SHIFT,
    LINES,
    MACHINE,
    MEM,
    PAGE,
    PAGE_ENTRIES,
    Exit,
)
from otoriscv.jit.interp.handler import HandlerFunction
from otoriscv.jit.llvm.native import CC

__all__ = ["special_definitions", "special_names"]


def special_names() -> dict[int, str]:
    """Handler number to function, for the specials that are not illegal instructions."""
    return {
        UNDECODED: "undecoded",
        PAGE_END: "page_end",
        CROSSING: "crossing",
        BREAKPOINT: "breakpoint",
        RESUME_INTERP: "resume_interp",
        RESUME: "resume",
    }


class _Special(HandlerFunction):
    def __init__(self, xlen: int) -> None:
        super().__init__(xlen, Handler(SPECIAL[0].row, 4, frozenset()))

    def machine(self, name: str) -> str:
        return self.new(f"load i64, ptr {self.field('%A', MACHINE[name])}")

    def call(self, name: str, *args: str) -> str:
        return self.new(f"call i64 @{name}(ptr %S, ptr %A{''.join(f', i64 {a}' for a in args)})")

    def commit(self, n: str = "%N") -> None:
        self.put("pc", self.masked(self.pc64()))
        self.put("budget", n)

    def when(self, cond: str) -> str:
        """Open the block for *cond*; `otherwise` with the returned label ends it."""
        return self.unless(cond, likely=False)

    def otherwise(self, label: str) -> None:
        self._join(label)


def special_definitions(xlen: int) -> list[str]:
    """All special handlers and the entry function ``enter(S, A)``."""
    makers = (
        _take_trap, _after_trap, _leave_here, _poll_here, _resume, _resume_interp, _exact,
        _page_end, _breakpoint, _undecoded, _crossing,
    )  # fmt: skip
    return [*(make(_Special(xlen)) for make in makers), _enter(xlen)]


def _take_trap(f: _Special) -> str:
    """trap_cause and trap_tval are set; the instruction at E traps."""
    f.commit()
    f.tail("@after_trap")
    return f.wrap("take_trap")


def _after_trap(f: _Special) -> str:
    """Take the trap of the committed pc."""
    pc = f.call("trap_enter", f.get("pc"), f.get("trap_cause"), f.get("trap_tval"))
    f.put("pc", pc)
    crashed = f.when(f.new(f"icmp ne i64 {f.get('exit_code')}, 0"))
    f.end("ret void")
    f.otherwise(crashed)
    f.tail("@resume")
    return f.wrap("after_trap")


def _leave_here(f: _Special) -> str:
    """Leave with the instruction at E not executed; exit_code is set."""
    f.commit()
    f.end("ret void")
    return f.wrap("leave_here")


def _poll_here(f: _Special) -> str:
    """Look for interrupts and deadlines; pc and budget are committed."""
    code = f.call("poll")
    stay = f.when(f.new(f"icmp eq i64 {code}, 0"))
    f.tail("@resume")
    f.otherwise(stay)
    f.put("exit_code", code)
    f.end("ret void")
    return f.wrap("poll_here")


def _resume(f: _Special) -> str:
    """Go on at the committed pc with the committed budget: fill the execute TLB and dispatch."""
    e, n, table, p = _locate(f)
    f.dispatch(e, n, table, p)
    return f.wrap("resume")


def _resume_interp(f: _Special) -> str:
    """`resume`, but the first instruction is interpreted even where a region is entered."""
    e, n, table, p = _locate(f)
    number = _halfword(f, e)
    region = f.new(f"icmp uge i64 {number}, {FIRST_REGION}")
    ordinary = f.when(region)
    own = f.get_pointer("region_handlers")
    at = f.op("sub", number, FIRST_REGION)
    slot = f.new(f"getelementptr i16, ptr {own}, i64 {at}")
    handler = f.new(f"load i16, ptr {slot}")
    index = f.new(f"zext i16 {handler} to i64")
    f.tail(f.code_of(f.get_pointer("table"), index), e, n, table, p)
    f.otherwise(ordinary)
    f.tail(f.code_of(table, number), e, n, table, p)
    return f.wrap("resume_interp")


def _locate(f: _Special) -> tuple[str, str, str, str]:
    """Entry, budget, table and pc bias at the committed pc; leaves when there is no code."""
    n = f.get("budget")
    empty = f.when(f.new(f"icmp eq i64 {n}, 0"))
    f.tail("@poll_here")
    f.otherwise(empty)
    pc = f.get("pc")
    entry, page = f.execute_tlb(pc)
    known = f.new(f"icmp eq i64 {f.new(f'load i64, ptr {entry}')}, {page}")
    missing, found = f.label(), f.label()
    f.end(f"br i1 {known}, label %{found}, label %{missing}")
    f.otherwise(missing)
    status = f.call("fetch_slow", pc)
    bad = f.when(f.new(f"icmp ne i64 {status}, 0"))
    # a breakpoint comes before the trap, as for a call of address 0
    here = f.when(f.new(f"icmp ne i64 {f.call('breakpoint_at', pc)}, 0"))
    f.put("exit_code", str(Exit.BREAKPOINT))
    f.end("ret void")
    f.otherwise(here)
    trapped = f.when(f.new(f"icmp eq i64 {status}, 1"))
    f.tail("@after_trap")
    f.otherwise(trapped)
    f.put("exit_code", f.new(f"sub i64 {status}, 16"))
    f.end("ret void")
    f.otherwise(bad)
    offset = f.new(f"sub i64 {f.get('value')}, {MEM}")
    entries = f.op("add", f.machine("pool"), f.op("shl", offset, 3))
    first = f.op("add", entries, f.op("shl", f.op("lshr", offset, 12), 6))
    # the sentinel behind the page's last entry
    last = f.new(f"add i64 {first}, 32768")
    f.line(f"store i16 {PAGE_END}, ptr {f.at(last)}")
    f.line(f"store i64 {page}, ptr {entry}")
    filled = f.op("sub", first, f.op("shl", page, 3))
    f.line(f"store i64 {filled}, ptr {f.addend(entry)}")
    f.start(found)
    addend = f.new(f"load i64, ptr {f.addend(entry)}")
    e, p = f.place(pc, addend)
    table = f.table_for(n, f.get_pointer("table"))
    return e, n, table, p


def _exact(f: _Special) -> str:
    """Every entry of the exact table: test the budget, then the real handler."""
    empty = f.when(f.new("icmp eq i64 %N, 0"))
    f.commit("0")
    f.tail("@poll_here")
    f.otherwise(empty)
    number = f.new(f"load i16, ptr {f.at('%E')}")
    index = f.new(f"zext i16 {number} to i64")
    table = f.get_pointer("table")
    target = f.code_of(table, index)
    f.tail(target)
    return f.wrap("exact")


def _page_end(f: _Special) -> str:
    """Behind the last entry of a page: go on wherever the next page is."""
    f.commit()
    f.tail("@resume")
    return f.wrap("page_end")


def _breakpoint(f: _Special) -> str:
    """There may be a breakpoint here: the place has several addresses, or had another one."""
    here = f.when(f.new(f"icmp eq i64 {f.call('breakpoint_at', f.masked(f.pc64()))}, 0"))
    offset, inside = _memory_offset(f)
    low = _halfword(f, offset)
    wide = f.new(f"icmp eq i64 {f.op('and', low, 3)}, 3")
    at_end = f.new(f"icmp eq i64 {inside}, {PAGE - 2}")
    within = f.when(f.new(f"and i1 {wide}, {at_end}"))
    f.tail("@crossing")
    f.otherwise(within)
    # decode_entry looks at as much of it as the instruction has
    word = f.new(f"load i32, ptr {f.at(offset)}, align 2")
    _execute_apart(f, f.new(f"zext i32 {word} to i64"))
    f.otherwise(here)
    f.put("exit_code", str(Exit.BREAKPOINT))
    f.tail("@leave_here")
    return f.wrap("breakpoint")


def _execute_apart(f: _Special, word: str) -> None:
    """Execute an instruction through scratch entries, decoded for this once."""
    scratch = MACHINE["scratch"] * 8
    # no jump of it is near: its entry is not among its page's entries
    f.call("decode_entry", word, str(1 << 21), str(scratch))
    for length in (2, 4):
        f.line(f"store i16 {PAGE_END}, ptr {f.at(str(scratch + 8 * length))}")
    p = f.op("sub", f.pc64(), scratch >> 3)
    index = _halfword(f, str(scratch))
    f.tail(f.code_of(f.get_pointer("table"), index), e=str(scratch), p=p)


def _memory_offset(f: _Special, entry: str = "%E") -> tuple[str, str]:
    """(arena offset of the halfword whose entry is *entry*, its offset in the page)."""
    rel = f.op("sub", entry, f.machine("pool"))
    page = f.op("udiv", rel, PAGE_ENTRIES)
    inside = f.op("lshr", f.op("sub", rel, f.op("mul", page, PAGE_ENTRIES)), 3)
    base = f.op("add", f.op("shl", page, 12), MEM)
    return f.op("add", base, inside), inside


def _mark(f: _Special, offset: str) -> None:
    """Say that there is code in the line of *offset*."""
    line = f.at(f.op("add", f.op("lshr", offset, LINE_SHIFT), LINES))
    marked = f.new(f"or i8 {f.new(f'load i8, ptr {line}')}, {LINE_CODE}")
    f.line(f"store i8 {marked}, ptr {line}")


def _halfword(f: _Special, offset: str) -> str:
    half = f.new(f"load i16, ptr {f.at(offset)}")
    return f.new(f"zext i16 {half} to i64")


def _undecoded(f: _Special) -> str:
    """Decode the entry at E in place, or make it a breakpoint or a page-crossing one."""
    offset, inside = _memory_offset(f)
    _mark(f, offset)
    near = f.call("breakpoint_near", f.masked(f.pc64()))
    ordinary = f.when(f.new(f"icmp ne i64 {near}, 0"))
    f.line(f"store i16 {BREAKPOINT}, ptr {f.at('%E')}")
    f.tail("@breakpoint")
    f.otherwise(ordinary)
    low = _halfword(f, offset)
    wide = f.new(f"icmp eq i64 {f.op('and', low, 3)}, 3")
    at_end = f.new(f"icmp eq i64 {inside}, 4094")
    within = f.when(f.new(f"and i1 {wide}, {at_end}"))
    f.line(f"store i16 {CROSSING}, ptr {f.at('%E')}")
    f.tail("@crossing")
    f.otherwise(within)
    four = f.when(f.new(f"xor i1 {wide}, true"))
    f.call("decode_entry", low, inside, "%E")
    f.dispatch_again()
    f.otherwise(four)
    word = f.new(f"load i32, ptr {f.at(offset)}, align 2")
    _mark(f, f.op("add", offset, 2))
    f.call("decode_entry", f.new(f"zext i32 {word} to i64"), inside, "%E")
    f.dispatch_again()
    return f.wrap("undecoded")


def _crossing(f: _Special) -> str:
    """A 4-byte instruction across a page end: decoded anew each time, into scratch entries."""
    offset, _ = _memory_offset(f)
    f.commit()
    low = _halfword(f, offset)
    second = f.masked(f.op("add", f.pc64(), 2))
    entry, page = f.execute_tlb(second)
    known = f.new(f"icmp eq i64 {f.new(f'load i64, ptr {entry}')}, {page}")
    missing, found, located = f.label(), f.label(), f.label()
    f.end(f"br i1 {known}, label %{found}, label %{missing}")
    f.start(found)
    addend = f.new(f"load i64, ptr {f.addend(entry)}")
    offset, _ = _memory_offset(f, f.op("add", f.op("shl", page, 3), addend))
    f.put("value", offset)
    f.end(f"br label %{located}")
    f.start(missing)
    status = f.call("fetch_slow", second)
    fetched = f.when(f.new(f"icmp ne i64 {status}, 0"))
    left = f.when(f.new(f"icmp eq i64 {status}, 1"))
    f.tail("@after_trap")
    f.otherwise(left)
    f.put("exit_code", f.op("sub", status, 16))
    f.end("ret void")
    f.otherwise(fetched)
    f.start(located)
    page = f.get("value")
    _mark(f, page)
    word = f.op("or", low, f.op("shl", _halfword(f, page), 16))
    _execute_apart(f, word)
    return f.wrap("crossing")


def _enter(xlen: int) -> str:
    table = HART["table"] * 8
    code = HART["exit_code"] * 8
    device = HART["device"] * 8
    return f"""define void @enter(ptr %S, ptr %A) {{
entry:
  %code = getelementptr i8, ptr %S, i64 {code}
  store i64 0, ptr %code
  %tp = getelementptr i8, ptr %S, i64 {table}
  %T = load ptr, ptr %tp
  %dp = getelementptr i8, ptr %S, i64 {device}
  %device = load i64, ptr %dp
  %done = icmp eq i64 %device, {DEVICE_DONE}
  %fault = icmp eq i64 %device, {DEVICE_FAULT}
  %served = or i1 %done, %fault
  br i1 %served, label %again, label %first
again:
  call {CC} void @resume(ptr %S, ptr %A, i64 0, i64 0, ptr %T, i64 0)
  ret void
first:
  call {CC} void @poll_here(ptr %S, ptr %A, i64 0, i64 0, ptr %T, i64 0)
  ret void
}}"""
