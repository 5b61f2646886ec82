/** Behaves as the path says, mostly badly. `guests/README.md` lists the paths; behave-p3 has the same ones. */
#include "canary.h"
#include "misbehave.h"
#include "p2.h"
#include "print-p2.h"

typedef void behaviour(request, slice target, outparam);

static const uint64_t MILLISECOND = 1000000, YEAR = 31536000000000000;

static void sleep_for(uint64_t nanoseconds) { wait_for(clock_subscribe_duration(nanoseconds)); }

static http_own_fields_t plain(void) { return fields_with(SLICE("content-type"), SLICE("text/plain")); }

static void say(outparam out, text t) { answer_with(out, 200, plain(), t.bytes, t.length); }

static text number_text(uint64_t n) {
  text t = {0};
  add_number(&t, n), add(&t, "\n");
  return t;
}

static void ok(request, slice, outparam out) { answer_with(out, 200, plain(), "ok\n", 3); }
static void trap(request, slice, outparam) { __builtin_trap(); }
static void loop(request, slice, outparam) { spin(); }
static void stack(request, slice, outparam out) { say(out, number_text(dig(0))); }
static void hang(request, slice, outparam) { sleep_for(YEAR); }
static void none(request, slice, outparam) {}
static void dropped(request, slice, outparam out) { http_response_outparam_drop_own(out); }

static void memory(request, slice, outparam) {
  grow_until_refused(16);
  abort();
}

static void grow_ok(request, slice, outparam out) {
  text t = number_text(UINT64_MAX); // room for the answer, while there is some
  t.length = 0;
  add_number(&t, grow_until_refused(1)), add(&t, "\n");
  say(out, t);
}

static void flood(request, slice target, outparam out) {
  static char line[100];
  memset(line, '.', 99), line[99] = '\n';
  uint64_t bytes = number_of(target, "bytes", 4 << 20);
  for (uint64_t at = 0; at < bytes; at += 200) {
    print_and_drop(cli_out_get_stdout(), line, 100);
    print_and_drop(cli_err_get_stderr(), line, 100);
  }
  answer_with(out, 200, plain(), "ok\n", 3);
}

static void logs(request, slice, outparam out) {
  print_and_drop(cli_out_get_stdout(), "a line on stdout\n", 17);
  print_and_drop(cli_err_get_stderr(), "a line on stderr\n", 17);
  answer_with(out, 200, plain(), "ok\n", 3);
}

static void twice(request, slice, outparam out) {
  answer_head(out, 200, plain());
  answer_head(out, 200, plain());
}

static void error(request, slice, outparam out) {
  http_result_own_outgoing_response_error_code_t result = {.is_err = true, .val.err.tag = HTTP_ERROR_CODE_INTERNAL_ERROR};
  result.val.err.val.internal_error.is_some = true;
  guest_string_set(&result.val.err.val.internal_error.val, "told to fail");
  http_static_response_outparam_set(out, &result);
}

static answer half(outparam out) {
  answer a = answer_head(out, 200, plain());
  answer_write(&a, "the first half\n", 15);
  answer_flush(&a);
  return a;
}

static void after_head_trap(request, slice target, outparam out) {
  half(out);
  sleep_for(number_of(target, "ms", 0) * MILLISECOND);
  __builtin_trap();
}

static void after_head_hang(request, slice, outparam out) {
  half(out);
  sleep_for(YEAR);
}

static void after_head_error(request, slice, outparam out) {
  answer a = half(out);
  io_output_stream_drop_own(a.stream);
  http_outgoing_body_drop_own(a.body);
}

static void after_end_trap(request, slice, outparam out) {
  answer_with(out, 200, plain(), "ok\n", 3);
  __builtin_trap();
}

static void after_end(request, slice target, outparam out) {
  answer_with(out, 200, plain(), "ok\n", 3);
  sleep_for(number_of(target, "ms", 100) * MILLISECOND);
  print_and_drop(cli_out_get_stdout(), "after the end\n", 14);
}

static void slow(request, slice target, outparam out) {
  answer a = answer_head(out, 200, fields_with(SLICE("content-type"), SLICE("text/event-stream")));
  answer_flush(&a);
  uint64_t pieces = number_of(target, "pieces", 5), pause = number_of(target, "ms", 100) * MILLISECOND;
  for (uint64_t i = 0; i < pieces && a.open; i++) {
    if (i > 0) sleep_for(pause);
    text t = {0};
    add(&t, "data: "), add_number(&t, i), add(&t, "\n\n");
    answer_write(&a, t.bytes, t.length), answer_flush(&a);
    free(t.bytes);
  }
  answer_end(&a, nullptr);
}

static void big(request, slice target, outparam out) {
  static uint8_t letters[26 * 2520];
  fill_letters(letters, sizeof letters);
  http_own_fields_t head = plain();
  slice length = query_of(target, "length");
  if (length.length) field(head, SLICE("content-length"), length);
  answer a = answer_head(out, 200, head);
  uint64_t bytes = number_of(target, "bytes", 1 << 20);
  for (uint64_t at = 0; at < bytes && a.open; at += sizeof letters) {
    answer_write(&a, letters, bytes - at < sizeof letters ? bytes - at : sizeof letters);
  }
  answer_end(&a, nullptr);
}

