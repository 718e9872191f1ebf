"""Region discovery on its own: blocks, loops, calls and returns, history, limits; its dumps."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from otoriscv.cli.main import main
from otoriscv.core.decode import Decoder, Insn, Isa
from otoriscv.core.encode import Program, assemble
from otoriscv.jit.regions import MAX_ENTRIES, Region, discover, text, to_dot
from tests.random_programs import BASE, START, random_program

RAM = 0x8000_0000
BOTH = pytest.mark.parametrize("xlen", [32, 64])


class Code:
    """An assembled program, and what was decoded of it."""

    def __init__(self, source: str, xlen: int = 32) -> None:
        self.xlen = xlen
        self.program: Program = assemble(source, xlen, RAM)
        self.decoder = Decoder(Isa.full(xlen))
        self.decoded: set[int] = set()

    def __getitem__(self, label: str) -> int:
        return self.program.symbols[label]

    def decode(self, pc: int) -> Insn | None:
        at = pc - RAM
        self.decoded.add(pc)
        if not 0 <= at < len(self.program.code):
            return None
        word = int.from_bytes(self.program.code[at : at + 4], "little")
        return self.decoder.decode(word, pc)

    def region(
        self,
        entry: str = "start",
        *,
        limit: int = 512,
        history: Sequence[int] = (),
        elsewhere: Sequence[str] = (),
    ) -> Region:
        others = frozenset(self[label] for label in elsewhere)
        return discover(self[entry], self.xlen, self.decode, limit, history, elsewhere=others)


@BOTH
def test_straight_line_up_to_what_the_interpreter_does(xlen: int) -> None:
    code = Code("start: addi a0, a0, 1\n add a1, a1, a0\n csr: csrr t0, mstatus\n nop", xlen)
    region = code.region()
    [block, behind] = region.blocks.values()
    assert (block.kind, block.end, block.size) == ("stop", code["csr"], 2)
    assert behind.start == code["csr"] + 4
    assert region.entries == [code["start"], behind.start] and not region.heads


@pytest.mark.parametrize("insn", ["ecall", "ebreak", "mret", ".word 0xffffffff"])
def test_instructions_that_end_a_region(insn: str) -> None:
    code = Code(f"start: addi a0, a0, 1\n end: {insn}\n j start")
    [block] = code.region().blocks.values()
    assert (block.kind, block.end) == ("stop", code["end"])


@BOTH
def test_auipc_and_jalr_are_one_far_jump(xlen: int) -> None:
    code = Code(
        """
    start: auipc ra, 0
    call:  jalr ra, 16(ra)
    back:  addi a0, a0, 1
           ebreak
    other: addi a1, a1, 1
    leave: jalr zero, 0(ra)
    """,
        xlen,
    )
    other = code["start"] + 16
    region = code.region(history=[code["back"]])
    assert (region.blocks[code["start"]].kind, region.blocks[code["start"]].targets) == (
        "jump", (other,)
    )  # fmt: skip
    assert other in region.blocks and region.return_sites == [code["back"]]
    assert not region.targets  # no jump goes just anywhere
    apart = code.region("call")  # entered between both, where nothing is known of ra
    assert apart.blocks[code["call"]].kind == "indirect"


@pytest.mark.parametrize("insn", ["wfi", "csrw mscratch, a0", "csrr a0, mcycle"])
def test_a_region_is_entered_again_behind_what_the_interpreter_did(insn: str) -> None:
    code = Code(f"start: addi a0, a0, 1\n end: {insn}\n behind: j start")
    region = code.region()
    assert region.blocks[code["start"]].kind == "stop"
    assert region.resumed == [code["behind"]]
    assert set(region.entries) == {code["start"], code["behind"]}


def test_a_diamond() -> None:
    code = Code("""
    start: beqz a0, other
           addi a1, a1, 1
           j join
    other: addi a1, a1, 2
    join:  add a2, a2, a1
           beqz a2, start
           ebreak
    """)
    region = code.region()
    branch = region.blocks[code["start"]]
    assert branch.kind == "branch" and branch.targets == (code["other"], code["start"] + 4)
    assert region.blocks[code["other"]].kind == "next"
    assert region.blocks[code["other"]].targets == (code["join"],)
    assert region.heads == {code["start"]}
    # every instruction is in one block only
    pcs = [pc for b in region.blocks.values() for pc, _ in b.insns]
    assert len(pcs) == len(set(pcs)) == region.instructions


def test_what_other_regions_are_entered_at_is_theirs() -> None:
    code = Code("""
    start: addi a0, a0, 1
           jal  leaf
           jal  loops
           beqz a0, start
    other: addi a1, a1, 1
           ebreak
    leaf:  addi a2, a2, 1
           ret
    loops: addi a3, a3, 1
    inner: addi a4, a4, -1
           bnez a4, inner
           ret
    """)
    apart = ("start", "other", "leaf", "inner")
    region = code.region(elsewhere=apart)
    assert code["leaf"] in region.blocks  # as a whole
    assert code["loops"] not in region.blocks and code["other"] not in region.blocks
    assert not region.whole and code.region().whole  # so it may grow
    beginning = code.region("inner", elsewhere=apart)
    assert code["inner"] in beginning.blocks


def test_nested_loops_have_two_heads() -> None:
    code = Code("""
    start: li t0, 10
    outer: li t1, 10
    inner: addi t1, t1, -1
           bnez t1, inner
           addi t0, t0, -1
           bnez t0, outer
           ebreak
    """)
    region = code.region()
    assert region.heads == {code["outer"], code["inner"]}
    assert set(region.entries) == {code["start"], code["outer"], code["inner"]}


def test_small_loops() -> None:
    code = Code("""
    start: li t0, 10
    outer: li t1, 10
    inner: addi t1, t1, -1
           beqz t1, out
           addi t2, t2, 1
           j inner
    out:   addi t0, t0, -1
           bnez t0, outer
           ebreak
    """)
    region = code.region()
    inner = {pc for pc in region.blocks if code["inner"] <= pc < code["out"]}
    outer = inner | {code["outer"], code["out"]}
    assert region.loops(6) == dict.fromkeys(inner, code["inner"])
    assert region.loops(7) == dict.fromkeys(outer, code["outer"])
    assert region.loops(3) == {}


def test_code_out_of_the_way_makes_no_loop() -> None:
    code = Code("""
    start: beqz a0, away
    back:  addi a1, a1, 1
    loop:  addi a2, a2, -1
           bnez a2, loop
           ebreak
    away:  li a0, 1
           j back
    """)
    region = code.region()
    assert region.heads == {code["back"], code["loop"]}
    assert region.loop_heads() == {code["loop"]}


def test_the_head_of_the_loop_around_a_place() -> None:
    text = """
    start: li t0, 10
    outer: li t1, 10
    inner: addi t1, t1, -1
    inside: bnez t1, inner
    behind: addi t0, t0, -1
           bnez t0, outer
    last:  ebreak
    """
    for hot, head in (
        *(("start", "start"), ("outer", "outer"), ("inner", "inner"), ("inside", "inner")),
        *(("behind", "outer"), ("last", "last")),
    ):
        code = Code(text)
        pc = code[hot]
        region = discover(pc, code.xlen, code.decode)
        assert region.head_around(pc, 6) == code[head], hot
        assert region.head_around(pc, 2) == (code[head] if head == "inner" else pc)


@pytest.mark.parametrize("seed", range(20))
def test_every_cycle_has_a_head(seed: int) -> None:
    """Without the ways to loop heads there is no way round."""
    rng, count = random.Random(seed), 12
    lines = []
    for n in range(count):
        jump = rng.choice(("beqz a0,", "bnez a1,", "j"))
        lines.append(f"b{n}: addi a0, a0, 1\n {jump} b{rng.randrange(count)}")
    code = Code("\n".join([*lines, "ebreak"]))
    region = code.region("b0")
    heads = region.loop_heads()
    assert heads <= region.blocks.keys()
    left = dict(region.blocks)
    while done := [
        start
        for start, block in left.items()
        if not any(pc in left and pc not in heads for pc in block.targets)
    ]:
        for start in done:
            del left[start]
    assert not left


def test_calls_are_followed_and_come_back() -> None:
    code = Code("""
    start: jal ra, leaf
    one:   addi a0, a0, 1
           jal ra, leaf
    two:   j start
    leaf:  addi a1, a1, 1
           ret
    """)
    region = code.region()
    assert region.return_sites == [code["one"], code["two"]]
    [back] = [b for b in region.blocks.values() if b.kind == "indirect"]
    assert back.returns and back.start == code["leaf"]
    # where a return leads may come before it in the code: the budget is tested there
    assert {code["one"], code["two"]} <= region.heads


def test_a_return_goes_to_the_calls_of_its_own_function() -> None:
    code = Code("""
    start: jal ra, leaf
    one:   jal ra, outer
    two:   j start
    leaf:  addi a1, a1, 1
           ret
    outer: mv s0, ra
           jal ra, leaf
    three: jr s0
           mv ra, s0
           ret
    """)
    region = code.region()
    back = region.blocks[code["leaf"]]
    assert back.returns and set(back.known) == {code["one"], code["three"]}


def test_a_function_is_in_the_region_as_a_whole_or_not_at_all() -> None:
    long = "addi a1, a1, 1\n" * 30
    code = Code(f"""
    start: jal ra, large
           jal ra, small
           j start
    large: {long}
           ret
    small: addi a2, a2, 1
           ret
    """)
    assert code.region().whole
    region = code.region(limit=20)
    assert not region.whole
    assert code["large"] not in region.blocks and code["small"] in region.blocks
    assert region.instructions == 5


def test_the_longest_way() -> None:
    code = Code("""
    start: addi a0, a0, 1
           beqz a0, other
           addi a0, a0, 1
           addi a0, a0, 1
           j join
    other: addi a0, a0, 1
    join:  bnez a0, start
           ebreak
    """)
    assert code.region().longest == 6


def test_indirect_jumps_go_where_they_went() -> None:
    code = Code("""
    start: jr a5
    first: addi a0, a0, 1
           j start
    other: addi a0, a0, 2
           j start
    never: addi a0, a0, 3
           j start
    """)
    assert set(code.region().blocks) == {code["start"]}
    region = code.region(history=[code["first"], code["other"], 0x1234])
    assert set(region.blocks) == {code["start"], code["first"], code["other"]}
    assert region.targets == [code["first"], code["other"]]
    assert set(region.targets) <= region.heads
    assert code["never"] not in code.decoded


def test_a_return_does_not_use_the_history() -> None:
    code = Code("start: addi a0, a0, 1\n ret\n other: j other")
    assert set(code.region(history=[code["other"]]).blocks) == {code["start"]}


@BOTH
def test_nothing_is_decoded_outside_the_code(xlen: int) -> None:
    code = Code("start: beqz a0, start - 64\n j start + 4096\n", xlen)
    region = code.region()
    assert region.instructions == 2
    outside = {pc for pc in code.decoded if not RAM <= pc < RAM + len(code.program.code)}
    assert outside <= {RAM - 64, RAM + 4096}  # asked for, and not there
    assert all(pc in code.decoded for b in region.blocks.values() for pc, _ in b.insns)


def test_nothing_at_all() -> None:
    code = Code("start: ebreak")
    assert code.region().instructions == 0
    assert discover(0x1000, 32, code.decode).blocks == {}
    assert text(discover(0x1000, 32, code.decode)) == ""


@pytest.mark.parametrize("limit", [1, 2, 3, 10, 100])
def test_the_limit(limit: int) -> None:
    code = Code("start:\n" + "addi a0, a0, 1\nbeqz a0, start\n" * 300)
    region = code.region(limit=limit)
    assert 1 <= region.instructions <= limit
    assert all(t in region.blocks or t not in code.decoded or region.instructions == limit
               for b in region.blocks.values() for t in b.targets)  # fmt: skip


def test_the_number_of_entries_is_bounded() -> None:
    loops = "\n".join(f"l{n}: addi a0, a0, 1\n bnez a0, l{n}" for n in range(80))
    region = Code("start: nop\n" + loops).region()
    assert len(region.heads) == 80
    assert len(region.entries) == MAX_ENTRIES and region.entries[0] == RAM


def test_spans_are_merged_and_leave_out_what_is_not_reached() -> None:
    code = Code("start: j over\n .word 0\n .word 0\nover: addi a0, a0, 1\n c.nop\n j start")
    assert code.region().spans() == [(RAM, RAM + 4), (code["over"], code["over"] + 10)]


def test_addresses_wrap_at_the_end_of_the_address_space() -> None:
    decoder = Decoder(Isa.full(32))
    words = {0xFFFF_FFFC: 0x00150513, 0: 0x00250513}  # addi a0, a0, 1; addi a0, a0, 2

    def decode(pc: int) -> Insn | None:
        return decoder.decode(words[pc], pc) if pc in words else None

    region = discover(0xFFFF_FFFC, 32, decode)
    assert [pc for b in region.blocks.values() for pc, _ in b.insns] == [0xFFFF_FFFC, 0]


@BOTH
@pytest.mark.parametrize("seed", range(20))
def test_random_programs(xlen: int, seed: int) -> None:
    """What always holds: blocks do not overlap in the middle, targets are leaders, entries exist,
    every cycle in the region goes through a head."""
    rng = random.Random(seed)
    parts = dict(random_program(xlen, [rng.getrandbits(40) for _ in range(40)]).parts)
    data, decoder = parts[BASE], Decoder(Isa.full(xlen))

    def decode(pc: int) -> Insn | None:
        at = pc - BASE
        if not 0 <= at <= len(data) - 4:
            return None
        return decoder.decode(int.from_bytes(data[at : at + 4], "little"), pc)

    region = discover(START, xlen, decode, rng.choice((5, 50, 512)))
    where: dict[int, int] = {}
    for start, block in region.blocks.items():
        for pc, _ in block.insns:
            assert where.setdefault(pc, start) == start or pc == start
    assert all(e in region.blocks for e in region.entries)
    edges = {s: [t for t in b.targets if t in region.blocks] for s, b in region.blocks.items()}
    # without the heads, what is left of the graph has no cycle
    left = {s: [t for t in ts if t not in region.heads] for s, ts in edges.items()}
    done: set[int] = set()
    for root in left:
        path: list[tuple[int, int]] = [(root, 0)]
        on = {root}
        while path:
            node, at = path.pop()
            if at < len(left[node]) and node not in done:
                path.append((node, at + 1))
                following = left[node][at]
                assert following not in on, "a cycle without a head"
                if following not in done:
                    path.append((following, 0))
                    on.add(following)
            else:
                done.add(node)
                on.discard(node)


CFG = """
start: li t0, 3
loop:  jal ra, leaf
       addi t0, t0, -1
       bnez t0, loop
       ebreak
