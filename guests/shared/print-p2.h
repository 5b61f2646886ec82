/** Text on stdout and stderr of WASI 0.2. */
#pragma once
#include "guest.h"

/** Writes to stdout or stderr, which take at most 4096 bytes a call. */
static inline void print_and_drop(io_own_output_stream_t to, const void *bytes, size_t length) {
  io_stream_error_t gone;
  for (size_t at = 0; at < length; at += 4096) {
    guest_list_u8_t piece = {(uint8_t *)bytes + at, length - at < 4096 ? length - at : 4096};
    if (!io_method_output_stream_blocking_write_and_flush(io_borrow_output_stream(to), &piece, &gone)) {
      io_stream_error_free(&gone);
      break;
    }
  }
  io_output_stream_drop_own(to);
}
