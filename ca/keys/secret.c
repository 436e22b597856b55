/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/keys/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <sodium.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "ca/crypto/memory.h"

enum {
    SECURE_HEAP_LEN = 1 << 20,
    SECURE_HEAP_PIECE_MIN = 16,
};

enum ca_err keys_harden_process(void)
{
    const struct rlimit no_core = { 0, 0 };

    if (setrlimit(RLIMIT_CORE, &no_core) != 0 || prctl(PR_SET_DUMPABLE, 0L) != 0)
        return CA_ERR_KEY_UNUSABLE;
    if (sodium_init() < 0)
        return CA_ERR_RANDOM;
    /* 2 means that the heap is there but could not be locked. */
    if (CRYPTO_secure_malloc_initialized() != 1 &&
        CRYPTO_secure_malloc_init(SECURE_HEAP_LEN, SECURE_HEAP_PIECE_MIN) != 1) {
        (void)CRYPTO_secure_malloc_done();
        return CA_ERR_KEY_UNUSABLE;
    }
    return crypto_memory_is_ready() ? CA_OK : CA_ERR_KEY_UNUSABLE;
}

enum ca_err keys_secret_new(size_t len, struct keys_secret *secret_out)
{
    *secret_out = (struct keys_secret){ 0 };
    if (sodium_init() < 0)
        return CA_ERR_RANDOM;

    uint8_t *data = sodium_malloc(len);
    if (data == NULL)
        return CA_ERR_NOMEM;
    /* sodium_malloc() does not tell when it could not lock; asking again does. */
    if (len > 0 && sodium_mlock(data, len) != 0) {
        sodium_free(data);
        return CA_ERR_NOMEM;
    }
    secret_out->data = data;
    secret_out->len = len;
    return CA_OK;
}

void keys_secret_wipe(struct keys_secret *secret)
{
    sodium_free(secret->data);
    *secret = (struct keys_secret){ 0 };
}

/* A copy of the first len octets, which replaces the secret. */
static enum ca_err shorten(struct keys_secret *secret, size_t len)
{
    struct keys_secret shorter;
    enum ca_err err = keys_secret_new(len, &shorter);

    if (err == CA_OK)
        memcpy(shorter.data, secret->data, len);
    keys_secret_wipe(secret);
    if (err == CA_OK)
        *secret = shorter;
    return err;
}

/* Octet by octet: what follows the line stays in the descriptor, for the next reader. */
static enum ca_err read_line(int fd, uint8_t *line, size_t size, size_t *len_out)
{
    size_t len = 0;

    *len_out = 0;
    for (;;) {
        uint8_t octet;
        ssize_t got = read(fd, &octet, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return CA_ERR_STORAGE;
        if (got == 0 || octet == '\n')
            break;
        if (octet == 0)
            return CA_ERR_FIELD_FORMAT;
        if (len == size)
            return CA_ERR_FIELD_LENGTH;
        line[len++] = octet;
        sodium_memzero(&octet, sizeof(octet));
    }
    *len_out = len;
    return len == 0 ? CA_ERR_FIELD_LENGTH : CA_OK;
}

enum ca_err keys_secret_read_fd(int fd, struct keys_secret *secret_out)
{
    struct keys_secret secret;
    size_t len;
    enum ca_err err = keys_secret_new(KEYS_PASSPHRASE_LEN_MAX, &secret);

    *secret_out = (struct keys_secret){ 0 };
    if (err != CA_OK)
        return err;
    if ((err = read_line(fd, secret.data, secret.len, &len)) != CA_OK) {
        keys_secret_wipe(&secret);
        return err;
    }
    if ((err = shorten(&secret, len)) == CA_OK)
        *secret_out = secret;
    return err;
}

enum ca_err keys_secret_read_file(const char *path, struct keys_secret *secret_out)
{
    struct stat status;
    enum ca_err err = CA_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

    *secret_out = (struct keys_secret){ 0 };
    if (fd < 0)
        return errno == ENOENT ? CA_ERR_NOT_FOUND : CA_ERR_STORAGE;
    if (fstat(fd, &status) != 0)
        err = CA_ERR_STORAGE;
    else if ((status.st_uid != geteuid() && status.st_uid != 0) ||
             (status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        err = CA_ERR_DENIED;
    else
        err = keys_secret_read_fd(fd, secret_out);
    (void)close(fd);
    return err;
}

enum ca_err keys_secret_join(const struct keys_secret *first, const struct keys_secret *second,
                             struct keys_secret *joined_out)
{
    *joined_out = (struct keys_secret){ 0 };
    if (first->len == 0 || second->len == 0)
        return CA_ERR_FIELD_LENGTH;
    enum ca_err err = keys_secret_new(first->len + 1 + second->len, joined_out);
    if (err != CA_OK)
        return err;
    memcpy(joined_out->data, first->data, first->len);
    joined_out->data[first->len] = 0;
    memcpy(joined_out->data + first->len + 1, second->data, second->len);
    return CA_OK;
}

bool keys_secret_equal(const struct keys_secret *a, const struct keys_secret *b)
{
    return a->len == b->len && (a->len == 0 || sodium_memcmp(a->data, b->data, a->len) == 0);
}

/* ---- the prompt */

static bool write_all(int fd, const char *text)
{
    for (size_t len = strlen(text); len > 0;) {
        ssize_t put = write(fd, text, len);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return false;
        text += put;
        len -= (size_t)put;
    }
    return true;
}

static enum ca_err ask(int tty, const char *prompt, struct keys_secret *secret_out)
{
    enum ca_err err = CA_ERR_STORAGE;

    *secret_out = (struct keys_secret){ 0 };
    if (write_all(tty, prompt))
        err = keys_secret_read_fd(tty, secret_out);
    (void)write_all(tty, "\n"); /* the one that was typed was not shown */
    return err;
}

static enum ca_err ask_twice(int tty, const char *prompt, struct keys_secret *secret_out)
{
    struct keys_secret again = { 0 };
    enum ca_err err = ask(tty, prompt, secret_out);

    if (err == CA_OK && (err = ask(tty, "once more: ", &again)) == CA_OK &&
        !keys_secret_equal(&again, secret_out))
        err = CA_ERR_PASSPHRASE;
    keys_secret_wipe(&again);
    if (err != CA_OK)
        keys_secret_wipe(secret_out);
    return err;
}

enum ca_err keys_secret_prompt(const char *prompt, bool is_confirmed,
                               struct keys_secret *secret_out)
{
    struct termios shown;
    sigset_t blocked, before;
    enum ca_err err;
    int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

    *secret_out = (struct keys_secret){ 0 };
    if (tty < 0)
        return CA_ERR_NOT_FOUND;
    if (tcgetattr(tty, &shown) != 0) {
        (void)close(tty);
        return CA_ERR_STORAGE;
    }
    /* Ctrl-C and Ctrl-Z wait until the terminal is as it was. */
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGINT);
    sigaddset(&blocked, SIGTSTP);
    sigaddset(&blocked, SIGQUIT);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_BLOCK, &blocked, &before);

    struct termios hidden = shown;
    hidden.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
    hidden.c_lflag |= ICANON;
    if (tcsetattr(tty, TCSAFLUSH, &hidden) != 0)
        err = CA_ERR_STORAGE;
    else
        err = is_confirmed ? ask_twice(tty, prompt, secret_out) : ask(tty, prompt, secret_out);
    (void)tcsetattr(tty, TCSAFLUSH, &shown);
    sigprocmask(SIG_SETMASK, &before, NULL);
    (void)close(tty);
    return err;
}
