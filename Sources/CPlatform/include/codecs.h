#ifndef CPLATFORM_CODECS_H
#define CPLATFORM_CODECS_H
/* Layouts of the structs that the compression libraries take. The libraries are opened at run time,
   so their headers are not needed to build; these layouts are part of their stable ABI. */
#include <stddef.h>
#include <stdint.h>

/* z_stream of libz.so.1 */
struct jd_zlib_stream {
  const uint8_t *next_in;
  unsigned int avail_in;
  unsigned long total_in;
  uint8_t *next_out;
  unsigned int avail_out;
  unsigned long total_out;
  const char *msg;
  void *state;
  void *zalloc;
  void *zfree;
  void *opaque;
  int data_type;
  unsigned long adler;
  unsigned long reserved;
};

/* LZ4F_preferences_t of liblz4.so.1, with its LZ4F_frameInfo_t unfolded */
struct jd_lz4_preferences {
  int block_size_id;
  int block_mode;
  int content_checksum;
  int frame_type;
  unsigned long long content_size;
  unsigned int dictionary_id;
  int block_checksum;
  int compression_level;
  unsigned int auto_flush;
  unsigned int favor_decompression_speed;
  unsigned int reserved[3];
};

/* ZSTD_inBuffer and ZSTD_outBuffer of libzstd.so.1 */
struct jd_zstd_in {
  const void *source;
  size_t size;
  size_t position;
};
struct jd_zstd_out {
  void *target;
  size_t size;
  size_t position;
};
#endif
