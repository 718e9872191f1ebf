"""Loaders: what they load, and that bad files end in `ImageError` and nothing else."""

from __future__ import annotations

import gzip
import os
import random
import shutil
import struct
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otoriscv.board.loaders import Image, ImageError, fit, load_image

GCC = shutil.which("riscv64-unknown-elf-gcc")
RAM = [(0x8000_0000, 128 << 20)]

PROGRAM = """
int counter = 3, table[5000]; static const char text[] = "hello";
static int helper(int n) { return n ? n + helper(n - 1) : text[counter]; }
int global_function(int n) { return helper(n) + table[n]; }
volatile unsigned long tohost;
void _start(void) { table[1] = global_function(4); for (;;) tohost = 1; }
"""


def make_elf(xlen: int, segments: list[tuple[int, bytes, int]], **changes: Any) -> bytes:
    """A small ELF by hand: *segments* are (paddr, bytes, memsz)."""
    head, prog = (64, 56) if xlen == 64 else (52, 32)
    at = head + prog * len(segments)
    body, table = bytearray(), bytearray()
    for address, data, memsz in segments:
        vaddr = changes.get("vaddr", address)
        row: tuple[int, ...]
        if xlen == 64:
            row = (1, 7, at + len(body), vaddr, address, len(data), memsz, 4096)
        else:
            row = (1, at + len(body), vaddr, address, len(data), memsz, 7, 4096)
        table += struct.pack("<IIQQQQQQ" if xlen == 64 else "<8I", *row)
        body += data
    ident = b"\x7fELF" + bytes([2 if xlen == 64 else 1, 1, 1]) + bytes(9)
    header = struct.pack(
        "<16sHHIQQQIHHHHHH" if xlen == 64 else "<16sHHIIIIIHHHHHH",
        *(ident, changes.get("type", 2), changes.get("machine", 243), 1),
        *(changes.get("entry", 0x8000_0000), head, 0, 0, head),
        *(changes.get("phentsize", prog), changes.get("phnum", len(segments)), 0, 0, 0),
    )
    return bytes(header + table + body)


def write(tmp_path: Path, data: bytes, name: str = "image") -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


def contents(image: Image) -> dict[int, bytes]:
    return {s.address: bytes(s.data) for s in image.segments if len(s.data)}


