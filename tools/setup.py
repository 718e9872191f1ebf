"""What make's targets need: ./.venv with otoriscv, and Debian packages when missing.

Says what it will fetch and how much room that takes before it fetches anything, asks nothing, and
does nothing (network included) when everything is there. Started through tools/setup.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
NEEDS = {
    "demo": ("cc", "picolibc", "gdb"),
    "test": ("cc", "picolibc", "gdb", "qemu", "qemu-user", "dtc"),
}
# What only Debian is asked for: a program or file, and the packages that bring it.
DEBIAN: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "extras": {
        "cpio": ("cpio",),
        "dot": ("graphviz",),
        "qemu-img": ("qemu-utils",),
        "/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin": ("opensbi",),
        "/usr/lib/u-boot/qemu-riscv64/u-boot.bin": ("u-boot-qemu",),
        "mkfs.ext4": ("e2fsprogs",),
    },
    "linux32": {
        "riscv64-linux-gnu-gcc": ("gcc-riscv64-linux-gnu",),
        "gcc": ("gcc", "libc6-dev"),
        "make": ("make",),
        "flex": ("flex",),
        "bison": ("bison",),
        "bc": ("bc",),
    },
}
EXTRAS = {"demo": "", "test": "[test]"}
# Wheels of pyproject.toml's dependencies, measured on Linux x86-64 with Python 3.11.
PYTHON_SIZES = {
    "demo": "about 60 MB to fetch, 200 MB on disk",
    "test": "about 115 MB to fetch, 430 MB on disk",
}
APT = ("apt-get", "-y", "--no-install-recommends")


class SetupError(Exception):
    """Setup cannot go on; the message says what to do."""


def say(text: str) -> None:
    """One line for the user."""
    print(f"setup: {text}", flush=True)


def load_tools() -> ModuleType:
    """otoriscv/tools.py by path: the package's dependencies may not be there yet."""
    spec = importlib.util.spec_from_file_location("_otoriscv_tools", ROOT / "otoriscv" / "tools.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def is_root() -> bool:
    """Whether packages can be installed without sudo."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def capture(command: Sequence[str]) -> tuple[int, str]:
    """Exit code and output of *command*, in plain English; nothing is asked on its stdin."""
    env = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=env
        )
    except OSError as error:
        return 127, str(error)
    return done.returncode, done.stdout + done.stderr


def run(command: Sequence[str]) -> None:
    """Run *command* on screen; `SetupError` when it fails."""
    print(f"+ {shlex.join(command)}", flush=True)
    done = subprocess.run(command, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise SetupError(f"this failed with {done.returncode}: {shlex.join(command)}")


def privileged(command: Sequence[str], what: str) -> list[str]:
    """*command* as root, through sudo when that is needed and asks for no password."""
    wrapped = ["env", "DEBIAN_FRONTEND=noninteractive", *command]
    if is_root():
        return wrapped
    if shutil.which("sudo") is None:
        raise SetupError(
            f"{what} needs root, and there is no sudo; as root:\n  {shlex.join(command)}"
        )
    if capture(["sudo", "-n", "true"])[0]:
        raise SetupError(
            f"{what} needs root, and sudo wants a password; once, by hand:\n"
            f"  sudo {shlex.join(command)}"
        )
    return ["sudo", "-n", *wrapped]


def apt_plan(packages: Sequence[str]) -> tuple[list[str], str] | None:
    """What apt would install for *packages* and its words on sizes; None: it knows them not."""
    # needs no rights and changes nothing; --assume-no would install, as -y is stronger
    code, said = capture([*APT, "--print-uris", "install", *packages])
    block = re.search(r"following NEW packages will be installed:\n((?:  .*\n)+)", said)
    if block is None:
        if code == 0:  # nothing to do
            return [], "nothing to fetch"
        return None
    fetch = re.search(r"^Need to get (.+) of archives", said, re.M)
    disk = re.search(r"^After this operation, (.+) of additional disk", said, re.M)
    sizes = [f"{fetch[1]} to fetch" if fetch else "", f"{disk[1]} on disk" if disk else ""]
    return block[1].split(), ", ".join(filter(None, sizes)) or "sizes unknown"


def install_debian(packages: Sequence[str], dry_run: bool) -> None:
    """Install *packages* with apt, after saying what that means."""
    install = [*APT, "install", *packages]
    what = f"installing {' '.join(packages)}"
    plan = apt_plan(packages)
    if plan is None:
        say(f"apt does not know {' '.join(packages)}: its lists are fetched first (about 20 MB)")
        if dry_run:
            return
        run(privileged(["apt-get", "update"], what))
        plan = apt_plan(packages)
        if plan is None:
            raise SetupError(f"apt knows no packages {' '.join(packages)}")
    names, sizes = plan
    say(f"Debian packages: {' '.join(names)}")
    say(f"               {sizes}")
    if dry_run:
        return
    command = privileged(install, what)
    try:
        run(command)
    except SetupError:
        say("trying once more with fresh lists")
        run(privileged(["apt-get", "update"], what))
        run(command)


def debian_packages(target: str, dry_run: bool) -> None:
    """What `DEBIAN` has for *target*, installed when it is not there."""
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    missing = [
        package
        for name, packages in DEBIAN[target].items()
        if not (Path(name).exists() if name.startswith("/") else shutil.which(name, path=path))
        for package in packages
    ]
    if missing and load_tools().package_manager() != "apt-get":
        raise SetupError(f"{target} needs what Debian has as {' '.join(missing)}")
    if missing:
        install_debian(missing, dry_run)


def system_packages(target: str, dry_run: bool) -> None:
    """The programs of *target*: installed on Debian, named elsewhere."""
    tools = load_tools()
    found = {tool.name: tool for tool in (find() for find in tools.TOOLS)}
    missing = [name for name in NEEDS[target] if not found[name].usable]
    if not missing:
        return
    manager = tools.package_manager()
    if manager == "apt-get":
        packages = [name for tool in missing for name in tools.PACKAGES[tool][manager]]
        install_debian(packages, dry_run)
        return
    say(f"not found: {', '.join(missing)}; what needs them is left out or done another way")
    for name in missing:
        say(f"  {name} ({found[name].purpose}): {tools.hint(name, manager)}")


def venv_path() -> Path:
    """Where the virtual environment is (VENV overrides)."""
    return ROOT / os.environ.get("VENV", ".venv")


def stamp_text() -> str:
    """Changes whenever the virtual environment must be made anew or brought up to date."""
    digest = hashlib.sha256((ROOT / "pyproject.toml").read_bytes())
    digest.update(str(ROOT).encode())
    return digest.hexdigest()


def is_current(target: str) -> bool:
    """Whether .venv holds all of *target* (the tests' needs include the demo's)."""
    venv, wanted = venv_path(), stamp_text()
    stamps = [venv / f"setup-{name}.stamp" for name in {target, "test"}]
    if not any(stamp.is_file() and stamp.read_text() == wanted for stamp in stamps):
        return False
    return capture([str(venv / "bin" / "python"), "-c", "import elftools, otoriscv"])[0] == 0


def python_packages(target: str, dry_run: bool) -> None:
    """Make .venv and install otoriscv into it, editable, with the extras of *target*."""
    if is_current(target):
        return
    venv = venv_path()
    say(f"Python packages into {venv.name}: otoriscv{EXTRAS[target]} and what it depends on")
    say(f"               {PYTHON_SIZES[target]}")
    if dry_run:
        return
    python = venv / "bin" / "python"
    if capture([str(python), "-m", "pip", "--version"])[0]:
        if importlib.util.find_spec("ensurepip") is None:
            raise SetupError("this Python makes no environments: apt-get install -y python3-venv")
        run([sys.executable, "-m", "venv", "--clear", str(venv)])
    run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
         "--no-input", "--editable", f"{ROOT}{EXTRAS[target]}"])  # fmt: skip
    # pip does this for packages that it copies; without, each start compiles 160 files where the
    # environment forbids Python to keep bytecode, which doubles it
    run([str(python), "-m", "compileall", "-q", str(ROOT / "otoriscv")])
    (venv / f"setup-{target}.stamp").write_text(stamp_text())
    say("done")


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="tools/setup", description=__doc__)
    parser.add_argument("target", choices=sorted({*NEEDS, *DEBIAN}))
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    parser.add_argument("--no-system", action="store_true", help="no system packages")
    args = parser.parse_args(argv)
    try:
        if args.target in DEBIAN:
            if not args.no_system:
                debian_packages(args.target, args.dry_run)
            return 0
        if not args.no_system:
            system_packages(args.target, args.dry_run)
        python_packages(args.target, args.dry_run)
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
