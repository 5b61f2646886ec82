/** Answers over wasi:http 0.2, if only somebody gave it `demo:storage` and `demo:mail`. */
#include "p2.h"
#include "text.h"

void exports_incoming_handle(exports_incoming_own_incoming_request_t r, exports_incoming_own_response_outparam_t out) {
  guest_string_t key = {(uint8_t *)"key", 3}, failed;
  guest_list_u8_t value = {(uint8_t *)"value", 5};
  blobs_own_blob_t blob;
  text t = {0};
  uint64_t number;
  if (blobs_put(&key, &value, &failed) && blobs_open(&key, &blob)) {
    add_number(&t, blobs_method_blob_size(blobs_borrow_blob(blob)));
    blobs_blob_drop_own(blob);
  }
  if (outbox_send(&key, &key, OUTBOX_PRIORITY_LOW, &number, &failed)) add_number(&t, number);
  add_number(&t, outbox_pending());
  http_incoming_request_drop_own(r);
  answer_with(out, 200, http_constructor_fields(), t.bytes, t.length);
}