@pytest.fixture(scope="module", params=["rv32imac", "rv64imac"])
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real program of both classes."""
    if GCC is None:
        pytest.skip("no RISC-V compiler")
    where = tmp_path_factory.mktemp("elf")
    source, out = where / "p.c", where / "p.elf"
    source.write_text(PROGRAM)
    abi = "ilp32" if request.param == "rv32imac" else "lp64"
    subprocess.run(
        [
            *(GCC, f"-march={request.param}", f"-mabi={abi}", "-mcmodel=medany", "-O1"),
            *("-fno-inline", "-nostdlib", "-Wl,-Ttext=0x80000000", source, "-o", out),
        ],
        check=True,
    )
    return out


def test_elf_equals_what_pyelftools_reads(built: Path) -> None:
    elffile = pytest.importorskip("elftools.elf.elffile")
    image = load_image(built)
    with built.open("rb") as file:
        elf = elffile.ELFFile(file)
        assert (image.kind, image.xlen, image.entry) == ("elf", elf.elfclass, elf["e_entry"])
        loads = [s for s in elf.iter_segments() if s["p_type"] == "PT_LOAD" and s["p_memsz"]]
        assert contents(image) == {s["p_paddr"]: s.data() for s in loads if s["p_filesz"]}
        assert [s.size for s in image.segments] == [s["p_memsz"] for s in loads]
        for symbol in elf.get_section_by_name(".symtab").iter_symbols():
            if symbol.name in ("helper", "global_function", "table", "tohost", "_start", "text"):
                mine = image.symbols.get(symbol.name)
                assert mine is not None
                assert (mine.address, mine.size) == (symbol["st_value"], symbol["st_size"])
                assert mine.function == (symbol["st_info"]["type"] == "STT_FUNC")
    fitted = fit(image, RAM)
    assert min(contents(fitted)) == 0x8000_0000, "ld's page of headers below RAM is dropped"
    assert fitted.symbols is image.symbols
    if min(contents(image)) < 0x8000_0000:
        low = [(0x7FFF_0000, 0x1_0000), *RAM]
        assert contents(fit(image, low)) == contents(image)


def test_symbol_lookup(built: Path) -> None:
    symbols = load_image(built).symbols
    function = symbols.get("global_function")
    assert function is not None
    assert symbols.describe(function.address) == "global_function"
    assert symbols.describe(function.address + 2) == "global_function+0x2"
    assert symbols.describe(4) == "0x4"
    assert symbols.get("nothing") is None
    assert not any(s.name.startswith(("$", ".L")) for s in symbols)


def test_pyelftools_is_imported_only_for_an_elf(tmp_path: Path) -> None:
    raw = write(tmp_path, b"\x13\0\0\0")
    code = (
        "import sys; from otoriscv.board.loaders import load_image;"
        f"load_image({str(raw)!r}, xlen=32);"
        "print(*[m for m in sys.modules if m.startswith(('elftools', 'zstandard', 'llvmlite'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("xlen", [32, 64])
def test_gz_and_zst(xlen: int, tmp_path: Path) -> None:
    zstandard = pytest.importorskip("zstandard")
    elf = make_elf(xlen, [(0x8000_0000, b"\x13\0\0\0" * 1000, 5000)])
    plain = load_image(write(tmp_path, elf))
    for name, packed in (
        ("a.gz", gzip.compress(elf)),
        ("a.zst", zstandard.compress(elf)),
    ):
        image = load_image(write(tmp_path, packed, name))
        assert (image.kind, image.xlen, image.entry) == ("elf", xlen, plain.entry)
        assert contents(image) == contents(plain)
        for cut in (3, 12, len(packed) // 2, len(packed) - 1):
            with pytest.raises(ImageError):
                load_image(write(tmp_path, packed[:cut], name), xlen=None)
        with pytest.raises(ImageError, match=r"larger than|more than"):
            load_image(write(tmp_path, packed, name), limit=1000)
    with pytest.raises(ImageError, match="larger than"):
        load_image(write(tmp_path, elf), limit=1000)


def test_missing_zstd_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    with pytest.raises(ImageError, match="pip install zstandard"):
        load_image(write(tmp_path, b"\x28\xb5\x2f\xfd" + bytes(20)))


def test_raw(tmp_path: Path) -> None:
    path = write(tmp_path, b"\x13\0\0\0", "fw.bin")
    with pytest.raises(ImageError, match="--isa"):
        load_image(path)
    image = load_image(path, xlen=32)
    assert (image.kind, image.xlen, image.entry) == ("raw", 32, 0x8000_0000)
    assert contents(image) == {0x8000_0000: b"\x13\0\0\0"}
    assert load_image(path, xlen=64, base=0x1000).entry == 0x1000
    with pytest.raises(ImageError, match="address space"):
        load_image(path, xlen=32, base=0xFFFF_FFFE)


def record(kind: int, address: int, payload: bytes) -> str:
    raw = bytes([len(payload)]) + address.to_bytes(2, "big") + bytes([kind]) + payload
    return ":" + (raw + bytes([-sum(raw) & 0xFF])).hex().upper() + "\n"


END = record(1, 0, b"")


def hexfile(tmp_path: Path, text: str) -> Image:
    return load_image(write(tmp_path, text.encode(), "a.hex"), xlen=32)


def test_hex_all_record_types(tmp_path: Path) -> None:
    image = hexfile(
        tmp_path,
        record(4, 0, b"\x80\x00")
        + record(0, 0, b"abcd")
        + record(0, 4, b"efgh").lower().replace("\n", "\r\n")
        + "\n"
        + record(0, 0x100, b"ij")
        + record(5, 0, b"\x80\x00\x00\x04")
        + END,
    )
    assert (image.kind, image.entry) == ("hex", 0x8000_0004)
    assert contents(image) == {0x8000_0000: b"abcdefgh", 0x8000_0100: b"ij"}
    image = hexfile(
        tmp_path, record(2, 0, b"\x12\x34") + record(0, 0xFFFE, b"wxyz") + END
    )  # wraps in its segment
    assert contents(image) == {0x12340 + 0xFFFE: b"wx", 0x12340: b"yz"}
    assert image.entry == 0x12340
    image = hexfile(tmp_path, record(0, 0, b"a") + record(3, 0, b"\x10\x00\x00\x08") + END)
    assert image.entry == 0x10008


def test_hex_against_objcopy(built: Path, tmp_path: Path) -> None:
    out = tmp_path / "p.ihex"
    subprocess.run(["riscv64-unknown-elf-objcopy", "-O", "ihex", str(built), str(out)], check=True)
    elf, image = load_image(built), load_image(out, xlen=64)
    assert image.entry == elf.entry
    memory = {a + i: b for a, data in contents(elf).items() for i, b in enumerate(data)}
    for address, data in contents(image).items():
        for i, byte in enumerate(data):
            assert memory[address + i] == byte


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (record(0, 0, b"a"), "no end record"),
        (END, "no data"),
        (":0100000061FF\n" + END, "line 1: checksum is FF, should be 9E"),
        (record(0, 0, b"a") + "0100000061AD\n" + END, "line 2: a record starts"),
        (record(0, 0, b"a") + ":01000000619\n" + END, "line 2: not hexadecimal"),
        (record(0, 0, b"a") + ":0200000061\n" + END, "line 2: the record's length"),
        (record(0, 0, b"a") + record(6, 0, b"") + END, "line 2: unknown record type 06"),
        (record(4, 0, b"a") + END, "line 1: wrong length"),
        (END + record(0, 0, b"a"), "line 2: something follows"),
        (record(0, 0, b"abcd") + record(0, 2, b"x") + END, "overlap"),
    ],
)
def test_bad_hex(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        hexfile(tmp_path, text)


def test_hex_needs_an_isa(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="--isa"):
        load_image(write(tmp_path, (record(0, 0, b"a") + END).encode()))


CODE = b"\x13\0\0\0" * 16


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (make_elf(64, [(0x8000_0000, CODE, 64)], machine=62), "X86-64, not RISC-V"),
        (make_elf(32, [(0x8000_0000, CODE, 64)], machine=999), "machine 999"),
        (make_elf(64, [(0x8000_0000, CODE, 64)], type=1), "link it first"),
        (make_elf(64, [(0x8000_0000, CODE, 64)], type=4), "core dump"),
        (make_elf(64, [(0x8000_0000, CODE, 64)])[:150], "truncated: segment 0"),
        (make_elf(64, [(0x8000_0000, CODE, 64)])[:100], "truncated: the program headers"),
        (make_elf(64, [(0x8000_0000, CODE, 64)])[:40], "truncated: no complete ELF header"),
        (b"\x7fELF", "truncated"),
        (b"\x7fELF\x02\x02\x01" + bytes(57), "big-endian"),
        (b"\x7fELF\x07\x01\x01" + bytes(57), "damaged"),
        (make_elf(32, []), "nothing to load"),
        (make_elf(32, [(0x8000_0000, b"", 64)]), "nothing to load"),
        (make_elf(32, [(0x8000_0000, CODE, 3)]), "more bytes than memory"),
        (make_elf(32, [(0xFFFF_FFF0, CODE, 64)]), "wraps"),
        (make_elf(64, [(0x8000_0000, CODE, 64)], phnum=0xFFFF), "odd program header"),
        (make_elf(64, [(0x8000_0000, CODE, 64)], phentsize=3), "odd program header"),
        (make_elf(64, [(0x8000_0000, CODE, 64), (0x8000_0020, CODE, 64)]), "overlap"),
        (make_elf(64, [(0x8000_0000, CODE, 4096), (0x8000_0080, CODE, 64)]), "overlap"),
        (b"!<arch>\nfoo", "static library"),
        (b"S00600004844521B\n", "S-records"),
    ],
)
def test_refused(tmp_path: Path, data: bytes, message: str) -> None:
    path = write(tmp_path, data)
    with pytest.raises(ImageError, match=message) as caught:
        load_image(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_refused_paths(tmp_path: Path) -> None:
    for path, message in (
        (tmp_path / "missing", "No such file"),
        (tmp_path, "directory"),
        (Path("/dev/null"), "not a file"),
        (Path("nul\0"), "null"),
    ):
        with pytest.raises(ImageError, match=message):
            load_image(path)
    elf = write(tmp_path, make_elf(64, [(0x8000_0000, CODE, 64)]))
    with pytest.raises(ImageError, match="64-bit program, but --isa says rv32"):
        load_image(elf, xlen=32)


def test_dynamic_program_is_refused(tmp_path: Path) -> None:
    data = bytearray(make_elf(64, [(0x8000_0000, CODE, 64)]))
    data[64] = 3  # PT_INTERP
    with pytest.raises(ImageError, match="dynamically linked"):
        load_image(write(tmp_path, bytes(data)))


def test_outside_memory_names_the_flag(tmp_path: Path) -> None:
    image = load_image(write(tmp_path, make_elf(32, [(0x2000_0123, CODE, 0x3000)])))
    with pytest.raises(ImageError, match=r"0x20000123-0x20003122 .*--ram 0x20000000:16K"):
        fit(image, RAM)
    fit(image, [(0x2000_0000, 0x2000), (0x2000_2000, 0x2000)])


def test_moved_data_needs_only_its_bytes(tmp_path: Path) -> None:
    """.data in flash, copied to RAM by the startup code: its .bss tail is not in flash."""
    elf = make_elf(32, [(0x2000_0000, CODE, 4096), (0x2000_0040, CODE, 64)], vaddr=0x8000_0000)
    image = load_image(write(tmp_path, elf))
    fit(image, [(0x2000_0000, 0x80)])


def test_huge_bss_is_not_materialised(tmp_path: Path) -> None:
    path = write(tmp_path, make_elf(64, [(0x8000_0000, CODE, 1 << 60)]))
    tracemalloc.start()
    image = load_image(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 23
    with pytest.raises(ImageError, match="outside memory"):
        fit(image, RAM)


def survive(path: Path) -> None:
    """Load *path* and look at everything lazy; only `ImageError` may come out."""
    try:
        image = load_image(path)
        fit(image, RAM)
    except ImageError as error:
        assert "\n" not in str(error)
        return
    for symbol in image.symbols:
        image.symbols.describe(symbol.address)


def test_a_thousand_damaged_elfs(built: Path, tmp_path: Path) -> None:
    good = built.read_bytes()
    rng = random.Random(7)
    path = tmp_path / "bad.elf"
    started = time.monotonic()
    for i in range(1000):
        data = bytearray(good)
        if i % 4 == 0:
            del data[rng.randrange(len(data)) :]
        for _ in range(rng.randint(1, 8)):
            if data:
                # Half of the flips in the headers, where they matter.
                limit = min(len(data), 300) if rng.random() < 0.5 else len(data)
                data[rng.randrange(limit)] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
        survive(path)
    assert time.monotonic() - started < 60


def test_every_short_prefix(built: Path, tmp_path: Path) -> None:
    good = built.read_bytes()
    for length in range(1, 300):
        with pytest.raises(ImageError):
            load_image(write(tmp_path, good[:length]))


def test_section_headers_gone_wild(built: Path, tmp_path: Path) -> None:
    """Symbols are optional: nonsense in the section headers costs nothing but them."""
    good = built.read_bytes()
    xlen = load_image(built).xlen
    shoff_at, shnum_at = (40, 60) if xlen == 64 else (32, 48)
    width = "<Q" if xlen == 64 else "<I"
    (shoff,) = struct.unpack_from(width, good, shoff_at)
    for value in (0, 1, len(good) - 1, len(good), (1 << xlen) - 1):
        data = bytearray(good)
        struct.pack_into(width, data, shoff_at, value)
        survive(write(tmp_path, bytes(data)))
    for value in (0, 1, 0xFFFF):
        data = bytearray(good)
        struct.pack_into("<H", data, shnum_at, value)
        survive(write(tmp_path, bytes(data)))
    rng = random.Random(3)
    for _ in range(200):
        data = bytearray(good)
        for _ in range(4):
            data[rng.randrange(shoff, len(data))] = rng.choice((0, 1, 0x7F, 0xFF))
        survive(write(tmp_path, bytes(data)))


@settings(max_examples=200, deadline=None)
@given(
    data=st.binary(max_size=200),
    start=st.sampled_from([b"", b"\x7fELF", b":", b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"S0"]),
    xlen=st.sampled_from([None, 32, 64]),
)
def test_any_bytes(
    data: bytes, start: bytes, xlen: int | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / f"fuzz{os.getpid()}"
    path.write_bytes(start + data)
    try:
        load_image(path, xlen=xlen)
    except ImageError as error:
        assert "\n" not in str(error)
