/**
 * The path and query of a request, read in place.
 *
 * A target is what the guest gets as path-with-query. Values are not percent-decoded: tests write plain ones.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct { const char *text; size_t length; } slice;

/** The part before `?`. */
static inline slice path_of(slice target) {
  const char *mark = memchr(target.text, '?', target.length);
  return (slice){target.text, mark ? (size_t)(mark - target.text) : target.length};
}

static inline bool is(slice a, const char *b) {
  return a.length == strlen(b) && memcmp(a.text, b, a.length) == 0;
}

static inline bool starts(slice a, const char *b) {
  return a.length >= strlen(b) && memcmp(a.text, b, strlen(b)) == 0;
}

/** The value of `name` in the query, or an empty slice. */
static inline slice query_of(slice target, const char *name) {
  size_t at = path_of(target).length + 1, width = strlen(name);
  while (at < target.length) {
    const char *from = target.text + at, *end = memchr(from, '&', target.length - at);
    size_t length = end ? (size_t)(end - from) : target.length - at;
    if (length > width && from[width] == '=' && memcmp(from, name, width) == 0) return (slice){from + width + 1, length - width - 1};
    at += length + 1;
  }
  return (slice){target.text, 0};
}

/** The number that `name` has in the query, or `otherwise`. */
static inline uint64_t number_of(slice target, const char *name, uint64_t otherwise) {
  slice digits = query_of(target, name);
  if (digits.length == 0) return otherwise;
  uint64_t value = 0;
  for (size_t i = 0; i < digits.length && digits.text[i] >= '0' && digits.text[i] <= '9'; i++) value = value * 10 + (uint64_t)(digits.text[i] - '0');
  return value;
}
