"""``make linux32``: a small rv32 kernel from Debian's source package, in build-linux/.

Debian has no rv32 port, so the kernel is built here (some six minutes of one processor), with
debugging information in build-linux/vmlinux32. The root is one small program, init32.c.
"""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from filecmp import cmp
from pathlib import Path
from typing import Final

from otoriscv.tools import find_cc
from tools.linux.cpio import Archive
from tools.linux.debian import DebianError, Packages
from tools.linux.make64 import BUILD, ROOT
from tools.setup import SetupError, debian_packages

RELEASE: Final = "bookworm"
SOURCE: Final = "linux-source-6.1"
KERNEL: Final = BUILD / "vmlinuz32"
SYMBOLS: Final = BUILD / "vmlinux32"
INITRD: Final = BUILD / "initrd32.gz"
_FETCHED: Final = BUILD / "source"
_HERE: Final = Path(__file__).resolve().parent
_INIT: Final = _HERE / "init32.c"
_CROSS: Final = "riscv64-linux-gnu-"
_CONFIG: Final = _HERE / "rv32.config"
_RECIPE: Final = BUILD / "recipe32"  # the configuration that it was built with


def _run(command: Sequence[str], folder: Path, log: Path) -> None:
    with log.open("ab") as file:
        done = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT
        )
    if done.returncode:
        raise DebianError(f"{' '.join(command[:2])} failed: see {log.relative_to(ROOT)}")


def _source(packages: Packages) -> Path:
    """The unpacked source."""
    tree = BUILD / SOURCE
    if not (tree / "Makefile").exists():
        package = packages.fetch(SOURCE)
        unpacked = _FETCHED / "unpacked"
        shutil.rmtree(unpacked, ignore_errors=True)
        _run(["dpkg-deb", "-x", str(package), str(unpacked)], BUILD, BUILD / "linux32.log")
        with tarfile.open(unpacked / "usr/src" / f"{SOURCE}.tar.xz") as archive:
            archive.extractall(unpacked, filter="fully_trusted")
        (unpacked / SOURCE).rename(tree)
        shutil.rmtree(unpacked)
    return tree


def kernel() -> None:
    """Configure and build."""
    packages = Packages(_FETCHED, RELEASE, "amd64")
    debian_packages("linux32", dry_run=False)
    print(
        f"linux32: {SOURCE} from Debian {RELEASE} (140 MB), built here: some five minutes",
        flush=True,
    )
    tree, log = _source(packages), BUILD / "linux32.log"
    make = ["make", "ARCH=riscv", f"CROSS_COMPILE={_CROSS}"]
    _run([*make, "tinyconfig"], tree, log)
    _run(["scripts/kconfig/merge_config.sh", "-m", ".config", str(_CONFIG)], tree, log)
    _run([*make, "olddefconfig"], tree, log)
    _run([*make, f"-j{os.cpu_count() or 1}", "Image"], tree, log)
    shutil.copyfile(tree / "vmlinux", SYMBOLS)
    shutil.copyfile(tree / "arch/riscv/boot/Image", KERNEL)
    shutil.copyfile(_CONFIG, _RECIPE)


def initramfs() -> None:
    """The root."""
    cc = find_cc()
    if not cc.usable:
        raise DebianError(f"no RISC-V compiler for its first process: {cc.reason}")
    program = BUILD / "init32"
    options = ["-march=rv32imafdc", "-mabi=ilp32d", "-O2", "-static", "-nostdlib", "-ffreestanding"]
    command = [*cc.command, *options, "-o", str(program), str(_INIT), "-lgcc"]
    _run(command, BUILD, BUILD / "linux32.log")
    root = Archive()
    root.device("dev/console", 5, 1)
    root.file("init", program.read_bytes(), 0o755)
    INITRD.write_bytes(gzip.compress(root.finish(), mtime=0))


def main() -> int:
    """Build what is missing and say how to boot."""
    try:
        _FETCHED.mkdir(parents=True, exist_ok=True)
        if not INITRD.exists() or INITRD.stat().st_mtime < _INIT.stat().st_mtime:
            initramfs()
        if not (KERNEL.exists() and _RECIPE.exists() and cmp(_CONFIG, _RECIPE, shallow=False)):
            kernel()
    except (DebianError, SetupError) as error:
        print(f"linux32: {error}", file=sys.stderr)
        return 1
    image, initrd, symbols = (path.relative_to(ROOT) for path in (KERNEL, INITRD, SYMBOLS))
    print(f"otoriscv boot {image} --initrd {initrd} --symbols {symbols}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
