#ifndef CPLATFORM_H
#define CPLATFORM_H
/* System calls and instructions that Swift cannot reach by itself. */
#include "codecs.h"
#include "crc32c.h"
#include "system_calls.h"
#endif
