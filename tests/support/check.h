/* SPDX-License-Identifier: Apache-2.0 */
/* check: assertions that print our own error text. */
#pragma once

#include <criterion/criterion.h>

#include "ca/base/bytes.h"
#include "ca/base/err.h"

#define check_err(expr, want)                                          \
    do {                                                               \
        enum ca_err got_ = (expr);                                     \
        cr_assert(got_ == (want), "%s: %s", #expr, ca_err_text(got_)); \
    } while (0)

#define check_ok(expr) check_err(expr, CA_OK)

#define check_bytes(got, want)                                                                 \
    do {                                                                                       \
        struct ca_bytes got_ = (got), want_ = (want);                                          \
        cr_assert(got_.len == want_.len, "%s: %zu bytes, not %zu", #got, got_.len, want_.len); \
        cr_assert(ca_bytes_equal(got_, want_), "%s: other bytes than expected", #got);         \
    } while (0)