static void headers(request, slice target, outparam out) {
  static char value[4096];
  memset(value, 'v', sizeof value);
  http_own_fields_t head = plain();
  uint64_t bytes = number_of(target, "bytes", 1 << 20), at = 0;
  while (at < bytes && field(head, SLICE("x-filler"), (slice){value, bytes - at < sizeof value ? bytes - at : sizeof value})) at += sizeof value;
  text t = number_text(at < bytes ? at : bytes);
  answer_with(out, 200, head, t.bytes, t.length);
}

static void handles(request, slice target, outparam out) {
  uint64_t count = number_of(target, "count", 10000000);
  for (uint64_t i = 0; i < count; i++) http_constructor_fields();
  say(out, number_text(count));
}

static void status(request, slice target, outparam out) {
  slice code = query_of(target, "code");
  uint16_t number = (uint16_t)number_of(target, "code", 200);
  bool empty = number == 204 || number == 304;
  answer_with(out, number, empty ? http_constructor_fields() : plain(), code.text, empty ? 0 : code.length);
}

static void cpu(request, slice target, outparam out) {
  burn(number_of(target, "ms", 100));
  answer_with(out, 200, plain(), "ok\n", 3);
}

static void hop(request, slice, outparam out) {
  http_own_fields_t head = plain();
  text t = {0};
  for (size_t i = 0; i < sizeof HOP_BY_HOP / sizeof *HOP_BY_HOP; i++) {
    slice name = {HOP_BY_HOP[i], strlen(HOP_BY_HOP[i])};
    add(&t, HOP_BY_HOP[i]), add(&t, field(head, name, SLICE("x-hop")) ? " set\n" : " refused\n");
  }
  answer_with(out, 200, head, t.bytes, t.length);
}

static void sleeps(request, slice target, outparam out) {
  sleep_for(number_of(target, "ms", 100) * MILLISECOND);
  answer_with(out, 200, plain(), "ok\n", 3);
}

static void reads(request r, slice target, outparam out) {
  http_own_incoming_body_t body;
  io_own_input_stream_t from;
  http_method_incoming_request_consume(http_borrow_incoming_request(r), &body);
  http_method_incoming_body_stream(http_borrow_incoming_body(body), &from);
  uint64_t most = number_of(target, "bytes", UINT64_MAX), pause = number_of(target, "ms", 0) * MILLISECOND, got = 0;
  guest_list_u8_t chunk;
  io_stream_error_t end;
  while (got < most) {
    if (!io_method_input_stream_blocking_read(io_borrow_input_stream(from), most - got < 65536 ? most - got : 65536, &chunk, &end)) {
      io_stream_error_free(&end);
      break;
    }
    got += chunk.len;
    guest_list_u8_free(&chunk);
    if (pause) sleep_for(pause);
  }
  io_input_stream_drop_own(from);
  http_incoming_body_drop_own(body);
  say(out, number_text(got));
}

static void trailers(request, slice, outparam out) {
  http_own_trailers_t last = fields_with(SLICE("x-checksum"), SLICE("42"));
  http_own_fields_t head = plain();
  field(head, SLICE("trailer"), SLICE("x-checksum"));
  answer a = answer_head(out, 200, head);
  answer_write(&a, "body\n", 5);
  answer_end(&a, &last);
}

static void exits(request, slice target, outparam) {
  cli_exit_exit(&(cli_exit_result_void_void_t){.is_err = number_of(target, "code", 0) != 0});
}

static void secret(request, slice target, outparam out) {
  text t = {0};
  if (canary_read(query_of(target, "write"))) add(&t, "wrote "), add_number(&t, canary_write(number_of(target, "pages", 4))), add(&t, "\n");
  else add(&t, "no secret\n");
  say(out, t);
}

static void scan(request, slice target, outparam out) {
  text t = {0};
  uint64_t found = canary_read(query_of(target, "for")) ? canary_count(number_of(target, "pages", 4)) : UINT64_MAX;
  if (found == UINT64_MAX) add(&t, "no secret\n");
  else if (found == 0) add(&t, "not found\n");
  else add(&t, "found "), add_number(&t, found), add(&t, "\n");
  say(out, t);
}

static const struct { const char *path; behaviour *behave; } PATHS[] = {
  {"/", ok}, {"/trap", trap}, {"/loop", loop}, {"/memory", memory}, {"/grow-ok", grow_ok}, {"/stack", stack},
  {"/flood", flood}, {"/log", logs}, {"/hang", hang}, {"/none", none}, {"/drop", dropped}, {"/twice", twice},
  {"/error", error}, {"/exit", exits}, {"/after-head-trap", after_head_trap}, {"/after-head-hang", after_head_hang},
  {"/after-head-error", after_head_error}, {"/after-end-trap", after_end_trap}, {"/after-end", after_end},
  {"/slow", slow}, {"/big", big}, {"/headers", headers}, {"/handles", handles}, {"/status", status}, {"/cpu", cpu},
  {"/hop", hop}, {"/sleep", sleeps}, {"/read", reads}, {"/trailers", trailers}, {"/secret", secret}, {"/scan", scan},
};

void exports_incoming_handle(exports_incoming_own_incoming_request_t r, exports_incoming_own_response_outparam_t out) {
  slice target = target_of(r);
  for (size_t i = 0; i < sizeof PATHS / sizeof *PATHS; i++) {
    if (is(path_of(target), PATHS[i].path)) {
      PATHS[i].behave(r, target, out);
      http_incoming_request_drop_own(r);
      return;
    }
  }
  answer_with(out, 404, plain(), "no such behaviour\n", 18);
  http_incoming_request_drop_own(r);
}
