/**
 * Leaves a secret in memory, and looks for one.
 *
 * A secret travels as hex of its bytes XOR 0x5a, so that the plain bytes never come in with a request: what a
 * search finds was left behind by an earlier run. It is a multiple of 8 bytes, at least 32, at most 256; memory is
 * filled with it end to end from 8-byte aligned addresses, so that looking at aligned words finds any rest of it.
 */
#pragma once
#include "target.h"

enum { CANARY_MASK = 0x5a, CANARY_PAGE = 65536, CANARY_MOST = 256 };
#define CANARY_MASKS 0x5a5a5a5a5a5a5a5aull

static uint64_t canary_masked[CANARY_MOST / 8];
static size_t canary_words;
static uint64_t canary_statics[8192];
/** Wasm globals are state too. */
__asm__(".globaltype canary_a, i64\n.globl canary_a\ncanary_a:\n"
        ".globaltype canary_b, i64\n.globl canary_b\ncanary_b:\n");
static inline void canary_globals_set(uint64_t a, uint64_t b) {
  __asm__ volatile("local.get %0\nglobal.set canary_a\nlocal.get %1\nglobal.set canary_b" ::"r"(a), "r"(b));
}
static inline uint64_t canary_global_a(void) { uint64_t v; __asm__ volatile("global.get canary_a\nlocal.set %0" : "=r"(v)); return v; }
static inline uint64_t canary_global_b(void) { uint64_t v; __asm__ volatile("global.get canary_b\nlocal.set %0" : "=r"(v)); return v; }

/** Reads the masked secret; false when it is not hex of the right length. */
static inline bool canary_read(slice hex) {
  if (hex.length < 64 || hex.length % 16 || hex.length / 2 > CANARY_MOST) return false;
  uint8_t *to = (uint8_t *)canary_masked;
  for (size_t i = 0; i < hex.length; i++) {
    char c = hex.text[i];
    int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) return false;
    to[i / 2] = (uint8_t)(to[i / 2] << 4 | digit);
  }
  canary_words = hex.length / 16;
  return true;
}

static inline void canary_fill(uint64_t *from, size_t words) {
  for (size_t i = 0; i < words; i++) from[i] = canary_masked[i % canary_words] ^ CANARY_MASKS;
}

/** Writes the secret over the statics, the globals, some stack and `pages` freshly grown pages; the bytes written. */
static inline uint64_t canary_write(size_t pages) {
  uint64_t stack[512];
  canary_fill(stack, 512);
  canary_fill(canary_statics, sizeof canary_statics / 8);
  __asm__ volatile("" ::"r"(stack), "r"(canary_statics) : "memory"); // neither is dead
  canary_globals_set(canary_masked[0] ^ CANARY_MASKS, canary_masked[1] ^ CANARY_MASKS);
  size_t old = __builtin_wasm_memory_grow(0, pages);
  if (old == (size_t)-1) return 0;
  canary_fill((uint64_t *)(old * CANARY_PAGE), pages * CANARY_PAGE / 8);
  return sizeof stack + sizeof canary_statics + 16 + pages * CANARY_PAGE;
}

/** How often the secret's first two words stand in memory after `pages` more were grown, or in the globals. */
static inline uint64_t canary_count(size_t pages) {
  __builtin_wasm_memory_grow(0, pages);
  uint64_t first = canary_masked[0], second = canary_masked[1], found = 0;
  const volatile uint64_t *word = (const uint64_t *)8, *end = (const uint64_t *)(__builtin_wasm_memory_size(0) * CANARY_PAGE) - 1;
  for (; word < end; word++) {
    if ((word[0] ^ CANARY_MASKS) == first && (word[1] ^ CANARY_MASKS) == second) found++;
  }
  if ((canary_global_a() ^ CANARY_MASKS) == first) found++;
  if ((canary_global_b() ^ CANARY_MASKS) == second) found++;
  return found;
}
