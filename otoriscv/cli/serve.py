"""``otoriscv serve``: a halted machine for debuggers."""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
from typing import TYPE_CHECKING

from otoriscv.cli.errors import OK, UsageError
from otoriscv.cli.options import add_machine_options, note
from otoriscv.cli.session import Session

if TYPE_CHECKING:
    from otoriscv.board.target import BoardTarget
    from otoriscv.gdbstub.server import GdbServer

__all__ = ["add_arguments", "run"]

_DESCRIPTION = """\
Hold a machine for debuggers. The first one owns it, and others watch. It stays halted until its
owner lets it run, and when that leaves; detaching (D) lets the guest run on. A guest that ended
waits to be restarted (R, vRun, or `monitor reset`). SIGTERM and SIGINT end the server.
"""
_EXAMPLES = """\
examples:
  otoriscv serve hello.elf
  gdb-multiarch hello.elf -ex 'target extended-remote :1234'
  otoriscv serve hello.elf --port 0 --port-file port      # a free port, written to a file
  gdb-multiarch hello.elf -ex 'target extended-remote | otoriscv serve hello.elf --gdb stdio'
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of serve."""
    parser.description, parser.epilog = _DESCRIPTION, _EXAMPLES
    parser.usage = "otoriscv serve [IMAGE] [options] [-- ARGS]"
    add_machine_options(parser)
    group = parser.add_argument_group("debugging")
    group.add_argument(
        "--port",
        "--gdb",
        metavar="[HOST:]PORT",
        default="1234",
        help="where to listen; 0 picks a free one; stdio: one debugger on stdin and stdout",
    )
    group.add_argument("--port-file", metavar="F", help="write the port's number to this file")


def run(args: argparse.Namespace) -> int:
    """Serve until a signal; the exit code."""
    from otoriscv.board.target import BoardTarget
    from otoriscv.gdbstub.server import GdbServer
    from otoriscv.gdbstub.transport import parse_address

    stdio = args.port == "stdio"
    host, port = "", 0
    if not stdio:
        try:
            host, port = parse_address(args.port)
        except ValueError as error:
            raise UsageError(f"--port {error}") from None
    elif args.port_file is not None:
        raise UsageError("--port-file: there is no port with --gdb stdio")
    with Session(args, needs_image=False, stdio_taken=stdio) as session:
        target = BoardTarget(
            session.machine, ended=session.exit_code, on_reset=session.reset, threaded=False
        )
        session.on_end = target.shut_down
        server = GdbServer.stdio(target) if stdio else GdbServer(target, host, port)
        host, port = server.bind()
        with session.signals():
            server.start()
            if stdio:
                threading.Thread(target=_follow, args=(server, target), daemon=True).start()
            else:
                if args.port_file is not None:
                    _write_port(args.port_file, port)
                note(f"listening on {f'[{host}]' if ':' in host else host}:{port}")
            target.serve_loop()
        server.close()
        return OK if session.end_code is None else session.end_code


def _follow(server: GdbServer, target: BoardTarget) -> None:
    """The one debugger on stdio has left: the machine's thread has nothing more to do."""
    server.join()
    target.shut_down()


def _write_port(path: str, port: int) -> None:
    """Write the port so that a reader sees all of it or nothing."""
    try:
        folder = os.path.dirname(path) or "."
        with tempfile.NamedTemporaryFile("w", dir=folder, delete=False) as file:
            file.write(f"{port}\n")
        os.chmod(file.name, 0o644)
        os.replace(file.name, path)
    except OSError as error:
        raise UsageError(f"--port-file {path}: {error.strerror}") from None
