/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/keys/secret.h"

#include <fcntl.h>
#include <grp.h>
#include <openssl/crypto.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "ca/crypto/crypto.h"
#include "tests/support/check.h"

TestSuite(secret, .timeout = 60);
TestSuite(privileged, .timeout = 60);

/* The sanitizers take the place of mlock() and lock nothing. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { IS_LOCKING_FAKED = true };
#else
enum { IS_LOCKING_FAKED = false };
#endif

/* Runs the function in a process of its own, which may spoil itself; its answer is the exit. */
static int in_child(int (*run)(void))
{
    int status;
    pid_t child = fork();

    if (child == 0)
        _exit(run());
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status), "ended by signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}

/* ---- memory */

Test(secret, a_secret_is_writable_and_wiping_empties_it)
{
    struct keys_secret secret;

    check_ok(keys_secret_new(5000, &secret));
    cr_assert_eq(secret.len, 5000);
    memset(secret.data, 0xa5, secret.len);
    keys_secret_wipe(&secret);
    cr_assert(secret.data == NULL && secret.len == 0);
    keys_secret_wipe(&secret);
}

/* The pages of the secret, in /proc/self/smaps: locked, and left out of core dumps. */
Test(secret, the_pages_of_a_secret_are_locked_and_kept_out_of_dumps)
{
    struct keys_secret secret;
    FILE *maps = NULL;
    char line[512];
    bool is_inside = false, is_locked = false, is_undumped = false;

    if (IS_LOCKING_FAKED)
        cr_skip("locking is faked by the sanitizer");
    check_ok(keys_secret_new(100, &secret));
    cr_assert_not_null(maps = fopen("/proc/self/smaps", "r"));
    while (fgets(line, sizeof(line), maps) != NULL) {
        unsigned long start, end;
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
            is_inside = (unsigned long)secret.data >= start && (unsigned long)secret.data < end;
        if (is_inside && strncmp(line, "VmFlags:", 8) == 0) {
            is_locked = strstr(line, " lo") != NULL;
            is_undumped = strstr(line, " dd") != NULL;
        }
    }
    fclose(maps);
    cr_assert(is_locked && is_undumped);
    keys_secret_wipe(&secret);
}

/* Without the right to lock beyond a limit, and with a limit of nothing. */
static int forbid_locking(void)
{
    const struct rlimit nothing = { 0, 0 };

    return setrlimit(RLIMIT_MEMLOCK, &nothing) != 0 ||
           (geteuid() == 0 &&
            (setgroups(0, NULL) != 0 || setgid(65534) != 0 || setuid(65534) != 0));
}

static int secret_without_locking(void)
{
    struct keys_secret secret;

    if (forbid_locking())
        return 100;
    enum ca_err err = keys_secret_new(100, &secret);
    return secret.data != NULL ? 101 : (int)err;
}

Test(secret, a_secret_that_cannot_be_locked_is_not_made)
{
    if (IS_LOCKING_FAKED)
        cr_skip("locking is faked by the sanitizer");
    cr_assert_eq(in_child(secret_without_locking), CA_ERR_NOMEM);
}

/* ---- hardening */

static int harden(void)
{
    struct rlimit core;

    if (keys_harden_process() != CA_OK || keys_harden_process() != CA_OK)
        return 1;
    if (getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_cur != 0 || core.rlim_max != 0)
        return 2;
    if (prctl(PR_GET_DUMPABLE) != 0)
        return 3;
    return CRYPTO_secure_malloc_initialized() == 1 ? 0 : 4;
}

Test(secret, a_hardened_process_dumps_no_core_and_has_a_locked_heap)
{
    cr_assert_eq(in_child(harden), 0);
}

static int harden_without_locking(void)
{
    if (forbid_locking())
        return 100;
    enum ca_err err = keys_harden_process();
    return CRYPTO_secure_malloc_initialized() != 0 ? 101 : (int)err;
}

Test(secret, hardening_fails_when_the_heap_cannot_be_locked)
{
    cr_assert_eq(in_child(harden_without_locking), CA_ERR_KEY_UNUSABLE);
}

/* Criterion runs each test in a process of its own, so nobody has hardened this one. */
Test(secret, without_the_locked_heap_there_are_no_keys)
{
    struct crypto_private_key *key;

    for (int type = CRYPTO_KEY_P256; type <= CRYPTO_KEY_SM2; type++)
        check_err(crypto_private_key_generate((enum crypto_key_type)type, 2048, &key),
                  CA_ERR_KEY_UNUSABLE);
    cr_assert_null(key);
}

