/** Behaves as the path says, mostly badly. `guests/README.md` lists the paths; behave-p2 has the same ones. */
#include "answer-p3.h"
#include "canary.h"
#include "misbehave.h"
#include "print-p3.h"

struct task {
  answer_task answer;
  printing printing;
  slice target;
  http_own_request_t request;
  step *awake;
  /** What a behaviour counts: pieces, bytes. */
  uint64_t done, most, pause;
  text piece;
  http_stream_u8_t from;
  trailers_reader from_trailers;
  http_future_result_void_error_code_writer_t consumed;
  uint8_t *buffer;
};

enum { ROOM = 26 * 2520 };
static const uint64_t MILLISECOND = 1000000, YEAR = 31536000000000000;
static const http_result_void_error_code_t CONSUMED; // ok

static printing *printing_of(task *t) { return &t->printing; }

static code slept(task *t, uint32_t) {
  call_done(t);
  return go_on(t, 0, t->awake);
}

static code sleep_for(task *t, uint64_t nanoseconds, step *awake) {
  t->awake = awake;
  return after_call(t, clock_wait_for(nanoseconds), slept);
}

static http_own_fields_t plain(void) { return fields_with(SLICE("content-type"), SLICE("text/plain")); }

static code say(task *t, text text) { return answer_with(t, 200, plain(), text.bytes, text.length); }

static text number_text(uint64_t n) {
  text t = {0};
  add_number(&t, n), add(&t, "\n");
  return t;
}

static code ok(task *t, uint32_t) { return answer_with(t, 200, plain(), "ok\n", 3); }
static code trap(task *, uint32_t) { __builtin_trap(); }
static code loop(task *, uint32_t) { spin(); }
static code stack(task *t, uint32_t) { return say(t, number_text(dig(0))); }
static code hang(task *t, uint32_t) { return sleep_for(t, YEAR, trap); }
static code none(task *t, uint32_t) { return task_end(t); }

static code memory(task *, uint32_t) {
  grow_until_refused(16);
  abort();
}

static code grow_ok(task *t, uint32_t) {
  text text = number_text(UINT64_MAX); // room for the answer, while there is some
  text.length = 0;
  add_number(&text, grow_until_refused(1)), add(&text, "\n");
  return say(t, text);
}

static code flood_error(task *t, uint32_t) { return print(t, true, t->buffer, 100 * 640, t->most / 2, ok); }

static code flood(task *t, uint32_t) {
  t->most = number_of(t->target, "bytes", 4 << 20);
  t->buffer = malloc(100 * 640);
  memset(t->buffer, '.', 100 * 640);
  for (size_t end = 99; end < 100 * 640; end += 100) t->buffer[end] = '\n';
  return print(t, false, t->buffer, 100 * 640, t->most / 2, flood_error);
}

static code logs_error(task *t, uint32_t) { return print(t, true, "a line on stderr\n", 17, 17, ok); }
static code logs(task *t, uint32_t) { return print(t, false, "a line on stdout\n", 17, 17, logs_error); }

static code twice(task *t, uint32_t) {
  answer_head(t, 200, plain());
  answer_head(t, 200, plain());
  return answer_complete(t, 0);
}

static http_error_code_t told_to_fail(void) {
  http_error_code_t code = {.tag = HTTP_ERROR_CODE_INTERNAL_ERROR, .val.internal_error.is_some = true};
  guest_string_set(&code.val.internal_error.val, "told to fail");
  return code;
}

static code error(task *t, uint32_t) {
  exports_handler_handle_return((exports_handler_result_own_response_error_code_t){.is_err = true, .val.err = told_to_fail()});
  return task_end(t);
}

static code half(task *t, step *then) {
  answer_head(t, 200, plain());
  return answer_write(t, "the first half\n", 15, then);
}

static code nap_then_trap(task *t, uint32_t) { return sleep_for(t, number_of(t->target, "ms", 0) * MILLISECOND, trap); }
static code after_head_trap(task *t, uint32_t) { return half(t, nap_then_trap); }
static code after_head_hang(task *t, uint32_t) { return half(t, hang); }
static code end_with_error(task *t, uint32_t) { return answer_end(t, (trailers_result){.is_err = true, .val.err = told_to_fail()}, answer_done); }
static code after_head_error(task *t, uint32_t) { return half(t, end_with_error); }

