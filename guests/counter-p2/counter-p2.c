/** Counts its requests; more than 1 shows that the instance was used again. */
#include "p2.h"
#include "text.h"

static uint32_t count;

void exports_incoming_handle(exports_incoming_own_incoming_request_t r, exports_incoming_own_response_outparam_t out) {
  http_incoming_request_drop_own(r);
  text t = {0};
  add_number(&t, ++count), add(&t, "\n");
  answer_with(out, 200, http_constructor_fields(), t.bytes, t.length);
  free(t.bytes);
}
