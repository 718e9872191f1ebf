/* A switch-heavy state machine: a stack machine that runs a small program, one jump table entry
 * per operation. */
#include "runtime.h"

enum op { PUSH, ADD, SUB, MUL, AND, XOR, SHR, DUP, SWAP, OVER, DROP, LOAD, STORE, JNZ, DEC, HALT };

/* Memory 0 counts down, 1 is a number that is tripled and shifted, 2 a sum over it. */
static const uint8_t program[] = {
    /*  0 */ LOAD, 1, PUSH, 3, MUL, PUSH, 1, ADD, DUP, STORE, 1,
    /* 11 */ PUSH, 7, AND, JNZ, 23,
    /* 16 */ LOAD, 1, PUSH, 3, SHR, STORE, 1,
    /* 23 */ LOAD, 2, LOAD, 1, OVER, XOR, SWAP, SUB, DUP, DROP, STORE, 2,
    /* 35 */ LOAD, 0, DEC, DUP, STORE, 0, JNZ, 0,
    /* 43 */ HALT,
};

static NOINLINE uint32_t execute(uint32_t *memory)
{
    uint32_t stack[64] = {0};
    uint32_t top = 16, pc = 0, steps = 0;
    for (;;) {
        steps++;
        switch ((enum op)program[pc++]) {
        case PUSH: stack[++top & 63] = program[pc++]; break;
        case ADD: top--; stack[top & 63] += stack[(top + 1) & 63]; break;
        case SUB: top--; stack[top & 63] -= stack[(top + 1) & 63]; break;
        case MUL: top--; stack[top & 63] *= stack[(top + 1) & 63]; break;
        case AND: top--; stack[top & 63] &= stack[(top + 1) & 63]; break;
        case XOR: top--; stack[top & 63] ^= stack[(top + 1) & 63]; break;
        case SHR: top--; stack[top & 63] >>= stack[(top + 1) & 63] & 31; break;
        case DUP: top++; stack[top & 63] = stack[(top - 1) & 63]; break;
        case SWAP: {
            uint32_t x = stack[top & 63];
            stack[top & 63] = stack[(top - 1) & 63];
            stack[(top - 1) & 63] = x;
            break;
        }
        case OVER: top++; stack[top & 63] = stack[(top - 2) & 63]; break;
        case DROP: top--; break;
        case LOAD: stack[++top & 63] = memory[program[pc++]]; break;
        case STORE: memory[program[pc++]] = stack[top-- & 63]; break;
        case JNZ: pc = stack[top-- & 63] ? program[pc] : pc + 1; break;
        case DEC: stack[top & 63]--; break;
        case HALT: return steps;
        }
    }
}

uint32_t run(uint32_t n)
{
    uint32_t sum = 0;
    while (n--) {
        uint32_t memory[3] = {500, n, sum};
        sum = mix(sum, execute(memory));
        sum = mix(sum, memory[1] + memory[2]);
    }
    return sum;
}
