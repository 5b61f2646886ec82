/** Text on stdout and stderr of WASI 0.3: streams of one type, which the host reads. */
#pragma once
#include "p3.h"

/** `length` bytes are written over and over until `left` is used up. */
typedef struct {
  cli_out_stream_u8_writer_t to;
  cli_out_future_result_void_error_code_t done;
  bool error;
  const uint8_t *bytes;
  size_t length;
  uint64_t left;
  cli_out_result_void_error_code_t result;
  step *then;
} printing;

/** The task's one; the guest says where it is. */
static printing *printing_of(task *);

static code printed(task *t, uint32_t) {
  printing *p = printing_of(t);
  p->error ? cli_err_future_result_void_error_code_drop_readable(p->done) : cli_out_future_result_void_error_code_drop_readable(p->done);
  return go_on(t, 0, p->then);
}

static code print_more(task *t, uint32_t status) {
  printing *p = printing_of(t);
  p->left -= COUNT(status);
  if (p->left > 0 && OPEN(status)) {
    size_t part = p->left < p->length ? p->left : p->length;
    return after(t, p->to, cli_out_stream_u8_write(p->to, p->bytes, part), print_more);
  }
  cli_out_stream_u8_drop_writable(p->to);
  return after(t, p->done, p->error ? cli_err_future_result_void_error_code_read(p->done, (cli_err_result_void_error_code_t *)&p->result)
                                    : cli_out_future_result_void_error_code_read(p->done, &p->result), printed);
}

static code print(task *t, bool error, const void *bytes, size_t length, uint64_t left, step *then) {
  printing *p = printing_of(t);
  *p = (printing){.error = error, .bytes = bytes, .length = length, .left = left, .then = then};
  cli_out_stream_u8_t from = cli_out_stream_u8_new(&p->to);
  p->done = error ? cli_err_write_via_stream(from) : cli_out_write_via_stream(from);
  return go_on(t, 0, print_more);
}
