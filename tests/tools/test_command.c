/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/support/check.h"

TestSuite(command);

/* Standard output is a pipe from here on, whose writer does not wait. */
static int pipe_output(void)
{
    int ends[2];

    fflush(stdout);
    cr_assert(pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0 && dup2(ends[1], STDOUT_FILENO) >= 0);
    return ends[0];
}

static void fill(void)
{
    static const char page[4096];
    ssize_t got = 1;

    while (got > 0)
        got = write(STDOUT_FILENO, page, sizeof(page));
    cr_assert(got < 0 && errno == EAGAIN);
}

static void drain(int from)
{
    static char page[4096];

    while (read(from, page, sizeof(page)) > 0)
        continue;
}

/* More than stdio keeps back. */
static void print_much(void)
{
    for (int i = 0; i < 10000; i++)
        printf("%d\n", i);
}

Test(command, output_that_arrived_is_no_error)
{
    pipe_output();
    printf("a line\n");
    cr_assert_null(command_unwritten());
}

Test(command, output_that_does_not_arrive_is_told_with_its_reason)
{
    pipe_output();
    fill();
    printf("a line\n");
    cr_assert_str_eq(command_unwritten(), strerror(EAGAIN));
}

Test(command, output_that_did_not_arrive_is_told_without_the_reason_of_something_else)
{
    int from = pipe_output();

    fill();
    print_much();
    cr_assert(ferror(stdout));
    drain(from);
    errno = EPERM; /* of whatever came after it */
    const char *why = command_unwritten();
    cr_assert_not_null(why);
    cr_assert_null(strstr(why, strerror(EPERM)));
}
