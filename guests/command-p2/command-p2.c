/** `shared/command.h` over WASI 0.2. */
#include "command.h"
#include "print-p2.h"

static void print(bool error, const void *bytes, size_t length) {
  print_and_drop(error ? cli_err_get_stderr() : cli_out_get_stdout(), bytes, length);
}

static void copy(io_own_input_stream_t from) {
  guest_list_u8_t chunk;
  io_stream_error_t end;
  while (io_method_input_stream_blocking_read(io_borrow_input_stream(from), 65536, &chunk, &end)) {
    print(false, chunk.ptr, chunk.len);
    guest_list_u8_free(&chunk);
  }
  io_stream_error_free(&end);
  io_input_stream_drop_own(from);
}

static void copy_stdin(void) { copy(cli_in_get_stdin()); }

static bool copy_file(files_borrow_descriptor_t directory, guest_string_t path) {
  files_own_descriptor_t file;
  files_own_input_stream_t from;
  files_error_code_t missing;
  if (!files_method_descriptor_open_at(directory, 0, &path, 0, FILES_DESCRIPTOR_FLAGS_READ, &file, &missing)) return false;
  bool opened = files_method_descriptor_read_via_stream(files_borrow_descriptor(file), 0, &from, &missing);
  if (opened) copy(from);
  files_descriptor_drop_own(file);
  return opened;
}

bool exports_cli_run_run(void) { return do_arguments(); }
