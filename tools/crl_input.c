/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/crl_input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/command.h"
#include "tools/pem.h"

static enum ca_err map_file(const char *path, struct ca_bytes *bytes_out)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    enum ca_err err = CA_ERR_NOT_FOUND;

    if (fd < 0 || fstat(fd, &status) != 0) {
        command_failed("%s: %s", path, strerror(errno));
        goto out;
    }
    if (!S_ISREG(status.st_mode) || status.st_size == 0) {
        command_failed("%s: not a file with something in it", path);
        goto out;
    }
    void *memory = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (memory == MAP_FAILED) {
        command_failed("%s: %s", path, strerror(errno));
        goto out;
    }
    (void)madvise(memory, (size_t)status.st_size, MADV_SEQUENTIAL);
    *bytes_out = ca_bytes_of(memory, (size_t)status.st_size);
    err = CA_OK;
out:
    if (fd >= 0)
        close(fd);
    return err;
}

/* The first block of a list. */
static enum ca_err decode_pem(struct crl_input *input, struct ca_bytes *der_out)
{
    struct ca_bytes text = input->mapped;
    struct pem_block block;
    enum ca_err err = ca_arena_new(1 << 16, 4096 + 2 * text.len + (1 << 16), &input->arena);

    while (err == CA_OK && (err = pem_next(&text, input->arena, &block)) == CA_OK) {
        if (strcmp(block.label, "X509 CRL") == 0) {
            *der_out = block.der;
            return CA_OK;
        }
    }
    command_failed("%s: no DER, and no PEM block of a CRL", input->path);
    return err == CA_ERR_NOMEM ? err : CA_ERR_CRL_PARSE;
}

enum ca_err crl_input_open(const char *path, struct crl_input *input)
{
    struct ca_refusal refusal;
    struct ca_bytes der;
    enum ca_err err;

    *input = (struct crl_input){ .path = path };
    if ((err = map_file(path, &input->mapped)) != CA_OK)
        return err;
    der = input->mapped;
    if (der.data[0] != DER_SEQUENCE && (err = decode_pem(input, &der)) != CA_OK)
        return err;
    if ((err = x509_crl_parse(der, &input->crl, &refusal)) != CA_OK)
        command_failed("%s: %s: %s (%s, %s)", path, ca_err_name(err), ca_err_text(err),
                       refusal.field, refusal.rule);
    return err;
}

int crl_input_exit(enum ca_err err)
{
    return err == CA_OK ? EXIT_SUCCESS : err == CA_ERR_NOT_FOUND ? EXIT_USAGE : EXIT_FAILURE;
}

void crl_input_close(struct crl_input *input)
{
    free(input->order);
    ca_arena_free(input->arena);
    if (input->mapped.data != NULL)
        munmap((void *)(uintptr_t)input->mapped.data, input->mapped.len);
    *input = (struct crl_input){ 0 };
}

/* ---- order */

/* How many entries there are, and whether they ascend. */
static enum ca_err survey(const struct crl_input *input, size_t *count_out, bool *is_sorted_out)
{
    struct x509_crl_cursor cursor = x509_crl_entries(&input->crl);
    struct x509_crl_entry entry;
    struct ca_bytes last = { 0 };
    struct ca_refusal refusal;
    enum ca_err err;

    *count_out = 0;
    *is_sorted_out = true;
    for (; !x509_crl_at_end(&cursor); ++*count_out) {
        if ((err = x509_crl_next(&cursor, &entry, &refusal)) != CA_OK) {
            command_failed("%s: entry %zu: %s: %s (%s, %s)", input->path, *count_out + 1,
                           ca_err_name(err), ca_err_text(err), refusal.field, refusal.rule);
            return err;
        }
        if (last.len > 0 && x509_crl_serial_compare(last, entry.serial) > 0)
            *is_sorted_out = false;
        last = entry.serial;
    }
    return CA_OK;
}

/* The serial number of an entry that was read before. */
static struct ca_bytes serial_at(const uint8_t *entry)
{
    const uint8_t *at = entry + (entry[1] < 0x80 ? 2 : 2 + (entry[1] & 0x7f));

    return ca_bytes_of(at + 2, at[1]);
}

static int compare_at(const void *a, const void *b, void *entries)
{
    const uint8_t *base = entries;

    return x509_crl_serial_compare(serial_at(base + *(const uint32_t *)a),
                                   serial_at(base + *(const uint32_t *)b));
}

enum ca_err crl_input_side(struct crl_input *input, struct rules_crl_side *side_out)
{
    struct x509_crl_cursor cursor = x509_crl_entries(&input->crl);
    const uint8_t *base = cursor.at;
    struct x509_crl_entry entry;
    struct ca_refusal refusal;
    size_t count;
    bool is_sorted;
    enum ca_err err = survey(input, &count, &is_sorted);

    *side_out = (struct rules_crl_side){ .crl = &input->crl };
    if (err != CA_OK || is_sorted)
        return err;
    if ((input->order = malloc(count * sizeof(*input->order))) == NULL)
        return CA_ERR_NOMEM;
    for (size_t i = 0; i < count; i++) {
        input->order[i] = (uint32_t)(cursor.at - base);
        if ((err = x509_crl_next(&cursor, &entry, &refusal)) != CA_OK)
            return err;
    }
    qsort_r(input->order, count, sizeof(*input->order), compare_at, (void *)(uintptr_t)base);
    input->order_count = count;
    side_out->order = input->order;
    side_out->order_count = count;
    return CA_OK;
}
