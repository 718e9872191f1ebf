"""The device tree against dtc and against QEMU's; the reset vector against the disassembler."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

from otoriscv.board import memory_map
from otoriscv.board.bootrom import boot_rom
from otoriscv.board.devicetree import TreeConfig, place_fdt, virt_blob, virt_tree
from otoriscv.board.fdt import Node, cells, to_blob

Tree = dict[str, dict[str, bytes]]  # node path -> properties

RAM = (0x8000_0000, 128 << 20)


def parse(blob: bytes) -> Tree:
    """A reader of its own, to have no common mistakes with the writer."""
    magic, total, structure, strings, _, version = struct.unpack_from(">6I", blob)
    assert (magic, version) == (0xD00D_FEED, 17)
    assert total <= len(blob)
    tree: Tree = {}
    path: list[str] = []
    at = structure
    while True:
        (token,) = struct.unpack_from(">I", blob, at)
        at += 4
        if token == 1:
            end = blob.index(0, at)
            path.append(blob[at:end].decode())
            tree["/" + "/".join(path[1:])] = {}
            at = (end + 4) & ~3
        elif token == 2:
            path.pop()
        elif token == 3:
            length, name = struct.unpack_from(">2I", blob, at)
            start = strings + name
            key = blob[start : blob.index(0, start)].decode()
            tree["/" + "/".join(path[1:])][key] = blob[at + 8 : at + 8 + length]
            at = (at + 8 + length + 3) & ~3
        elif token == 9:
            return tree
        else:
            assert token == 4


def resolve(tree: Tree) -> dict[str, dict[str, Any]]:
    """The tree with phandles replaced by the paths they mean."""
    handles = {p["phandle"]: path for path, p in tree.items() if "phandle" in p}
    out: dict[str, dict[str, Any]] = {}
    for path, properties in tree.items():
        node: dict[str, Any] = dict(properties)
        node.pop("phandle", None)
        for name in ("interrupt-parent", "cpu", "regmap"):
            if name in node:
                node[name] = handles[node[name]]
        if "interrupts-extended" in node:
            raw = node["interrupts-extended"]
            words = [raw[i : i + 4] for i in range(0, len(raw), 4)]
            node["interrupts-extended"] = [
                handles[word] if i % 2 == 0 else word for i, word in enumerate(words)
            ]
        out[path] = node
    return out


def dtc(blob: bytes, tmp_path: Path) -> str:
    if shutil.which("dtc") is None:
        pytest.skip("dtc is not installed")
    path = tmp_path / "t.dtb"
    path.write_bytes(blob)
    done = subprocess.run(
        ["dtc", "-I", "dtb", "-O", "dts", str(path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    # QEMU's tree has no #address-cells in the harts' controllers either.
    odd = [x for x in done.stderr.splitlines() if "controller: Missing #address-cells" not in x]
    assert odd == []
    return done.stdout


def test_writer_round_trips() -> None:
    root = Node("", {"empty": None, "cell": 7, "string": "x", "strings": ["ab", "c"]})
    root.add("a@1", {"reg": cells(0x1_0000_0002, 3, size=2)}).add("b", {"bytes": b"\1\2\3"})
    tree = parse(to_blob(root))
    assert tree["/"] == {"empty": b"", "cell": b"\0\0\0\7", "string": b"x\0", "strings": b"ab\0c\0"}
    assert tree["/a@1"]["reg"] == struct.pack(">2Q", 0x1_0000_0002, 3)
    assert tree["/a@1/b"] == {"bytes": b"\1\2\3"}
    assert root.find("/a@1/b").properties == {"bytes": b"\1\2\3"}
    with pytest.raises(KeyError):
        root.find("/a@2")
    with pytest.raises(ValueError, match="does not fit"):
        cells(1 << 32)


def test_dtc_accepts_the_tree_without_warnings(tmp_path: Path) -> None:
    config = TreeConfig("rv64imac", harts=3, mmu="sv39", bootargs="a b", initrd=(1 << 33, 1 << 34))
    text = dtc(virt_blob(config), tmp_path)
    for line in ('bootargs = "a b"', "linux,initrd-start = <0x02 0x00>", "timebase-frequency"):
        assert line in text


def test_memory_ranges_and_none_mmu() -> None:
    tree = parse(virt_blob(TreeConfig("rv32i", ram=[(0x1000_0000_0, 4096), (0x2000_0000, 8192)])))
    assert tree["/memory@100000000"]["reg"] == struct.pack(">2Q", 0x1_0000_0000, 4096)
    assert tree["/memory@20000000"]["reg"] == struct.pack(">2Q", 0x2000_0000, 8192)
    assert tree["/cpus/cpu@0"]["mmu-type"] == b"riscv,none\0"


#: Nodes QEMU has and we have not (yet): their devices are absent.
ABSENT = ("/pmu", "/fw-cfg@", "/flash@", "/platform-bus@", "/soc/pci@")

#: Properties that may differ, and why.
DIFFERENT = {
    ("/", "model"): "names the emulator",
    ("/chosen", "rng-seed"): "random",
    ("/soc/plic@c000000", "riscv,ndev"): "QEMU 7.2 counts source 0; QEMU 8 has our 95",
}


@pytest.mark.qemu
@pytest.mark.parametrize("xlen", [32, 64])
@pytest.mark.parametrize("harts", [1, 4])
def test_equal_in_meaning_to_qemu(xlen: int, harts: int, tmp_path: Path) -> None:
    qemu = shutil.which(f"qemu-system-riscv{xlen}")
    if qemu is None:
        pytest.skip("QEMU is not installed")
    kernel, initrd = tmp_path / "kernel", tmp_path / "initrd"
    kernel.write_bytes(bytes(4096))
    initrd.write_bytes(bytes(5000))
    dump = tmp_path / "qemu.dtb"
    subprocess.run(
        [
            *(qemu, "-M", f"virt,dumpdtb={dump}", "-nographic", "-bios", "none", "-m", "64"),
            *("-smp", str(harts), "-kernel", kernel, "-initrd", initrd, "-append", "a=b c"),
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )
    theirs = resolve(parse(dump.read_bytes()))
    theirs = {p: n for p, n in theirs.items() if not p.startswith(ABSENT)}
    cpu = theirs["/cpus/cpu@0"]
    chosen = theirs["/chosen"]
    config = TreeConfig(
        isa=cpu["riscv,isa"].rstrip(b"\0").decode(),
        mmu=cpu["mmu-type"].rstrip(b"\0").decode().removeprefix("riscv,"),
        harts=harts,
        ram=[(0x8000_0000, 64 << 20)],
        bootargs="a=b c",
        initrd=(
            int.from_bytes(chosen["linux,initrd-start"], "big"),
            int.from_bytes(chosen["linux,initrd-end"], "big"),
        ),
        rng_seed=bytes(32),
        virtio=memory_map.VIRTIO_COUNT,
    )
    ours = resolve(parse(virt_blob(config)))
    for path, name in DIFFERENT:
        assert ours[path].pop(name, None) != theirs[path].pop(name, None)
    assert ours == theirs


def test_tree_addresses_come_from_the_memory_map() -> None:
    soc = virt_tree(TreeConfig("rv64i")).find("soc")
    bases = {int(child.name.split("@")[1], 16) for child in soc.children}
    assert bases == {r.base for r in memory_map.REGIONS[1:6]}
    for a, b in zip(memory_map.REGIONS, memory_map.REGIONS[1:], strict=False):
        assert a.end <= b.base or a.base > b.base


@pytest.mark.parametrize(
    ("size", "ram", "used", "expected"),
    [
        (5000, [RAM], [], 0x87E0_0000),
        (5000, [(0x8000_0000, 4 << 30)], [], 0xBFE0_0000),
        (5000, [(0x1_0000_0000, 1 << 30)], [], 0x1_3FE0_0000),
        (5000, [RAM], [(0x8000_0000, 0x7F0_0000)], 0x87FF_E000),
        (5000, [RAM], [(0x87E0_1000, 0x1F_F000)], 0x87C0_0000),
        (5000, [(0x2000_0000, 0x4000)], [(0x2000_0000, 0x1000)], 0x2000_2000),
        (5000, [(0x2000_0000, 0x1000)], [], None),
        (5000, [(0x2000_0000, 0x4000)], [(0x2000_0000, 0x4000)], None),
    ],
)
def test_place_fdt(
    size: int, ram: list[tuple[int, int]], used: list[tuple[int, int]], expected: int | None
) -> None:
    assert place_fdt(size, ram, used) == expected


@pytest.mark.parametrize("xlen", [32, 64])
def test_boot_rom_disassembles(xlen: int, tmp_path: Path) -> None:
    objdump = shutil.which("riscv64-unknown-elf-objdump")
    if objdump is None:
        pytest.skip("binutils for RISC-V are not installed")
    rom = boot_rom(xlen, 0x8000_0000, 0x87E0_0000, next_address=0x8020_0000)
    path = tmp_path / "rom.bin"
    path.write_bytes(rom[:24])
    text = subprocess.run(
        [objdump, "-D", "-b", "binary", "-M", "no-aliases", "-m", f"riscv:rv{xlen}", str(path)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    got = [" ".join(line.split("\t")[2:]) for line in text.splitlines() if line.startswith("  ")]
    load = "ld" if xlen == 64 else "lw"
    assert [g.split("#")[0].strip() for g in got] == [
        "auipc t0,0x0",
        "addi a2,t0,40",
        "csrrs a0,mhartid,zero",
        f"{load} a1,32(t0)",
        f"{load} t0,24(t0)",
        "jalr zero,0(t0)",
    ]
    assert struct.unpack_from("<2Q", rom, 24) == (0x8000_0000, 0x87E0_0000)
    word = 8 if xlen == 64 else 4
    assert rom[40:44] == b"OSBI"
    assert int.from_bytes(rom[40 + 2 * word : 40 + 3 * word], "little") == 0x8020_0000
    assert len(rom) <= memory_map.BOOT_ROM.size
