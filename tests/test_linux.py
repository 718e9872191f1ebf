"""Linux itself: Debian's riscv64 kernel, and the rv32 kernel built from Debian's source.

The images are those of ``make linux64`` and ``make linux32``. The first is fetched when it is not
there; the second takes minutes to build and is only used. Without them these tests are skipped,
or fail under --otoriscv-strict.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import shutil
import socket
import subprocess
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from otoriscv.board import slirp
from tests.doc_blocks import ROOT, blocks
from tools.linux import make32, make64
from tools.linux.debian import DebianError

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

OPENSBI = Path("/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin")
UBOOT = Path("/usr/lib/u-boot/qemu-riscv64/u-boot.bin")
PROMPT = "~ #"


def _missing(request: pytest.FixtureRequest, why: str) -> None:
    if request.config.getoption("--otoriscv-strict"):
        pytest.fail(why)
    pytest.skip(why)


@pytest.fixture(scope="session")
def linux64(request: pytest.FixtureRequest) -> list[str]:
    """The words that boot Debian's kernel."""
    try:
        make64.build()
    except DebianError as error:
        _missing(request, f"make linux64: {error}")
    return [str(make64.KERNEL), "--initrd", str(make64.INITRD)]


@pytest.fixture(scope="session")
def linux32(request: pytest.FixtureRequest) -> list[str]:
    """The words that boot the rv32 kernel."""
    if not (make32.KERNEL.exists() and make32.INITRD.exists()):
        _missing(request, "make linux32 was not run: there is no rv32 kernel")
    return [str(make32.KERNEL), "--initrd", str(make32.INITRD), "--symbols", str(make32.SYMBOLS)]


def boot(*words: object, engine: str = "interp") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "otoriscv", "boot", *map(str, words), "--engine", engine]
    return subprocess.run(
        command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=1500,
        errors="replace",
    )  # fmt: skip


def script(command: str) -> str:
    """The kernel's command line that runs *command* and switches off."""
    return f'otoriscv.run="{command}"'


def test_debian_twice_the_same(linux64: list[str], tmp_path: Path) -> None:
    """A shell on the console, typed at; the second run repeats the first to the instruction."""
    runs = []
    for n in range(2):
        transcript, facts = tmp_path / f"t{n}", tmp_path / f"s{n}"
        talk = ("--expect", PROMPT, "--send", r"echo $((6*7))\n", "--expect", "42")
        more = ("--expect", PROMPT, "--send", r"poweroff -f\n")
        done = boot(*linux64, *talk, *more, "--transcript", transcript, "--stats-json", facts)
        assert done.returncode == 0, done.stderr
        runs.append((transcript.read_bytes(), json.loads(facts.read_text())["instructions"]))
    assert b"reboot: Power down" in runs[0][0]
    assert runs[0] == runs[1]


def test_debian_from_python(linux64: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The block of docs/howto/linux.md, as it stands there."""
    monkeypatch.chdir(ROOT)
    page = (ROOT / "docs" / "howto" / "linux.md").read_text()
    (block,) = [b for b in blocks(page) if b.kind == "python"]
    found: dict[str, Any] = {}
    exec(block.text, found)
    assert found["m"].output.count(PROMPT) == 1  # restored


@pytest.mark.parametrize("engine", ("interp", "llvm"))
def test_debian_on_four_harts(engine: str, linux64: list[str]) -> None:
    """Four processes at a time sort and add up; each round's results are what one alone gives."""
    rounds, numbers = 10, "".join(f"{n}\n" for n in range(1, 501))
    job = "sort -r /tmp/in | md5sum"
    load = (
        f"nproc; seq 1 500 >/tmp/in; {job} >/tmp/w; cat /tmp/w; g=0; for r in $(seq {rounds}); do "
        f"for i in 1 2 3 4; do ({job} >/tmp/r$i) & done; wait; "
        "for i in 1 2 3 4; do cmp /tmp/w /tmp/r$i && g=$((g+1)); rm /tmp/r$i; done; done; "
        "echo good $g of $((r*4))"
    )
    done = boot(*linux64, "--harts", 4, "--append", script(load), engine=engine)
    assert done.returncode == 0, done.stderr
    said = done.stdout.replace("\r", "")
    backwards = "".join(sorted(numbers.splitlines(keepends=True), reverse=True))
    assert "\n4\n" in said and hashlib.md5(backwards.encode()).hexdigest() in said
    assert f"\ngood {4 * rounds} of {4 * rounds}\n" in said


@pytest.mark.skipif(shutil.which("mkfs.ext4") is None, reason="no mkfs.ext4")
def test_debian_and_a_disk(linux64: list[str], tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    with image.open("wb") as file:
        file.truncate(32 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
    work = (
        "mount -t ext4 /dev/vda /mnt && echo hello >/mnt/f && umount /mnt; "
        "head -c 32 /dev/hwrng | wc -c; echo spoken >/dev/hvc0"
    )
    devices = ("--device", "virtio-rng", "--device", "virtio-console")
    done = boot(*linux64, "--drive", image, *devices, "--append", script(work))
    assert done.returncode == 0, done.stderr
    assert "\n32\n" in done.stdout.replace("\r", "") and "spoken" in done.stdout
    checked = subprocess.run(["fsck.ext4", "-fn", str(image)], capture_output=True)
    assert checked.returncode == 0
    read = subprocess.run(["debugfs", "-R", "cat f", str(image)], capture_output=True)
    assert read.stdout == b"hello\n"


class Peer(threading.Thread):
    """A host at 10.0.0.2 on the other end of a network card: answers ARP and echo requests."""

    MAC = bytes.fromhex("020000000002")

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.echoes = 0

    def run(self) -> None:
        peer, _ = self._server.accept()
        with peer, peer.makefile("rb") as stream:
            while head := stream.read(4):
                answer = self._answer(stream.read(int.from_bytes(head, "big")))
                if answer:
                    peer.sendall(len(answer).to_bytes(4, "big") + answer)

    def _answer(self, frame: bytes) -> bytes:
        to, kind = frame[6:12], frame[12:14]
        head = to + self.MAC + kind
        if kind == b"\x08\x06" and frame[20:22] == b"\0\1" and frame[38:42] == b"\x0a\0\0\2":
            return head + frame[14:20] + b"\0\2" + self.MAC + frame[38:42] + frame[22:32]
        if kind == b"\x08\0" and frame[23] == 1 and frame[34] == 8:  # ICMP echo
            self.echoes += 1
            addresses = frame[30:34] + frame[26:30]
            total = int.from_bytes(frame[36:38], "big") + 0x800  # type 8 becomes 0
            check = ((total & 0xFFFF) + (total >> 16)).to_bytes(2, "big")
            return head + frame[14:26] + addresses + b"\0\0" + check + frame[38:]
        return b""


def test_debian_and_a_network(linux64: list[str]) -> None:
    """In real time: the other end does not know of the guest's."""
    peer = Peer()
    peer.start()
    work = "ifconfig eth0 10.0.0.1; ping -c 3 -s 1000 10.0.0.2"
    words = ("--net", f"connect:{peer.port}", "--clock", "host", "--append", script(work))
    done = boot(*linux64, *words)
    assert done.returncode == 0, done.stderr
    assert "3 packets received" in done.stdout and peer.echoes == 3


class _Page(BaseHTTPRequestHandler):
    """Answers every request with the same bytes."""

    text = random.Random(22).randbytes(1_000_000)

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.text)))
        self.end_headers()
        self.wfile.write(self.text)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.mark.skipif(slirp.library() is None, reason="no libslirp (Debian: libslirp0)")
