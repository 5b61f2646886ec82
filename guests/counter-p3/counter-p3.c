/** Counts its requests, and those that are in it at once. */
#include "answer-p3.h"
#include "text.h"

struct task { answer_task answer; uint32_t number, at_once; text text; };

static uint32_t count, present;

static code done(task *t, uint32_t) {
  present--;
  free(t->text.bytes);
  return task_end(t);
}

static code end(task *t, uint32_t) { return answer_end(t, (trailers_result){0}, done); }

static code tell(task *t, uint32_t) {
  call_done(t);
  add_number(&t->text, t->at_once);
  answer_head(t, 200, fields_with(SLICE("x-at-once"), (slice){(char *)t->text.bytes, t->text.length}));
  t->text.length = 0;
  add_number(&t->text, t->number), add(&t->text, "\n");
  return answer_write(t, t->text.bytes, t->text.length, end);
}

code exports_handler_handle(exports_handler_own_request_t request) {
  task *t = task_new(sizeof *t);
  uint64_t milliseconds = number_of(target_of(request), "ms", 0);
  http_request_drop_own(request);
  t->number = ++count, t->at_once = ++present;
  return start(t, milliseconds ? after_call(t, clock_wait_for(milliseconds * 1000000), tell) : tell(t, 0));
}

code exports_handler_handle_callback(guest_event_t *event) {
  return resume(event);
}
