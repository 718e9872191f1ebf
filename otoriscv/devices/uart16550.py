"""16550A UART (National Semiconductor PC16550D data sheet, June 1995), as QEMU's virt maps it.

Registers are bytes at consecutive addresses; an access of any width reaches the one register at
its address. Transmission takes no time, so THRE and TEMT are always set.

What native engines touch themselves lives in the machine struct (`core.layout.MACHINE`):

* ``uart_lsr`` is the LSR. A native read may return it unchanged while ``lsr & 0x1e == 0`` (an
  error bit must be cleared by the read: that one is Python's).
* ``uart_lcr`` is the LCR.
* ``uart_ier`` is the IER, except that bit 1 (THRI) is also set in loopback mode. So a THR write
  may go straight to the ring when ``lcr & 0x80 == 0`` and ``ier & 2 == 0``.
* The ring holds output not yet handed over: bytes ``[uart_tail, uart_head)`` modulo its size.

`Uart16550.flush` may be called at any time, the guest cannot tell. `Uart16550.receive` and
`Uart16550.drain` let input in: for repeatable runs they are called at fixed instants.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from otoriscv.core.bus import Access, BusFault
from otoriscv.core.layout import MACHINE, UART_RING
from otoriscv.devices.protocols import SetLine
from otoriscv.devices.state import Stateful

__all__ = ["Uart16550"]

_FIFO: Final = 16
_TRIGGERS: Final = (1, 4, 8, 14)  # data sheet 8.5, FCR bits 6-7
_LCR_DLAB: Final = 0x80
_IER_RDI, _IER_THRI, _IER_RLSI, _IER_MSI = 1, 2, 4, 8
_IIR_NONE, _IIR_MSI, _IIR_THRI, _IIR_RDI, _IIR_RLSI, _IIR_CTI = 1, 0, 2, 4, 6, 12
_LSR_DR, _LSR_OE, _LSR_BI, _LSR_IDLE = 0x01, 0x02, 0x10, 0x60
_LSR_ERRORS: Final = 0x1E
_MCR_LOOP: Final = 0x10
_MSR_CONNECTED: Final = 0xB0  # DCD, DSR, CTS
_MSR_RI: Final = 0x40
_BREAK: Final = 0x100  # a queue entry that is a break, not a byte

_IER: Final = MACHINE["uart_ier"]
_LCR: Final = MACHINE["uart_lcr"]
_LSR: Final = MACHINE["uart_lsr"]
_FAST: Final = MACHINE["uart_fast"]
_STOPS: Final = MACHINE["uart_stops"]
_HEAD: Final = MACHINE["uart_head"]
_TAIL: Final = MACHINE["uart_tail"]


class Uart16550(Stateful):
    """The console's UART.

    *slots* is the machine struct as ``memoryview('Q')``, *ring* its ``uart_ring`` bytes as
    ``memoryview('B')``. *output* gets what the guest prints, *irq* the interrupt line's changes.
    """

    name = "uart"
    STATE = (
        "_queue",
        "_fifo",
        "_held",
        "_ier",
        "_fcr",
        "_mcr",
        "_msr_delta",
        "_scr",
        "_divisor",
        "_thr_pending",
        "_line",
    )

    def __init__(
        self,
        slots: memoryview,
        ring: memoryview,
        output: Callable[[bytes], None],
        irq: SetLine,
        *,
        queue_limit: int = 4096,
    ) -> None:
        if len(ring) != UART_RING:
            raise ValueError(f"the UART ring has {UART_RING} bytes, not {len(ring)}")
        self._slots = slots
        self._ring = ring
        self._output = output
        self._irq = irq
        self._limit = queue_limit
        self._queue: deque[int] = deque()  # host input the FIFO has no room for yet
        self._line = False
        self._fifo: deque[int] = deque()
        self._held = False  # nothing enters the FIFO before the next `drain`
        self.reset()

    def reset(self) -> None:
        """Power-on state (data sheet table IV). Host input not yet received is kept."""
        self._queue.extendleft(reversed(self._fifo))
        self._fifo.clear()
        self._held = bool(self._queue)
        self._ier = 0
        self._fcr = 0
        self._mcr = 0x08  # OUT2, as QEMU has it
        self._msr_delta = 0
        self._scr = 0
        self._divisor = 12
        self._thr_pending = False
        self._slots[_LCR] = 0
        self._slots[_LSR] = _LSR_IDLE
        self._update()
        self.drain()

    # -- the host's side -------------------------------------------------------------------

    def room(self) -> int:
        """How many bytes `receive` should be given now (back-pressure for the console)."""
        return max(0, self._limit - len(self._queue))

    def receive(self, data: bytes) -> None:
        """Host input. Accepted whatever its size; it waits here until the guest reads it."""
        self._queue.extend(data)
        self._refill()

    def receive_break(self) -> None:
        """The host sent a break: the guest reads a zero byte with LSR.BI."""
        self._queue.append(_BREAK)
        self._refill()

    @property
    def unread(self) -> int:
        """Input bytes the guest has not read yet."""
        return len(self._queue) + len(self._fifo)

    def take_back(self) -> bytes:
        """Input that the guest has not read, taken away again (semihosting reads it instead)."""
        data = bytes(b & 0xFF for b in (*self._fifo, *self._queue))
        self._fifo.clear()
        self._queue.clear()
        self._refill()
        return data

    def drain(self) -> None:
        """`flush`, and let held input in: the guest can tell, so this is called at fixed times."""
        self.flush()
        if self._held:
            self._held = False
            self._refill()

    def flush(self) -> None:
        """Hand everything in the ring to the output callback. Called at every slice end."""
        slots, ring = self._slots, self._ring
        tail, head = slots[_TAIL], slots[_HEAD]
        if head != tail:
            start, end = tail % UART_RING, head % UART_RING
            data = bytes(ring[start:end]) if start < end else bytes(ring[start:]) + ring[:end]
            slots[_TAIL] = head
            self._output(data)

    # -- the guest's side ------------------------------------------------------------------

    def read(self, offset: int, access: Access) -> int:
        """Read the register at *offset* (data sheet table II)."""
        dlab = self._slots[_LCR] & _LCR_DLAB
        if offset == 0:
            return self._divisor & 0xFF if dlab else self._read_rbr()
        if offset == 1:
            return self._divisor >> 8 if dlab else self._ier
        if offset == 2:
            iir = self._iir()
            if iir == _IIR_THRI:
                self._thr_pending = False
                self._update()
            return iir | (0xC0 if self._fcr & 1 else 0)
        if offset == 3:
            return int(self._slots[_LCR])
        if offset == 4:
            return self._mcr
        if offset == 5:
            lsr = int(self._slots[_LSR])
            if lsr & _LSR_ERRORS:
                self._slots[_LSR] = lsr & ~_LSR_ERRORS
                self._sync_lsr()
                self._update()
            return lsr
        if offset == 6:
            msr = self._modem() | self._msr_delta
            if self._msr_delta:
                self._msr_delta = 0
                self._update()
            return msr
        if offset == 7:
            return self._scr
        raise BusFault(f"the UART has no register {offset:#x}")

    def write(self, offset: int, value: int, access: Access) -> None:
        """Write the register at *offset* (data sheet table II)."""
        value &= 0xFF
        dlab = self._slots[_LCR] & _LCR_DLAB
        if offset == 0:
            if dlab:
                self._divisor = self._divisor & 0xFF00 | value
            else:
                self._write_thr(value)
        elif offset == 1:
            if dlab:
                self._divisor = self._divisor & 0xFF | value << 8
            else:
                changed = self._ier ^ value
                self._ier = value & 0x0F
                if changed & _IER_THRI:  # enabling it on an empty THR interrupts (8.6)
                    self._thr_pending = bool(value & _IER_THRI)
                self._update()
        elif offset == 2:
            self._write_fcr(value)
        elif offset == 3:
            self._slots[_LCR] = value
        elif offset == 4:
            self._write_mcr(value & 0x1F)
        elif offset == 7:
            self._scr = value
        elif offset not in (5, 6):  # LSR and MSR: factory tests only
            raise BusFault(f"the UART has no register {offset:#x}")

    # -- inside ----------------------------------------------------------------------------

    def _read_rbr(self) -> int:
        value = self._fifo.popleft() if self._fifo else 0
        self._refill()
        return value & 0xFF

    def _write_thr(self, value: int) -> None:
        if self._mcr & _MCR_LOOP:
            if len(self._fifo) < self._capacity():
                self._fifo.append(value)
                self._slots[_LSR] |= _LSR_DR
            else:
                self._slots[_LSR] |= _LSR_OE
        else:
            slots = self._slots
            head = slots[_HEAD]
            if head - slots[_TAIL] >= UART_RING:
                self.flush()
            self._ring[head % UART_RING] = value
            slots[_HEAD] = head + 1
            awaited = slots[_STOPS + (value >> 6)] >> (value & 63) & 1
            if awaited or not slots[_FAST]:
                self.flush()
        self._thr_pending = True  # empty again at once
        self._update()

    def _write_fcr(self, value: int) -> None:
        if (value ^ self._fcr) & 1:
            value |= 2  # switching the mode empties the FIFOs (8.5)
        self._fcr = value & 0xC9 if value & 1 else 0
        if value & 2 and self._fifo:
            # A real line would lose these bytes; they go back to wait, so that input piped in
            # before the guest's driver started is not lost. See `_held`.
            if not self._mcr & _MCR_LOOP:
                self._queue.extendleft(reversed(self._fifo))
                self._held = True
            self._fifo.clear()
            self._slots[_LSR] &= ~_LSR_DR
        self._update()

    def _write_mcr(self, value: int) -> None:
        before = self._modem()
        if (value ^ self._mcr) & _MCR_LOOP:
            if value & _MCR_LOOP:  # the line is disconnected (8.7); its input goes on waiting
                self._queue.extendleft(reversed(self._fifo))
            self._fifo.clear()
            self._slots[_LSR] &= ~_LSR_DR
        self._mcr = value
        changed = before ^ self._modem()
        self._msr_delta |= (changed & 0xB0) >> 4
        if changed & before & _MSR_RI:  # TERI: the trailing edge only
            self._msr_delta |= 4
        self._refill()

    def _modem(self) -> int:
        """MSR bits 4-7: the wires, or in loopback mode the MCR's outputs (8.7)."""
        if not self._mcr & _MCR_LOOP:
            return _MSR_CONNECTED
        m = self._mcr
        return (m & 2) << 3 | (m & 1) << 5 | (m & 0x0C) << 4

    def _capacity(self) -> int:
        return _FIFO if self._fcr & 1 else 1

    def _refill(self) -> None:
        """Move waiting host input into the FIFO."""
        if not self._held and not self._mcr & _MCR_LOOP:
            room = self._capacity() - len(self._fifo)
            while room > 0 and self._queue:
                self._fifo.append(self._queue.popleft())
                room -= 1
        self._sync_lsr()
        self._update()

    def _sync_lsr(self) -> None:
        """LSR's data-ready and break bits follow the byte at the head of the FIFO (8.4)."""
        if not self._fifo:
            self._slots[_LSR] &= ~_LSR_DR
            return
        self._slots[_LSR] |= _LSR_DR
        if self._fifo[0] & _BREAK:
            self._fifo[0] = 0
            self._slots[_LSR] |= _LSR_BI

    def _iir(self) -> int:
        """The pending interrupt of highest priority (table V)."""
        ier = self._ier
        if ier & _IER_RLSI and self._slots[_LSR] & _LSR_ERRORS:
            return _IIR_RLSI
        if ier & _IER_RDI and self._fifo:
            # Below the trigger level the line is idle (waiting input would have filled the
            # FIFO), so the character timeout is due; its four character times are not waited.
            full = not self._fcr & 1 or len(self._fifo) >= _TRIGGERS[self._fcr >> 6]
            return _IIR_RDI if full else _IIR_CTI
        if ier & _IER_THRI and self._thr_pending:
            return _IIR_THRI
        if ier & _IER_MSI and self._msr_delta:
            return _IIR_MSI
        return _IIR_NONE

    def _update(self) -> None:
        self._slots[_IER] = self._ier | (_IER_THRI if self._mcr & _MCR_LOOP else 0)
        level = self._iir() != _IIR_NONE
        if level != self._line:
            self._line = level
            self._irq(level)
