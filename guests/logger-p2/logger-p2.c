/** Says one thing in each of the three ways a guest can. */
#include "log.h"
#include "p2.h"
#include "print-p2.h"

void exports_incoming_handle(exports_incoming_own_incoming_request_t r, exports_incoming_own_response_outparam_t out) {
  slice target = target_of(r);
  http_incoming_request_drop_own(r);
  print_and_drop(cli_out_get_stdout(), "a line on stdout\n", 17);
  print_and_drop(cli_err_get_stderr(), "a line on stderr\n", 17);
  log_line(query_of(target, "level"), "a line through wasi:logging");
  answer_with(out, 200, http_constructor_fields(), "logged\n", 7);
}
