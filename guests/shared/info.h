/** What crossed into the guest, as JSON: `{"method","target","scheme","authority","headers":[[name,value],…]}`. */
#pragma once
#include "guest.h"
#include "text.h"

static inline slice method_name(const http_method_t *method) {
  static const char *const NAMES[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"};
  if (method->tag == HTTP_METHOD_OTHER) return (slice){(const char *)method->val.other.ptr, method->val.other.len};
  return (slice){NAMES[method->tag], strlen(NAMES[method->tag])};
}

static inline slice scheme_name(const http_scheme_t *scheme) {
  if (scheme->tag == HTTP_SCHEME_OTHER) return (slice){(const char *)scheme->val.other.ptr, scheme->val.other.len};
  return scheme->tag == HTTP_SCHEME_HTTPS ? (slice){"https", 5} : (slice){"http", 4};
}

/** Everything but the method may be absent: a null pointer. */
static inline text info_json(const http_method_t *method, const guest_string_t *target, const http_scheme_t *scheme,
                             const guest_string_t *authority, const http_list_tuple2_field_name_field_value_t *headers) {
  text t = {0};
  slice name = method_name(method);
  add(&t, "{\"method\":"), add_json(&t, name.text, name.length);
  add(&t, ",\"target\":");
  target ? add_json(&t, target->ptr, target->len) : add(&t, "null");
  add(&t, ",\"scheme\":");
  if (scheme) name = scheme_name(scheme), add_json(&t, name.text, name.length);
  else add(&t, "null");
  add(&t, ",\"authority\":");
  authority ? add_json(&t, authority->ptr, authority->len) : add(&t, "null");
  add(&t, ",\"headers\":[");
  for (size_t i = 0; i < headers->len; i++) {
    add(&t, i ? ",[" : "[");
    add_json(&t, headers->ptr[i].f0.ptr, headers->ptr[i].f0.len), add(&t, ",");
    add_json(&t, headers->ptr[i].f1.ptr, headers->ptr[i].f1.len), add(&t, "]");
  }
  add(&t, "]}\n");
  return t;
}