static code full(task *t, step *then) {
  answer_head(t, 200, plain());
  return answer_write(t, "ok\n", 3, then);
}

static code end_then_trap(task *t, uint32_t) { return answer_end(t, (trailers_result){0}, trap); }
static code after_end_trap(task *t, uint32_t) { return full(t, end_then_trap); }
static code print_late(task *t, uint32_t) { return print(t, false, "after the end\n", 14, 14, answer_done); }
static code nap_then_print(task *t, uint32_t) { return sleep_for(t, number_of(t->target, "ms", 100) * MILLISECOND, print_late); }
static code end_then_print(task *t, uint32_t) { return answer_end(t, (trailers_result){0}, nap_then_print); }
static code after_end(task *t, uint32_t) { return full(t, end_then_print); }

static step slow_pause;

static code slow_piece(task *t, uint32_t) {
  t->piece.length = 0;
  add(&t->piece, "data: "), add_number(&t->piece, t->done++), add(&t->piece, "\n\n");
  return answer_write(t, t->piece.bytes, t->piece.length, slow_pause);
}

static code slow_pause(task *t, uint32_t) {
  if (t->done == t->most || !answer_open(t)) return answer_complete(t, 0);
  return sleep_for(t, t->pause, slow_piece);
}

static code slow(task *t, uint32_t) {
  t->most = number_of(t->target, "pieces", 5), t->pause = number_of(t->target, "ms", 100) * MILLISECOND;
  answer_head(t, 200, fields_with(SLICE("content-type"), SLICE("text/event-stream")));
  return t->most > 0 ? slow_piece(t, 0) : answer_complete(t, 0);
}

static code big_more(task *t, uint32_t) {
  uint64_t left = t->most - t->done;
  if (left == 0 || !answer_open(t)) return answer_complete(t, 0);
  size_t part = left < ROOM ? left : ROOM;
  t->done += part;
  return answer_write(t, t->buffer, part, big_more);
}

static code big(task *t, uint32_t) {
  t->most = number_of(t->target, "bytes", 1 << 20);
  t->buffer = malloc(ROOM);
  fill_letters(t->buffer, ROOM);
  http_own_fields_t head = plain();
  slice length = query_of(t->target, "length");
  if (length.length) field(head, SLICE("content-length"), length);
  answer_head(t, 200, head);
  return big_more(t, 0);
}

static code headers(task *t, uint32_t) {
  static char value[4096];
  memset(value, 'v', sizeof value);
  http_own_fields_t head = plain();
  uint64_t bytes = number_of(t->target, "bytes", 1 << 20), at = 0;
  while (at < bytes && field(head, SLICE("x-filler"), (slice){value, bytes - at < sizeof value ? bytes - at : sizeof value})) at += sizeof value;
  text count = number_text(at < bytes ? at : bytes);
  return answer_with(t, 200, head, count.bytes, count.length);
}

static code handles(task *t, uint32_t) {
  uint64_t count = number_of(t->target, "count", 10000000);
  for (uint64_t i = 0; i < count; i++) http_constructor_fields();
  return say(t, number_text(count));
}

static code status(task *t, uint32_t) {
  slice code = query_of(t->target, "code");
  uint16_t number = (uint16_t)number_of(t->target, "code", 200);
  bool empty = number == 204 || number == 304;
  return answer_with(t, number, empty ? http_constructor_fields() : plain(), code.text, empty ? 0 : code.length);
}

static code cpu(task *t, uint32_t) {
  burn(number_of(t->target, "ms", 100));
  return ok(t, 0);
}

static code hop(task *t, uint32_t) {
  http_own_fields_t head = plain();
  text text = {0};
  for (size_t i = 0; i < sizeof HOP_BY_HOP / sizeof *HOP_BY_HOP; i++) {
    slice name = {HOP_BY_HOP[i], strlen(HOP_BY_HOP[i])};
    add(&text, HOP_BY_HOP[i]), add(&text, field(head, name, SLICE("x-hop")) ? " set\n" : " refused\n");
  }
  return answer_with(t, 200, head, text.bytes, text.length);
}

static code sleeps(task *t, uint32_t) { return sleep_for(t, number_of(t->target, "ms", 100) * MILLISECOND, ok); }

static code read_said(task *t, uint32_t) {
  http_future_result_void_error_code_drop_writable(t->consumed);
  return say(t, number_text(t->done));
}

