/* SPDX-License-Identifier: Apache-2.0 */
#include <time.h>

#include "ca/base/time.h"
#include "tests/support/check.h"

TestSuite(time, .timeout = 30);

/* glibc's timegm and gmtime_r are the independent calendar. */
Test(time, every_day_from_1970_to_2105_agrees_with_the_c_library)
{
    const int64_t end_s = 4291747200; /* 2106-01-01 */

    for (int64_t at_s = 0; at_s < end_s; at_s += CA_DAY_S) {
        time_t noon = (time_t)(at_s + CA_DAY_S / 2 + at_s % 3599);
        struct tm tm;
        cr_assert(gmtime_r(&noon, &tm) != NULL);
        struct ca_civil civil = ca_civil_from_unix(noon, 0);
        cr_assert(civil.year == tm.tm_year + 1900 && civil.month == tm.tm_mon + 1 &&
                  civil.day == tm.tm_mday && civil.hour == tm.tm_hour &&
                  civil.minute == tm.tm_min && civil.second == tm.tm_sec);
        cr_assert(ca_civil_is_valid(civil));
        cr_assert(ca_civil_to_unix(civil, 0) == noon);
    }
}

Test(time, a_day_in_china_starts_at_sixteen_hours_of_the_day_before)
{
    struct ca_civil civil = { 2021, 11, 1, 0, 0, 0 };
    struct ca_civil utc = ca_civil_from_unix(ca_civil_to_unix(civil, CA_UTC_PLUS_8_S), 0);

    cr_assert(utc.month == 10 && utc.day == 31 && utc.hour == 16 && utc.minute == 0);
}

Test(time, months_are_added_to_the_same_day_or_the_last_of_the_month)
{
    struct ca_civil civil = ca_civil_add_months((struct ca_civil){ 2024, 2, 29, 1, 2, 3 }, 12);
    cr_assert(civil.year == 2025 && civil.month == 2 && civil.day == 28 && civil.second == 3);

    civil = ca_civil_add_months((struct ca_civil){ 2025, 11, 30, 0, 0, 0 }, 3);
    cr_assert(civil.year == 2026 && civil.month == 2 && civil.day == 28);

    civil = ca_civil_add_months((struct ca_civil){ 2027, 2, 28, 0, 0, 0 }, 12);
    cr_assert(civil.year == 2028 && civil.month == 2 && civil.day == 28);
}

Test(time, dates_that_do_not_exist_are_not_valid)
{
    cr_assert(!ca_civil_is_valid((struct ca_civil){ 2023, 2, 29, 0, 0, 0 }));
    cr_assert(ca_civil_is_valid((struct ca_civil){ 2000, 2, 29, 0, 0, 0 }));
    cr_assert(!ca_civil_is_valid((struct ca_civil){ 2100, 2, 29, 0, 0, 0 }));
    cr_assert(!ca_civil_is_valid((struct ca_civil){ 2023, 13, 1, 0, 0, 0 }));
    cr_assert(!ca_civil_is_valid((struct ca_civil){ 2023, 0, 1, 0, 0, 0 }));
    cr_assert(!ca_civil_is_valid((struct ca_civil){ 2023, 1, 1, 24, 0, 0 }));
}
