/* SPDX-License-Identifier: Apache-2.0 */
/* load_verify: keeps some of the certificates answered and has OpenSSL check them afterwards. */
#pragma once

#include <pthread.h>

#include "bench/load_messages.h"

struct bench_sampled {
    size_t message;
    uint8_t *der;
    size_t len;
};

struct bench_sample {
    struct bench_sampled *taken;
    size_t count, size, stride;
    pthread_mutex_t lock; /* guards taken and count */
};

void bench_sample_init(struct bench_sample *sample, size_t message_count, size_t size);
/* The first certificate of a message's answer; kept if it is the message's turn. Any thread. */
void bench_sample_take(struct bench_sample *sample, size_t message, struct ca_bytes der);
/* Dies unless each is signed by the CA and holds the key of its request. */
void bench_sample_verify(struct bench_sample *sample, const char *url,
                         const struct bench_plan *plan);
void bench_sample_free(struct bench_sample *sample);
