/** Streams the request body back, 64 KiB at a time; `/info…` says instead what came in. */
#include "answer-p3.h"
#include "info.h"

enum { ROOM = 65536 };

struct task {
  answer_task answer;
  http_stream_u8_t body;
  trailers_reader trailers;
  http_future_result_void_error_code_writer_t consumed;
  /** What followed the body, passed on as it came. */
  trailers_result last;
  bool ended;
  uint8_t buffer[ROOM];
};

static const http_result_void_error_code_t CONSUMED; // ok

static code info(http_own_request_t request, slice target) {
  http_borrow_request_t of = http_borrow_request(request);
  http_method_t method;
  http_scheme_t scheme;
  guest_string_t authority, path = {(uint8_t *)target.text, target.length};
  http_list_tuple2_field_name_field_value_t headers;
  http_method_request_get_method(of, &method);
  bool has_scheme = http_method_request_get_scheme(of, &scheme);
  bool has_authority = http_method_request_get_authority(of, &authority);
  http_own_headers_t fields = http_method_request_get_headers(of);
  http_method_fields_copy_all(http_borrow_fields(fields), &headers);
  text json = info_json(&method, &path, has_scheme ? &scheme : nullptr, has_authority ? &authority : nullptr, &headers);
  http_fields_drop_own(fields);
  http_request_drop_own(request);
  task *t = task_new(sizeof(answer_task));
  return start(t, answer_with(t, 200, fields_with(SLICE("content-type"), SLICE("application/json")), json.bytes, json.length));
}

/** The body is through: its trailers, then word that it was consumed, then the end of the answer. */
static code told(task *t, uint32_t) {
  http_future_result_void_error_code_drop_writable(t->consumed);
  return answer_end(t, t->last, answer_done);
}

static code got_trailers(task *t, uint32_t) {
  http_future_result_option_own_trailers_error_code_drop_readable(t->trailers);
  return after(t, t->consumed, http_future_result_void_error_code_write(t->consumed, &CONSUMED), told);
}

static step pump;

static code got_chunk(task *t, uint32_t status) {
  t->ended = !OPEN(status);
  return answer_write(t, t->buffer, COUNT(status), pump);
}

static code pump(task *t, uint32_t) {
  if (!t->ended && answer_open(t)) return after(t, t->body, http_stream_u8_read(t->body, t->buffer, ROOM), got_chunk);
  http_stream_u8_drop_readable(t->body);
  return after(t, t->trailers, http_future_result_option_own_trailers_error_code_read(t->trailers, &t->last), got_trailers);
}

code exports_handler_handle(exports_handler_own_request_t request) {
  slice target = target_of(request);
  if (starts(target, "/info")) return info(request, target);

  http_own_fields_t head = echo_fields(http_method_request_get_headers(http_borrow_request(request)));
  task *t = task_new(sizeof *t);
  http_tuple2_stream_u8_future_result_option_own_trailers_error_code_t body;
  http_static_request_consume_body(request, http_future_result_void_error_code_new(&t->consumed), &body);
  t->body = body.f0, t->trailers = body.f1;
  answer_head(t, 200, head);
  return start(t, pump(t, 0));
}

code exports_handler_handle_callback(guest_event_t *event) {
  return resume(event);
}
