/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/log.h"

#include <stdarg.h>
#include <stdio.h>

/* One write per line, so that lines of several threads do not mix. */
static void log_line(const char *level, const char *message, const char *pairs, va_list args)
{
    char line[1024];
    int len = snprintf(line, sizeof(line), "%s %s ", level, message);

    if (len < 0 || (size_t)len >= sizeof(line))
        return;
    int more = vsnprintf(line + len, sizeof(line) - (size_t)len, pairs, args);
    if (more < 0)
        return;
    fprintf(stderr, "%s\n", line);
}

#define LOG_LEVEL(name, level)                             \
    void name(const char *message, const char *pairs, ...) \
    {                                                      \
        va_list args;                                      \
        va_start(args, pairs);                             \
        log_line(level, message, pairs, args);             \
        va_end(args);                                      \
    }

LOG_LEVEL(log_error, "error")
LOG_LEVEL(log_warn, "warn")
LOG_LEVEL(log_info, "info")
