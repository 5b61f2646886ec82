/** The least that answers over wasi:http 0.3. */
#include "answer-p3.h"

struct task { answer_task answer; };

static const char TEXT[] = "Hello, WASI!\n";

code exports_handler_handle(exports_handler_own_request_t request) {
  http_request_drop_own(request);
  task *t = task_new(sizeof *t);
  return start(t, answer_with(t, 200, http_constructor_fields(), TEXT, sizeof TEXT - 1));
}

code exports_handler_handle_callback(guest_event_t *event) {
  return resume(event);
}
