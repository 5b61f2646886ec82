/** A function in C over wasi:http 0.2: one answer, written by hand. `guest.h` is generated from `world.wit`. */
#include "guest.h"

#define BYTES(s) (uint8_t *)(s), sizeof(s) - 1

static http_own_fields_t headers(void) {
  http_own_fields_t fields = http_constructor_fields();
  http_field_name_t name = {BYTES("content-type")};
  http_field_value_t value = {BYTES("text/plain")};
  http_header_error_t refused;
  http_method_fields_append(http_borrow_fields(fields), &name, &value, &refused);
  return fields;
}

void exports_incoming_handle(exports_incoming_own_incoming_request_t request, exports_incoming_own_response_outparam_t out) {
  http_incoming_request_drop_own(request);

  // The head: from here on the client has its status.
  http_own_outgoing_response_t response = http_constructor_outgoing_response(headers());
  http_own_outgoing_body_t body;
  http_method_outgoing_response_body(http_borrow_outgoing_response(response), &body);
  http_static_response_outparam_set(out, &(http_result_own_outgoing_response_error_code_t){.val.ok = response});

  // The body: a write fails when the client is gone, and then there is nothing left to do.
  io_own_output_stream_t stream;
  io_stream_error_t gone;
  http_method_outgoing_body_write(http_borrow_outgoing_body(body), &stream);
  io_method_output_stream_blocking_write_and_flush(io_borrow_output_stream(stream), &(guest_list_u8_t){BYTES("Hello from {{name}}!\n")}, &gone);
  io_output_stream_drop_own(stream);

  http_error_code_t unfinished;
  http_static_outgoing_body_finish(body, nullptr, &unfinished);
}