leaf:  ret
"""


def _words(source: str) -> list[str]:
    code = assemble(source, 32, RAM).code
    words, at = [], 0
    while at < len(code):
        length = 4 if code[at] & 3 == 3 else 2
        words.append(code[at : at + length][::-1].hex())
        at += length
    return words


def test_disasm_cfg_prints_the_graph(capsys: pytest.CaptureFixture[str]) -> None:
    words = _words(CFG)
    common = ["disasm", "--isa", "rv32imac", "--base", hex(RAM)]
    assert main([*common, "--cfg", "--hex", *words]) == 0
    out = capsys.readouterr().out
    assert f"{RAM:#x}: entry\n" in out and "entry head" in out and "-> branch" in out
    assert main([*common, "--cfg", "dot", "--hex", *words]) == 0
    dot = capsys.readouterr().out
    assert dot.startswith("digraph region {") and "peripheries=2" in dot and "style=dashed" in dot
    assert main([*common, "--cfg", "--entry", "0x10", "--hex", *words]) == 2
    assert "no code at 0x10" in capsys.readouterr().err
    assert main([*common, "--cfg", "--entry", "nowhere", "--hex", *words]) == 2
    assert "no such symbol" in capsys.readouterr().err
    assert main([*common, "--entry", hex(RAM), "--hex", *words]) == 2


def test_graphviz_accepts_the_graph(tmp_path: Path) -> None:
    if shutil.which("dot") is None:
        pytest.skip("no Graphviz")
    region = Code(CFG).region()
    graph = to_dot(region, lambda pc, insn: f'{insn.row.name} "quoted" \\ and\ttab')
    done = subprocess.run(["dot", "-Tplain"], input=graph, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert sum(line.startswith("node") for line in done.stdout.splitlines()) == len(region.blocks)


@BOTH
def test_an_instruction_behind_the_region_is_replaced(xlen: int) -> None:
    """A loop's head that the region leaves to the interpreter is no entry: what is there may be
    another instruction when the region, which does not contain it, comes back."""
    text = """
        li   s0, 0
    head:
        csrr t0, mscratch
        addi s0, s0, 1
        addi a1, a1, 1
        addi a2, a2, 1
        bne  s0, a0, head
    """
    program = assemble(text, xlen, RAM)
    region = discover(
        program.symbols["head"] + 4,
        xlen,
        lambda pc: (
            Decoder(Isa.parse(f"rv{xlen}imac_zicsr")).decode(
                int.from_bytes(program.code[pc - RAM : pc - RAM + 4], "little"), pc
            )
            if 0 <= pc - RAM < len(program.code)
            else None
        ),
    )
    head = program.symbols["head"]
    assert head in region.blocks and not region.blocks[head].insns
    assert head not in region.entries
    assert all(any(s <= pc < e for s, e in region.spans()) for pc in region.entries)
