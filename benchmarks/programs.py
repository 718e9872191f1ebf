"""CoreMark, Dhrystone and Embench from a folder with their sources: for our machines, QEMU and
the host.

The sources are built as they are; what belongs to the platform is in benchmarks/programs.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.suite import FLOAT_FLAGS, SOURCES, VARIANTS, BuildError, Kernel
from otoriscv.tools import find_cc, find_picolibc

__all__ = ["NATIVE", "Program", "build_native_kernel", "find_programs"]

PORTS = Path(__file__).resolve().parent / "programs"
NATIVE = "native"
_COMMON = ("-O2", "-w", "-fno-pic")
_HOST_KERNEL = (
    *("-O2", "-std=c11", "-ffp-contract=off", "-fno-tree-loop-distribute-patterns", "-w"),
    *FLOAT_FLAGS,
    f"-I{SOURCES}",
)


def _compile(command: Sequence[str], what: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise BuildError(f"{what}: {done.stderr.strip()}")


def _host_compiler() -> str:
    for name in ("gcc", "cc"):
        found = shutil.which(name)
        if found is not None:
            return found
    raise BuildError("no compiler for the host: install gcc")


@dataclass(frozen=True)
class Program:
    """Somebody else's benchmark."""

    name: str
    sources: tuple[Path, ...]
    flags: tuple[str, ...]
    rounds: int  # of work: some two seconds under QEMU
    define: str
    result: re.Pattern[str]  # the lines of its output that say whether it was right
    port: str = ""  # whose port it uses; its own name's unless that is said

    def build(self, variant: str, directory: Path, *, scale: float = 1.0) -> Kernel:
        """Compile it; *variant* is one of `VARIANTS` or `NATIVE`."""
        rounds = max(1, round(self.rounds * scale))
        image = directory / f"{self.name}-{variant}-{rounds}.elf"
        xlen = VARIANTS[variant][0] if variant != NATIVE else 0
        inputs = [*self.sources, *PORTS.iterdir(), Path(__file__)]
        if image.is_file() and image.stat().st_mtime > max(f.stat().st_mtime for f in inputs):
            return Kernel(self.name, variant, xlen, image)
        directory.mkdir(parents=True, exist_ok=True)
        flags = [*_COMMON, *self.flags, f"-D{self.define}={rounds}", f"-I{self.sources[0].parent}"]
        if variant == NATIVE:
            command = [_host_compiler(), *flags]
            tail: list[str] = ["-no-pie", "-lm"]
        else:
            for tool in (find_cc(), find_picolibc()):
                if not tool.usable:
                    raise BuildError(tool.reason)
            script = SOURCES / "kernel.ld"
            command = [*find_cc().command, "--specs=picolibc.specs", *VARIANTS[variant][1], *flags]
            command += ["-nostartfiles", "-static", "-mcmodel=medany", "-T", str(script)]
            start = directory / f"start-{variant}.o"  # by itself: the program's macros are not its
            _compile(
                [*find_cc().command, *VARIANTS[variant][1], "-c", str(SOURCES / "start.S"), "-o",
                 str(start)],
                "start.S",
            )  # fmt: skip
            command += [str(start), str(PORTS / "guest.c")]
            tail = ["-lm", "-lc", "-lgcc"]
        port = PORTS / f"{self.port or self.name}_port.c"
        _compile(
            [*command, *map(str, self.sources), str(port), *tail, "-o", str(image)],
            f"{self.name} for {variant}",
        )
        return Kernel(self.name, variant, xlen, image)


def find_programs(folder: Path, directory: Path) -> list[Program]:
    """The benchmarks whose sources are in *folder*; `BuildError` when it is none that is known.
    *directory* is where files that they need are written."""
    directory.mkdir(parents=True, exist_ok=True)
    if (folder / "core_main.c").is_file():
        return [_coremark(folder, directory)]
    if (folder / "dhry_1.c").is_file():
        hooks = ("-Dmain=dhrystone_main", "-Dscanf=dhrystone_scanf", "-Dtime=dhrystone_time")
        return [
            Program(
                "dhrystone",
                (folder / "dhry_1.c", folder / "dhry_2.c"),
                ("-std=gnu89", "-fno-inline", "-DTIME", *hooks),
                4_000_000,
                "RUNS",
                re.compile(r"^(Int|Bool|Ch|Arr|Enum|Str)_"),
            )
        ]
    if (folder / "support" / "beebsc.c").is_file() and (folder / "src").is_dir():
        return [_embench(folder, x) for x in sorted((folder / "src").iterdir()) if x.is_dir()]
    raise BuildError(
        f"{folder}: neither CoreMark (core_main.c), Dhrystone (dhry_1.c) nor Embench (support)"
    )


def _coremark(folder: Path, directory: Path) -> Program:
    names = ("core_main.c", "core_list_join.c", "core_matrix.c", "core_state.c", "core_util.c")
    header = directory / "coremark-port" / "core_portme.h"
    header.parent.mkdir(exist_ok=True)
    text = (PORTS / "coremark_port.h").read_text()
    if not header.is_file() or header.read_text() != text:
        header.write_text(text)
    return Program(
        "coremark",
        tuple(folder / name for name in names),
        (f"-I{header.parent}",),
        6000,
        "ITERATIONS",
        re.compile(r"crc"),
    )


def _embench(folder: Path, source: Path) -> Program:
    support = folder / "support"
    return Program(
        f"embench-{source.name}",
        (*sorted(source.glob("*.c")), support / "beebsc.c", support / "main.c"),
        ("-Dmain=embench_main", "-DWARMUP_HEAT=1", f"-I{support}"),
        400,
        "GLOBAL_SCALE_FACTOR",
        re.compile(r"^right$"),
        "embench",
    )


def build_native_kernel(name: str, rounds: int, directory: Path) -> Kernel:
    """A kernel of ours for the host."""
    image = directory / f"{name}-{NATIVE}-{rounds}"
    source = SOURCES / f"{name}.c"
    directory.mkdir(parents=True, exist_ok=True)
    command = [_host_compiler(), *_HOST_KERNEL, f"-DN={rounds}", str(PORTS / "native.c")]
    _compile([*command, str(source), "-lm", "-o", str(image)], f"{name} for the host")
    return Kernel(name, NATIVE, 0, image)
