#include "crc32c.h"
#include <string.h>

#define CASTAGNOLI 0x82f63b78u
#define IEEE 0xedb88320u

/* Slicing by eight: one table for each byte of an eight-byte word. */
static uint32_t castagnoli[8][256];
static uint32_t ieee[8][256];

/* Three streams of LONG (or SHORT) bytes run side by side to hide the instruction's latency; their
   results are joined by advancing a CRC over so many zero bytes, which these tables do. */
#define LONG 4096
#define SHORT 256
static uint32_t over_long[4][256];
static uint32_t over_short[4][256];

static void fill(uint32_t table[8][256], uint32_t polynomial) {
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >> 1) ^ polynomial : crc >> 1;
    table[0][byte] = crc;
  }
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t crc = table[0][byte];
    for (int slice = 1; slice < 8; slice++) {
      crc = table[0][crc & 0xff] ^ (crc >> 8);
      table[slice][byte] = crc;
    }
  }
}

/* Advancing over zeros is linear in the CRC, so 32 single-bit images span every other. */
static void fill_zeros(uint32_t table[4][256], int zeros) {
  uint32_t image[32];
  for (int bit = 0; bit < 32; bit++) {
    uint32_t crc = 1u << bit;
    for (int i = 0; i < zeros; i++) crc = castagnoli[0][crc & 0xff] ^ (crc >> 8);
    image[bit] = crc;
  }
  for (int part = 0; part < 4; part++) {
    for (int byte = 0; byte < 256; byte++) {
      uint32_t crc = 0;
      for (int bit = 0; bit < 8; bit++)
        if (byte & (1 << bit)) crc ^= image[part * 8 + bit];
      table[part][byte] = crc;
    }
  }
}

__attribute__((constructor)) static void fill_tables(void) {
  fill(castagnoli, CASTAGNOLI);
  fill(ieee, IEEE);
  fill_zeros(over_long, LONG);
  fill_zeros(over_short, SHORT);
}

static inline uint64_t load64(const uint8_t *p) {
  uint64_t word;
  memcpy(&word, p, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  word = __builtin_bswap64(word);
#endif
  return word;
}

static uint32_t sliced(uint32_t table[8][256], uint32_t crc, const uint8_t *p, size_t length) {
  crc = ~crc;
  for (; length >= 8; p += 8, length -= 8) {
    uint64_t word = load64(p) ^ crc;
    crc = table[7][word & 0xff] ^ table[6][(word >> 8) & 0xff] ^ table[5][(word >> 16) & 0xff] ^
          table[4][(word >> 24) & 0xff] ^ table[3][(word >> 32) & 0xff] ^
          table[2][(word >> 40) & 0xff] ^ table[1][(word >> 48) & 0xff] ^ table[0][word >> 56];
  }
  for (; length > 0; p++, length--) crc = table[0][(crc ^ *p) & 0xff] ^ (crc >> 8);
  return ~crc;
}

uint32_t jd_crc32(uint32_t crc, const void *data, size_t length) {
  return sliced(ieee, crc, data, length);
}

uint32_t jd_crc32c_portable(uint32_t crc, const void *data, size_t length) {
  return sliced(castagnoli, crc, data, length);
}

#if defined(__x86_64__) || (defined(__aarch64__) && defined(__ARM_FEATURE_CRC32))

#if defined(__x86_64__)
#define WITH_CRC __attribute__((target("sse4.2")))
#define STEP8(crc, word) __builtin_ia32_crc32di((crc), (word))
#define STEP1(crc, byte) __builtin_ia32_crc32qi((uint32_t)(crc), (byte))
static int has_instruction(void) { return __builtin_cpu_supports("sse4.2"); }
#else
#include <arm_acle.h>
#define WITH_CRC
#define STEP8(crc, word) __crc32cd((uint32_t)(crc), (word))
#define STEP1(crc, byte) __crc32cb((uint32_t)(crc), (byte))
static int has_instruction(void) { return 1; }
#endif

static inline uint64_t advance(uint32_t table[4][256], uint64_t crc) {
  return table[0][crc & 0xff] ^ table[1][(crc >> 8) & 0xff] ^ table[2][(crc >> 16) & 0xff] ^
         table[3][(crc >> 24) & 0xff];
}

WITH_CRC static inline uint64_t three_streams(
    uint64_t crc, const uint8_t *p, size_t stride, uint32_t table[4][256]) {
  uint64_t second = 0, third = 0;
  for (size_t i = 0; i < stride; i += 8) {
    crc = STEP8(crc, load64(p + i));
    second = STEP8(second, load64(p + stride + i));
    third = STEP8(third, load64(p + 2 * stride + i));
  }
  return advance(table, advance(table, crc) ^ second) ^ third;
}

WITH_CRC static uint32_t with_instruction(uint32_t start, const uint8_t *p, size_t length) {
  uint64_t crc = (uint32_t)~start;
  for (; length >= 3 * LONG; p += 3 * LONG, length -= 3 * LONG)
    crc = three_streams(crc, p, LONG, over_long);
  for (; length >= 3 * SHORT; p += 3 * SHORT, length -= 3 * SHORT)
    crc = three_streams(crc, p, SHORT, over_short);
  for (; length >= 8; p += 8, length -= 8) crc = STEP8(crc, load64(p));
  for (; length > 0; p++, length--) crc = STEP1(crc, *p);
  return ~(uint32_t)crc;
}

uint32_t jd_crc32c(uint32_t crc, const void *data, size_t length) {
  return has_instruction() ? with_instruction(crc, data, length)
                           : sliced(castagnoli, crc, data, length);
}

#else

uint32_t jd_crc32c(uint32_t crc, const void *data, size_t length) {
  return sliced(castagnoli, crc, data, length);
}

#endif
