/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/scarcity.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>

static atomic_bool is_on, is_lasting;
static atomic_int left; /* allocations that still succeed */
static atomic_int refused;
static _Thread_local unsigned spared;

void scarcity_begin(unsigned after, bool is_for_good)
{
    atomic_store(&left, (int)after);
    atomic_store(&refused, 0);
    atomic_store(&is_lasting, is_for_good);
    atomic_store(&is_on, true);
}

bool scarcity_end(void)
{
    atomic_store(&is_on, false);
    return atomic_load(&refused) > 0;
}

void scarcity_spare(void)
{
    spared++;
}

void scarcity_unspare(void)
{
    spared--;
}

static bool refuses(void)
{
    if (!atomic_load(&is_on) || spared > 0)
        return false;
    int at = atomic_fetch_sub(&left, 1);
    if (at > 0 || (at < 0 && !atomic_load(&is_lasting)))
        return false;
    atomic_fetch_add(&refused, 1);
    errno = ENOMEM;
    return true;
}

/* ---- what the linker sends here. Whatever allocates, free() is the C library's. */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define REAL(name) __real_##name
#else
#define REAL(name)           __libc_##name
#define __real_aligned_alloc __libc_memalign
#endif

void *REAL(malloc)(size_t size);
void *REAL(calloc)(size_t count, size_t size);
void *REAL(realloc)(void *memory, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

void *__wrap_malloc(size_t size)
{
    return refuses() ? NULL : REAL(malloc)(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return refuses() ? NULL : REAL(calloc)(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return refuses() ? NULL : REAL(realloc)(memory, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return refuses() ? NULL : __real_aligned_alloc(alignment, size);
}

/* Calls from shared libraries: the program's own definitions go before the C library's. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
void *malloc(size_t size) __attribute__((alias("__wrap_malloc")));
void *calloc(size_t count, size_t size) __attribute__((alias("__wrap_calloc")));
void *realloc(void *memory, size_t size) __attribute__((alias("__wrap_realloc")));
void *aligned_alloc(size_t alignment, size_t size) __attribute__((alias("__wrap_aligned_alloc")));
#endif
