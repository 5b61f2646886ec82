/** The parts of `http://authority/path` and `https://…` that a request needs. */
#pragma once
#include "guest.h"
#include "target.h"

typedef struct { http_scheme_t scheme; guest_string_t authority, target; } url;

/** False when the text is no such URL. */
static inline bool parse_url(slice text, url *to) {
  size_t skip = starts(text, "http://") ? 7 : starts(text, "https://") ? 8 : 0;
  if (skip == 0) return false;
  to->scheme.tag = skip == 7 ? HTTP_SCHEME_HTTP : HTTP_SCHEME_HTTPS;
  const char *authority = text.text + skip, *end = text.text + text.length, *path = memchr(authority, '/', (size_t)(end - authority));
  to->authority = (guest_string_t){(uint8_t *)authority, (size_t)((path ? path : end) - authority)};
  to->target = path ? (guest_string_t){(uint8_t *)path, (size_t)(end - path)} : (guest_string_t){(uint8_t *)"/", 1};
  return to->authority.len > 0;
}
