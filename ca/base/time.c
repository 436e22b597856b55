/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/base/time.h"

/* Years are counted from March, so that the leap day is the last of its year. */
enum { DAYS_PER_ERA = 146097, YEARS_PER_ERA = 400, EPOCH_FROM_ERA_0 = 719468 };

static int64_t divide_down(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static int64_t days_from_civil(int32_t year, uint8_t month, uint8_t day)
{
    int64_t y = month > 2 ? year : (int64_t)year - 1;
    int64_t month_from_march = month > 2 ? month - 3 : month + 9;
    int64_t era = divide_down(y, YEARS_PER_ERA);
    int64_t year_of_era = y - era * YEARS_PER_ERA;
    int64_t day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * DAYS_PER_ERA + day_of_era - EPOCH_FROM_ERA_0;
}

static void civil_from_days(int64_t days, struct ca_civil *civil)
{
    days += EPOCH_FROM_ERA_0;
    int64_t era = divide_down(days, DAYS_PER_ERA);
    int64_t day_of_era = days - era * DAYS_PER_ERA;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;

    civil->day = (uint8_t)(day_of_year - (153 * month_from_march + 2) / 5 + 1);
    civil->month = (uint8_t)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
    civil->year = (int32_t)(year_of_era + era * YEARS_PER_ERA + (civil->month <= 2));
}

struct ca_civil ca_civil_from_unix(int64_t time_s, int32_t offset_s)
{
    struct ca_civil civil;
    int64_t local_s = time_s + offset_s;
    int64_t days = divide_down(local_s, CA_DAY_S);
    int64_t second_of_day = local_s - days * CA_DAY_S;

    civil_from_days(days, &civil);
    civil.hour = (uint8_t)(second_of_day / 3600);
    civil.minute = (uint8_t)(second_of_day / 60 % 60);
    civil.second = (uint8_t)(second_of_day % 60);
    return civil;
}

int64_t ca_civil_to_unix(struct ca_civil civil, int32_t offset_s)
{
    return days_from_civil(civil.year, civil.month, civil.day) * CA_DAY_S + civil.hour * 3600 +
           civil.minute * 60 + civil.second - offset_s;
}

uint8_t ca_civil_days_in_month(int32_t year, uint8_t month)
{
    static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return month == 2 && is_leap ? 29 : days[month - 1];
}

bool ca_civil_is_valid(struct ca_civil civil)
{
    return civil.month >= 1 && civil.month <= 12 && civil.day >= 1 &&
           civil.day <= ca_civil_days_in_month(civil.year, civil.month) && civil.hour < 24 &&
           civil.minute < 60 && civil.second < 60;
}

struct ca_civil ca_civil_add_months(struct ca_civil civil, uint32_t months)
{
    uint32_t month_index = civil.month - 1U + months;

    civil.year += (int32_t)(month_index / 12);
    civil.month = (uint8_t)(month_index % 12 + 1);
    uint8_t day_max = ca_civil_days_in_month(civil.year, civil.month);
    if (civil.day > day_max)
        civil.day = day_max;
    return civil;
}