def test_debian_on_the_hosts_network(linux64: list[str], tmp_path: Path) -> None:
    """DHCP, a download from the host, and a connection from the host to a server in the guest."""
    web = ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    url = f"http://10.0.2.2:{web.server_port}/page"
    work = (
        "udhcpc -q -n -i eth0; ping -c 1 10.0.2.2; mkdir /tmp/w; "
        f"wget -q -O /tmp/w/page {url}; md5sum /tmp/w/page; "
        "httpd -p 80 -h /tmp/w; echo serving; read end </dev/console"
    )
    command = [sys.executable, "-m", "otoriscv", "boot", *linux64, "--append", script(work)]
    with (tmp_path / "said").open("w+") as said, subprocess.Popen(
        [*command, "--net", "user,hostfwd=tcp::0-:80", "--wall-timeout", "600"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said,
    ) as guest:  # fmt: skip
        assert guest.stdin is not None and guest.stdout is not None
        printed = b""
        while b"\nserving" not in printed and (line := guest.stdout.readline()):
            printed += line
        said.seek(0)
        port = re.search(r"tcp 127.0.0.1:(\d+) leads to the guest's 10.0.2.15:80", said.read())
        assert port is not None and b"serving" in printed, printed[-2000:]
        with urllib.request.urlopen(f"http://127.0.0.1:{port[1]}/page", timeout=300) as answer:
            assert answer.read() == _Page.text
        guest.stdin.write(b"\n")
        guest.stdin.flush()
        guest.stdout.read()
        assert guest.wait(300) == 0
    web.shutdown()
    web.server_close()
    assert b"lease of 10.0.2.15 obtained from 10.0.2.2" in printed
    assert b"1 packets received" in printed
    assert hashlib.md5(_Page.text).hexdigest().encode() in printed


@pytest.mark.skipif(not OPENSBI.exists(), reason="no OpenSBI (Debian: opensbi)")
def test_debian_on_opensbi(linux64: list[str]) -> None:
    done = boot(*linux64, "--bios", OPENSBI, "--append", script("echo a$((1+1))b"))
    assert done.returncode == 0 and "OpenSBI v" in done.stdout and "a2b" in done.stdout


@pytest.mark.skipif(not UBOOT.exists(), reason="no U-Boot (Debian: u-boot-qemu)")
def test_u_boot() -> None:
    talk = ("--expect", "autoboot", "--send", " ", "--expect", "=> ", "--send", r"version\n")
    done = boot("--bios", UBOOT, "--isa", "rv64gc", *talk, "--expect", "riscv64-.*gcc")
    assert done.returncode == 0, done.stderr + done.stdout


def test_debian_without_a_root(linux64: list[str]) -> None:
    done = boot(linux64[0])
    assert done.returncode == 1
    assert "the guest panicked: Kernel panic - not syncing: VFS: Unable to mount" in done.stderr


@pytest.mark.parametrize("engine", ("python", "interp", "llvm"))
def test_rv32(engine: str, linux32: list[str]) -> None:
    """To the end; under ``python`` that takes three or four minutes of CPU time."""
    done = boot(*linux32, engine=engine)
    assert done.returncode == 0, done.stderr
    for text in ("otoriscv: user space", "riscv32", "child status 3", "root 13784048"):
        assert text in done.stdout


def test_rv32_on_four_harts(linux32: list[str]) -> None:
    done = boot(*linux32, "--harts", 4)
    assert done.returncode == 0 and done.stdout.count("processor\t:") == 4
