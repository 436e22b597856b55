/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <time.h>

#include "ca/base/text.h"
#include "ca/x509/csr.h"
#include "tools/chain.h"
#include "tools/command.h"
#include "tools/file.h"
#include "tools/instance.h"
#include "tools/pem.h"

/* The request that init made; its key is the CA's. */
static enum ca_err load_request(const char *path, struct ca_arena *arena, struct x509_csr *csr_out)
{
    struct ca_refusal refusal = { "", "" };
    struct pem_block block;
    uint8_t *data;
    size_t len;

    enum ca_err err = file_load(path, CHAIN_FILE_LEN_MAX, &data, &len);
    if (err != CA_OK)
        return err;
    struct ca_bytes text = ca_bytes_of(data, len);
    err = pem_next(&text, arena, &block);
    free(data);
    return err == CA_OK ? x509_csr_parse(block.der, csr_out, &refusal) : err;
}

struct import {
    struct ca_arena *arena;
    struct crypto *crypto;
    struct chain chain;
    struct x509_csr csr;
    const char *chain_path;
    char csr_path[PATH_MAX], pem_path[PATH_MAX];
};

static int check(struct import *import)
{
    struct ca_refusal refusal = { "", "" };
    uint8_t *data;
    size_t len;

    enum ca_err err = load_request(import->csr_path, import->arena, &import->csr);
    if (err != CA_OK)
        return command_failed("%s: %s", import->csr_path, file_err_text(err));
    err = file_load(import->chain_path, CHAIN_FILE_LEN_MAX, &data, &len);
    if (err != CA_OK)
        return command_failed("%s: %s", import->chain_path, strerror(errno));
    err = chain_parse(ca_bytes_of(data, len), import->arena, &import->chain, &refusal);
    free(data);
    if (err == CA_OK && !crypto_public_key_equal(&import->chain.certs[0].key, &import->csr.key))
        return command_failed("%s: certificate 1: its key is not the key of the request",
                              import->chain_path);
    if (err == CA_OK)
        err = chain_check(&import->chain, import->crypto, import->arena, &refusal);
    if (err == CA_OK)
        err = chain_check_dates(&import->chain, (int64_t)time(NULL), import->arena, &refusal);
    if (err != CA_OK)
        return command_failed("%s: %s: %s", import->chain_path, refusal.field, refusal.rule);
    return EXIT_SUCCESS;
}

/* Only what was checked is written, in the order it was checked. */
static int install(const struct import *import)
{
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);

    if (to == NULL)
        return command_failed("out of memory");
    for (size_t i = 0; i < import->chain.count; i++)
        pem_write(to, "CERTIFICATE", import->chain.certs[i].whole);
    enum ca_err err = fclose(to) == 0
                          ? file_save(import->pem_path, ca_bytes_of(text, len), 0644, true)
                          : CA_ERR_NOMEM;
    free(text);
    if (err != CA_OK)
        return command_failed("%s: %s", import->pem_path, strerror(errno));
    printf("installed %s: %zu certificate%s\n", import->pem_path, import->chain.count,
           ca_text_plural(import->chain.count));
    return EXIT_SUCCESS;
}

int cmd_ca_import(int argc, char **argv)
{
    static const char about[] =
        "\nBrings the answer of an outer root to the request DIR/ca/NAME.csr. CHAIN holds PEM\n"
        "certificates: the CA's own first, each followed by its issuer, up to the root.\n"
        "Keys, signatures, dates, CA rights and path lengths are checked; then the chain is\n"
        "installed. A running daemon reads it when it starts again.\n";
    struct command_line line = { .usage = "ca import DIR NAME CHAIN", .about = about };
    int exit_code = EXIT_FAILURE;

    if (!command_line_parse(&line, argc, argv, NULL, NULL, &exit_code))
        return exit_code;
    if (line.argc != 3)
        return command_wrong("ca import takes a folder, the name of a CA and a file");
    if (!instance_name_is_good(line.argv[1]))
        return command_wrong("%s is not the name of a CA", line.argv[1]);

    struct import *import = calloc(1, sizeof(*import));
    if (import == NULL || ca_arena_new(1 << 16, 16 << 20, &import->arena) != CA_OK ||
        crypto_open(&import->crypto) != CA_OK) {
        exit_code = command_failed("out of memory");
    } else {
        import->chain_path = line.argv[2];
        snprintf(import->csr_path, PATH_MAX, "%s/ca/%s.csr", line.argv[0], line.argv[1]);
        snprintf(import->pem_path, PATH_MAX, "%s/ca/%s.pem", line.argv[0], line.argv[1]);
        exit_code = check(import);
        if (exit_code == EXIT_SUCCESS)
            exit_code = install(import);
    }
    if (import != NULL) {
        crypto_close(import->crypto);
        ca_arena_free(import->arena);
    }
    free(import);
    return exit_code;
}
