"""tools/setup: what it says, when it stops, and that it does nothing twice."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
#: As apt-get 2.6: with -y only --print-uris keeps `install` from installing.
APT = """#!/bin/sh
echo "$@" >> "$LOG"
case "$*" in
*--print-uris*gdb-multiarch*|*--print-uris*flex*)
    [ -e "$LOG.known" ] || [ -z "$UNKNOWN" ] || { echo "E: Unable to locate package"; exit 100; }
    echo "The following NEW packages will be installed:"
    echo "  gcc-riscv64-unknown-elf gdb-multiarch"
    echo "  picolibc-riscv64-unknown-elf"
    echo "Need to get 123 MB of archives."
    echo "After this operation, 1,234 MB of additional disk space will be used."
    echo "'http://somewhere/pool/main/g/gdb.deb' gdb.deb 4096 MD5Sum:00" ;;
*update*) : > "$LOG.known" ;;
*install*)
    for name in bison flex; do
        : > "${0%/*}/$name"
        chmod +x "${0%/*}/$name"
    done ;;
esac
"""


@pytest.fixture
def setup() -> ModuleType:
    """tools/setup.py, loaded from its file."""
    spec = importlib.util.spec_from_file_location("_setup", ROOT / "tools" / "setup.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Box:
    """A PATH of our own and a log of what apt-get was asked."""

    def __init__(self, directory: Path) -> None:
        self.bin = directory / "bin"
        self.bin.mkdir()
        self.log_file = directory / "log"
        for name in ("chmod", "env", "sh"):
            (self.bin / name).symlink_to(str(shutil.which(name)))

    def program(self, name: str, text: str) -> None:
        """Put a program onto the PATH."""
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    @property
    def log(self) -> list[str]:
        """apt-get's command lines."""
        return self.log_file.read_text().splitlines() if self.log_file.exists() else []


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    """A Debian without the tools."""
    box = Box(tmp_path)
    box.program("apt-get", APT)
    monkeypatch.setenv("PATH", str(box.bin))
    monkeypatch.setenv("LOG", str(box.log_file))
    monkeypatch.setenv("UNKNOWN", "")
    monkeypatch.delenv("OTORISCV_CC", raising=False)
    monkeypatch.delenv("OTORISCV_GDB", raising=False)
    return box


def system(setup: ModuleType, monkeypatch: pytest.MonkeyPatch, *, root: bool) -> int:
    """`tools/setup demo`, the Python part left out."""
    monkeypatch.setattr(setup, "is_root", lambda: root)
    monkeypatch.setattr(setup, "python_packages", lambda target, dry_run: None)
    return int(setup.main(["demo"]))


def test_sizes_are_said_before_anything_is_installed(
    setup: ModuleType, box: Box, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert system(setup, monkeypatch, root=True) == 0
    said = capfd.readouterr().out
    assert "123 MB to fetch, 1,234 MB on disk" in said
    assert "gcc-riscv64-unknown-elf gdb-multiarch picolibc-riscv64-unknown-elf" in said
    assert said.index("123 MB") < said.index("+ env DEBIAN_FRONTEND=noninteractive apt-get")
    assert len(box.log) == 2
    assert "-y --no-install-recommends install gcc-riscv64-unknown-elf" in box.log[1]
    assert "qemu" not in box.log[1]


def test_unknown_packages_need_fresh_lists(
    setup: ModuleType, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNKNOWN", "1")
    assert system(setup, monkeypatch, root=True) == 0
    assert [line.split()[0] for line in box.log] == ["-y", "update", "-y", "-y"]


def test_neither_root_nor_sudo_prints_the_command_and_stops(
    setup: ModuleType, box: Box, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert system(setup, monkeypatch, root=False) != 0
    said = capfd.readouterr().err
    assert "apt-get -y --no-install-recommends install gcc-riscv64-unknown-elf" in said
    assert len(box.log) == 1  # only the plan


def test_sudo_is_used_when_it_asks_nothing(
    setup: ModuleType, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.program("sudo", '#!/bin/sh\nshift\n[ "$1" = true ] && exit 0\necho sudo >> "$LOG"\n"$@"\n')
    assert system(setup, monkeypatch, root=False) == 0
    assert box.log[1] == "sudo"


def test_sudo_that_wants_a_password_prints_the_command_and_stops(
    setup: ModuleType, box: Box, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    box.program("sudo", "#!/bin/sh\nexit 1\n")
    assert system(setup, monkeypatch, root=False) != 0
    assert "sudo apt-get -y" in capfd.readouterr().err


@pytest.mark.parametrize(("manager", "package"), [("brew", "riscv64-elf-gdb"), ("dnf", "gdb")])
def test_another_system_is_told_its_package_names(
    setup: ModuleType,
    box: Box,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    manager: str,
    package: str,
) -> None:
    (box.bin / "apt-get").unlink()
    box.program(manager, "#!/bin/sh\nexit 9\n")
    assert system(setup, monkeypatch, root=True) == 0
    said = capfd.readouterr().out
    assert f"{manager} install" in said
    assert package in said


def test_the_kernels_tools_are_installed_once(
    setup: ModuleType, box: Box, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(setup, "is_root", lambda: True)
    monkeypatch.setitem(setup.DEBIAN, "linux32", {name: (name,) for name in ("bison", "flex")})
    assert setup.main(["linux32", "--dry-run"]) == 0
    assert "123 MB to fetch, 1,234 MB on disk" in capfd.readouterr().out
    assert not (box.bin / "flex").exists() and len(box.log) == 1
    assert setup.main(["linux32"]) == 0
    assert (box.bin / "flex").exists()
    assert box.log[2] == "-y --no-install-recommends install bison flex"
    assert setup.main(["linux32"]) == 0
    assert len(box.log) == 3


def test_the_kernels_tools_need_a_debian_and_root(
    setup: ModuleType, box: Box, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(setup, "is_root", lambda: False)
    assert setup.main(["linux32"]) == 1
    said = capfd.readouterr().err
    assert "needs root, and there is no sudo" in said and "bison bc" in said
    (box.bin / "apt-get").unlink()
    assert setup.main(["linux32"]) == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("setup: linux32 needs what Debian has as gcc-riscv64-linux-gnu")


def test_nothing_is_done_twice(
    setup: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[str] = []
    monkeypatch.setattr(setup, "venv_path", lambda: tmp_path / "venv")
    monkeypatch.setattr(setup, "capture", lambda command: (0, ""))
    monkeypatch.setattr(setup, "run", lambda command: commands.append(" ".join(command)))
    (tmp_path / "venv").mkdir()
    setup.python_packages("test", dry_run=False)
    assert len(commands) == 2
    assert commands[0].endswith(f"--editable {ROOT}[test]")
    assert "compileall" in commands[1]
    setup.python_packages("test", dry_run=False)
    setup.python_packages("demo", dry_run=False)  # the tests' needs hold the demo's
    assert len(commands) == 2
    monkeypatch.setattr(setup, "stamp_text", lambda: "pyproject.toml has changed")
    setup.python_packages("demo", dry_run=False)
    assert len(commands) == 4


def test_an_old_python_fails_in_one_line(tmp_path: Path) -> None:
    for name in ("sh", "dirname"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    python = tmp_path / "python3"
    python.write_text("#!/bin/sh\n[ $1 = --version ] && echo Python 3.9.2 && exit\nexit 1\n")
    python.chmod(0o755)
    env = {key: value for key, value in os.environ.items() if key != "PYTHON"}
    done = subprocess.run(
        [str(ROOT / "tools" / "setup"), "demo"],
        env={**env, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "3.11" in done.stderr
    assert "3.9.2" in done.stderr
