#include "CAllocations.h"
#include <features.h>
#include <stdatomic.h>
#include <stddef.h>

static atomic_ulong allocation_count;

unsigned long trainyard_allocation_count(void) { return atomic_load(&allocation_count); }

#ifdef __GLIBC__
// The C library's own functions under their other names; what calls malloc finds the ones below.
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *pointer, size_t size);

void *malloc(size_t size) {
    atomic_fetch_add_explicit(&allocation_count, 1, memory_order_relaxed);
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    atomic_fetch_add_explicit(&allocation_count, 1, memory_order_relaxed);
    return __libc_calloc(count, size);
}

void *realloc(void *pointer, size_t size) {
    atomic_fetch_add_explicit(&allocation_count, 1, memory_order_relaxed);
    return __libc_realloc(pointer, size);
}
#endif
