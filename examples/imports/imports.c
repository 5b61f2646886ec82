/** A plug-in that prices an order. It has no database and no network: what it wants to know, it asks the shop. */
#include "guest.h"
#include "text.h"

static void say(guest_string_t *out, const char *before, guest_string_t what, const char *after) {
  text t = {0};
  add(&t, before), add_bytes(&t, what.ptr, what.len), add(&t, after);
  *out = (guest_string_t){t.bytes, t.length};
}

bool exports_guest_quote(guest_string_t *id, uint32_t pieces, uint64_t *cents, guest_string_t *error) {
  acme_shop_catalogue_article_t article;
  acme_shop_catalogue_problem_t problem;
  if (!acme_shop_catalogue_find(id, &article, &problem)) {
    if (problem.tag == ACME_SHOP_CATALOGUE_PROBLEM_UNKNOWN) say(error, "there is no ", problem.val.unknown, "");
    else guest_string_dup(error, "the shop is closed");
    return false;
  }
  if (pieces > article.pieces_in_stock) {
    say(error, "not enough of ", article.name, " in stock");
    return false;
  }
  *cents = article.cents * pieces;
  if (pieces >= 10) *cents -= *cents / 10;
  return true;
}
