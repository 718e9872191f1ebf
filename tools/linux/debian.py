"""Debian packages of another architecture or release, without installing them.

A private apt configuration below one folder; what was fetched once is not fetched again. The mirror
is the one that this system's apt uses, or what OTORISCV_DEBIAN_MIRROR names.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

__all__ = ["DebianError", "Packages", "extract"]

_KEYRING: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_SOURCE_FORMAT: Final = "$(REPO_URI)|$(LABEL)"


class DebianError(Exception):
    """The packages cannot be had; one line that says why."""


def _run(
    command: Sequence[str], env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> str:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=cwd,
            env={**os.environ, "LC_ALL": "C", **(env or {})},
        )
    except OSError as error:
        raise DebianError(f"{command[0]}: {error.strerror}") from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise DebianError(f"{' '.join(command[:3])} failed: {said}")
    return done.stdout


def _mirror() -> str:
    chosen = os.environ.get("OTORISCV_DEBIAN_MIRROR")
    if chosen:
        return chosen
    for line in _run(["apt-get", "indextargets", "--format", _SOURCE_FORMAT]).splitlines():
        uri, _, label = line.partition("|")
        if label == "Debian":
            return uri
    raise DebianError("this system's apt knows no Debian mirror: name one, OTORISCV_DEBIAN_MIRROR=")


class Packages:
    """The packages of *release* for *architecture*; *folder* keeps what was fetched."""

    def __init__(self, folder: Path, release: str, architecture: str) -> None:
        if not (shutil.which("apt-get") and shutil.which("dpkg-deb") and _KEYRING.exists()):
            raise DebianError("needs a Debian system: apt-get, dpkg-deb and Debian's archive keys")
        self._folder = folder
        self._release = release
        self._architecture = architecture
        self._environment: dict[str, str] = {}

    def fetch(self, name: str) -> Path:
        """The package's file."""
        found = sorted(self._folder.glob(f"{name}_*.deb"))
        if not found:
            self._update()
            _run(["apt-get", "download", name], self._environment, self._folder)
            found = sorted(self._folder.glob(f"{name}_*.deb"))
        if not found:
            raise DebianError(f"apt-get download {name} brought nothing")
        return found[-1]

    def depends(self, name: str) -> list[str]:
        """What package *name* depends on."""
        self._update()
        said = _run(["apt-cache", "depends", "--important", name], self._environment)
        return [line.split()[-1] for line in said.splitlines() if "Depends:" in line]

    def _update(self) -> None:
        """Fetch the lists, once a run."""
        if self._environment:
            return
        root = (self._folder / "apt").resolve()
        for part in ("lists/partial", "cache/archives/partial"):
            (root / part).mkdir(parents=True, exist_ok=True)
        (root / "sources.list").write_text(
            f"deb [signed-by={_KEYRING}] {_mirror()} {self._release} main\n"
        )
        options = {
            "APT::Architecture": self._architecture,
            "Dir::Etc::SourceList": root / "sources.list",
            "Dir::Etc::SourceParts": "-",
            "Dir::State::Lists": root / "lists",
            "Dir::State::Status": "/dev/null",
            "Dir::Cache": root / "cache",
            "APT::Sandbox::User": "root",
        }
        lines = [f'{name} "{value}";\n' for name, value in options.items()]
        lines.append(f'APT::Architectures {{ "{self._architecture}"; }};\n')
        (root / "apt.conf").write_text("".join(lines))
        self._environment = {"APT_CONFIG": str(root / "apt.conf")}
        _run(["apt-get", "update"], self._environment)


def extract(package: Path, wanted: Callable[[str], bool]) -> dict[str, bytes]:
    """The files of *package* whose path (``usr/bin/...``) is *wanted*."""
    done = subprocess.run(["dpkg-deb", "--fsys-tarfile", package], capture_output=True)
    if done.returncode:
        raise DebianError(f"{package}: {done.stderr.decode(errors='replace').strip()}")
    found = {}
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        for member in archive:
            path = member.name.removeprefix("./")
            if member.isfile() and wanted(path):
                file = archive.extractfile(member)
                assert file is not None
                found[path] = file.read()
    return found
