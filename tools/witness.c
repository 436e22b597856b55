/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/witness.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/command.h"
#include "tools/file.h"

enum { FILE_LEN_MAX = 1 << 30, TAIL_LEN = 2 * KEYS_NOTE_MAX };

bool witness_read(const Certmill__SignedHead *message, struct keys_signed_head *head_out)
{
    memset(head_out, 0, sizeof(*head_out));
    if (message->log.len != KEYS_HEAD_LOG_LEN || message->chain.len != CA_DIGEST_LEN ||
        message->key_id.len != KEYS_HEAD_KEY_ID_LEN ||
        message->signature.len != KEYS_HEAD_SIGNATURE_LEN || message->sequence == 0 ||
        message->sequence > INT64_MAX || message->time_us < 0)
        return false;
    memcpy(head_out->head.log, message->log.data, KEYS_HEAD_LOG_LEN);
    head_out->head.sequence = message->sequence;
    memcpy(head_out->head.chain, message->chain.data, CA_DIGEST_LEN);
    head_out->head.time_us = (uint64_t)message->time_us;
    memcpy(head_out->key_id, message->key_id.data, KEYS_HEAD_KEY_ID_LEN);
    memcpy(head_out->signature, message->signature.data, KEYS_HEAD_SIGNATURE_LEN);
    return true;
}

static bool is_of_log(const struct keys_head *a, const struct keys_head *b)
{
    return ca_bytes_equal(ca_bytes_of(a->log, KEYS_HEAD_LOG_LEN),
                          ca_bytes_of(b->log, KEYS_HEAD_LOG_LEN));
}

/* ---- keeping */

/* The last note in the file, of len octets. NOT_FOUND: there is none. */
static enum ca_err read_last(int fd, off_t len, struct keys_signed_head *head)
{
    char tail[TAIL_LEN];
    off_t from = len > TAIL_LEN ? len - TAIL_LEN : 0;
    size_t want = (size_t)(len - from);

    memset(head, 0, sizeof(*head));
    if (want == 0)
        return CA_ERR_NOT_FOUND;
    if (pread(fd, tail, want, from) != (ssize_t)want)
        return CA_ERR_STORAGE;
    /* It begins behind an empty line, as everything but the first does. */
    for (size_t at = want; at-- > 0;) {
        struct ca_bytes rest = ca_bytes_of(tail + at, want - at);
        bool is_start = at == 0 ? from == 0 : tail[at - 1] == '\n';
        if (is_start && keys_note_next(&rest, head) == CA_OK)
            return keys_note_next(&rest, &(struct keys_signed_head){ 0 }) == CA_ERR_NOT_FOUND
                       ? CA_OK
                       : CA_ERR_FIELD_FORMAT;
    }
    return CA_ERR_FIELD_FORMAT;
}

/* Whole or not at all. */
static enum ca_err append(int fd, off_t len, const struct keys_signed_head *head)
{
    char note[KEYS_NOTE_MAX + 2];
    size_t note_len = keys_note_write(head, note);

    note[note_len++] = '\n';
    if (pwrite(fd, note, note_len, len) == (ssize_t)note_len && fdatasync(fd) == 0)
        return CA_OK;
    int error = errno;
    if (ftruncate(fd, len) != 0)
        errno = error;
    return CA_ERR_STORAGE;
}

static void complain(const char *path, const struct keys_head *kept, const struct keys_head *told)
{
    if (!is_of_log(kept, told))
        command_failed("%s: keeps heads of another audit log", path);
    else
        command_failed("%s: the audit log was rolled back or replaced: a head of record %" PRIu64
                       " is told, other than that of record %" PRIu64 " which was kept before",
                       path, told->sequence, kept->sequence);
}

/* An older head may come late, by another answer; a newer one never goes back. */
static bool contradicts(const struct keys_head *kept, const struct keys_head *told)
{
    if (!is_of_log(kept, told))
        return true;
    if (told->sequence == kept->sequence)
        return !ca_bytes_equal(ca_bytes_of(kept->chain, CA_DIGEST_LEN),
                               ca_bytes_of(told->chain, CA_DIGEST_LEN));
    return told->sequence < kept->sequence && told->time_us > kept->time_us;
}

static enum ca_err keep_in(int fd, const char *path, const struct keys_signed_head *head)
{
    struct keys_signed_head last;
    struct stat status;

    if (flock(fd, LOCK_EX) != 0 || fstat(fd, &status) != 0)
        return CA_ERR_STORAGE;
    enum ca_err err = read_last(fd, status.st_size, &last);
    if (err == CA_ERR_NOT_FOUND)
        return append(fd, status.st_size, head);
    if (err != CA_OK)
        return err;
    if (contradicts(&last.head, &head->head))
        complain(path, &last.head, &head->head);
    else if (head->head.sequence > last.head.sequence)
        return append(fd, status.st_size, head);
    return CA_OK;
}

void witness_keep(const char *path, const struct keys_signed_head *head)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644);

    if (fd < 0) {
        command_failed("%s: %s", path, strerror(errno));
        return;
    }
    enum ca_err err = keep_in(fd, path, head);
    if (err != CA_OK)
        command_failed("%s: %s", path,
                       err == CA_ERR_FIELD_FORMAT ? "does not end with a kept head: none is added"
                                                  : strerror(errno));
    close(fd);
}

/* ---- all of it */

static enum ca_err parse_all(const char *path, struct ca_bytes text, struct keys_signed_head *heads,
                             size_t *count)
{
    enum ca_err err;

    for (;; (*count)++) {
        struct keys_signed_head *head = &heads[*count];
        if ((err = keys_note_next(&text, head)) == CA_ERR_NOT_FOUND)
            return CA_OK;
        if (err == CA_OK && *count > 0 &&
            (!is_of_log(&head->head, &head[-1].head) ||
             head->head.sequence <= head[-1].head.sequence))
            err = CA_ERR_FIELD_FORMAT;
        if (err != CA_OK) {
            command_failed("%s: head number %zu is none, of another log, or not above the one "
                           "before",
                           path, *count + 1);
            return err;
        }
    }
}

enum ca_err witness_load(const char *path, struct keys_signed_head **heads_out, size_t *count_out)
{
    enum { NOTE_LEN_MIN = 200 };
    uint8_t *text;
    size_t len;
    enum ca_err err = file_load(path, FILE_LEN_MAX, &text, &len);

    *heads_out = NULL;
    *count_out = 0;
    if (err != CA_OK) {
        command_failed("%s: %s", path, file_err_text(err));
        return err;
    }
    struct keys_signed_head *heads = calloc(len / NOTE_LEN_MIN + 1, sizeof(*heads));
    err = heads == NULL ? CA_ERR_NOMEM : parse_all(path, ca_bytes_of(text, len), heads, count_out);
    free(text);
    if (err == CA_OK && *count_out == 0) {
        command_failed("%s: no head is kept there", path);
        err = CA_ERR_NOT_FOUND;
    }
    if (err == CA_OK)
        *heads_out = heads;
    else
        free(heads);
    return err;
}
