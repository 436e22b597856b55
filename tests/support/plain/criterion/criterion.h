/* SPDX-License-Identifier: Apache-2.0 */
/*
 * criterion: as much of Criterion's interface as our tests use, for ThreadSanitizer.
 *
 * Criterion's process arena and ThreadSanitizer claim the same addresses, so that no test starts.
 * Here each test is a forked child and nothing else. The tsan preset finds this header first.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct plain_options {
    int unused; /* so that a list of options may be empty */
    void (*init)(void);
    void (*fini)(void);
    double timeout; /* seconds; ten times as long is waited */
};

struct plain_test {
    struct plain_test *next;
    const char *suite;
    const char *name; /* NULL: options for the suite */
    void (*run)(void);
    struct plain_options options;
};

void plain_add(struct plain_test *test);
__attribute__((noreturn, format(printf, 4, 5))) void
plain_fail(const char *file, int line, const char *what, const char *format, ...);
__attribute__((noreturn)) void plain_skip(void);

#define Test(suite_, name_, ...)                                                       \
    static void suite_##_##name_##_run(void);                                          \
    __attribute__((constructor)) static void suite_##_##name_##_add(void)              \
    {                                                                                  \
        static struct plain_test test = { .suite = #suite_,                            \
                                          .name = #name_,                              \
                                          .run = suite_##_##name_##_run,               \
                                          .options = { .unused = 0, ##__VA_ARGS__ } }; \
        plain_add(&test);                                                              \
    }                                                                                  \
    static void suite_##_##name_##_run(void)

#define TestSuite(suite_, ...)                                                         \
    __attribute__((constructor)) static void suite_##_suite_add(void)                  \
    {                                                                                  \
        static struct plain_test test = { .suite = #suite_,                            \
                                          .options = { .unused = 0, ##__VA_ARGS__ } }; \
        plain_add(&test);                                                              \
    }                                                                                  \
    struct plain_test

#define cr_assert(condition, ...)                                        \
    do {                                                                 \
        if (!(condition))                                                \
            plain_fail(__FILE__, __LINE__, #condition, " " __VA_ARGS__); \
    } while (0)
#define cr_expect(...)              cr_assert(__VA_ARGS__)
#define cr_assert_not(c, ...)       cr_assert(!(c), ##__VA_ARGS__)
#define cr_assert_eq(a, b, ...)     cr_assert((a) == (b), ##__VA_ARGS__)
#define cr_assert_neq(a, b, ...)    cr_assert((a) != (b), ##__VA_ARGS__)
#define cr_assert_lt(a, b, ...)     cr_assert((a) < (b), ##__VA_ARGS__)
#define cr_assert_leq(a, b, ...)    cr_assert((a) <= (b), ##__VA_ARGS__)
#define cr_assert_gt(a, b, ...)     cr_assert((a) > (b), ##__VA_ARGS__)
#define cr_assert_geq(a, b, ...)    cr_assert((a) >= (b), ##__VA_ARGS__)
#define cr_assert_null(a, ...)      cr_assert((a) == NULL, ##__VA_ARGS__)
#define cr_assert_not_null(a, ...)  cr_assert((a) != NULL, ##__VA_ARGS__)
#define cr_assert_str_eq(a, b, ...) cr_assert(strcmp((a), (b)) == 0, ##__VA_ARGS__)
#define cr_assert_fail(...)         plain_fail(__FILE__, __LINE__, "failed", " " __VA_ARGS__)
#define cr_skip_test(...)           plain_skip()
#define cr_skip(...)                plain_skip()