/* A process of the same user may not attach to a hardened one. */
static int harden_and_be_read(void)
{
    char name[64];

    if (geteuid() == 0 && (setgroups(0, NULL) != 0 || setgid(65534) != 0 || setuid(65534) != 0))
        return 100;
    if (keys_harden_process() != CA_OK)
        return 101;
    snprintf(name, sizeof(name), "/proc/%d/mem", (int)getpid());
    pid_t child = fork(); /* of the same user, and it may be dumped again */
    if (child == 0) {
        int fd = open(name, O_RDONLY);
        _exit(fd >= 0);
    }
    int status;
    return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : 102;
}

Test(secret, the_memory_of_a_hardened_process_is_closed_to_its_own_user)
{
    cr_assert_eq(in_child(harden_and_be_read), 0);
}

/* ---- passphrases */

/* A descriptor from which these octets can be read, and then the end. */
static int pipe_with(const char *text, size_t len)
{
    int ends[2];

    cr_assert_eq(pipe(ends), 0);
    cr_assert_eq(write(ends[1], text, len), (ssize_t)len);
    close(ends[1]);
    return ends[0];
}

static enum ca_err read_text(const char *text, size_t len, struct keys_secret *secret_out)
{
    int fd = pipe_with(text, len);
    enum ca_err err = keys_secret_read_fd(fd, secret_out);

    close(fd);
    return err;
}

Test(secret, the_first_line_of_a_descriptor_is_the_passphrase)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "open sesame\n", "open sesame" },
        { "open sesame", "open sesame" },
        { "one\ntwo\n", "one" },
        { " blanks stay \n", " blanks stay " },
        { "\xe5\xaf\x86\xe7\xa0\x81\n", "\xe5\xaf\x86\xe7\xa0\x81" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct keys_secret secret;
        check_ok(read_text(cases[i].text, strlen(cases[i].text), &secret));
        check_bytes(ca_bytes_of(secret.data, secret.len), ca_bytes_of_text(cases[i].want));
        keys_secret_wipe(&secret);
    }
}

Test(secret, what_follows_the_line_is_left_for_the_next_reader)
{
    int fd = pipe_with("one\ntwo\n", 8);
    struct keys_secret one, two, three;

    check_ok(keys_secret_read_fd(fd, &one));
    check_ok(keys_secret_read_fd(fd, &two));
    check_err(keys_secret_read_fd(fd, &three), CA_ERR_FIELD_LENGTH);
    check_bytes(ca_bytes_of(two.data, two.len), CA_BYTES("two"));
    keys_secret_wipe(&one);
    keys_secret_wipe(&two);
    close(fd);
}

Test(secret, empty_overlong_and_broken_passphrases_are_refused)
{
    char text[KEYS_PASSPHRASE_LEN_MAX + 2];
    struct keys_secret secret;

    memset(text, 'x', sizeof(text));
    check_ok(read_text(text, KEYS_PASSPHRASE_LEN_MAX, &secret));
    cr_assert_eq(secret.len, KEYS_PASSPHRASE_LEN_MAX);
    keys_secret_wipe(&secret);
    check_err(read_text(text, KEYS_PASSPHRASE_LEN_MAX + 1, &secret), CA_ERR_FIELD_LENGTH);
    check_err(read_text("", 0, &secret), CA_ERR_FIELD_LENGTH);
    check_err(read_text("\nsecond", 7, &secret), CA_ERR_FIELD_LENGTH);
    check_err(read_text("with\0nul\n", 9, &secret), CA_ERR_FIELD_FORMAT);
    check_err(keys_secret_read_fd(-1, &secret), CA_ERR_STORAGE);
    cr_assert(secret.data == NULL && secret.len == 0);
}

Test(secret, a_passphrase_file_must_be_closed_to_others)
{
    char path[] = "/tmp/certmill-test-XXXXXX";
    const mode_t open_modes[] = { 0440, 0404, 0620, 0601, 0666 };
    struct keys_secret secret;
    int fd = mkstemp(path);

    cr_assert_eq(write(fd, "open sesame\n", 12), 12);
    close(fd);
    check_ok(keys_secret_read_file(path, &secret));
    check_bytes(ca_bytes_of(secret.data, secret.len), CA_BYTES("open sesame"));
    keys_secret_wipe(&secret);
    for (size_t i = 0; i < sizeof(open_modes) / sizeof(open_modes[0]); i++) {
        cr_assert_eq(chmod(path, open_modes[i]), 0);
        if (geteuid() == 0 || (open_modes[i] & 0400) != 0)
            check_err(keys_secret_read_file(path, &secret), CA_ERR_DENIED);
    }
    unlink(path);
    check_err(keys_secret_read_file(path, &secret), CA_ERR_NOT_FOUND);
}

