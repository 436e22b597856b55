/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench: clocks, figures and options for the programs in this folder.
 *
 * A figure is one line "name<TAB>value<TAB>unit" on standard output; talk goes to standard
 * error. A benchmark that cannot measure dies: no figure is better than a wrong one.
 */
#pragma once

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "ca/base/err.h"
#include "ca/base/text.h"

enum { BENCH_ROUNDS = 9 }; /* odd: the median is one of them */

__attribute__((format(printf, 1, 2))) _Noreturn static inline void bench_die(const char *format,
                                                                             ...)
{
    va_list args;

    va_start(args, format);
    fputs("bench: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(EXIT_FAILURE);
}

/* Dies with the complaint. */
static inline void bench_must(bool is_fine, const char *complaint)
{
    if (!is_fine)
        bench_die("%s", complaint);
}

/* what: what was tried, or with which file. */
static inline void bench_must_ok(enum ca_err err, const char *what)
{
    if (err != CA_OK)
        bench_die("%s: %s", what, ca_err_text(err));
}

static inline uint64_t bench_clock_ns(clockid_t clock)
{
    struct timespec now;

    if (clock_gettime(clock, &now) != 0)
        bench_die("clock cannot be read");
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static inline uint64_t bench_now_ns(void)
{
    return bench_clock_ns(CLOCK_MONOTONIC);
}

static inline void bench_figure(const char *prefix, const char *name, double value,
                                const char *unit)
{
    printf("%s%s\t%.*f\t%s\n", prefix, name, value < 100 ? 3 : 1, value, unit);
    fflush(stdout);
}

static inline int bench_compare_double(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;

    return (a > b) - (a < b);
}

/* Sorts the values. */
static inline double bench_median(double *values, size_t count)
{
    qsort(values, count, sizeof(*values), bench_compare_double);
    return values[count / 2];
}

/*
 * CPU microseconds of one call, from at least span_ns of them; of this thread alone, so that a
 * neighbour on the processor does not count. Reading that clock costs as much as a short call,
 * so it is read ever more seldom.
 */
static inline double bench_call_us(uint64_t span_ns, void (*once)(void *arg), void *arg)
{
    uint64_t start_ns = bench_clock_ns(CLOCK_THREAD_CPUTIME_ID), taken_ns = 0, calls = 0;

    for (uint64_t turn = 1; taken_ns < span_ns; turn += (turn + 3) / 4) {
        for (uint64_t i = 0; i < turn; i++)
            once(arg);
        calls += turn;
        taken_ns = bench_clock_ns(CLOCK_THREAD_CPUTIME_ID) - start_ns;
    }
    return (double)taken_ns / (double)calls / 1000;
}

static inline uint64_t bench_number(const char *option, const char *text, uint64_t max)
{
    uint64_t number;

    if (!ca_text_to_number(text, 0, max, &number))
        bench_die("%s wants a number up to %llu", option, (unsigned long long)max);
    return number;
}
