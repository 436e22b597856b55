/* SPDX-License-Identifier: Apache-2.0 */
/* progress: how far long work has come, in one line of a terminal; nothing anywhere else. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct progress {
    const char *what; /* "main.crl" */
    uint64_t total;
    uint64_t shown_ms; /* when the line was last written; of the monotonic clock */
    bool is_terminal, is_shown;
};

/* The line appears once the work has taken a while. */
void progress_begin(struct progress *progress, const char *what, uint64_t total);
void progress_at(struct progress *progress, uint64_t done);
/* Takes the line away. */
void progress_end(struct progress *progress);
