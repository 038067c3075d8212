#ifndef CPLATFORM_CRC32C_H
#define CPLATFORM_CRC32C_H
/* Checksums of record formats: CRC-32C (batches v2) and CRC-32 (messages v0 and v1). */
#include <stddef.h>
#include <stdint.h>

/* CRC-32C (Castagnoli) of `length` bytes, continued from `crc` (0 to begin).
   Uses the processor's instruction, three streams interleaved, when it has one. */
uint32_t jd_crc32c(uint32_t crc, const void *data, size_t length);

/* The same, without the instruction: for processors that lack it, and for tests. */
uint32_t jd_crc32c_portable(uint32_t crc, const void *data, size_t length);

/* CRC-32 (IEEE 802.3, as in gzip), continued from `crc` (0 to begin). */
uint32_t jd_crc32(uint32_t crc, const void *data, size_t length);
#endif
