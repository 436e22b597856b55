/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/passphrase.h"

#include <errno.h>
#include <stdio.h>

#include "ca/base/text.h"
#include "ca/keys/keys.h"

enum { PASSPHRASE_LEN_MIN = 8, PASSPHRASE_FD_MAX = 1 << 20, PASSPHRASE_PROMPT_SIZE = 256 };

/* ---- where from */

static bool has_room(size_t count, const char *what)
{
    if (count < PASSPHRASE_HALVES)
        return true;
    fprintf(stderr, "passphrase: two %s at most\n", what);
    return false;
}

bool passphrase_add_file(struct passphrase_source *source, const char *path)
{
    if (!has_room(source->count, "sources"))
        return false;
    source->halves[source->count++].file = path;
    return true;
}

bool passphrase_add_fd(struct passphrase_source *source, const char *number)
{
    uint64_t fd;

    if (!has_room(source->count, "sources"))
        return false;
    if (!ca_text_to_number(number, 0, PASSPHRASE_FD_MAX, &fd)) {
        fprintf(stderr, "passphrase: not a descriptor: %s\n", number);
        return false;
    }
    source->halves[source->count++].fd = (int)fd;
    return true;
}

bool passphrase_add_custodian(struct passphrase_source *source, const char *name)
{
    if (!has_room(source->custodian_count, "custodians"))
        return false;
    if (!ca_text_is_utf8(ca_bytes_of_text(name)) || name[0] == '\0' || strlen(name) > 64) {
        fputs("passphrase: a custodian has a name of 1 to 64 octets\n", stderr);
        return false;
    }
    source->custodians[source->custodian_count++] = name;
    return true;
}

/* ---- reading */

static enum ca_err prompt(const struct passphrase_source *source, size_t index, bool is_divided,
                          bool is_new, struct keys_secret *half_out)
{
    static const char *const which[] = { ", first half", ", second half" };
    char text[PASSPHRASE_PROMPT_SIZE];
    bool is_named = index < source->custodian_count;

    snprintf(text, sizeof(text),
             "%s of the CA keys%s%s%s%s: ", is_new ? "New passphrase" : "Passphrase",
             is_divided ? which[index] : "", is_named ? " (" : "",
             is_named ? source->custodians[index] : "", is_named ? ")" : "");
    return keys_secret_prompt(text, is_new, half_out);
}

static void complain(const char *file, enum ca_err err)
{
    int number = errno; /* of STORAGE */

    fprintf(stderr, "passphrase: %s%s%s\n", file == NULL ? "" : file, file == NULL ? "" : ": ",
            err == CA_ERR_FIELD_LENGTH ? "empty, or too long"
            : err == CA_ERR_DENIED     ? "the file must be yours and closed to all others"
            : err == CA_ERR_PASSPHRASE ? "not the same both times"
            : err == CA_ERR_STORAGE    ? strerror(number)
            : err != CA_ERR_NOT_FOUND  ? ca_err_text(err)
            : file == NULL ? "no terminal to ask for it; --passphrase-file or --passphrase-fd"
                           : "no such file");
}

static enum ca_err read_half(const struct passphrase_source *source, size_t index, bool is_divided,
                             bool is_new, struct keys_secret *half_out)
{
    const char *file = source->halves[index].file;
    enum ca_err err;

    if (source->count == 0)
        err = prompt(source, index, is_divided, is_new, half_out);
    else if (file != NULL)
        err = keys_secret_read_file(file, half_out);
    else
        err = keys_secret_read_fd(source->halves[index].fd, half_out);
    if (err != CA_OK) {
        complain(file, err);
        return err;
    }
    if (is_new && half_out->len < PASSPHRASE_LEN_MIN) {
        fprintf(stderr, "passphrase: at least %d characters%s\n", PASSPHRASE_LEN_MIN,
                is_divided ? " in each half" : "");
        keys_secret_wipe(half_out);
        return CA_ERR_FIELD_LENGTH;
    }
    return CA_OK;
}

static enum ca_err read_both(const struct passphrase_source *source, bool is_new,
                             struct keys_secret *passphrase_out)
{
    struct keys_secret first = { 0 }, second = { 0 };
    enum ca_err err;

    if ((err = read_half(source, 0, true, is_new, &first)) != CA_OK ||
        (err = read_half(source, 1, true, is_new, &second)) != CA_OK)
        goto out;
    if (is_new && keys_secret_equal(&first, &second)) {
        fputs("passphrase: the two halves must differ\n", stderr);
        err = CA_ERR_FIELD_FORMAT;
        goto out;
    }
    if ((err = keys_secret_join(&first, &second, passphrase_out)) != CA_OK)
        complain(NULL, err);
out:
    keys_secret_wipe(&first);
    keys_secret_wipe(&second);
    return err;
}

enum ca_err passphrase_read(const struct passphrase_source *source, bool is_new,
                            struct keys_secret *passphrase_out)
{
    *passphrase_out = (struct keys_secret){ 0 };
    if (source->is_divided && source->count == 1) {
        fputs("passphrase: the second half is missing\n", stderr);
        return CA_ERR_FIELD_LENGTH;
    }
    if (source->is_divided || source->count == PASSPHRASE_HALVES)
        return read_both(source, is_new, passphrase_out);
    return read_half(source, 0, false, is_new, passphrase_out);
}

enum ca_err passphrase_read_for(const struct passphrase_source *source, const char *key_path,
                                struct keys_secret *passphrase_out)
{
    struct passphrase_source asked = *source;
    struct keys_sealed_info info;

    if (source->count == 0 && keys_sealed_inspect(key_path, &info) == CA_OK)
        asked.is_divided = info.is_divided;
    return passphrase_read(&asked, false, passphrase_out);
}
