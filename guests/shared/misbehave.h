/** What a hostile or unlucky guest does without the host's help; the clock is the only import. */
#pragma once
#include "guest.h"
#include "text.h"

enum { PAGE = 65536 };

/** Never ends. */
[[noreturn]] static inline void spin(void) {
  for (;;) __asm__ volatile("");
}

/** Grows memory until the host refuses, touching a byte of each page; the bytes gained. */
static inline uint64_t grow_until_refused(size_t step) {
  uint64_t gained = 0;
  for (size_t old; (old = __builtin_wasm_memory_grow(0, step)) != (size_t)-1; gained += (uint64_t)step * PAGE) {
    for (size_t page = old; page < old + step; page++) *(volatile uint8_t *)(page * PAGE) = 1;
  }
  return gained;
}

/** Uses up the stack. */
[[gnu::noinline]] static uint32_t dig(volatile uint32_t depth) {
  volatile uint32_t room[64];
  room[depth % 64] = depth;
  return depth == UINT32_MAX ? 0 : dig(depth + 1) + room[(depth + 1) % 64];
}

/** Keeps a processor busy for about so long. */
static inline void burn(uint64_t milliseconds) {
  uint64_t end = clock_now() + milliseconds * 1000000;
  do for (volatile uint32_t i = 0; i < 10000; i++); while (clock_now() < end);
}

/** `abcdefghijklmnopqrstuvwxyz` over and over. */
static inline void fill_letters(uint8_t *bytes, size_t length) {
  for (size_t i = 0; i < length; i++) bytes[i] = (uint8_t)('a' + i % 26);
}

/** Fields that belong to a connection and must not come from a guest. */
static const char *const HOP_BY_HOP[] = {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "te", "trailer", "host", "http2-settings"};
