/** Fetches what it is told to and passes status and body on; a failure becomes 502 with the error code's name. */
#include "answer-p3.h"
#include "error-name.h"
#include "url.h"

enum { ROOM = 65536 };

struct task {
  answer_task answer;
  trailers_writer request_trailers;
  client_result_own_response_error_code_t response;
  http_stream_u8_t body;
  trailers_reader trailers;
  http_future_result_void_error_code_writer_t consumed;
  trailers_result last;
  bool ended;
  uint8_t buffer[ROOM];
};

static const trailers_result NO_TRAILERS; // ok(none)
static const http_result_void_error_code_t CONSUMED; // ok

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

static code fail(task *t, uint32_t) {
  const char *name = error_name(&t->response.val.err);
  return answer_with(t, 502, http_constructor_fields(), name, strlen(name));
}

static code pass_on(task *t, uint32_t) {
  uint16_t status = http_method_response_get_status_code(http_borrow_response(t->response.val.ok));
  http_tuple2_stream_u8_future_result_option_own_trailers_error_code_t body;
  http_static_response_consume_body(t->response.val.ok, http_future_result_void_error_code_new(&t->consumed), &body);
  t->body = body.f0, t->trailers = body.f1;
  answer_head(t, status, http_constructor_fields());
  return pump(t, 0);
}

static code sent(task *t, uint32_t) {
  http_future_result_option_own_trailers_error_code_drop_writable(t->request_trailers);
  return go_on(t, 0, t->response.is_err ? fail : pass_on);
}

static code responded(task *t, uint32_t) {
  call_done(t);
  return await(t, t->request_trailers, sent);
}

code exports_handler_handle(exports_handler_own_request_t request) {
  slice target = query_of(target_of(request), "url");
  http_own_headers_t headers = http_method_request_get_headers(http_borrow_request(request));
  if (target.length == 0) target = field_of(http_borrow_fields(headers), "x-target");
  http_fields_drop_own(headers);
  http_request_drop_own(request);

  task *t = task_new(sizeof *t);
  url u;
  if (!parse_url(target, &u)) return start(t, answer_with(t, 400, http_constructor_fields(), "no target\n", 10));
  http_tuple2_own_request_future_result_void_error_code_t out;
  http_static_request_new(http_constructor_fields(), nullptr, http_future_result_option_own_trailers_error_code_new(&t->request_trailers), nullptr, &out);
  http_future_result_void_error_code_drop_readable(out.f1);
  http_borrow_request_t of = http_borrow_request(out.f0);
  http_method_request_set_scheme(of, &u.scheme);
  http_method_request_set_authority(of, &u.authority);
  http_method_request_set_path_with_query(of, &u.target);
  // The host reads the trailers while it sends, so this write blocks until then and is waited for last.
  http_future_result_option_own_trailers_error_code_write(t->request_trailers, &NO_TRAILERS);
  return start(t, after_call(t, client_send(out.f0, &t->response), responded));
}

code exports_handler_handle_callback(guest_event_t *event) {
  return resume(event);
}