static code read_end(task *t) {
  http_stream_u8_drop_readable(t->from);
  http_future_result_option_own_trailers_error_code_drop_readable(t->from_trailers);
  return after(t, t->consumed, http_future_result_void_error_code_write(t->consumed, &CONSUMED), read_said);
}

static step read_chunk;

static code read_more(task *t, uint32_t) {
  uint64_t left = t->most - t->done;
  if (left == 0) return read_end(t);
  return after(t, t->from, http_stream_u8_read(t->from, t->buffer, left < ROOM ? left : ROOM), read_chunk);
}

static code read_chunk(task *t, uint32_t status) {
  t->done += COUNT(status);
  if (!OPEN(status)) return read_end(t);
  return t->pause ? sleep_for(t, t->pause, read_more) : go_on(t, 0, read_more);
}

static code reads(task *t, uint32_t) {
  t->most = number_of(t->target, "bytes", UINT64_MAX), t->pause = number_of(t->target, "ms", 0) * MILLISECOND;
  t->buffer = malloc(ROOM);
  http_tuple2_stream_u8_future_result_option_own_trailers_error_code_t body;
  http_static_request_consume_body(t->request, http_future_result_void_error_code_new(&t->consumed), &body);
  t->from = body.f0, t->from_trailers = body.f1;
  return read_more(t, 0);
}

static code end_with_trailers(task *t, uint32_t) {
  trailers_result last = {0};
  last.val.ok.is_some = true;
  last.val.ok.val = fields_with(SLICE("x-checksum"), SLICE("42"));
  return answer_end(t, last, answer_done);
}

static code trailers(task *t, uint32_t) {
  http_own_fields_t head = plain();
  field(head, SLICE("trailer"), SLICE("x-checksum"));
  answer_head(t, 200, head);
  return answer_write(t, "body\n", 5, end_with_trailers);
}

static code exits(task *t, uint32_t) {
  cli_exit_exit(&(cli_exit_result_void_void_t){.is_err = number_of(t->target, "code", 0) != 0});
  return task_end(t);
}

static code secret(task *t, uint32_t) {
  text text = {0};
  if (canary_read(query_of(t->target, "write"))) add(&text, "wrote "), add_number(&text, canary_write(number_of(t->target, "pages", 4))), add(&text, "\n");
  else add(&text, "no secret\n");
  return say(t, text);
}

static code scan(task *t, uint32_t) {
  text text = {0};
  uint64_t found = canary_read(query_of(t->target, "for")) ? canary_count(number_of(t->target, "pages", 4)) : UINT64_MAX;
  if (found == UINT64_MAX) add(&text, "no secret\n");
  else if (found == 0) add(&text, "not found\n");
  else add(&text, "found "), add_number(&text, found), add(&text, "\n");
  return say(t, text);
}

/** A dropped answer is the same as none here: both end without a return. */
static const struct { const char *path; step *behave; } PATHS[] = {
  {"/", ok}, {"/trap", trap}, {"/loop", loop}, {"/memory", memory}, {"/grow-ok", grow_ok}, {"/stack", stack},
  {"/flood", flood}, {"/log", logs}, {"/hang", hang}, {"/none", none}, {"/drop", none}, {"/twice", twice},
  {"/error", error}, {"/exit", exits}, {"/after-head-trap", after_head_trap}, {"/after-head-hang", after_head_hang},
  {"/after-head-error", after_head_error}, {"/after-end-trap", after_end_trap}, {"/after-end", after_end},
  {"/slow", slow}, {"/big", big}, {"/headers", headers}, {"/handles", handles}, {"/status", status}, {"/cpu", cpu},
  {"/hop", hop}, {"/sleep", sleeps}, {"/read", reads}, {"/trailers", trailers}, {"/secret", secret}, {"/scan", scan},
};

code exports_handler_handle(exports_handler_own_request_t request) {
  task *t = task_new(sizeof *t);
  t->target = target_of(request);
  t->request = request;
  for (size_t i = 0; i < sizeof PATHS / sizeof *PATHS; i++) {
    if (!is(path_of(t->target), PATHS[i].path)) continue;
    if (PATHS[i].behave != reads) http_request_drop_own(request);
    return start(t, PATHS[i].behave(t, 0));
  }
  http_request_drop_own(request);
  return start(t, answer_with(t, 404, plain(), "no such behaviour\n", 18));
}

code exports_handler_handle_callback(guest_event_t *event) {
  return resume(event);
}
