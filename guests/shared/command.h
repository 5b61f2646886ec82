/**
 * A command that does what its arguments say, one after the other:
 *
 *   args            every argument, one a line       say TEXT    TEXT on stdout
 *   env             KEY=VALUE, one a line            warn TEXT   TEXT on stderr
 *   cat             stdin to stdout                  read PATH   a file of a preopened directory to stdout
 *   config KEY      a value of wasi:config           exit N      ends with this status
 *   fail            returns the error result         trap        traps
 *
 * Without arguments it says `Hello, WASI!`. The three functions below are what a version of WASI has to give.
 */
#pragma once
#include "guest.h"
#include "text.h"

static void print(bool error, const void *bytes, size_t length);
static void copy_stdin(void);
/** False when the file is not there. */
static bool copy_file(files_borrow_descriptor_t directory, guest_string_t path);

static void print_text(text t) { print(false, t.bytes, t.length), free(t.bytes); }

static void print_arguments(const guest_list_string_t *arguments) {
  text t = {0};
  for (size_t i = 0; i < arguments->len; i++) add_bytes(&t, arguments->ptr[i].ptr, arguments->ptr[i].len), add(&t, "\n");
  print_text(t);
}

static void print_environment(void) {
  guest_list_tuple2_string_string_t list;
  environment_get_environment(&list);
  text t = {0};
  for (size_t i = 0; i < list.len; i++) {
    add_bytes(&t, list.ptr[i].f0.ptr, list.ptr[i].f0.len), add(&t, "=");
    add_bytes(&t, list.ptr[i].f1.ptr, list.ptr[i].f1.len), add(&t, "\n");
  }
  print_text(t);
}

static bool print_config(guest_string_t key) {
  guest_option_string_t value;
  config_error_t unavailable;
  if (!config_get(&key, &value, &unavailable) || !value.is_some) return false;
  text t = {0};
  add_bytes(&t, value.val.ptr, value.val.len), add(&t, "\n");
  print_text(t);
  return true;
}

/** Looks the path up in each preopened directory whose name begins it. */
static bool print_file(guest_string_t path) {
  preopens_list_tuple2_own_descriptor_string_t directories;
  preopens_get_directories(&directories);
  for (size_t i = 0; i < directories.len; i++) {
    guest_string_t name = directories.ptr[i].f1;
    size_t skip = name.len == 1 && name.ptr[0] == '.' ? 0 : name.len;
    if (skip > path.len || memcmp(path.ptr, name.ptr, skip) != 0) continue;
    while (skip < path.len && path.ptr[skip] == '/') skip++;
    if (copy_file(files_borrow_descriptor(directories.ptr[i].f0), (guest_string_t){path.ptr + skip, path.len - skip})) return true;
  }
  return false;
}

static bool not_found(const char *what, guest_string_t name) {
  text t = {0};
  add(&t, "no such "), add(&t, what), add(&t, ": "), add_bytes(&t, name.ptr, name.len), add(&t, "\n");
  print(true, t.bytes, t.length);
  return false;
}

static void print_line(bool error, guest_string_t line) {
  text t = {0};
  add_bytes(&t, line.ptr, line.len), add(&t, "\n");
  print(error, t.bytes, t.length);
  free(t.bytes);
}

/** True when everything worked. */
static bool do_arguments(void) {
  guest_list_string_t list;
  environment_get_arguments(&list);
  if (list.len < 2) return print(false, "Hello, WASI!\n", 13), true;
  guest_string_t none = {nullptr, 0};
  for (size_t i = 1; i < list.len; i++) {
    slice verb = {(const char *)list.ptr[i].ptr, list.ptr[i].len};
    guest_string_t object = i + 1 < list.len ? list.ptr[i + 1] : none;
    if (is(verb, "args")) print_arguments(&list);
    else if (is(verb, "env")) print_environment();
    else if (is(verb, "cat")) copy_stdin();
    else if (is(verb, "fail")) return false;
    else if (is(verb, "trap")) __builtin_trap();
    else {
      i++;
      if (is(verb, "say")) print_line(false, object);
      else if (is(verb, "warn")) print_line(true, object);
      else if (is(verb, "read")) { if (!print_file(object)) return not_found("file", object); }
      else if (is(verb, "config")) { if (!print_config(object)) return not_found("config variable", object); }
      else if (is(verb, "exit")) {
        uint8_t status = 0;
        for (size_t d = 0; d < object.len; d++) status = (uint8_t)(status * 10 + (object.ptr[d] - '0'));
        cli_exit_exit_with_code(status);
      }
      else return not_found("verb", list.ptr[i - 1]);
    }
  }
  return true;
}
