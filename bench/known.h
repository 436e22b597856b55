/* SPDX-License-Identifier: Apache-2.0 */
/*
 * known: a file of certificates that exist, for benchmarks of what becomes of them. Written and
 * read on one machine, so it is plain memory.
 */
#pragma once

#include <stddef.h>

#include "ca/base/serial.h"

struct bench_known {
    uint64_t csr;  /* number of the request it was made for */
    uint64_t code; /* number that its unified social credit code was made from */
    struct ca_serial serial;
};

struct bench_known_list {
    struct bench_known *items;
    size_t count;
};

void bench_known_save(const char *path, const struct bench_known_list *list);
/* In random order. */
void bench_known_load(const char *path, struct bench_known_list *list_out);
void bench_known_free(struct bench_known_list *list);
