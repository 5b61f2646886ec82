/** Fetches what it is told to and passes status and body on; a failure becomes 502 with the error code's name. */
#include "error-name.h"
#include "p2.h"
#include "url.h"

static void fail(outparam out, const char *name) {
  answer_with(out, 502, http_constructor_fields(), name, strlen(name));
}

/** Sends and waits for the head; false and the error code when that does not work. */
static bool fetch(const url *u, http_own_incoming_response_t *response, http_error_code_t *error) {
  http_own_outgoing_request_t request = http_constructor_outgoing_request(http_constructor_fields());
  http_borrow_outgoing_request_t of = http_borrow_outgoing_request(request);
  http_method_outgoing_request_set_scheme(of, (http_scheme_t *)&u->scheme);
  if (!http_method_outgoing_request_set_authority(of, (guest_string_t *)&u->authority) || !http_method_outgoing_request_set_path_with_query(of, (guest_string_t *)&u->target)) {
    error->tag = HTTP_ERROR_CODE_HTTP_REQUEST_URI_INVALID;
    return false;
  }
  outgoing_own_future_incoming_response_t future;
  if (!outgoing_handle(request, nullptr, &future, error)) return false;
  wait_for(http_method_future_incoming_response_subscribe(http_borrow_future_incoming_response(future)));
  http_result_result_own_incoming_response_error_code_void_t got;
  http_method_future_incoming_response_get(http_borrow_future_incoming_response(future), &got);
  http_future_incoming_response_drop_own(future);
  *response = got.val.ok.val.ok;
  if (got.val.ok.is_err) *error = got.val.ok.val.err;
  return !got.val.ok.is_err;
}

void exports_incoming_handle(exports_incoming_own_incoming_request_t r, exports_incoming_own_response_outparam_t out) {
  slice target = query_of(target_of(r), "url");
  http_own_headers_t headers = http_method_incoming_request_headers(http_borrow_incoming_request(r));
  if (target.length == 0) target = field_of(http_borrow_fields(headers), "x-target");
  http_fields_drop_own(headers);
  http_incoming_request_drop_own(r);

  url u;
  http_own_incoming_response_t response;
  http_error_code_t error;
  if (!parse_url(target, &u)) return answer_with(out, 400, http_constructor_fields(), "no target\n", 10);
  if (!fetch(&u, &response, &error)) return fail(out, error_name(&error));

  answer a = answer_head(out, http_method_incoming_response_status(http_borrow_incoming_response(response)), http_constructor_fields());
  http_own_incoming_body_t body;
  io_own_input_stream_t from;
  http_method_incoming_response_consume(http_borrow_incoming_response(response), &body);
  http_incoming_response_drop_own(response);
  http_method_incoming_body_stream(http_borrow_incoming_body(body), &from);
  guest_list_u8_t chunk;
  io_stream_error_t end;
  while (a.open && io_method_input_stream_blocking_read(io_borrow_input_stream(from), 65536, &chunk, &end)) {
    answer_write(&a, chunk.ptr, chunk.len);
    guest_list_u8_free(&chunk);
  }
  if (a.open && end.tag != IO_STREAM_ERROR_CLOSED) a.open = false;
  io_input_stream_drop_own(from);
  http_incoming_body_drop_own(body);
  answer_end(&a, nullptr);
}
