/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/rules/validity.h"

#include "ca/base/time.h"

static int64_t start_of_day(int64_t time_s)
{
    struct ca_civil day = ca_civil_from_unix(time_s, CA_UTC_PLUS_8_S);

    day.hour = day.minute = day.second = 0;
    return ca_civil_to_unix(day, CA_UTC_PLUS_8_S);
}

/* 23:59:59 of the day so many months after the one that time_s is in. */
static int64_t end_of_day_after(int64_t time_s, uint32_t months)
{
    struct ca_civil day = ca_civil_from_unix(time_s, CA_UTC_PLUS_8_S);

    day = ca_civil_add_months(day, months);
    day.hour = 23;
    day.minute = day.second = 59;
    return ca_civil_to_unix(day, CA_UTC_PLUS_8_S);
}

struct rules_validity rules_validity(enum rules_validity_kind kind, enum rules_operation operation,
                                     int64_t issued_s, int64_t old_not_after_s, uint32_t term)
{
    bool is_civil = kind == RULES_VALIDITY_CIVIL;
    /* notAfter belongs to the validity: in its very second a certificate has not expired. */
    bool extends = operation == RULES_RENEW && issued_s <= old_not_after_s;
    struct rules_validity validity = {
        .not_before_s = is_civil ? start_of_day(issued_s) : issued_s,
        .not_after_s = old_not_after_s,
    };

    if (operation == RULES_REPLACE || operation == RULES_CHANGE)
        return validity;
    if (is_civil)
        validity.not_after_s = end_of_day_after(extends ? old_not_after_s : issued_s, term);
    else
        validity.not_after_s = (extends ? old_not_after_s : issued_s - 1) + term;
    return validity;
}
