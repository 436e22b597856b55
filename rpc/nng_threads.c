/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/nng_threads.h"

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>

#include <nng/nng.h>

/* nng 1.5.2 looks without a lock whether it is set up: whoever comes through here has seen that. */
static pthread_mutex_t setting_up = PTHREAD_MUTEX_INITIALIZER;

/* Threads have the policy of who starts them, and nng starts its own with the first aio. */
enum ca_err rpc_nng_start(void)
{
    static const struct sched_param no_priority = { 0 };
    pthread_t self = pthread_self();
    struct sched_param param;
    nng_aio *aio;
    int policy;

    pthread_mutex_lock(&setting_up);
    bool is_changed = pthread_getschedparam(self, &policy, &param) == 0 && policy == SCHED_OTHER &&
                      pthread_setschedparam(self, SCHED_BATCH, &no_priority) == 0;
    int rv = nng_aio_alloc(&aio, NULL, NULL);
    if (rv == 0)
        nng_aio_free(aio);
    if (is_changed)
        pthread_setschedparam(self, SCHED_OTHER, &param);
    pthread_mutex_unlock(&setting_up);
    return rv == 0 ? CA_OK : CA_ERR_NOMEM;
}
