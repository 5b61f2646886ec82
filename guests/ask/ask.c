/** Answers with what an imported interface says. */
#include "guest.h"
#include "text.h"

void exports_app_go(guest_string_t *key, guest_string_t *ret) {
  guest_string_t value;
  text t = {0};
  add_bytes(&t, key->ptr, key->len);
  if (db_get(key, &value)) add(&t, " is "), add_bytes(&t, value.ptr, value.len), guest_string_free(&value);
  else add(&t, " is unknown");
  guest_string_free(key);
  *ret = (guest_string_t){t.bytes, t.length};
}
