/* SPDX-License-Identifier: Apache-2.0 */
/* csr_file: the requests that certmill-csrs wrote. */
#pragma once

#include "bench/bench.h"
#include "ca/base/bytes.h"

struct bench_csrs {
    uint8_t *bytes; /* the file */
    struct ca_bytes *csrs;
    size_t count;
};

/* At most count_max requests; dies if there is none. */
void bench_csrs_load(const char *path, size_t count_max, struct bench_csrs *csrs_out);
void bench_csrs_free(struct bench_csrs *csrs);
