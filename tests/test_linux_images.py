"""Kernels, RAM disks and device trees: what is loaded where, and what is refused in one line."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from otoriscv.board.boot import plan_boot
from otoriscv.board.fdt_read import FdtError, from_blob
from otoriscv.board.loaders import Image, ImageError, Segment, load_image
from otoriscv.board.loaders.initrd import Initrd, load_initrd
from otoriscv.board.virt import VirtConfig, VirtMachine
from tests.test_fdt import parse
from tests.test_loaders import make_elf
from tools.linux.cpio import Archive

RAM = [(0x8000_0000, 128 << 20)]
OFFSETS = {32: 4 << 20, 64: 2 << 20}


def kernel(xlen: int = 64, size: int = 0x30_0000, flags: int = 0, **changes: int) -> bytes:
    """An Image whose code is `j .`, with an EFI stub's header when *machine* is given."""
    machine = changes.get("machine")
    text_offset = changes.get("text_offset", OFFSETS[xlen])
    code = b"MZ\x6f\x10" if machine else b"\x6f\0\0\0"
    magics = (b"RISCV\0\0\0", b"RSC\x05", 0x40 if machine else 0)
    data = struct.pack("<4sIQQQIIQ8s4sI", code, 0x6F, text_offset, size, flags, 2, 0, 0, *magics)
    if machine:
        data += b"PE\0\0" + struct.pack("<H", machine)
    return data + bytes(range(256)) * 16


def zboot(kind: bytes, payload: bytes) -> bytes:
    head = struct.pack("<4s4sIII4x32s", b"MZ\0\0", b"zimg", 64, len(payload), 0, kind)
    return head.ljust(64, b"\0") + payload


def gz(data: bytes) -> bytes:
    """Without a date: parameters must be the same in all test processes."""
    return gzip.compress(data, mtime=0)


