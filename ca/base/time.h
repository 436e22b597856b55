/* SPDX-License-Identifier: Apache-2.0 */
/*
 * time: civil dates and seconds, as pure functions (proleptic Gregorian calendar).
 *
 * Times are seconds since 1970-01-01T00:00:00Z without leap seconds. A civil time is
 * what a clock on the wall at a fixed distance from UTC shows: no daylight saving,
 * no time zone files, no localtime.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
    CA_DAY_S = 86400,
    CA_UTC_PLUS_8_S = 8 * 3600, /* China, without daylight saving since 1991 */
};

struct ca_civil {
    int32_t year;
    uint8_t month; /* 1 to 12 */
    uint8_t day;   /* 1 to 31 */
    uint8_t hour, minute, second;
};

/* offset_s is added to UTC: CA_UTC_PLUS_8_S for China. */
struct ca_civil ca_civil_from_unix(int64_t time_s, int32_t offset_s);
int64_t ca_civil_to_unix(struct ca_civil civil, int32_t offset_s);
bool ca_civil_is_valid(struct ca_civil civil);

uint8_t ca_civil_days_in_month(int32_t year, uint8_t month);
/* The same day n months later, or the last day of that month when it has no such day. */
struct ca_civil ca_civil_add_months(struct ca_civil civil, uint32_t months);
