/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/crypto/memory.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

/* OpenSSL's allocator is one for the process, without an argument: the one place with such state.
 */
static _Thread_local bool is_secret;

static void *allocate(size_t size, const char *file, int line)
{
    if (size == 0)
        return NULL;
    return is_secret ? CRYPTO_secure_malloc(size, file, line) : malloc(size);
}

static void release(void *memory, const char *file, int line)
{
    if (CRYPTO_secure_allocated(memory))
        CRYPTO_secure_free(memory, file, line);
    else
        free(memory);
}

/* What is in the secure heap stays there. */
static void *reallocate(void *memory, size_t size, const char *file, int line)
{
    if (memory == NULL)
        return allocate(size, file, line);
    if (size == 0) {
        release(memory, file, line);
        return NULL;
    }
    if (!CRYPTO_secure_allocated(memory))
        return realloc(memory, size);
    size_t old_size = CRYPTO_secure_actual_size(memory);
    void *larger = CRYPTO_secure_malloc(size, file, line);
    if (larger == NULL)
        return NULL;
    memcpy(larger, memory, old_size < size ? old_size : size);
    CRYPTO_secure_clear_free(memory, old_size, file, line);
    return larger;
}

/* Before main(): OpenSSL takes no other allocator once it has allocated, and libraries that use it
 * may do so before anybody calls us. */
__attribute__((constructor)) static void install(void)
{
    (void)CRYPTO_set_mem_functions(allocate, reallocate, release);
}

bool crypto_memory_is_ready(void)
{
    CRYPTO_malloc_fn installed;

    CRYPTO_get_mem_functions(&installed, NULL, NULL);
    return installed == allocate && CRYPTO_secure_malloc_initialized() == 1;
}

void crypto_memory_begin(void)
{
    is_secret = true;
}

void crypto_memory_end(void)
{
    is_secret = false;
}
