/** Plain values of every kind, in and out. What comes in is ours to free; what goes out is freed after the call. */
#include "guest.h"
#include "text.h"

static const char *const UNITS[] = {"metre", "foot", "light-year"};
static const char *const STYLES[] = {"bold", "italic", "under-line"};

static guest_string_t take(text t) { return (guest_string_t){t.bytes, t.length}; }
static slice between(const char *from, const char *to) { return (slice){from, (size_t)(to - from)}; }
static guest_string_t copy(slice s) {
  guest_string_t to;
  guest_string_dup_n(&to, s.text, s.length);
  return to;
}

uint32_t exports_calc_add(uint32_t a, uint32_t b) { return a + b; }

void exports_calc_stats(guest_list_f64_t *xs, exports_calc_summary_t *summary) {
  double sum = 0;
  *summary = (exports_calc_summary_t){.count = (uint32_t)xs->len};
  for (size_t i = 0; i < xs->len; i++) {
    double x = xs->ptr[i];
    sum += x;
    if (i == 0 || x < summary->min) summary->min = x;
    if (i == 0 || x > summary->max) summary->max = x;
  }
  if (xs->len > 0) summary->mean = sum / (double)xs->len;
  guest_list_f64_free(xs);
}

/** Splits `tag,tag` into a list. */
static guest_list_string_t split(slice tags) {
  guest_list_string_t list = {malloc((tags.length + 1) * sizeof(guest_string_t)), 0};
  for (const char *at = tags.text, *end = at + tags.length; at < end;) {
    const char *comma = memchr(at, ',', (size_t)(end - at));
    list.ptr[list.len++] = copy(between(at, comma ? comma : end));
    at = comma ? comma + 1 : end;
  }
  return list;
}

bool exports_calc_parse(guest_string_t *input, exports_calc_parsed_t *parsed, guest_string_t *wrong) {
  const char *start = (const char *)input->ptr, *end = start + input->len;
  const char *equals = input->len ? memchr(start, '=', input->len) : nullptr;
  if (!equals) {
    guest_string_dup(wrong, "no = in the text");
    guest_string_free(input);
    return false;
  }
  const char *note = memchr(equals, '!', (size_t)(end - equals)), *tags = memchr(equals, ';', (size_t)(end - equals));
  const char *value = equals + 1, *tags_end = note ? note : end;
  bool negative = value < end && *value == '-';
  parsed->key = copy(between(start, equals));
  uint64_t number = 0;
  for (const char *digit = value + negative; digit < end && *digit >= '0' && *digit <= '9'; digit++) number = number * 10 + (uint64_t)(*digit - '0');
  parsed->value = (int64_t)(negative ? 0 - number : number);
  parsed->tags = split(tags && tags < tags_end ? between(tags + 1, tags_end) : (slice){start, 0});
  parsed->note.is_some = note != nullptr;
  if (note) parsed->note.val = copy(between(note + 1, end));
  guest_string_free(input);
  return true;
}

bool exports_calc_area(exports_calc_shape_t *shape, double *area) {
  switch (shape->tag) {
    case EXPORTS_CALC_SHAPE_CIRCLE: *area = 3.141592653589793 * shape->val.circle * shape->val.circle; return true;
    case EXPORTS_CALC_SHAPE_RECTANGLE: *area = shape->val.rectangle.f0 * shape->val.rectangle.f1; return true;
    default: return false;
  }
}

void exports_calc_describe(exports_calc_shape_t *shape, exports_calc_options_t *options, guest_string_t *words) {
  static const char *const SHAPES[] = {"circle", "rectangle", "nothing"};
  text t = {0};
  add(&t, SHAPES[shape->tag]), add(&t, " in "), add(&t, UNITS[options->unit]);
  for (size_t i = 0; i < 3; i++) if (options->style & 1 << i) add(&t, " "), add(&t, STYLES[i]);
  if (options->precision.is_some) add(&t, " to "), add_number(&t, options->precision.val);
  *words = take(t);
}

exports_calc_style_t exports_calc_toggle(exports_calc_style_t style) { return style ^ 7; }

bool exports_calc_next(exports_calc_unit_t unit, exports_calc_unit_t *next) {
  *next = unit + 1;
  return unit < EXPORTS_CALC_UNIT_LIGHT_YEAR;
}

bool exports_calc_divide(uint64_t a, uint64_t b, guest_tuple2_u64_u64_t *parts, guest_string_t *wrong) {
  if (b == 0) return guest_string_dup(wrong, "division by zero"), false;
  *parts = (guest_tuple2_u64_u64_t){a / b, a % b};
  return true;
}

void exports_calc_reverse(guest_list_u8_t *bytes, guest_list_u8_t *backwards) {
  for (size_t i = 0; i < bytes->len / 2; i++) {
    uint8_t b = bytes->ptr[i];
    bytes->ptr[i] = bytes->ptr[bytes->len - 1 - i];
    bytes->ptr[bytes->len - 1 - i] = b;
  }
  *backwards = *bytes;
}

void exports_calc_widths(uint8_t a, int8_t b, uint16_t c, int16_t d, uint32_t e, int32_t f, uint64_t g, int64_t h, guest_tuple8_u8_s8_u16_s16_u32_s32_u64_s64_t *same) {
  *same = (guest_tuple8_u8_s8_u16_s16_u32_s32_u64_s64_t){a, b, c, d, e, f, g, h};
}

void exports_calc_odds(uint32_t c, bool yes, float x, double y, exports_calc_tuple5_char32_bool_f32_f64_result_u32_string_t *same) {
  *same = (exports_calc_tuple5_char32_bool_f32_f64_result_u32_string_t){c, yes, x, y, {.is_err = !yes}};
  if (yes) same->f4.val.ok = c;
  else guest_string_dup(&same->f4.val.err, "told no");
}

void exports_calc_touch(void) {}

bool exports_calc_check(int32_t n, exports_calc_unit_t *wrong) {
  *wrong = EXPORTS_CALC_UNIT_FOOT;
  return n >= 0;
}

void exports_calc_crash(void) { __builtin_trap(); }
