/* SPDX-License-Identifier: Apache-2.0 */
/* setting: a number that the environment may give a test: how long it runs, which seed it takes. */
#pragma once

#include <stdlib.h>

#include "ca/base/text.h"
#include "tests/support/check.h"

/* Decimal, and not 0; anything else fails the test. */
static inline uint64_t setting_number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    uint64_t number = otherwise;

    cr_assert(text == NULL || ca_text_to_number(text, 1, UINT64_MAX, &number), "%s=%s", name, text);
    return number;
}
