/** One line through wasi:logging. */
#pragma once
#include "guest.h"
#include "target.h"

/** `level` is its name in WIT; anything else is `info`. */
static inline void log_line(slice level, const char *message) {
  static const char *const LEVELS[] = {"trace", "debug", "info", "warn", "error", "critical"};
  logging_level_t chosen = LOGGING_LEVEL_INFO;
  for (size_t i = 0; i < sizeof LEVELS / sizeof *LEVELS; i++) if (is(level, LEVELS[i])) chosen = (logging_level_t)i;
  guest_string_t context = {(uint8_t *)"logger", 6}, line = {(uint8_t *)message, strlen(message)};
  logging_log(chosen, &context, &line);
}
