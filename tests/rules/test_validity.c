/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/rules/validity.h"

#include <stdlib.h>
#include <time.h>

#include "ca/base/time.h"
#include "tests/support/check.h"
#include "tests/support/tsv.h"

static int64_t parse_civil(const char *text)
{
    struct tm tm = { 0 };

    if (strcmp(text, "-") == 0)
        return 0;
    cr_assert(strptime(text, "%Y-%m-%d %H:%M:%S", &tm) != NULL, "%s", text);
    return timegm(&tm) - CA_UTC_PLUS_8_S;
}

static enum rules_operation parse_operation(const char *text)
{
    static const char *const names[] = { "NEW", "RENEW", "REPLACE", "CHANGE" };

    for (unsigned i = 0; i < 4; i++) {
        if (strcmp(text, names[i]) == 0)
            return (enum rules_operation)i;
    }
    cr_assert_fail("operation %s", text);
    return RULES_NEW;
}

/* As RFC 5280, section 4.1.2.5 wants it written. */
static void format_der_time(int64_t time_s, char text[32])
{
    time_t t = (time_t)time_s;
    struct tm tm;

    gmtime_r(&t, &tm);
    strftime(text, 32, tm.tm_year < 150 ? "%y%m%d%H%M%SZ" : "%Y%m%d%H%M%SZ", &tm);
}

Test(validity, of_the_vectors_is_as_written)
{
    struct tsv tsv = tsv_open("validity.tsv");

    while (tsv_next(&tsv, 6)) {
        char not_before[32], not_after[32];
        struct rules_validity validity = rules_validity(
            RULES_VALIDITY_CIVIL, parse_operation(tsv.fields[0]), parse_civil(tsv.fields[2]),
            parse_civil(tsv.fields[3]), (uint32_t)strtoul(tsv.fields[1], NULL, 10));

        format_der_time(validity.not_before_s, not_before);
        format_der_time(validity.not_after_s, not_after);
        cr_assert_str_eq(not_before, tsv.fields[4], "line %u: %s", tsv.line, not_before);
        cr_assert_str_eq(not_after, tsv.fields[5], "line %u: %s", tsv.line, not_after);
    }
    cr_assert_geq(tsv.count, 22);
}

/* The C library's calendar: midnight in China of the day that holds time_s, months later. */
static int64_t midnight_after(int64_t time_s, int months)
{
    time_t local = (time_t)(time_s + CA_UTC_PLUS_8_S);
    struct tm tm;

    gmtime_r(&local, &tm);
    tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
    int year = tm.tm_year + (tm.tm_mon + months) / 12;
    int month = (tm.tm_mon + months) % 12;
    struct tm wanted = { .tm_year = year, .tm_mon = month, .tm_mday = tm.tm_mday };
    time_t day = timegm(&wanted); /* normalises 31 April to 1 May */
    if (wanted.tm_mon != month) {
        struct tm last = { .tm_year = year, .tm_mon = month + 1, .tm_mday = 0 };
        day = timegm(&last);
    }
    return day - CA_UTC_PLUS_8_S;
}

Test(validity, agrees_with_another_calendar_on_every_day_of_1970_to_2105)
{
    static const int months[] = { 1, 3, 6, 12, 13, 24, 36, 48, 60, 1200 };
    const int64_t end_s = 4291747200; /* 2106-01-01T00:00:00Z */
    int64_t second_of_day = 0;

    for (int64_t day_s = 0; day_s < end_s; day_s += CA_DAY_S) {
        int64_t issued_s = day_s + second_of_day;
        second_of_day = (second_of_day + 7919) % CA_DAY_S;
        for (size_t i = 0; i < sizeof(months) / sizeof(months[0]); i++) {
            int64_t end_of_term_s = midnight_after(issued_s, months[i]) + CA_DAY_S - 1;
            struct rules_validity fresh =
                rules_validity(RULES_VALIDITY_CIVIL, RULES_NEW, issued_s, 0, (uint32_t)months[i]);
            struct rules_validity extended =
                rules_validity(RULES_VALIDITY_CIVIL, RULES_RENEW, issued_s - 40 * CA_DAY_S,
                               issued_s, (uint32_t)months[i]);
            struct rules_validity late = rules_validity(RULES_VALIDITY_CIVIL, RULES_RENEW, issued_s,
                                                        issued_s - 1, (uint32_t)months[i]);

            cr_assert(fresh.not_before_s == midnight_after(issued_s, 0));
            cr_assert(fresh.not_after_s == end_of_term_s);
            cr_assert(extended.not_after_s == end_of_term_s);
            cr_assert(late.not_before_s == fresh.not_before_s);
            cr_assert(late.not_after_s == end_of_term_s);
        }
    }
}

Test(validity, on_civil_days_begins_and_ends_at_midnight_in_china)
{
    for (int64_t issued_s = 0; issued_s < 4000000000; issued_s += 86399 * 5) {
        struct rules_validity v = rules_validity(RULES_VALIDITY_CIVIL, RULES_NEW, issued_s, 0, 12);

        cr_assert(v.not_before_s % CA_DAY_S == 16 * 3600 || v.not_before_s == -8 * 3600);
        cr_assert(v.not_after_s % CA_DAY_S == 16 * 3600 - 1);
        cr_assert(v.not_before_s <= issued_s && issued_s < v.not_before_s + CA_DAY_S);
    }
}

Test(validity, of_a_duration_counts_its_last_second)
{
    struct rules_validity v =
        rules_validity(RULES_VALIDITY_DURATION, RULES_NEW, 1700000000, 0, 200 * CA_DAY_S);

    cr_assert(v.not_before_s == 1700000000);
    cr_assert(v.not_after_s - v.not_before_s + 1 == 200 * CA_DAY_S);
}

Test(validity, of_a_renewed_duration_is_added_to_the_old_end)
{
    struct rules_validity unexpired =
        rules_validity(RULES_VALIDITY_DURATION, RULES_RENEW, 1000, 1000, 60);
    struct rules_validity expired =
        rules_validity(RULES_VALIDITY_DURATION, RULES_RENEW, 1001, 1000, 60);

    cr_assert(unexpired.not_before_s == 1000 && unexpired.not_after_s == 1060);
    cr_assert(expired.not_before_s == 1001 && expired.not_after_s == 1060);
}

Test(validity, of_a_replacement_or_change_ends_with_the_original)
{
    const enum rules_operation operations[] = { RULES_REPLACE, RULES_CHANGE };
    const enum rules_validity_kind kinds[] = { RULES_VALIDITY_CIVIL, RULES_VALIDITY_DURATION };

    for (size_t i = 0; i < 4; i++) {
        struct rules_validity v =
            rules_validity(kinds[i % 2], operations[i / 2], 1700000000, 1712345678, 12);
        cr_assert(v.not_after_s == 1712345678);
    }
}