Test(privileged, a_passphrase_file_of_another_user_is_not_read)
{
    char path[] = "/tmp/certmill-test-XXXXXX";
    struct keys_secret secret;

    if (geteuid() != 0)
        cr_skip("only root gives files away");
    int fd = mkstemp(path);
    cr_assert_eq(write(fd, "open sesame\n", 12), 12);
    cr_assert_eq(fchown(fd, 65534, 65534), 0);
    close(fd);
    check_err(keys_secret_read_file(path, &secret), CA_ERR_DENIED);
    cr_assert_eq(chown(path, 0, 0), 0);
    check_ok(keys_secret_read_file(path, &secret));
    keys_secret_wipe(&secret);
    unlink(path);
}

/* ---- the prompt, on a terminal of its own */

struct prompt_case {
    const char *typed;
    bool is_confirmed;
    enum ca_err want;
    const char *want_text;
};

/* In the child: the answer of the prompt, told by the exit. */
static int prompt(const struct prompt_case *c)
{
    struct keys_secret secret;
    struct termios after;
    enum ca_err err = keys_secret_prompt("passphrase: ", c->is_confirmed, &secret);

    if (err != c->want)
        return 1;
    if (err == CA_OK &&
        !ca_bytes_equal(ca_bytes_of(secret.data, secret.len), ca_bytes_of_text(c->want_text)))
        return 2;
    keys_secret_wipe(&secret);
    return tcgetattr(STDIN_FILENO, &after) == 0 && (after.c_lflag & ECHO) != 0 ? 0 : 3;
}

/* Types line by line, each when it is asked for; collects everything that is shown. */
static void play(int terminal, const char *typed, char *shown, size_t size)
{
    size_t len = 0, asked = 0;

    for (ssize_t got; len + 1 < size && (got = read(terminal, shown + len, size - 1 - len)) > 0;) {
        len += (size_t)got;
        shown[len] = '\0';
        size_t questions = 0;
        for (const char *at = shown; (at = strchr(at, ':')) != NULL; at++)
            questions++;
        for (; asked < questions; asked++) {
            size_t line = strcspn(typed, "\n") + 1;
            cr_assert_eq(write(terminal, typed, line), (ssize_t)line);
            typed += line;
        }
    }
    shown[len] = '\0';
}

Test(secret, the_prompt_shows_nothing_and_restores_the_terminal)
{
    static const struct prompt_case cases[] = {
        { "open sesame\n", false, CA_OK, "open sesame" },
        { "open sesame\nopen sesame\n", true, CA_OK, "open sesame" },
        { "open sesame\nopen sesam\n", true, CA_ERR_PASSPHRASE, NULL },
        { "open sesame\nopen sesamE\n", true, CA_ERR_PASSPHRASE, NULL },
        { "\n", false, CA_ERR_FIELD_LENGTH, NULL },
        { "open sesame\n\n", true, CA_ERR_FIELD_LENGTH, NULL },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char shown[1024];
        int terminal, status;
        pid_t child = forkpty(&terminal, NULL, NULL, NULL);
        if (child == 0)
            _exit(prompt(&cases[i]));
        cr_assert_geq(child, 0);
        play(terminal, cases[i].typed, shown, sizeof(shown));
        close(terminal);
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_assert(WIFEXITED(status));
        cr_assert_eq(WEXITSTATUS(status), 0, "case %zu: %d", i, WEXITSTATUS(status));
        cr_assert_not_null(strstr(shown, "passphrase: "));
        cr_assert_null(strstr(shown, "sesam"), "it was shown: %s", shown);
    }
}

static int prompt_without_terminal(void)
{
    struct keys_secret secret;

    if (setsid() < 0)
        return 100;
    return (int)keys_secret_prompt("passphrase: ", false, &secret);
}

Test(secret, without_a_terminal_there_is_no_prompt)
{
    cr_assert_eq(in_child(prompt_without_terminal), CA_ERR_NOT_FOUND);
}
