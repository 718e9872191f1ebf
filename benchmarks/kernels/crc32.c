/* CRC-32 by table and by bits: loads from a table, shifts, exclusive ors. */
#include "runtime.h"

#define SIZE 4096

static uint32_t table[256];
static uint8_t buffer[SIZE];

static uint32_t one_byte(uint32_t crc)
{
    for (int bit = 0; bit < 8; bit++)
        crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
    return crc;
}

static NOINLINE uint32_t by_table(const uint8_t *data, size_t size)
{
    uint32_t crc = ~0u;
    for (size_t i = 0; i < size; i++)
        crc = table[(crc ^ data[i]) & 0xff] ^ crc >> 8;
    return ~crc;
}

static NOINLINE uint32_t by_bits(const uint8_t *data, size_t size)
{
    uint32_t crc = ~0u;
    for (size_t i = 0; i < size; i++)
        crc = one_byte(crc ^ data[i]);
    return ~crc;
}

uint32_t run(uint32_t n)
{
    uint32_t state = 1, sum = 0;
    for (uint32_t i = 0; i < 256; i++)
        table[i] = one_byte(i);
    for (size_t i = 0; i < SIZE; i++)
        buffer[i] = next_random(&state);
    while (n--) {
        sum = mix(sum, by_table(buffer, SIZE));
        sum = mix(sum, by_bits(buffer, SIZE / 8));
        buffer[n % SIZE] ^= sum;
    }
    return sum;
}
