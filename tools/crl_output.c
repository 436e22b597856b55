/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/crl_output.h"

#include <errno.h>
#include <unistd.h>

#include "tools/command.h"
#include "tools/file.h"
#include "tools/pem.h"

enum { COPY_LEN = 1 << 16, LINE_LEN = 48, TEXT_SIZE = CRL_OUTPUT_LINES_LEN / 48 * 65 + 16 };

static const char BEGIN[] = "-----BEGIN X509 CRL-----\n";
static const char END[] = "-----END X509 CRL-----\n";

static enum ca_err failed(const struct crl_output *output, enum ca_err err)
{
    command_failed("%s: %s", output->path, ca_err_text(err));
    return err;
}

static enum ca_err put(struct crl_output *output, struct ca_bytes bytes)
{
    enum ca_err err = CA_OK;

    if (output->publish != NULL)
        err = store_publish_append(output->publish, bytes);
    else if (fwrite(bytes.data, 1, bytes.len, output->spool) != bytes.len)
        err = CA_ERR_STORAGE;
    return err == CA_OK ? CA_OK : failed(output, err);
}

static enum ca_err begin_text(struct crl_output *output)
{
    crypto_message_init_sha256(&output->digest);
    output->len = 0;
    output->lines_len = 0;
    return output->is_pem ? put(output, ca_bytes_of_text(BEGIN)) : CA_OK;
}

enum ca_err crl_output_begin(struct crl_output *output, const char *path, bool is_pem)
{
    const struct store_publish_options options = { 0 };
    enum ca_err err = CA_OK;

    *output = (struct crl_output){ .is_pem = is_pem };
    snprintf(output->path, sizeof(output->path), "%s", path);
    if (strcmp(path, "-") != 0 && !file_is_special(path))
        err = store_publish_begin(path, &options, &output->publish);
    else if ((output->spool = tmpfile()) == NULL)
        err = CA_ERR_STORAGE;
    return err == CA_OK ? begin_text(output) : failed(output, err);
}

static enum ca_err put_lines(struct crl_output *output)
{
    char text[TEXT_SIZE];
    FILE *to = fmemopen(text, sizeof(text), "w");

    if (to == NULL)
        return failed(output, CA_ERR_NOMEM);
    for (size_t i = 0; i < output->lines_len; i += LINE_LEN) {
        size_t left = output->lines_len - i;
        pem_write_base64(to, ca_bytes_of(output->lines + i, left < LINE_LEN ? left : LINE_LEN));
        fputc('\n', to);
    }
    long len = ftell(to);
    fclose(to);
    output->lines_len = 0;
    return put(output, ca_bytes_of(text, (size_t)len));
}

enum ca_err crl_output_append(struct crl_output *output, struct ca_bytes bytes)
{
    enum ca_err err = CA_OK;

    crypto_message_update(&output->digest, bytes);
    output->len += bytes.len;
    if (!output->is_pem)
        return put(output, bytes);
    while (bytes.len > 0 && err == CA_OK) {
        size_t room = CRL_OUTPUT_LINES_LEN - output->lines_len;
        size_t len = bytes.len < room ? bytes.len : room;
        memcpy(output->lines + output->lines_len, bytes.data, len);
        output->lines_len += len;
        bytes = ca_bytes_of(bytes.data + len, bytes.len - len);
        if (output->lines_len == CRL_OUTPUT_LINES_LEN)
            err = put_lines(output);
    }
    return err;
}

enum ca_err crl_output_restart(struct crl_output *output)
{
    enum ca_err err = CA_OK;

    if (output->publish != NULL)
        err = store_publish_restart(output->publish);
    else if (fseek(output->spool, 0, SEEK_SET) != 0 || ftruncate(fileno(output->spool), 0) != 0)
        err = CA_ERR_STORAGE;
    return err == CA_OK ? begin_text(output) : failed(output, err);
}

static enum ca_err copy_spool_to(struct crl_output *output, FILE *to)
{
    uint8_t buffer[COPY_LEN];
    size_t len;

    if (fseek(output->spool, 0, SEEK_SET) != 0)
        return CA_ERR_STORAGE;
    while ((len = fread(buffer, 1, sizeof(buffer), output->spool)) > 0) {
        if (fwrite(buffer, 1, len, to) != len)
            return CA_ERR_STORAGE;
    }
    return ferror(output->spool) == 0 && fflush(to) == 0 ? CA_OK : CA_ERR_STORAGE;
}

static enum ca_err copy_spool(struct crl_output *output)
{
    if (strcmp(output->path, "-") == 0)
        return copy_spool_to(output, stdout);
    FILE *to = fopen(output->path, "we");
    if (to == NULL)
        return CA_ERR_STORAGE;
    enum ca_err err = copy_spool_to(output, to);
    return fclose(to) == 0 ? err : CA_ERR_STORAGE;
}

enum ca_err crl_output_commit(struct crl_output *output, struct ca_bytes sha256)
{
    struct crypto_digest digest;
    enum ca_err err = CA_OK;

    crypto_message_final(&output->digest, &digest);
    if (!ca_bytes_equal(ca_bytes_of(digest.bytes, digest.len), sha256)) {
        command_failed("%s: what came is not the list that was recorded", output->path);
        return CA_ERR_STORAGE_CORRUPT;
    }
    if (output->is_pem && output->lines_len > 0)
        err = put_lines(output);
    if (err == CA_OK && output->is_pem)
        err = put(output, ca_bytes_of_text(END));
    if (err != CA_OK)
        return err;
    if (output->publish != NULL) {
        err = store_publish_commit(output->publish);
        output->publish = NULL;
    } else {
        err = copy_spool(output);
    }
    return err == CA_OK ? CA_OK : failed(output, err);
}

void crl_output_abort(struct crl_output *output)
{
    store_publish_abort(output->publish);
    if (output->spool != NULL)
        fclose(output->spool);
    output->publish = NULL;
    output->spool = NULL;
}
