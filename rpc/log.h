/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log: one line per event an operator acts on, to standard error; any thread.
 *
 * A constant message, then key=value pairs. Nothing secret, nothing per request.
 */
#pragma once

#define LOG_PRINTF __attribute__((format(printf, 2, 3)))

LOG_PRINTF void log_error(const char *message, const char *pairs, ...); /* wake someone */
LOG_PRINTF void log_warn(const char *message, const char *pairs, ...);
LOG_PRINTF void log_info(const char *message, const char *pairs, ...);
