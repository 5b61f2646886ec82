/**
 * One key-value operation for each path; what the drafts of wasi:keyvalue differ in is in the guests themselves.
 *
 * `?store=` names the store, and nothing names the one without a name. Lists are separated by commas, a pair by a colon.
 */
#pragma once
#include "p2.h"
#include "text.h"

typedef kv_borrow_bucket_t bucket;

static inline guest_string_t string_of(slice s) { return (guest_string_t){(uint8_t *)s.text, s.length}; }
static inline void add_slice(text *t, slice s) { add_bytes(t, s.text, s.length); }

/** Says what went wrong; always false. */
static inline bool failed(text *t, const kv_error_t *error) {
  if (error->tag == KV_ERROR_NO_SUCH_STORE) add(t, "no-such-store");
  else if (error->tag == KV_ERROR_ACCESS_DENIED) add(t, "access-denied");
  else add(t, "other: "), add_bytes(t, error->val.other.ptr, error->val.other.len);
  return false;
}

/** `?value=`, or `?bytes=` of the letter v. */
static inline guest_list_u8_t value_of(slice target) {
  size_t length = number_of(target, "bytes", 0);
  if (length == 0) {
    slice value = query_of(target, "value");
    return (guest_list_u8_t){(uint8_t *)value.text, value.length};
  }
  uint8_t *bytes = malloc(length);
  if (!bytes) abort();
  memset(bytes, 'v', length);
  return (guest_list_u8_t){bytes, length};
}

static inline int64_t delta_of(slice target) {
  slice by = query_of(target, "by");
  if (by.length && by.text[0] == '-') {
    int64_t value = 0;
    for (size_t i = 1; i < by.length; i++) value = value * 10 - (by.text[i] - '0');
    return value;
  }
  return (int64_t)number_of(target, "by", 1);
}

/** Takes what comes before the next separator off `rest`; false when nothing is left. */
static inline bool next_part(slice *rest, char separator, slice *part) {
  if (rest->length == 0) return false;
  const char *end = memchr(rest->text, separator, rest->length);
  size_t length = end ? (size_t)(end - rest->text) : rest->length, passed = end ? length + 1 : length;
  *part = (slice){rest->text, length};
  *rest = (slice){rest->text + passed, rest->length - passed};
  return true;
}

static inline void add_value(text *t, const guest_option_list_u8_t *value) {
  if (value->is_some) add_bytes(t, value->val.ptr, value->val.len);
  else add(t, "(none)");
}

static inline bool kv_get(text *t, bucket b, guest_string_t key) {
  guest_option_list_u8_t value;
  kv_error_t error;
  if (!kv_method_bucket_get(b, &key, &value, &error)) return failed(t, &error);
  add_value(t, &value);
  return true;
}

/** Gets `times` times, and says how many bytes came in all. */
static inline bool kv_gets(text *t, bucket b, guest_string_t key, uint64_t times) {
  uint64_t bytes = 0;
  for (uint64_t i = 0; i < times; i++) {
    guest_option_list_u8_t value;
    kv_error_t error;
    if (!kv_method_bucket_get(b, &key, &value, &error)) return failed(t, &error);
    if (value.is_some) bytes += value.val.len;
    guest_option_list_u8_free(&value);
  }
  add_number(t, bytes);
  return true;
}

static inline bool kv_set(text *t, bucket b, guest_string_t key, guest_list_u8_t value, uint64_t times) {
  for (uint64_t i = 0; i < times; i++) {
    kv_error_t error;
    if (!kv_method_bucket_set(b, &key, &value, &error)) return failed(t, &error);
  }
  add(t, "set");
  return true;
}

static inline bool kv_delete(text *t, bucket b, guest_string_t key) {
  kv_error_t error;
  if (!kv_method_bucket_delete(b, &key, &error)) return failed(t, &error);
  add(t, "deleted");
  return true;
}

static inline bool kv_exists(text *t, bucket b, guest_string_t key) {
  bool there;
  kv_error_t error;
  if (!kv_method_bucket_exists(b, &key, &there, &error)) return failed(t, &error);
  add(t, there ? "true" : "false");
  return true;
}

