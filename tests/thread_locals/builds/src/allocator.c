/* An allocator that one library alone uses, and that never frees. What the C library is to free, it must not have made. */
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

static _Alignas(64) char memory[64 << 20];
static atomic_size_t used;

void *malloc(size_t bytes) {
  size_t at = atomic_fetch_add(&used, (bytes + 127) / 64 * 64) + 64;
  if (at + bytes > sizeof memory)
    return NULL;
  memcpy(memory + at - sizeof bytes, &bytes, sizeof bytes);
  return memory + at;
}

void *calloc(size_t count, size_t bytes) { return malloc(count * bytes); }

void *realloc(void *from, size_t bytes) {
  void *to = malloc(bytes);
  if (to && from) {
    size_t before;
    memcpy(&before, (char *)from - sizeof before, sizeof before);
    memcpy(to, from, before < bytes ? before : bytes);
  }
  return to;
}

void free(void *at) { (void)at; }
