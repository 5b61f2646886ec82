/** Key-value operations by path, over the first draft: cursors and increments are unsigned numbers, no swaps. */
#include "kv.h"

static bool kv_list(text *t, bucket b, slice target) {
  uint64_t cursor = number_of(target, "cursor", 0);
  kv_key_response_t page;
  kv_error_t error;
  if (!kv_method_bucket_list_keys(b, cursor ? &cursor : nullptr, &page, &error)) return failed(t, &error);
  add_keys(t, &page.keys);
  if (page.cursor.is_some) add(t, "cursor: "), add_number(t, page.cursor.val);
  return true;
}

static bool kv_increment(text *t, bucket b, guest_string_t key, int64_t by) {
  uint64_t sum;
  kv_error_t error;
  if (!atomics_increment(b, &key, (uint64_t)by, &sum, &error)) return failed(t, &error);
  add_number(t, sum);
  return true;
}

static bool kv_cas(text *t, [[maybe_unused]] bucket b, [[maybe_unused]] guest_string_t key, [[maybe_unused]] slice target) {
  add(t, "this draft has no swaps");
  return false;
}
