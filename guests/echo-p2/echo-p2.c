/** Streams the request body back, 64 KiB at a time; `/info…` says instead what came in. */
#include "info.h"
#include "p2.h"

static void info(request r, slice target, outparam out) {
  http_borrow_incoming_request_t of = http_borrow_incoming_request(r);
  http_method_t method;
  http_scheme_t scheme;
  guest_string_t authority, path = {(uint8_t *)target.text, target.length};
  http_list_tuple2_field_name_field_value_t headers;
  http_method_incoming_request_method(of, &method);
  bool has_scheme = http_method_incoming_request_scheme(of, &scheme);
  bool has_authority = http_method_incoming_request_authority(of, &authority);
  http_own_headers_t fields = http_method_incoming_request_headers(of);
  http_method_fields_entries(http_borrow_fields(fields), &headers);
  text json = info_json(&method, &path, has_scheme ? &scheme : nullptr, has_authority ? &authority : nullptr, &headers);
  http_fields_drop_own(fields);
  answer_with(out, 200, fields_with(SLICE("content-type"), SLICE("application/json")), json.bytes, json.length);
}

/** Copies until the body ends; false when it broke off. */
static bool copy(io_own_input_stream_t from, answer *to) {
  guest_list_u8_t chunk;
  io_stream_error_t end;
  while (io_method_input_stream_blocking_read(io_borrow_input_stream(from), 65536, &chunk, &end)) {
    bool open = answer_write(to, chunk.ptr, chunk.len);
    guest_list_u8_free(&chunk);
    if (!open) return false;
  }
  bool whole = end.tag == IO_STREAM_ERROR_CLOSED;
  io_stream_error_free(&end);
  return whole;
}

/** The trailers that followed the body; false when there are none. */
static bool trailers_of(http_own_incoming_body_t body, http_own_trailers_t *trailers) {
  http_own_future_trailers_t future = http_static_incoming_body_finish(body);
  wait_for(http_method_future_trailers_subscribe(http_borrow_future_trailers(future)));
  http_result_result_option_own_trailers_error_code_void_t got;
  bool some = false;
  if (http_method_future_trailers_get(http_borrow_future_trailers(future), &got) && !got.is_err && !got.val.ok.is_err && got.val.ok.val.ok.is_some) {
    *trailers = got.val.ok.val.ok.val;
    some = true;
  }
  http_future_trailers_drop_own(future);
  return some;
}

void exports_incoming_handle(exports_incoming_own_incoming_request_t r, exports_incoming_own_response_outparam_t out) {
  slice target = target_of(r);
  if (starts(target, "/info")) {
    info(r, target, out);
    http_incoming_request_drop_own(r);
    return;
  }
  http_own_fields_t head = echo_fields(http_method_incoming_request_headers(http_borrow_incoming_request(r)));
  http_own_incoming_body_t body;
  io_own_input_stream_t from;
  http_method_incoming_request_consume(http_borrow_incoming_request(r), &body);
  http_incoming_request_drop_own(r);
  http_method_incoming_body_stream(http_borrow_incoming_body(body), &from);

  answer to = answer_head(out, 200, head);
  bool whole = copy(from, &to);
  io_input_stream_drop_own(from);
  http_own_trailers_t trailers;
  if (whole && trailers_of(body, &trailers)) {
    answer_end(&to, &trailers);
  } else {
    if (!whole) http_incoming_body_drop_own(body), to.open = false;
    answer_end(&to, nullptr);
  }
}
