"""One run of a machine for ``boot`` or ``serve``: limits, signals, and what is said at the end."""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Final, TextIO

from otoriscv.board.console_stdio import StdioConsole
from otoriscv.board.expect import Expecter
from otoriscv.board.log_options import parse_range
from otoriscv.board.statistics import gather, lines
from otoriscv.board.stops import Stop, StopReason
from otoriscv.board.transcript import LastLine, PanicWatch
from otoriscv.cli.errors import FAILED, INTERRUPTED, LIMIT, OK, PIPE, TERMINATED, UsageError
from otoriscv.cli.options import Setup, make_machine, note
from otoriscv.cli.progress import Progress
from otoriscv.cli.text import unescape
from otoriscv.core.layout import MACHINE

if TYPE_CHECKING:
    from otoriscv.board.virt import VirtMachine

__all__ = ["Session"]

_MAX_CODE: Final = 255
_PIPE_SECONDS: Final = 0.02
_MODES: Final = {0: "U", 1: "S", 3: "M"}
_MET: Final = "expectation met"


class Session:
    """Owns the machine. Use it as a context manager; `finish` gives the exit code."""

    def __init__(
        self, args: argparse.Namespace, *, needs_image: bool, stdio_taken: bool = False
    ) -> None:
        self._args = args
        self.on_end: Callable[[], None] = lambda: None  #: also called when a signal ends it all
        self.signalled: int | None = None
        self.end_code: int | None = None  #: what `end` was given
        self.repeatable = True  #: nothing but recorded input went into the run
        self._setup: Setup = make_machine(
            args, on_quit=self._quit, needs_image=needs_image, stdio_taken=stdio_taken
        )
        self.machine: VirtMachine = self._setup.machine
        self._console = self._setup.console
        self._expecter: Expecter | None = None
        self._panic = PanicWatch(lambda line: self.machine.end(FAILED, self._panicked))
        supervised = self._setup.machine.supervised
        self._last_line = LastLine(self._panic.see if supervised else lambda line: None)
        self._log_file: TextIO | None = None
        self._timer: threading.Timer | None = None
        self._exit = contextlib.ExitStack()
        self._began = time.perf_counter()
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def close(self) -> None:
        """Give everything back; the terminal's mode first."""
        self._console.close()
        if self._timer is not None:
            self._timer.cancel()
        self._exit.close()
        if self._log_file is not None:
            self._log_file.flush()
            if self._log_file is not sys.stderr:
                self._log_file.close()
        self.machine.close()

    # -- before

    def _prepare(self) -> None:
        args, machine = self._args, self.machine
        if args.signature is not None:
            for option in ("begin", "end"):
                name = getattr(args, option)
                if machine.symbols.get(name) is None:
                    raise UsageError(f"--signature: the image has no symbol {name} (--{option})")
        machine.hub.listeners.append(self._last_line.feed)
        if args.transcript is not None:
            self._open_transcript(args.transcript)
        try:
            if args.script or args.fail_on is not None:
                self._expecter = self._make_expecter()
                machine.hub.listeners.append(self._expecter.feed)
                self._await(self._expecter.ends())
                self._expecter.begin()
            if args.log:
                from otoriscv.board.log import Log  # its decoder and disassembler are few runs'

                within = parse_range(args.log_range, machine) if args.log_range else (0, 2**64 - 1)
                self._log_file = self._open_log(args.log_file)
                Log(machine, args.log, self._log_file, within)
            elif args.log_file or args.log_range:
                raise UsageError("--log-file and --log-range need --log")
        except ValueError as error:
            raise UsageError(str(error)) from None
        if args.max_instructions is not None:
            machine.instruction_limit = machine.retired + args.max_instructions
        if args.timeout is not None:
            machine.time_limit = machine.clock.after(int(args.timeout * 1e9))

    def _await(self, ends: frozenset[int] | None) -> None:
        """Let these bytes of the console, or all, be seen at their own instruction."""
        m = self.machine.m
        if ends is None:
            m[MACHINE["uart_fast"]] = 0
        else:
            for byte in {*ends, 10}:  # a panic, too, is seen at the end of its line
                m[MACHINE["uart_stops"] + (byte >> 6)] |= 1 << (byte & 63)

    def _make_expecter(self) -> Expecter:
        args, machine = self._args, self.machine
        patterns: list[str] = []
        sends: dict[int, bytes] = {}
        for option, text in args.script:
            if option == "--expect":
                patterns.append(text)
            else:
                sends[len(patterns)] = sends.get(len(patterns), b"") + unescape(text)
        return Expecter(
            patterns,
            args.fail_on,
            matched=lambda: machine.end(OK, _MET),
            failed=lambda line: machine.end(FAILED, f"--fail-on matched: {line}"),
            sends=sends,
            send=machine.hub.type,
        )

    def _open_transcript(self, path: str) -> None:
        try:
            file = open(path, "wb", buffering=0)  # noqa: SIM115 - closed by the exit stack
        except OSError as error:
            raise UsageError(f"--transcript {path}: {error.strerror}") from None
        self._exit.enter_context(file)

        def write(data: bytes) -> None:
            file.write(data)

        self.machine.hub.listeners.append(write)

    @staticmethod
    def _open_log(path: str | None) -> TextIO:
        if path is None:
            return sys.stderr
        try:
            return open(path, "w", encoding="utf-8")
        except OSError as error:
            raise UsageError(f"--log-file {path}: {error.strerror}") from None

    def reset(self) -> None:
        """The machine was reset: its clock may have begun anew."""
        args, machine = self._args, self.machine
        if args.timeout is not None:
            machine.time_limit = machine.clock.after(int(args.timeout * 1e9))

    # -- meanwhile

    @contextlib.contextmanager
    def signals(self) -> Iterator[None]:
        """SIGINT and SIGTERM end the run, at once when they come a second time."""
        numbers = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: TERMINATED}

        def handle(number: int, frame: FrameType | None) -> None:
            if self.signalled is not None:
                signal.signal(number, signal.SIG_DFL)
                signal.raise_signal(number)
            self.signalled = numbers[signal.Signals(number)]
            self.end(self.signalled, signal.Signals(number).name)

        before = {number: signal.signal(number, handle) for number in numbers}
        if self._args.wall_timeout is not None:
            limit = self._args.wall_timeout
            text = f"wall-clock limit of {limit:g} s reached"
            self._timer = threading.Timer(limit, lambda: self.end(LIMIT, text))
            self._timer.daemon = True
            self._timer.start()
        self._began = time.perf_counter()
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def end(self, code: int, message: str) -> None:
        """End the run with an exit code. From any thread, and from signal handlers."""
        self.end_code = code
        self.machine.end(code, message)
        self.on_end()

    def _quit(self) -> None:
        self.end(OK, "quit")

    def run(self) -> Stop:
        """Run the guest to its end; resets go on."""
        machine = self.machine
        machine.on_flush.append(self._check_console)
        if not self._console.interactive:
            progress = Progress(self._state)
            machine.on_flush.append(progress.tick)
            machine.hub.listeners.insert(0, lambda data: progress.quiet())
        self._await_input()
        while True:
            stop = machine.run()
            if stop.reason is StopReason.RESET:
                if self._panic.line is not None:
                    ended, what = StopReason.ENDED, self._panicked
                    return stop._replace(reason=ended, code=FAILED, message=what)
                machine.reset()
                self.reset()
            elif stop.reason is not StopReason.REQUEST:
                return stop

    def _await_input(self) -> None:
        """Piped-in input is there from the first instruction on, so that such runs repeat."""
        console = self._console
        deadline = time.monotonic() + _PIPE_SECONDS
        if self.machine.clock.virtual and isinstance(console, StdioConsole):
            while not console.ready and time.monotonic() < deadline:
                time.sleep(0.001)

    def _check_console(self) -> None:
        if getattr(self._console, "broken", False):
            self.machine.end(PIPE, "nobody reads the console any more")

    # -- after

    def exit_code(self, stop: Stop) -> int:
        """The exit code of *stop*, without saying anything."""
        expecter = self._expecter
        if expecter is not None and stop.reason is StopReason.EXIT:
            missed = expecter.failure is not None or expecter.unmet is not None
            if missed:
                return FAILED
        if self._panic.line is not None:
            return FAILED
        if stop.reason in (StopReason.EXIT, StopReason.ENDED):
            return min(stop.code & 0xFFFF_FFFF, _MAX_CODE)
        return LIMIT if stop.reason is StopReason.TIMEOUT else FAILED

    def finish(self, stop: Stop) -> int:
        """Report on the end of the run; the exit code."""
        seconds = time.perf_counter() - self._began
        self.machine.flush()
        code = self.exit_code(stop)
        self._explain(stop, seconds)
        if self._args.signature is not None and stop.reason is StopReason.EXIT:
            self._write_signature()
        self._statistics(stop, code, seconds)
        if self._args.save is not None:
            self._save(self._args.save)
        return code

    def _save(self, path: str) -> None:
        from otoriscv.board.snapshot import SnapshotError, save

        try:
            save(self.machine).write(path)
        except SnapshotError as error:
            raise UsageError(f"--save {path}: {error}") from None
        except OSError as error:
            raise UsageError(f"--save {path}: {error.strerror}") from None

    def _explain(self, stop: Stop, seconds: float) -> None:
        expecter = self._expecter
        ended_well = stop.reason is StopReason.ENDED and stop.code == OK
        if expecter is not None and stop.reason is not StopReason.ENDED:
            if expecter.failure is not None:
                note(f"--fail-on matched: {expecter.failure}")
            elif expecter.unmet is not None:
                note(f"the guest ended before --expect {expecter.unmet!r} was seen")
        if stop.reason is StopReason.CRASH:
            from otoriscv.board.crash import crash_report  # it begins a machine anew

            report = crash_report(self.machine, stop, seconds=seconds, repeatable=self.repeatable)
            sys.stderr.write(f"otoriscv: {report}")
        elif stop.reason in (StopReason.TIMEOUT, StopReason.IDLE) or (
            stop.reason is StopReason.ENDED and stop.code == LIMIT
        ):
            note(f"{stop.message} {self._place(stop)}")
        elif stop.reason is StopReason.ENDED and not ended_well and stop.code != PIPE:
            if self.signalled is None:
                note(stop.message)
        elif stop.reason is StopReason.EXIT and stop.code & 0xFFFF_FFFF > _MAX_CODE:
            note(f"warning: the guest's exit code {stop.code} became {_MAX_CODE}")

    def _place(self, stop: Stop) -> str:
        """Where the guest is: pc, symbol, hart and mode, and what it printed last."""
        machine, pc = self.machine, stop.pc
        name = machine.where(pc)
        mode = _MODES[machine.harts[stop.hart].priv]
        many = f"hart {stop.hart}, " if len(machine.harts) > 1 else ""
        last = self._last_line.text
        said = f"; its last line: {last!r}" if last else "; it has printed nothing"
        return f"at {pc:#x}{f' ({name})' if name else ''}, {many}{mode}-mode{said}"

    @property
    def _panicked(self) -> str:
        return f"the guest panicked: {self._panic.line}"

    def _state(self) -> str:
        """For the progress line."""
        machine = self.machine
        hart = machine.harts[machine.runner.current]
        name = machine.where(hart.pc) or f"{hart.pc:#x}"
        seconds = time.perf_counter() - self._began
        millions = machine.retired / 1e6
        return (
            f"otoriscv: {seconds:.0f} s, {millions:.0f} M instructions, nothing printed lately, "
            f"at {name} in {_MODES[hart.priv]}-mode"
        )

    def _write_signature(self) -> None:
        args, symbols, memory = self._args, self.machine.symbols, self.machine.memory
        begin, end = symbols.get(args.begin), symbols.get(args.end)
        assert begin is not None and end is not None
        size = max(0, end.address - begin.address) & ~3
        data = memory.read(begin.address, size)
        words = (int.from_bytes(data[at : at + 4], "little") for at in range(0, size, 4))
        try:
            with open(args.signature, "w", encoding="ascii") as file:
                file.writelines(f"{word:08x}\n" for word in words)
        except OSError as error:
            raise UsageError(f"--signature {args.signature}: {error.strerror}") from None

    def _statistics(self, stop: Stop, code: int, seconds: float) -> None:
        args, machine = self._args, self.machine
        if not args.stats and args.stats_json is None:
            return
        facts: dict[str, object] = {
            "reason": stop.reason.value,
            "message": stop.message,
            "exit_code": code,
            "guest_code": stop.code if stop.reason is StopReason.EXIT else None,
            "guest_seconds": round(machine.clock.nanoseconds() / 1e9, 9),
            "seconds": round(seconds, 6),
            "cpu_seconds": round(time.thread_time(), 6),  # of this thread, since it began
            "mips": round(machine.retired / max(seconds, 1e-9) / 1e6, 3),
            **gather(machine),
        }
        if args.stats:
            shown = "".join(f"  {line}\n" for line in lines(facts))
            sys.stderr.write(f"otoriscv: statistics\n{shown}")
        if args.stats_json is not None:
            try:
                with open(args.stats_json, "w", encoding="utf-8") as file:
                    json.dump(facts, file, indent=1)
                    file.write("\n")
            except OSError as error:
                raise UsageError(f"--stats-json {args.stats_json}: {error.strerror}") from None
