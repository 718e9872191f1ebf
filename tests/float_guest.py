"""A guest that runs every instruction of F and D over many operands and prints a line for each: a
sum over results and flags. Two machines that print the same computed the same.

A round sets frm and NX, runs one instruction over a batch of operands without any CSR between (so
that it stays in compiled code), and then looks at the flags. Operands are specials, small whole
numbers, numbers that cancel, or any bits.
"""

from __future__ import annotations

__all__ = ["names", "source"]

_ROUNDED_MODES = ("rne", "rtz", "rdn", "rup", "rmm", "dyn")
_TWO, _THREE = "ft0, ft1", "ft0, ft1, ft2"


def names(xlen: int) -> list[tuple[str, str]]:
    """(label, assembly) of each instruction: from ft0 to ft2 and t0 into ft3 or t1."""
    out = []
    for f, other in (("s", "d"), ("d", "s")):
        for op in ("fadd", "fsub", "fmul", "fdiv"):
            out += [(f"{op}.{f} {rm}", f"{op}.{f} ft3, {_TWO}, {rm}") for rm in ("rne", "dyn")]
        out += [(f"fsqrt.{f} {rm}", f"fsqrt.{f} ft3, ft0, {rm}") for rm in ("rne", "dyn")]
        for op in ("fmadd", "fmsub", "fnmadd", "fnmsub"):
            out += [(f"{op}.{f} {rm}", f"{op}.{f} ft3, {_THREE}, {rm}") for rm in ("rne", "dyn")]
        for op in ("fmin", "fmax", "fsgnj", "fsgnjn", "fsgnjx"):
            out += [(f"{op}.{f}", f"{op}.{f} ft3, {_TWO}")]
            out += [(f"{op}.{f} same", f"{op}.{f} ft3, ft0, ft0")]
        for op in ("feq", "flt", "fle"):
            out.append((f"{op}.{f}", f"{op}.{f} t1, {_TWO}"))
        out.append((f"fclass.{f}", f"fclass.{f} t1, ft0"))
        for kind in ("w", "wu", "l", "lu")[: xlen // 16]:
            for rm in _ROUNDED_MODES:
                out.append((f"fcvt.{kind}.{f} {rm}", f"fcvt.{kind}.{f} t1, ft0, {rm}"))
            # to double from 32 bits is exact; then an assembler knows no mode
            exact = f == "d" and kind in ("w", "wu")
            for rm in ("",) if exact else ("rne", "dyn"):
                end = f", {rm}" if rm else ""
                out.append((f"fcvt.{f}.{kind} {rm}", f"fcvt.{f}.{kind} ft3, t0{end}"))
        for rm in ("rne", "dyn") if f == "s" else ("",):
            end = f", {rm}" if rm else ""
            out.append((f"fcvt.{f}.{other} {rm}", f"fcvt.{f}.{other} ft3, ft0{end}"))
        # chains: a result is the next one's operand, and some results are in memory before
        out.append((f"dot.{f}", f"fmul.{f} ft4, {_TWO}; fadd.{f} ft5, ft5, ft4; fmv.d ft3, ft5"))
        out.append((f"norm.{f}", f"fsqrt.{f} ft4, ft0; fdiv.{f} ft4, ft1, ft4; fmv.d ft3, ft4"))
        out.append((f"moves.{f}", f"fneg.{f} ft4, ft0; fabs.{f} ft3, ft4; fsub.{f} ft3, ft3, ft1"))
    return out


def source(xlen: int, rounds: int) -> str:
    """C, for benchmarks/kernels' start and linker script."""
    word, load, store = ("int64_t", "ld", "sd") if xlen == 64 else ("int32_t", "lw", "sw")
    functions, rows = [], []
    for n, (label, text) in enumerate(names(xlen)):
        result = f"{store} t1, 24(%0)" if " t1" in text else "fsd ft3, 24(%0)"
        functions.append(f"""
static __attribute__((noinline)) void op{n}(struct row *row)
{{
    struct row *end = row + BATCH;
    __asm__ volatile("fmv.d ft5, ft0\\n1: fld ft0, 0(%0)\\n fld ft1, 8(%0)\\n fld ft2, 16(%0)\\n"
                 " {load} t0, 0(%0)\\n {text}\\n {result}\\n"
                 " addi %0, %0, 32\\n bne %0, %1, 1b"
                 : "+r"(row) : "r"(end)
                 : "memory", "t0", "t1", "ft0", "ft1", "ft2", "ft3", "ft4", "ft5");
}}""")
        rows.append(f'    {{"{label}", op{n}, {int(".s" in text.split()[0])}}},')
    return (
        _HEAD.replace("WORD", word)
        + "".join(functions)
        + f"""

static const struct {{ const char *name; void (*run)(struct row *); int narrow; }} ops[] = {{
{chr(10).join(rows)}
}};
#define ROUNDS {rounds}
"""
        + _MAIN
    )


_HEAD = """
#include <stdint.h>
#define BATCH 8
struct row { uint64_t in[3], out; };
static struct row rows[BATCH];
static uint64_t state = 88172645463325252u;

static uint64_t any(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}
"""

_MAIN = """
static uint64_t pattern(int narrow, uint64_t before)
{
    int bits = narrow ? 32 : 64, part = narrow ? 23 : 52, bias = narrow ? 127 : 1023;
    uint64_t r = any(), sign = r & 1, top = 2 * bias + 1, field, fraction = any() >> (64 - part);
    static const int16_t near[8] = {0, 1, 2, 0x7ff, -1, 3, 54, 24};
    switch (r >> 1 & 15) {
    case 0: case 1: field = near[r >> 8 & 7] & top; break;
    case 2: field = top - (r >> 8 & 3); break;
    case 3: field = bias + (r >> 8 & 63); break;
    case 4: field = bias - (r >> 8 & 63); break;
    case 5: return before ^ 1ull << (bits - 1);
    case 6: return (before ^ 1ull << (bits - 1)) + (r >> 8 & 3) - 1;
    case 7: field = r >> 8 & top; break;
    case 8: field = bias / 2 + (r >> 8 & 63); break;
    case 9: field = bias + bias / 2 - (r >> 8 & 63); break;
    default: field = bias + (r >> 8 & 7) - 2; break;
    }
    switch (r >> 16 & 7) {
    case 0: fraction = 0; break;
    case 1: fraction = (1ull << part) - 1; break;
    case 2: fraction = 1ull << (r >> 24) % part; break;
    case 3: case 4: case 5: fraction &= ~0ull << (part - (r >> 24) % 12); break;
    default: break;
    }
    fraction &= (1ull << part) - 1;
    return sign << (bits - 1) | field << part | fraction;
}

static void put(char c)
{
    volatile unsigned char *uart = (volatile unsigned char *)0x10000000;
    while (!(uart[5] & 0x20))
        ;
    uart[0] = c;
}

static void say(const char *text)
{
    while (*text)
        put(*text++);
}

void *memset(void *to, int value, unsigned long count)
{
    unsigned char *p = to;
    while (count--)
        *p++ = value;
    return to;
}

int main(void)
{
    for (unsigned n = 0; n < sizeof ops / sizeof *ops; n++) {
        uint32_t sum = 0;
        for (int round = 0; round < ROUNDS; round++) {
            int narrow = ops[n].narrow;
            uint64_t before = any();
            for (int i = 0; i < BATCH; i++) {
                for (int k = 0; k < 3; k++) {
                    before = pattern(narrow, before & (narrow ? 0xffffffffu : ~0ull));
                    uint64_t box = narrow && any() % 64 ? 0xffffffffull << 32 : 0;
                    rows[i].in[k] = before | box;
                }
                if (any() % 4 == 0) /* for integers */
                    rows[i].in[0] = (int64_t)any() >> any() % 64;
                rows[i].out = 0;
            }
            uint64_t r = any();
            unsigned long mode = r & 1 ? 0 : (r >> 8) % 5, flags = r >> 1 & 1, raised;
            __asm__ volatile("fscsr %0" : : "r"(mode << 5 | flags));
            __asm__ volatile("fcvt.d.w ft0, zero" : : : "ft0");
            ops[n].run(rows);
            __asm__ volatile("frflags %0" : "=r"(raised));
            sum = (sum ^ raised) * 0x01000193u;
            for (int i = 0; i < BATCH; i++) {
                sum = (sum ^ (uint32_t)rows[i].out) * 0x01000193u;
                sum = (sum ^ (uint32_t)(rows[i].out >> 32)) * 0x01000193u;
            }
        }
        say(ops[n].name);
        put(' ');
        for (int shift = 28; shift >= 0; shift -= 4)
            put("0123456789abcdef"[sum >> shift & 15]);
        put('\\n');
    }
    return 0;
}
"""
