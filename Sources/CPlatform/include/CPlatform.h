#ifndef CPLATFORM_H
#define CPLATFORM_H
/* System calls and instructions that Swift cannot reach by itself. */
#include "codecs.h"
#include "crc32c.h"
#endif
