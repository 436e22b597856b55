/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_messages: requests packed ahead, so that sending them costs next to nothing.
 *
 * Every item has a request id of its own and, when issuing, a unified social credit code of its
 * own, with valid check characters. Requests are taken in order, and again from the start when
 * there are more items than requests. A renewal takes the code of the old certificate and the
 * request behind that of the old one, for its other key.
 */
#pragma once

#include "bench/csr_file.h"
#include "bench/known.h"

enum { BENCH_VALUE_COUNT_MAX = 8 };

/* A value the profile takes from the caller; the value "%uscc" is made for each item. */
struct bench_value {
    const char *name;
    const char *value;
};

enum bench_kind { BENCH_ISSUE, BENCH_RENEW, BENCH_REVOKE };

struct bench_plan {
    enum bench_kind kind;
    const struct bench_known_list *known; /* to be renewed or revoked, each once */
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
    uint64_t run; /* random: item n of an issue has the code of run + n */
};

/* The request of item `number`. */
struct ca_bytes bench_plan_csr(const struct bench_plan *plan, uint64_t number);

void bench_messages_pack(const struct bench_plan *plan, struct bench_messages *messages_out);
void bench_messages_free(struct bench_messages *messages);

static inline struct ca_bytes bench_message(const struct bench_messages *messages, size_t i)
{
    return ca_bytes_of(messages->bytes + messages->starts[i],
                       messages->starts[i + 1] - messages->starts[i]);
}
