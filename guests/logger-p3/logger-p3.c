/** Says one thing in each of the three ways a guest can. */
#include "answer-p3.h"
#include "log.h"
#include "print-p3.h"

struct task { answer_task answer; printing printing; slice target; };

static printing *printing_of(task *t) { return &t->printing; }

static code answered(task *t, uint32_t) {
  log_line(query_of(t->target, "level"), "a line through wasi:logging");
  return answer_with(t, 200, http_constructor_fields(), "logged\n", 7);
}

static code printed_one(task *t, uint32_t) { return print(t, true, "a line on stderr\n", 17, 17, answered); }

code exports_handler_handle(exports_handler_own_request_t request) {
  task *t = task_new(sizeof *t);
  t->target = target_of(request);
  http_request_drop_own(request);
  return start(t, print(t, false, "a line on stdout\n", 17, 17, printed_one));
}

code exports_handler_handle_callback(guest_event_t *event) {
  return resume(event);
}