def put(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def archive() -> bytes:
    root = Archive()
    root.file("etc/motd", b"hello\n")
    root.link("bin/sh", "busybox")
    root.device("dev/console", 5, 1)
    return root.finish()


@pytest.mark.parametrize("xlen", (32, 64))
def test_an_image_says_what_it_is_for(xlen: int, tmp_path: Path) -> None:
    image = load_image(put(tmp_path / "Image", kernel(xlen)))
    assert (image.kind, image.xlen, image.used) == ("linux", xlen, [(0, 0x30_0000)])
    stub = load_image(put(tmp_path / "stub", kernel(32, machine=int(f"50{xlen}", 16))))
    assert stub.xlen == xlen


@pytest.mark.parametrize(
    "pack",
    (
        gz,
        lambda data: zstandard.ZstdCompressor().compress(data),
        lambda data: zboot(b"gzip", gz(data)),
        lambda data: zboot(b"zstd22", zstandard.ZstdCompressor().compress(data)),
    ),
)  # fmt: skip
def test_compressed_kernels(pack: object, tmp_path: Path) -> None:
    assert callable(pack)
    image = load_image(put(tmp_path / "vmlinuz", pack(kernel(64))))
    assert image.kind == "linux"
    assert bytes(image.segments[0].data) == kernel(64)


@pytest.mark.parametrize("xlen", (32, 64))
def test_a_vmlinux_is_the_image_inside_it(xlen: int, tmp_path: Path) -> None:
    data = kernel(xlen)
    parts = [(0, data[:0x800], 0x1000), (0x2000, data[0x800:], 0x4000)]
    path = put(tmp_path / "vmlinux", make_elf(xlen, parts, vaddr=0xC000_0000, entry=0xC000_0000))
    image = load_image(path)
    assert (image.kind, image.xlen, image.entry) == ("linux", xlen, 0)
    flat = bytes(image.segments[0].data)
    assert flat[:0x800] == data[:0x800] and flat[0x2000:] == data[0x800:]
    assert not any(flat[0x800:0x2000])


@pytest.mark.parametrize(
    "data, isa, why",
    (
        (kernel(64), 32, "64-bit kernel, but --isa says rv32"),
        (kernel(32), 64, "32-bit kernel, but --isa says rv64"),
        (kernel(64, flags=1), None, "big-endian"),
        (kernel(64, size=0), None, "damaged"),
        (kernel(64, size=1 << 60), None, "damaged"),
        (kernel(64, text_offset=0), None, "add --isa"),
        (bytes(0x202) + b"HdrS" + bytes(64), None, "kernel for x86"),
        (bytes(56) + b"ARM\x64" + bytes(600), None, "kernel for AArch64"),
        (bytes(0x24) + b"\x18\x28\x6f\x01" + bytes(600), None, "kernel for ARM"),
        (b"MZ" + bytes(58) + b"\x40\0\0\0PE\0\0\x64\x86" + bytes(600), None, "for x86-64"),
        (zboot(b"lz4", b"\x02\x21\x4c\x18" + bytes(64)), None, "compressed with 'lz4'"),
        (zboot(b"gzip", gz(kernel(64))[:-9]), None, "not good gzip data"),
        (zboot(b"gzip", bytes(64))[:-1], None, "truncated"),
    ),
)
def test_kernels_that_cannot_be_loaded(
    data: bytes, isa: int | None, why: str, tmp_path: Path
) -> None:
    with pytest.raises(ImageError, match=why) as caught:
        load_image(put(tmp_path / "vmlinuz", data), xlen=isa)
    assert "\n" not in str(caught.value)


# -- RAM disks


def lz4() -> bytes:
    return b"\x02\x21\x4c\x18" + bytes(16)


def file_system() -> bytes:
    return bytes(0x438) + b"\x53\xef" + bytes(4096)


@pytest.mark.parametrize(
    "data",
    (
        archive(),
        gz(archive()),
        bz2.compress(archive()),
        lzma.compress(archive()),
        lzma.compress(archive(), lzma.FORMAT_ALONE),
        zstandard.ZstdCompressor().compress(archive()),
        archive() + bytes(512) + gz(archive()),  # microcode first, as Debian does it
        gz(archive()) + bytes(4) + archive(),
        lz4(),
        file_system(),
    ),
)
def test_good_ram_disks(data: bytes, tmp_path: Path) -> None:
    assert load_initrd(put(tmp_path / "initrd", data)).data == data


@pytest.mark.parametrize(
    "data, why",
    (
        (b"", "is empty"),
        (b"just text, a lot of it" * 20, "neither a cpio archive nor"),
        (archive()[:-150], "truncated"),
        (archive()[:200] + b"x" + archive()[200:], "corrupt: no cpio header"),
        (gz(archive())[:-9], "truncated: its gzip data"),
        (gz(b"no archive at all"), "no cpio archive"),
        (lzma.compress(archive())[:-20], "truncated: its xz data"),
        (zstandard.ZstdCompressor().compress(archive())[:-5], "not good zstd data"),
        (archive() + b"rubbish", "holds at 0x"),
    ),
)
def test_bad_ram_disks(data: bytes, why: str, tmp_path: Path) -> None:
    path = put(tmp_path / "initrd", data)
    with pytest.raises(ImageError, match=why) as caught:
        load_initrd(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


def test_a_flipped_bit_in_a_ram_disk(tmp_path: Path) -> None:
    data = bytearray(gz(random.Random(1).randbytes(3000)))
    good = bytearray(gz(archive() + random.Random(1).randbytes(0)))
    good[len(good) // 2] ^= 1
    for bad in (data, good):
        with pytest.raises(ImageError):
            load_initrd(put(tmp_path / "initrd", bytes(bad)))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.sampled_from((b"", archive(), gz(archive()))))
def test_no_ram_disk_makes_the_loader_fail_otherwise(tail: bytes, head: bytes) -> None:
    path = Path("/tmp") / f"otoriscv-initrd-{id(tail)}"
    try:
        load_initrd(put(path, head + tail))
    except ImageError:
        pass
    finally:
        path.unlink()


@pytest.mark.skipif(shutil.which("cpio") is None, reason="no cpio")
def test_cpio_reads_our_archives() -> None:
    done = subprocess.run(["cpio", "-t"], input=archive(), capture_output=True, check=True)
    assert done.stdout.split() == [
        b"etc", b"etc/motd", b"bin", b"bin/sh", b"dev", b"dev/console"
    ]  # fmt: skip


# -- places


def linux(xlen: int, size: int = 0x30_0000) -> Image:
    return Image("Image", "linux", xlen, 0, (Segment(0, kernel(xlen), size),))


def test_places_are_qemus() -> None:
    for xlen, offset in OFFSETS.items():
        plan = plan_boot(linux(xlen), "auto", Initrd("rd", bytes(5000)), xlen, RAM)
        assert plan.kernel == 0x8000_0000 + offset
        assert plan.initrd == (plan.kernel + (64 << 20), plan.kernel + (64 << 20) + 5000)
        assert plan_boot(linux(xlen), "none", None, xlen, RAM).kernel == 0x8000_0000
        bios = Image("fw", "raw", xlen, 0x8000_0000, (Segment(0x8000_0000, b"x" * 99, 0x44_0000),))
        plan = plan_boot(linux(xlen), bios, None, xlen, RAM)
        assert (plan.entry, plan.kernel) == (
            0x8000_0000,
            0x8000_0000 + {32: 8, 64: 6}[xlen] * 2**20,
        )


def test_what_does_not_fit() -> None:
    small = [(0x8000_0000, 8 << 20)]
    plan = plan_boot(linux(64), "auto", Initrd("rd", bytes(2 << 20)), 64, small)
    assert plan.initrd == (0x8060_0000, 0x8080_0000)
    with pytest.raises(ImageError, match=r"^rd: 4 MiB do not fit .* --ram 0x80000000:73M"):
        plan_boot(linux(64), "auto", Initrd("rd", bytes(4 << 20)), 64, small)
    with pytest.raises(ImageError, match=r"^Image: .* is outside memory"):
        plan_boot(linux(64, 64 << 20), "auto", None, 64, small)
    with pytest.raises(ImageError, match="an initrd is for a kernel"):
        plan_boot(None, "auto", Initrd("rd", b"x"), 64, RAM)
    elf = Image("elf", "elf", 64, 0x8000_0000, (Segment(0x8000_0000, b"x", 4096),))
    bios = Image("fw", "raw", 64, 0x8000_0000, (Segment(0x8000_0000, b"x", 4096),))
    with pytest.raises(ImageError, match="overlaps the firmware"):
        plan_boot(elf, bios, None, 64, RAM)
    with pytest.raises(ImageError, match="fw: is 64-bit firmware for rv32"):
        plan_boot(linux(32), bios, None, 32, RAM)


def test_the_guest_finds_its_ram_disk() -> None:
    data = archive()
    config = VirtConfig(image=linux(64), initrd=Initrd("rd", data), append="quiet", engine="python")
    machine = VirtMachine(config)
    chosen = parse(machine.device_tree())["/chosen"]
    start, end = (
        int.from_bytes(chosen[f"linux,initrd-{name}"], "big") for name in ("start", "end")
    )
    assert machine.memory.read(start, end - start) == data
    assert chosen["bootargs"] == b"quiet\0" and len(chosen["rng-seed"]) == 32
    assert chosen["stdout-path"] == b"/soc/serial@10000000\0"
    seed = chosen["rng-seed"]
    machine.reset()
    assert parse(machine.device_tree())["/chosen"]["rng-seed"] == seed
    machine.close()


# -- device trees


def boot(*words: object) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "otoriscv", "boot", *map(str, words)]
    return subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=60)


