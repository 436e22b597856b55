/* SPDX-License-Identifier: Apache-2.0 */
/*
 * validity: from when until when a certificate is valid. Pure.
 *
 * CIVIL: civil days at UTC+8. A term of n months from day D runs from D 00:00:00 to the
 * same day n months later 23:59:59, or the last day of that month where it has no such day.
 * DURATION: exact seconds from the moment of issue; notAfter is inclusive (RFC 5280, section
 * 4.1.2.5), so the last second is one less.
 */
#pragma once

#include <stdint.h>

enum rules_operation { RULES_NEW, RULES_RENEW, RULES_REPLACE, RULES_CHANGE };
enum rules_validity_kind { RULES_VALIDITY_CIVIL, RULES_VALIDITY_DURATION };

struct rules_validity {
    int64_t not_before_s;
    int64_t not_after_s;
};

/*
 * issued_s: the moment of issue. old_not_after_s matters to RENEW (unexpired: the term is added to
 * it; expired: to the day of issue), REPLACE and CHANGE (kept). term: months for CIVIL, seconds for
 * DURATION; not looked at by REPLACE and CHANGE.
 */
struct rules_validity rules_validity(enum rules_validity_kind kind, enum rules_operation operation,
                                     int64_t issued_s, int64_t old_not_after_s, uint32_t term);
