/** The least that answers over wasi:http 0.2. */
#include "guest.h"

static const char TEXT[] = "Hello, WASI!\n";

void exports_incoming_handle(exports_incoming_own_incoming_request_t request, exports_incoming_own_response_outparam_t out) {
  http_incoming_request_drop_own(request);
  http_own_outgoing_response_t response = http_constructor_outgoing_response(http_constructor_fields());
  http_own_outgoing_body_t body;
  http_method_outgoing_response_body(http_borrow_outgoing_response(response), &body);
  http_static_response_outparam_set(out, &(http_result_own_outgoing_response_error_code_t){.val.ok = response});

  io_own_output_stream_t stream;
  http_method_outgoing_body_write(http_borrow_outgoing_body(body), &stream);
  io_stream_error_t gone;
  io_method_output_stream_blocking_write_and_flush(io_borrow_output_stream(stream), &(guest_list_u8_t){(uint8_t *)TEXT, sizeof TEXT - 1}, &gone);
  io_output_stream_drop_own(stream);
  http_error_code_t unfinished;
  http_static_outgoing_body_finish(body, nullptr, &unfinished);
}
