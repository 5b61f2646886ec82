/** Headers and trailers, the same in both versions of wasi:http. */
#pragma once
#include "guest.h"
#include "target.h"

#define SLICE(s) (slice){s, sizeof(s) - 1}

/** Adds a field; false when the host does not allow it. */
static inline bool field(http_own_fields_t fields, slice name, slice value) {
  http_field_name_t key = {(uint8_t *)name.text, name.length};
  http_field_value_t bytes = {(uint8_t *)value.text, value.length};
  http_header_error_t refused;
  return http_method_fields_append(http_borrow_fields(fields), &key, &bytes, &refused);
}

/** New fields with one field in them. */
static inline http_own_fields_t fields_with(slice name, slice value) {
  http_own_fields_t fields = http_constructor_fields();
  field(fields, name, value);
  return fields;
}

/** The first value of a field; empty when there is none. Allocated, never freed: an instance serves few runs. */
static inline slice field_of(http_borrow_fields_t fields, const char *name) {
  http_field_name_t key = {(uint8_t *)name, strlen(name)};
  http_list_field_value_t values;
  http_method_fields_get(fields, &key, &values);
  return values.len ? (slice){(const char *)values.ptr[0].ptr, values.ptr[0].len} : (slice){"", 0};
}

/** What an echo's head has: the content type and the announced trailers of the request. */
static inline http_own_fields_t echo_fields(http_own_fields_t request) {
  http_own_fields_t fields = http_constructor_fields();
  slice type = field_of(http_borrow_fields(request), "content-type"), trailer = field_of(http_borrow_fields(request), "trailer");
  if (type.length) field(fields, SLICE("content-type"), type);
  if (trailer.length) field(fields, SLICE("trailer"), trailer);
  http_fields_drop_own(request);
  return fields;
}
