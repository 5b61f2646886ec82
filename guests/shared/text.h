/** A growing piece of text, for answers that are put together. Traps when memory runs out, as guests do. */
#pragma once
#include "target.h"
#include <stdlib.h>

typedef struct { uint8_t *bytes; size_t length, room; } text;

static inline void add_bytes(text *t, const void *bytes, size_t length) {
  if (t->length + length > t->room) {
    t->room = (t->length + length) * 2 + 64;
    t->bytes = realloc(t->bytes, t->room);
    if (!t->bytes) abort();
  }
  memcpy(t->bytes + t->length, bytes, length);
  t->length += length;
}

static inline void add(text *t, const char *s) { add_bytes(t, s, strlen(s)); }

static inline void add_number(text *t, uint64_t n) {
  char digits[20];
  size_t at = sizeof digits;
  do digits[--at] = (char)('0' + n % 10); while (n /= 10);
  add_bytes(t, digits + at, sizeof digits - at);
}

/** A JSON string; each byte ≥ 0x80 becomes the code point of the same number, so any bytes come through. */
static inline void add_json(text *t, const void *bytes, size_t length) {
  static const char HEX[] = "0123456789abcdef";
  const uint8_t *from = bytes;
  add(t, "\"");
  for (size_t i = 0; i < length; i++) {
    uint8_t b = from[i];
    if (b == '"' || b == '\\') add_bytes(t, (char[]){'\\', (char)b}, 2);
    else if (b < 0x20 || b >= 0x7f) add_bytes(t, (char[]){'\\', 'u', '0', '0', HEX[b >> 4], HEX[b & 15]}, 6);
    else add_bytes(t, &b, 1);
  }
  add(t, "\"");
}
