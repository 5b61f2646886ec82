/**
 * Answers over wasi:http 0.3: head, pieces of body, end, each followed by a step of the task's own.
 *
 * The guest's `struct task` begins with an `answer_task`. A client that goes away is an ordinary end, never a trap:
 * `answer_open` turns false and writes go nowhere.
 */
#pragma once
#include "fields.h"
#include "p3.h"

typedef http_result_option_own_trailers_error_code_t trailers_result;
typedef http_future_result_option_own_trailers_error_code_t trailers_reader;
typedef http_future_result_option_own_trailers_error_code_writer_t trailers_writer;

typedef struct {
  task_head head;
  http_stream_u8_writer_t body;
  trailers_writer trailers;
  trailers_result last;
  const uint8_t *bytes;
  size_t left;
  bool open;
  step *then;
} answer_task;

static inline slice target_of(http_own_request_t request) {
  guest_string_t target;
  if (!http_method_request_get_path_with_query(http_borrow_request(request), &target)) return (slice){"/", 1};
  return (slice){(const char *)target.ptr, target.len};
}

static inline bool answer_open(task *t) { return ((answer_task *)t)->open; }

/** Gives the host the response; its body follows. False when the status is refused; it stays 200 then. */
static inline bool answer_head(task *t, uint16_t status, http_own_fields_t fields) {
  answer_task *a = (answer_task *)t;
  http_stream_u8_t body = http_stream_u8_new(&a->body);
  trailers_reader trailers = http_future_result_option_own_trailers_error_code_new(&a->trailers);
  http_tuple2_own_response_future_result_void_error_code_t response;
  http_static_response_new(fields, &body, trailers, &response);
  http_future_result_void_error_code_drop_readable(response.f1);
  bool taken = http_method_response_set_status_code(http_borrow_response(response.f0), status);
  a->open = true;
  exports_handler_handle_return((exports_handler_result_own_response_error_code_t){.val.ok = response.f0});
  return taken;
}

static code answer_wrote(task *t, uint32_t status) {
  answer_task *a = (answer_task *)t;
  a->bytes += COUNT(status);
  a->left -= COUNT(status);
  if (!OPEN(status)) a->open = false;
  if (!a->open || a->left == 0) return go_on(t, 0, a->then);
  return after(t, a->body, http_stream_u8_write(a->body, a->bytes, a->left), answer_wrote);
}

static inline code answer_write(task *t, const void *bytes, size_t length, step *then) {
  answer_task *a = (answer_task *)t;
  a->bytes = bytes, a->left = length, a->then = then;
  return go_on(t, 0, answer_wrote);
}

static code answer_closed(task *t, uint32_t) {
  answer_task *a = (answer_task *)t;
  http_future_result_option_own_trailers_error_code_drop_writable(a->trailers);
  return go_on(t, 0, a->then);
}

/** Ends the body with trailers, or with an error; `then` usually is `answer_done`. */
static inline code answer_end(task *t, trailers_result last, step *then) {
  answer_task *a = (answer_task *)t;
  a->last = last, a->then = then;
  http_stream_u8_drop_writable(a->body);
  return after(t, a->trailers, http_future_result_option_own_trailers_error_code_write(a->trailers, &a->last), answer_closed);
}

static code answer_done(task *t, uint32_t) { return task_end(t); }

static code answer_complete(task *t, uint32_t) { return answer_end(t, (trailers_result){0}, answer_done); }

/** A whole answer, and the end of the task. */
static inline code answer_with(task *t, uint16_t status, http_own_fields_t fields, const void *bytes, size_t length) {
  answer_head(t, status, fields);
  return answer_write(t, bytes, length, answer_complete);
}
