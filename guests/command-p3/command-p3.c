/** `shared/command.h` over WASI 0.3, in blocking calls (build.json: `--sync all`). */
#include "command.h"

/** The final status of a read or write that may have to wait. */
static guest_waitable_status_t settle(uint32_t waitable, guest_waitable_status_t status) {
  if (status != GUEST_WAITABLE_STATUS_BLOCKED) return status;
  guest_waitable_set_t set = guest_waitable_set_new();
  guest_waitable_join(waitable, set);
  guest_event_t event;
  guest_waitable_set_wait(set, &event);
  guest_waitable_join(waitable, 0);
  guest_waitable_set_drop(set);
  return event.code;
}

static void print(bool error, const void *bytes, size_t length) {
  cli_in_stream_u8_writer_t to;
  cli_in_stream_u8_t from = cli_in_stream_u8_new(&to);
  cli_out_future_result_void_error_code_t done = error ? cli_err_write_via_stream(from) : cli_out_write_via_stream(from);
  for (size_t at = 0; at < length;) {
    guest_waitable_status_t status = settle(to, cli_in_stream_u8_write(to, (const uint8_t *)bytes + at, length - at));
    at += GUEST_WAITABLE_COUNT(status);
    if (GUEST_WAITABLE_STATE(status) != GUEST_WAITABLE_COMPLETED) break;
  }
  cli_in_stream_u8_drop_writable(to);
  cli_out_result_void_error_code_t result;
  settle(done, cli_out_future_result_void_error_code_read(done, &result));
  cli_out_future_result_void_error_code_drop_readable(done);
}

static void copy(uint32_t from) {
  static uint8_t buffer[65536];
  guest_waitable_status_t status;
  do {
    status = settle(from, cli_in_stream_u8_read(from, buffer, sizeof buffer));
    if (GUEST_WAITABLE_COUNT(status) > 0) print(false, buffer, GUEST_WAITABLE_COUNT(status));
  } while (GUEST_WAITABLE_STATE(status) == GUEST_WAITABLE_COMPLETED);
  cli_in_stream_u8_drop_readable(from);
}

static void copy_stdin(void) {
  cli_in_tuple2_stream_u8_future_result_void_error_code_t in;
  cli_in_read_via_stream(&in);
  copy(in.f0);
  cli_in_future_result_void_error_code_drop_readable(in.f1);
}

static bool copy_file(files_borrow_descriptor_t directory, guest_string_t path) {
  files_own_descriptor_t file;
  files_error_code_t missing;
  if (!files_method_descriptor_open_at(directory, 0, &path, 0, FILES_DESCRIPTOR_FLAGS_READ, &file, &missing)) return false;
  files_tuple2_stream_u8_future_result_void_error_code_t in;
  files_method_descriptor_read_via_stream(files_borrow_descriptor(file), 0, &in);
  copy(in.f0);
  files_future_result_void_error_code_drop_readable(in.f1);
  files_descriptor_drop_own(file);
  return true;
}

bool exports_cli_run_run(void) { return do_arguments(); }
