"""``make linux64``: Debian's riscv64 kernel and a busybox root in build-linux/.

Everything comes from Debian's packages, unmodified; the initramfs loads the modules that virtio
disks, network cards, entropy and ext4 need, and gives a shell.
"""

from __future__ import annotations

import gzip
import hashlib
import lzma
import os
import re
import sys
from pathlib import Path
from typing import Final

from tools.linux.cpio import Archive
from tools.linux.debian import DebianError, Packages, extract

ROOT: Final = Path(__file__).resolve().parents[2]
BUILD: Final = ROOT / "build-linux"
RELEASE: Final = "trixie"
KERNEL: Final = BUILD / "vmlinux64"
INITRD: Final = BUILD / "initrd64.gz"
_RECIPE: Final = BUILD / "recipe64"  # what made them: this file's hash
MODULES: Final = ("virtio_mmio", "virtio_blk", "virtio_net", "virtio-rng", "ext4")

#: The root's /init. ``otoriscv.run=COMMAND`` on the kernel's command line runs that and powers off.
_INIT: Final = """\
#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /tmp /mnt /etc /usr/bin /usr/sbin /sbin
/bin/busybox --install -s
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
ifconfig lo up
while read -r module; do
    insmod "/lib/modules/$module.ko" || echo "no $module"
done </lib/modules/order
echo "otoriscv: user space, $(nproc) harts, $(uname -sr)"
sed -n 's/.*otoriscv.run="\\([^"]*\\)".*/\\1/p' /proc/cmdline >/tmp/run
if [ -s /tmp/run ]; then
    sh /tmp/run
    poweroff -f
fi
exec setsid cttyhack sh
"""

#: What busybox's udhcpc calls with what it was told.
_DHCP: Final = """\
#!/bin/sh
[ "$1" = deconfig ] && ifconfig "$interface" 0.0.0.0 up
[ "$1" = bound ] || [ "$1" = renew ] || exit 0
ifconfig "$interface" "$ip" netmask "$subnet"
for r in $router; do route add default gw "$r"; done
for d in $dns; do echo "nameserver $d"; done >/etc/resolv.conf
"""


def _info(module: bytes, key: str) -> list[str]:
    """The values of a field in a module's .modinfo."""
    found = re.findall(rb"(?<=\0)" + key.encode() + rb"=([^\0]*)(?=\0)", module)
    return [word for text in found for word in text.decode().split(",") if word]


def _ordered(files: dict[str, bytes], wanted: tuple[str, ...]) -> dict[str, bytes]:
    """The *wanted* modules and all that they depend on, in the order in which to load them."""
    by_name = {Path(path).name.removesuffix(".ko.xz"): path for path in files}
    spelled = {name.replace("-", "_"): name for name in by_name}
    done: dict[str, bytes] = {}

    def add(name: str) -> None:
        name = spelled[name.replace("-", "_")]
        if name in done:
            return
        data = lzma.decompress(files[by_name[name]])
        for other in _info(data, "depends") + _soft(data):
            if other.replace("-", "_") in spelled:
                add(other)
        done[name] = data

    for name in wanted:
        add(name)
    return done


def _soft(module: bytes) -> list[str]:
    """Soft dependencies to load before: ext4's ``pre: crypto-crc32c`` is in crc32c_generic."""
    names: list[str] = []
    for text in _info(module, "softdep"):
        if text.startswith("pre: "):
            names += [f"{n.removeprefix('crypto-')}_generic" for n in text[5:].split()]
    return names


def initramfs(busybox: bytes, modules: dict[str, bytes]) -> bytes:
    """The compressed root."""
    root = Archive()
    root.file("init", _INIT.encode(), 0o755)
    root.file("bin/busybox", busybox, 0o755)
    root.link("bin/sh", "busybox")
    root.device("dev/console", 5, 1)
    root.file("etc/udhcpc/default.script", _DHCP.encode(), 0o755)
    root.file("lib/modules/order", "".join(f"{name}\n" for name in modules).encode())
    for name, data in modules.items():
        root.file(f"lib/modules/{name}.ko", data)
    return gzip.compress(root.finish(), 6, mtime=0)


def build() -> None:
    """Make what is missing."""
    recipe = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    if KERNEL.exists() and INITRD.exists() and _RECIPE.exists() and _RECIPE.read_text() == recipe:
        return
    BUILD.mkdir(exist_ok=True)
    packages = Packages(BUILD, RELEASE, "riscv64")
    images = sorted(p.name.split("_")[0] for p in BUILD.glob("linux-image-*_riscv64.deb"))
    if not images:
        images = [n for n in packages.depends("linux-image-riscv64") if n.startswith("linux-image")]
    print(f"linux64: {images[0]} and busybox-static from Debian {RELEASE} (113 MB)", flush=True)
    kernel = extract(
        packages.fetch(images[0]), lambda p: p.startswith("boot/vmlinu") or p.endswith(".ko.xz")
    )
    busybox = extract(packages.fetch("busybox-static"), lambda p: p.endswith("bin/busybox"))
    modules = {path: data for path, data in kernel.items() if path.endswith(".ko.xz")}
    image = next(data for path, data in kernel.items() if path.startswith("boot/"))
    _put(INITRD, initramfs(next(iter(busybox.values())), _ordered(modules, MODULES)))
    _put(KERNEL, image)
    _put(_RECIPE, recipe.encode())


def _put(path: Path, data: bytes) -> None:
    """Write a file that others may be reading."""
    new = path.with_name(f"{path.name}.{os.getpid()}")
    new.write_bytes(data)
    new.replace(path)


def main() -> int:
    """Build and say how to boot."""
    try:
        build()
    except DebianError as error:
        print(f"linux64: {error}", file=sys.stderr)
        return 1
    kernel, initrd = (path.relative_to(ROOT) for path in (KERNEL, INITRD))
    print(f"otoriscv boot {kernel} --initrd {initrd}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
