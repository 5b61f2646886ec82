/** Key-value operations by path, over the second draft: cursors are text, increments signed, and there are swaps. */
#include "kv.h"

static bool kv_list(text *t, bucket b, slice target) {
  guest_string_t cursor = string_of(query_of(target, "cursor"));
  kv_key_response_t page;
  kv_error_t error;
  if (!kv_method_bucket_list_keys(b, cursor.len ? &cursor : nullptr, &page, &error)) return failed(t, &error);
  add_keys(t, &page.keys);
  if (page.cursor.is_some) add(t, "cursor: "), add_bytes(t, page.cursor.val.ptr, page.cursor.val.len);
  return true;
}

static bool kv_increment(text *t, bucket b, guest_string_t key, int64_t by) {
  int64_t sum;
  kv_error_t error;
  if (!atomics_increment(b, &key, by, &sum, &error)) return failed(t, &error);
  if (sum < 0) add(t, "-");
  add_number(t, sum < 0 ? -(uint64_t)sum : (uint64_t)sum);
  return true;
}

static bool add_current(text *t, atomics_own_cas_t cas) {
  guest_option_list_u8_t value;
  kv_error_t error;
  if (!atomics_method_cas_current(atomics_borrow_cas(cas), &value, &error)) return failed(t, &error);
  add_value(t, &value);
  return true;
}

/** Swaps to `value`. `?meanwhile=` is set by a plain write in between, and `?again=1` tries again with the new handle. */
static bool kv_cas(text *t, bucket b, guest_string_t key, slice target) {
  atomics_own_cas_t cas;
  kv_error_t error;
  if (!atomics_static_cas_new(b, &key, &cas, &error)) return failed(t, &error);
  add(t, "was ");
  if (!add_current(t, cas)) return false;
  slice meanwhile = query_of(target, "meanwhile");
  if (meanwhile.length) {
    guest_list_u8_t other = {(uint8_t *)meanwhile.text, meanwhile.length};
    if (!kv_method_bucket_set(b, &key, &other, &error)) return failed(t, &error);
  }
  guest_list_u8_t value = value_of(target);
  bool again = number_of(target, "again", 0) == 1;
  for (;;) {
    atomics_cas_error_t why;
    if (atomics_swap(cas, &value, &why)) {
      add(t, ", swapped");
      return true;
    }
    if (why.tag != ATOMICS_CAS_ERROR_CAS_FAILED) return add(t, ", "), failed(t, &why.val.store_error);
    cas = why.val.cas_failed;
    add(t, ", failed: now ");
    if (!add_current(t, cas)) return false;
    if (!again) {
      atomics_cas_drop_own(cas);
      return true;
    }
  }
}