def test_dumpdtb_and_dtb(tmp_path: Path) -> None:
    dump, again = tmp_path / "a.dtb", tmp_path / "b.dtb"
    assert boot("--isa", "rv64gc", "--dumpdtb", dump).returncode == 0
    image = put(tmp_path / "Image", kernel(64))
    rd = put(tmp_path / "rd", archive())
    words = ("--initrd", rd, "--append", "one two", "--dtb", dump, "--dumpdtb", again)
    done = boot(image, *words)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    before, after = parse(dump.read_bytes()), parse(again.read_bytes())
    added = after["/chosen"].keys() - before["/chosen"].keys()
    assert added == {"bootargs", "linux,initrd-start", "linux,initrd-end", "rng-seed"}
    after["/chosen"] = before["/chosen"]
    assert after == before


@pytest.mark.skipif(shutil.which("dtc") is None, reason="no dtc")
def test_a_tree_of_dtc(tmp_path: Path) -> None:
    source = '/dts-v1/; /memreserve/ 0x1000 0x10; / { x = <1>; a { b = "c"; }; };'
    blob = subprocess.run(
        ["dtc", "-O", "dtb"], input=source.encode(), capture_output=True, check=True
    ).stdout
    root, reserved, _ = from_blob(blob)
    assert root.properties == {"x": b"\0\0\0\1"} and root.find("/a").properties == {"b": b"c\0"}
    assert reserved == struct.pack(">4Q", 0x1000, 0x10, 0, 0)
    dump = tmp_path / "out.dtb"
    done = boot("--isa", "rv64gc", "--dtb", put(tmp_path / "in.dtb", blob), "--dumpdtb", dump)
    assert done.returncode == 0
    text = subprocess.run(["dtc", "-I", "dtb", str(dump)], capture_output=True, check=True).stdout
    assert b"/memreserve/\t0x0000000000001000 0x0000000000000010" in text
    assert b'b = "c"' in text and b"stdout-path" in text


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_trees_are_refused(data: st.DataObject) -> None:
    blob = bytearray(VirtMachineTree.blob())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(blob) - 1))
        blob[at] = data.draw(st.integers(0, 255))
    try:
        from_blob(bytes(blob[: data.draw(st.integers(0, len(blob)))]))
    except FdtError as error:
        assert "\n" not in str(error)


