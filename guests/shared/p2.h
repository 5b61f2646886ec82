/** Answers over wasi:http 0.2, in blocking calls. A client that goes away is an ordinary end, never a trap. */
#pragma once
#include "guest.h"
#include "fields.h"
#include <stdlib.h>

typedef exports_incoming_own_incoming_request_t request;
typedef exports_incoming_own_response_outparam_t outparam;
/** An answer whose head is out. `open` is false once the client is gone. */
typedef struct { http_own_outgoing_body_t body; io_own_output_stream_t stream; bool open; } answer;

static inline slice target_of(request r) {
  guest_string_t target;
  if (!http_method_incoming_request_path_with_query(http_borrow_incoming_request(r), &target)) return (slice){"/", 1};
  return (slice){(const char *)target.ptr, target.len};
}

static inline void wait_for(poll_own_pollable_t pollable) {
  poll_method_pollable_block(poll_borrow_pollable(pollable));
  poll_pollable_drop_own(pollable);
}

static inline answer answer_head(outparam out, uint16_t status, http_own_fields_t fields) {
  answer a = {.open = true};
  http_own_outgoing_response_t response = http_constructor_outgoing_response(fields);
  http_method_outgoing_response_set_status_code(http_borrow_outgoing_response(response), status);
  http_method_outgoing_response_body(http_borrow_outgoing_response(response), &a.body);
  http_static_response_outparam_set(out, &(http_result_own_outgoing_response_error_code_t){.val.ok = response});
  http_method_outgoing_body_write(http_borrow_outgoing_body(a.body), &a.stream);
  return a;
}

static inline bool answer_write(answer *a, const void *bytes, size_t length) {
  io_borrow_output_stream_t stream = io_borrow_output_stream(a->stream);
  io_stream_error_t gone;
  for (size_t at = 0; a->open && at < length;) {
    uint64_t room;
    if (!io_method_output_stream_check_write(stream, &room, &gone)) {
      io_stream_error_free(&gone);
      a->open = false;
    } else if (room == 0) {
      wait_for(io_method_output_stream_subscribe(stream));
    } else {
      size_t part = length - at < room ? length - at : room;
      guest_list_u8_t piece = {(uint8_t *)bytes + at, part};
      if (!io_method_output_stream_write(stream, &piece, &gone)) io_stream_error_free(&gone), a->open = false;
      at += part;
    }
  }
  return a->open;
}

static inline bool answer_flush(answer *a) {
  io_stream_error_t gone;
  if (a->open && !io_method_output_stream_blocking_flush(io_borrow_output_stream(a->stream), &gone)) io_stream_error_free(&gone), a->open = false;
  return a->open;
}

/** Ends the body; without a client it is only dropped. */
static inline void answer_end(answer *a, http_own_trailers_t *trailers) {
  answer_flush(a);
  io_output_stream_drop_own(a->stream);
  http_error_code_t unfinished;
  if (!a->open) http_outgoing_body_drop_own(a->body);
  else if (!http_static_outgoing_body_finish(a->body, trailers, &unfinished)) http_error_code_free(&unfinished);
}

static inline void answer_with(outparam out, uint16_t status, http_own_fields_t fields, const void *bytes, size_t length) {
  answer a = answer_head(out, status, fields);
  answer_write(&a, bytes, length);
  answer_end(&a, nullptr);
}
