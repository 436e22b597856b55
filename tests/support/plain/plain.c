/* SPDX-License-Identifier: Apache-2.0 */
/* plain: runs the tests of a program one after the other, each in a child of its own. */
#include <criterion/criterion.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SKIPPED = 77, TIMEOUT_DEFAULT_S = 60, PATIENCE = 10 };

static struct plain_test *first;

void plain_add(struct plain_test *test)
{
    test->next = first;
    first = test;
}

void plain_fail(const char *file, int line, const char *what, const char *format, ...)
{
    va_list args;

    fprintf(stderr, "%s:%d: %s", file, line, what);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\n");
    _exit(EXIT_FAILURE);
}

void plain_skip(void)
{
    _exit(SKIPPED);
}

/* What the test says, or else its suite. */
static struct plain_options options_of(const struct plain_test *test)
{
    struct plain_options options = test->options;

    for (const struct plain_test *other = first; other != NULL; other = other->next) {
        if (other->name != NULL || strcmp(other->suite, test->suite) != 0)
            continue;
        if (options.init == NULL)
            options.init = other->options.init;
        if (options.fini == NULL)
            options.fini = other->options.fini;
        if (options.timeout == 0)
            options.timeout = other->options.timeout;
    }
    return options;
}

/* exit, not _exit: the sanitizer reports and leaks are found on the way out. */
static void run_child(const struct plain_test *test)
{
    struct plain_options options = options_of(test);

    alarm((unsigned)(options.timeout == 0 ? TIMEOUT_DEFAULT_S : options.timeout) * PATIENCE);
    if (options.init != NULL)
        options.init();
    test->run();
    if (options.fini != NULL)
        options.fini();
    exit(EXIT_SUCCESS);
}

static bool is_wanted(const struct plain_test *test, const char *filter)
{
    char name[256];

    if (test->name == NULL)
        return false;
    snprintf(name, sizeof(name), "%s/%s", test->suite, test->name);
    return fnmatch(filter, name, FNM_EXTMATCH) == 0;
}

int main(int argc, char **argv)
{
    const char *filter = argc == 3 && strcmp(argv[1], "--filter") == 0 ? argv[2] : "*";
    int passed = 0, failed = 0, skipped = 0;

    for (const struct plain_test *test = first; test != NULL; test = test->next) {
        int status = 0;
        if (!is_wanted(test, filter))
            continue;
        fflush(NULL);
        pid_t child = fork();
        if (child == 0)
            run_child(test);
        if (child < 0 || waitpid(child, &status, 0) != child)
            return EXIT_FAILURE;
        bool is_passed = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
        bool is_skipped = WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED;
        if (!is_passed && !is_skipped)
            fprintf(stderr, "%s::%s failed, wait status %d\n", test->suite, test->name, status);
        passed += is_passed;
        skipped += is_skipped;
        failed += !is_passed && !is_skipped;
    }
    printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
