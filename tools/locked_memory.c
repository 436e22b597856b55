/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/locked_memory.h"

#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "ca/keys/keys.h"

/* OpenSSL's secure heap is half of it; the rest is for passphrases and for keys being read. */
enum { NEEDED = 2 << 20 };

/* From the soft limit to the hard one, which needs no rights. */
static rlim_t raise_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0)
        return 0;
    if (limit.rlim_cur == limit.rlim_max)
        return limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_MEMLOCK, &limit) == 0 ? limit.rlim_cur : 0;
}

static bool can_lock(void)
{
    void *room = mmap(NULL, NEEDED, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (room == MAP_FAILED)
        return false;
    bool is_locked = mlock(room, NEEDED) == 0;
    (void)munmap(room, NEEDED);
    return is_locked;
}

enum ca_err locked_memory_check(const char *program)
{
    rlim_t limit = raise_limit();

    if (can_lock())
        return CA_OK;
    if (limit < NEEDED)
        fprintf(stderr,
                "%s: keys need %d KiB of locked memory, and the limit is %llu: raise it "
                "(ulimit -l, LimitMEMLOCK=, /etc/security/limits.conf)\n",
                program, NEEDED >> 10, (unsigned long long)limit >> 10);
    else
        fprintf(stderr, "%s: this system locks no memory for keys\n", program);
    return CA_ERR_KEY_UNUSABLE;
}

enum ca_err locked_memory_harden(const char *program)
{
    enum ca_err err = locked_memory_check(program);

    if (err == CA_OK && (err = keys_harden_process()) != CA_OK)
        fprintf(stderr, "%s: memory for keys cannot be protected\n", program);
    return err;
}