class VirtMachineTree:
    """The board's own tree, made once."""

    _blob = b""

    @classmethod
    def blob(cls) -> bytes:
        if not cls._blob:
            machine = VirtMachine(VirtConfig(engine="python"))
            cls._blob = machine.device_tree()
            machine.close()
        return cls._blob


@pytest.mark.parametrize(
    "words, why",
    (
        (("--initrd", "rd"), "there is no image"),
        (("good", "--initrd", "none"), "No such file"),
        (("good", "--initrd", "bad"), "bad: begins with neither"),
        (("good", "--dtb", "bad"), "no device tree blob"),
        (("good", "--dtb", "none"), "No such file"),
        (("good", "--bios", "none.bin"), "No such file"),
        (("good", "--bios", "bad", "--isa", "rv32gc"), "64-bit kernel, but --isa says rv32"),
        (("good", "--isa", "rv64i"), "needs atomics"),
        (("good", "--rom", "0x10000:4K"), "where other memory is asked for"),
        (("good", "--harts", "257"), "out of range"),
        (("good", "--dumpdtb", "no/such/folder"), "No such file"),
    ),
)
def test_mistakes_are_one_line(words: tuple[str, ...], why: str, tmp_path: Path) -> None:
    put(tmp_path / "good", kernel(64))
    put(tmp_path / "bad", b"just text, a lot of it" * 20)
    command = [sys.executable, "-m", "otoriscv", "boot", *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert done.returncode == 2 and why in done.stderr, done.stderr
    assert done.stderr.count("\n") == 1 and done.stdout == ""