static inline void add_keys(text *t, const guest_list_string_t *keys) {
  for (size_t i = 0; i < keys->len; i++) add_bytes(t, keys->ptr[i].ptr, keys->ptr[i].len), add(t, "\n");
}

/** The keys of `?keys=`. */
static inline guest_list_string_t keys_of(slice target) {
  static guest_string_t keys[64];
  slice rest = query_of(target, "keys"), key;
  size_t count = 0;
  while (count < 64 && next_part(&rest, ',', &key)) keys[count++] = string_of(key);
  return (guest_list_string_t){keys, count};
}

static inline bool kv_get_many(text *t, bucket b, slice target) {
  guest_list_string_t keys = keys_of(target);
  guest_list_option_tuple2_string_list_u8_t pairs;
  kv_error_t error;
  if (!batch_get_many(b, &keys, &pairs, &error)) return failed(t, &error);
  for (size_t i = 0; i < pairs.len; i++) {
    if (pairs.ptr[i].is_some) {
      add_bytes(t, pairs.ptr[i].val.f0.ptr, pairs.ptr[i].val.f0.len), add(t, "=");
      add_bytes(t, pairs.ptr[i].val.f1.ptr, pairs.ptr[i].val.f1.len);
    } else {
      add(t, "(none)");
    }
    add(t, "\n");
  }
  return true;
}

static inline bool kv_set_many(text *t, bucket b, slice target) {
  static guest_tuple2_string_list_u8_t pairs[64];
  slice rest = query_of(target, "pairs"), pair, key;
  size_t count = 0;
  while (count < 64 && next_part(&rest, ',', &pair)) {
    if (!next_part(&pair, ':', &key)) continue;
    pairs[count++] = (guest_tuple2_string_list_u8_t){string_of(key), {(uint8_t *)pair.text, pair.length}};
  }
  guest_list_tuple2_string_list_u8_t list = {pairs, count};
  kv_error_t error;
  if (!batch_set_many(b, &list, &error)) return failed(t, &error);
  add(t, "set");
  return true;
}

static inline bool kv_delete_many(text *t, bucket b, slice target) {
  guest_list_string_t keys = keys_of(target);
  kv_error_t error;
  if (!batch_delete_many(b, &keys, &error)) return failed(t, &error);
  add(t, "deleted");
  return true;
}

/** Each draft's own. */
static bool kv_list(text *t, bucket b, slice target);
static bool kv_increment(text *t, bucket b, guest_string_t key, int64_t by);
static bool kv_cas(text *t, bucket b, guest_string_t key, slice target);

static inline bool kv_operation(text *t, bucket b, slice target) {
  slice path = path_of(target);
  guest_string_t key = string_of(query_of(target, "key"));
  uint64_t times = number_of(target, "times", 1);
  if (is(path, "/get")) return kv_get(t, b, key);
  if (is(path, "/gets")) return kv_gets(t, b, key, times);
  if (is(path, "/set")) return kv_set(t, b, key, value_of(target), times);
  if (is(path, "/delete")) return kv_delete(t, b, key);
  if (is(path, "/exists")) return kv_exists(t, b, key);
  if (is(path, "/list")) return kv_list(t, b, target);
  if (is(path, "/increment")) return kv_increment(t, b, key, delta_of(target));
  if (is(path, "/get-many")) return kv_get_many(t, b, target);
  if (is(path, "/set-many")) return kv_set_many(t, b, target);
  if (is(path, "/delete-many")) return kv_delete_many(t, b, target);
  if (is(path, "/cas")) return kv_cas(t, b, key, target);
  add(t, "no such path");
  return false;
}

/** 200 with what came of it, or 500 with the error. */
void exports_incoming_handle(exports_incoming_own_incoming_request_t r, exports_incoming_own_response_outparam_t out) {
  slice target = target_of(r);
  http_incoming_request_drop_own(r);
  guest_string_t name = string_of(query_of(target, "store"));
  text t = {0};
  kv_own_bucket_t opened;
  kv_error_t error;
  bool good = kv_open(&name, &opened, &error);
  if (good) {
    good = kv_operation(&t, kv_borrow_bucket(opened), target);
    kv_bucket_drop_own(opened);
  } else {
    failed(&t, &error);
  }
  answer_with(out, good ? 200 : 500, http_constructor_fields(), t.bytes, t.length);
}
