/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/progress.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { EVERY_MS = 200, BAR_LEN = 30 };

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void progress_begin(struct progress *progress, const char *what, uint64_t total)
{
    *progress = (struct progress){ .what = what,
                                   .total = total,
                                   .shown_ms = now_ms(),
                                   .is_terminal = isatty(STDERR_FILENO) == 1 };
}

void progress_at(struct progress *progress, uint64_t done)
{
    char bar[BAR_LEN + 1];

    if (!progress->is_terminal || progress->total == 0 || done > progress->total ||
        now_ms() < progress->shown_ms + EVERY_MS)
        return;
    progress->shown_ms = now_ms();
    progress->is_shown = true;
    for (unsigned i = 0; i < BAR_LEN; i++)
        bar[i] = (double)i < (double)done / (double)progress->total * BAR_LEN ? '#' : '.';
    bar[BAR_LEN] = '\0';
    fprintf(stderr, "\r%s  %s  %3.0f %%\033[K", progress->what, bar,
            100 * (double)done / (double)progress->total);
}

void progress_end(struct progress *progress)
{
    if (progress->is_shown)
        fputs("\r\033[K", stderr);
    progress->is_shown = false;
}
