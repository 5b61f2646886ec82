/**
 * Tasks for async exports of WASI 0.3: one struct a task, which waits for one thing at a time.
 *
 * A step that starts something which may block ends with `return after(task, waitable, status, next)`; `next` is
 * called with the final status, at once or when the host says so, and never on the step's own stack. The guest
 * defines `struct task` with a `task_head` as its first member, returns `start(task, code)` from its export, and
 * its callback is `resume(event)`.
 */
#pragma once
#include "guest.h"
#include <stdlib.h>

typedef guest_callback_code_t code;
typedef struct task task;
typedef code step(task *, uint32_t status);
typedef struct { guest_waitable_set_t set; uint32_t waiting; step *next; uint32_t status; } task_head;

#define COUNT(status) GUEST_WAITABLE_COUNT(status)
#define OPEN(status) (GUEST_WAITABLE_STATE(status) == GUEST_WAITABLE_COMPLETED)
/** What a step returns when the next one can go on at once. */
#define GO_ON UINT32_MAX

/**
 * The first small tasks of an instance live in static memory. A clean instance has one, and so never asks for memory
 * to grow, which costs the host two system calls a request.
 */
enum { STATIC_TASKS = 16, STATIC_TASK_BYTES = 256 };
static struct static_task {
  alignas(16) uint8_t bytes[STATIC_TASK_BYTES];
  bool taken;
} static_tasks[STATIC_TASKS];

static inline void *task_memory(size_t size) {
  for (size_t i = 0; size <= STATIC_TASK_BYTES && i < STATIC_TASKS; i++) {
    if (static_tasks[i].taken) continue;
    static_tasks[i].taken = true;
    return memset(static_tasks[i].bytes, 0, size);
  }
  void *memory = calloc(1, size);
  if (!memory) abort();
  return memory;
}

static inline void task_forget(void *memory) {
  struct static_task *fixed = memory;
  if (fixed >= static_tasks && fixed < static_tasks + STATIC_TASKS) fixed->taken = false;
  else free(memory);
}

static inline task *task_new(size_t size) {
  task_head *t = task_memory(size);
  t->set = guest_waitable_set_new();
  guest_context_set_0(t);
  return (task *)t;
}

static inline code task_end(task *t) {
  guest_waitable_set_drop(((task_head *)t)->set);
  task_forget(t);
  return GUEST_CALLBACK_CODE_EXIT;
}

static inline code go_on(task *t, uint32_t status, step *next) {
  task_head *head = (task_head *)t;
  head->next = next, head->status = status;
  return GO_ON;
}

static inline code await(task *t, uint32_t waitable, step *next) {
  task_head *head = (task_head *)t;
  guest_waitable_join(waitable, head->set);
  head->waiting = waitable, head->next = next;
  return GUEST_CALLBACK_CODE_WAIT(head->set);
}

/** After a read or write of a stream or future. */
static inline code after(task *t, uint32_t waitable, guest_waitable_status_t status, step *next) {
  return status == GUEST_WAITABLE_STATUS_BLOCKED ? await(t, waitable, next) : go_on(t, status, next);
}

/** After a call of an async import; `next` begins with `call_done`. */
static inline code after_call(task *t, guest_subtask_status_t status, step *next) {
  ((task_head *)t)->waiting = 0;
  return GUEST_SUBTASK_STATE(status) == GUEST_SUBTASK_RETURNED ? go_on(t, status, next) : await(t, GUEST_SUBTASK_HANDLE(status), next);
}

static inline void call_done(task *t) {
  task_head *head = (task_head *)t;
  if (head->waiting) guest_subtask_drop(head->waiting);
  head->waiting = 0;
}

static inline code start(task *t, code c) {
  task_head *head = (task_head *)t;
  while (c == GO_ON) c = head->next(t, head->status);
  return c;
}

static inline code resume(guest_event_t *event) {
  task_head *head = guest_context_get_0();
  guest_waitable_join(head->waiting, 0);
  return start((task *)head, head->next((task *)head, event->code));
}
