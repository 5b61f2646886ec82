/** Computes, always the same for the same number of rounds, and answers what came out; no clock decides when it is done. */
#include "p2.h"
#include "target.h"
#include "text.h"

/** Marsaglia's xorshift of 32 bits, so many times from 1. */
static uint32_t worked(uint64_t rounds) {
  uint32_t x = 1;
  for (uint64_t i = 0; i < rounds; i++) x ^= x << 13, x ^= x >> 17, x ^= x << 5;
  return x;
}

void exports_incoming_handle(exports_incoming_own_incoming_request_t r, exports_incoming_own_response_outparam_t out) {
  uint64_t rounds = number_of(target_of(r), "rounds", 1000000);
  http_incoming_request_drop_own(r);
  text t = {0};
  add_number(&t, worked(rounds)), add(&t, "\n");
  answer_with(out, 200, http_constructor_fields(), t.bytes, t.length);
  free(t.bytes);
}
