"""The command ``otoriscv``: finds the subcommand and turns every failure into one line."""

from __future__ import annotations

import argparse
import gc
import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from typing import Any, Final, NoReturn

import otoriscv
from otoriscv.cli.errors import INTERNAL, INTERRUPTED, OK, PIPE, USAGE, UsageError

__all__ = ["COMMANDS", "main"]

#: Each command's module, which has ``add_arguments(parser)`` and ``run(args) -> exit code``.
COMMANDS: Final = {
    "boot": ("otoriscv.cli.boot", "run an image; only the guest's console goes to stdout"),
    "serve": ("otoriscv.cli.serve", "hold a machine for debuggers, one after another"),
    "demo": ("otoriscv.cli.demo", "compile, boot and debug a small program, with comments"),
    "disasm": ("otoriscv.cli.disasm", "disassemble an image, or words given in hexadecimal"),
    "bench": ("otoriscv.cli.bench", "measure the engines"),
    "cache": ("otoriscv.cli.cache", "show, check or empty the cache of compiled code"),
    "doctor": ("otoriscv.cli.doctor", "which engines and tools are usable here"),
}

#: Objects made before Python looks for cycles: a machine makes few, and each look takes long.
_GARBAGE: Final = 50_000
_EXAMPLES: Final = """\
examples:
  otoriscv boot hello.elf
  otoriscv boot firmware.elf --gdb 1234 -S
  otoriscv serve hello.elf --port 0 --port-file port
  otoriscv COMMAND --help
"""
_REPORT: Final = (
    "this is a bug of otoriscv: please report it with the command line and the output of "
    "`OTORISCV_DEBUG=1 {command}`"
)


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` that says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")


def _available() -> dict[str, tuple[str, str]]:
    return {name: c for name, c in COMMANDS.items() if importlib.util.find_spec(c[0]) is not None}


def _general() -> Parser:
    rows = "\n".join(f"  {name:8} {doc}" for name, (_, doc) in _available().items())
    parser = Parser(
        prog="otoriscv",
        description=otoriscv.__doc__.splitlines()[0] if otoriscv.__doc__ else None,
        epilog=f"commands:\n{rows}\n\n{_EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        usage="otoriscv [--version] COMMAND ...",
    )
    parser.add_argument("--version", action="version", version=f"otoriscv {otoriscv.__version__}")
    return parser


def _expected() -> tuple[type[Exception], ...]:
    """Failures that are the user's to put right."""
    found: list[type[Exception]] = [UsageError]
    for module, name in (
        ("otoriscv.board.loaders", "ImageError"),
        ("otoriscv.board.console", "ConsoleError"),
        ("otoriscv.board.net_options", "NetError"),
        ("otoriscv.devices.virtio.disk", "DiskError"),
        ("otoriscv.core.isa_string", "IsaError"),
        ("otoriscv.jit.engine", "EngineUnavailable"),
        ("otoriscv.gdbstub.transport", "ListenError"),
    ):
        loaded: Any = sys.modules.get(module)
        if loaded is not None:
            found.append(getattr(loaded, name))
    return tuple(found)


def _run(argv: Sequence[str]) -> int:
    if not argv or argv[0].startswith("-"):
        parser = _general()
        if not argv:
            parser.print_help(sys.stderr)
            return USAGE
        parser.parse_args(argv)
        parser.error(f"which command? {argv[0]} comes behind it")
    name, rest = argv[0], list(argv[1:])
    module_name = COMMANDS.get(name, ("", ""))[0]
    if not module_name or importlib.util.find_spec(module_name) is None:
        raise UsageError(f"there is no command {name!r}; there are {', '.join(_available())}")
    guest: list[str] = []
    if "--" in rest and name in ("boot", "serve"):
        at = rest.index("--")
        rest, guest = rest[:at], rest[at + 1 :]
    module = importlib.import_module(module_name)
    parser = Parser(
        prog=f"otoriscv {name}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.add_arguments(parser)
    args = parser.parse_args(rest)
    args.arguments = guest
    code: int = module.run(args)
    return code


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if argv is None:  # the process is ours
        gc.set_threshold(_GARBAGE)
    debug = bool(os.environ.get("OTORISCV_DEBUG"))
    try:
        code = _run(words)
        sys.stdout.flush()
        if argv is None:
            gc.freeze()  # at the end Python would look at everything several times
        return code
    except SystemExit as done:  # --help and --version
        return done.code if isinstance(done.code, int) else OK
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Python would complain once more when it closes stdout at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE
    except Exception as error:
        if debug:
            import traceback

            traceback.print_exc()
        if isinstance(error, _expected()):
            print(f"otoriscv: error: {error}", file=sys.stderr)
            return USAGE
        if not debug:
            print(f"otoriscv: internal error: {type(error).__name__}: {error}", file=sys.stderr)
        hint = _REPORT.format(command=" ".join(["otoriscv", *words[:1], "..."]))
        print(f"otoriscv: {hint}", file=sys.stderr)
        return INTERNAL
