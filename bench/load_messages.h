/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_messages: issue requests packed ahead, so that sending them costs next to nothing.
 *
 * Every item has a request id of its own and a unified social credit code of its own, with
 * valid check characters. Requests are taken in order, and again from the start when there
 * are more items than requests.
 */
#pragma once

#include "bench/csr_file.h"

enum { BENCH_VALUE_COUNT_MAX = 8 };

/* A value the profile takes from the caller; the value "%uscc" is made for each item. */
struct bench_value {
    const char *name;
    const char *value;
};

struct bench_plan {
    const struct bench_csrs *csrs;
    const char *profile;
    const char *ca; /* "": the profile's */
    struct bench_value values[BENCH_VALUE_COUNT_MAX];
    size_t value_count;
    size_t message_count, items_per_message;
};

struct bench_messages {
    uint8_t *bytes;
    size_t *starts; /* count + 1 of them */
    size_t count;
};

void bench_messages_pack(const struct bench_plan *plan, struct bench_messages *messages_out);
void bench_messages_free(struct bench_messages *messages);

static inline struct ca_bytes bench_message(const struct bench_messages *messages, size_t i)
{
    return ca_bytes_of(messages->bytes + messages->starts[i],
                       messages->starts[i + 1] - messages->starts[i]);
}
