"""``otoriscv boot``: run an image to its end."""

from __future__ import annotations

import argparse
import threading
from typing import TYPE_CHECKING

from otoriscv.board.stops import Stop, StopReason
from otoriscv.cli.errors import OK, UsageError
from otoriscv.cli.options import add_machine_options, note
from otoriscv.cli.session import Session

if TYPE_CHECKING:
    from otoriscv.board.target import BoardTarget
    from otoriscv.gdbstub.server import GdbServer

__all__ = ["add_arguments", "run"]

_DESCRIPTION = """\
Run an image. Only the guest's console goes to stdout; ARGS after -- are the guest's command line.

exit codes:
  the guest's own (test finisher, tohost, semihosting); above 255 becomes 255
  0    the last --expect was seen, or the escape key (Ctrl-A x)
  1    an expectation was not met, the guest crashed or waits for nothing
  2    usage, or an image that cannot be loaded
  124  a time or instruction limit     125  an internal error
  130  SIGINT                          143  SIGTERM
"""
_EXAMPLES = """\
examples:
  otoriscv boot hello.elf
  otoriscv boot hello.elf -- one two
  otoriscv boot firmware.bin --isa rv32imac --ram 0x20000000:512K
  otoriscv boot kernel.elf --append "console=ttyS0" --expect 'login:' --wall-timeout 60
  otoriscv boot vmlinuz --initrd rd --net user,hostfwd=tcp::2222-:22
  otoriscv boot test.elf --max-instructions 1000000 --stats
  otoriscv boot hello.elf -s -S        # wait for a debugger on port 1234
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of boot."""
    parser.description, parser.epilog = _DESCRIPTION, _EXAMPLES
    parser.usage = "otoriscv boot IMAGE [options] [-- ARGS]"
    add_machine_options(parser)
    debug = parser.add_argument_group("debugging")
    debug.add_argument(
        "--gdb", metavar="[HOST:]PORT", help="let debuggers in; stdio: one on stdin and stdout"
    )
    debug.add_argument("-s", dest="gdb_1234", action="store_true", help="the same as --gdb 1234")
    debug.add_argument("-S", "--halt", action="store_true", help="wait for the debugger to start")


def run(args: argparse.Namespace) -> int:
    """Boot; the exit code."""
    if args.gdb_1234:
        if args.gdb is not None:
            raise UsageError("-s is --gdb 1234: give one of them")
        args.gdb = "1234"
    if args.halt and args.gdb is None:
        raise UsageError("-S waits for a debugger: add -s or --gdb [HOST:]PORT")
    with Session(args, needs_image=True, stdio_taken=args.gdb == "stdio") as session:
        if args.dumpdtb is not None:
            return OK
        with session.signals():
            stop = _debugged(args, session) if args.gdb is not None else session.run()
        return session.finish(stop)


def _debugged(args: argparse.Namespace, session: Session) -> Stop:
    """Run with a gdb server at its side."""
    from otoriscv.board.target import BoardTarget
    from otoriscv.gdbstub.server import GdbServer
    from otoriscv.gdbstub.target import Action
    from otoriscv.gdbstub.transport import parse_address

    session.repeatable = False
    target = BoardTarget(
        session.machine,
        ended=session.exit_code,
        on_kill=lambda: session.end(OK, "killed by the debugger"),
        on_reset=session.reset,
        threaded=False,
    )
    session.on_end = target.shut_down
    if args.gdb == "stdio":
        server = GdbServer.stdio(target, on_disconnect="resume")
    else:
        try:
            host, port = parse_address(args.gdb)
        except ValueError as error:
            raise UsageError(f"--gdb {error}") from None
        server = GdbServer(target, host, port, on_disconnect="resume")
        host, port = server.bind()
        note(f"gdb server on {f'[{host}]' if ':' in host else host}:{port}")
    if not args.halt:
        target.resume(dict.fromkeys(range(target.harts), Action.CONTINUE))
    server.start()
    threading.Thread(target=_follow, args=(server, target), daemon=True).start()
    target.serve_loop()
    ending = session.machine.ending
    if ending is not None:
        session.machine.take_request()
        stop = session.machine.take_ending()
    elif target.final is not None:
        stop = target.final
    else:
        stop = Stop(StopReason.ENDED, code=OK, message="the debugger left")
    server.close()
    return stop


def _follow(server: GdbServer, target: BoardTarget) -> None:
    """The machine's thread has nothing more to do when the server is done."""
    server.join()
    target.shut_down()
