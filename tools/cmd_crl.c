/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/cmd_crl.h"

#include <stdlib.h>

#include "ca/base/text.h"

/* clang-format off */
static const struct command CRL_COMMANDS[] = {
    { "show",   "FILE",               "what is in a CRL",                     cmd_crl_show },
    { "verify", "FILE --issuer CERT", "signature and rules; exit code 1: no", cmd_crl_verify },
    { "diff",   "OLD NEW",            "what is new, gone or changed",         cmd_crl_diff },
    { "list",   "[--ca NAME]",        "the CRLs that are published, or were", cmd_crl_list },
    { "make",   "[--ca NAME]",        "makes CRLs now",                       cmd_crl_make },
    { "export", "[--ca NAME]",        "published CRLs, to files or a pipe",   cmd_crl_export },
};
/* clang-format on */
static const size_t CRL_COMMAND_COUNT = sizeof(CRL_COMMANDS) / sizeof(CRL_COMMANDS[0]);

static void usage(FILE *to)
{
    fprintf(to, "usage: certmill crl COMMAND [ARGUMENT...]\n\n");
    for (size_t i = 0; i < CRL_COMMAND_COUNT; i++)
        fprintf(to, "  %-7s %-20s %s\n", CRL_COMMANDS[i].name, CRL_COMMANDS[i].args,
                CRL_COMMANDS[i].help);
    fprintf(to, "\n  certmill crl COMMAND --help   the options of a command\n");
}

int cmd_crl(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";

    if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0) {
        usage(stdout);
        return EXIT_SUCCESS;
    }
    for (size_t i = 0; i < CRL_COMMAND_COUNT; i++) {
        if (strcmp(CRL_COMMANDS[i].name, name) == 0)
            return CRL_COMMANDS[i].run(argc - 1, argv + 1);
    }
    if (name[0] != '\0')
        command_wrong("crl: no such command: %s", name);
    usage(stderr);
    return EXIT_USAGE;
}

const char *crl_sig_name(enum crypto_sig sig)
{
    switch (sig) {
    case CRYPTO_SIG_ECDSA_SHA256: return "ecdsa-with-SHA256";
    case CRYPTO_SIG_ECDSA_SHA384: return "ecdsa-with-SHA384";
    case CRYPTO_SIG_ECDSA_SHA512: return "ecdsa-with-SHA512";
    case CRYPTO_SIG_RSA_SHA256: return "sha256WithRSAEncryption";
    case CRYPTO_SIG_RSA_SHA384: return "sha384WithRSAEncryption";
    case CRYPTO_SIG_RSA_SHA512: return "sha512WithRSAEncryption";
    case CRYPTO_SIG_PSS_SHA256: return "RSASSA-PSS with SHA-256";
    case CRYPTO_SIG_PSS_SHA384: return "RSASSA-PSS with SHA-384";
    case CRYPTO_SIG_PSS_SHA512: return "RSASSA-PSS with SHA-512";
    case CRYPTO_SIG_ED25519: return "Ed25519";
    case CRYPTO_SIG_SM2_SM3: return "SM2 with SM3";
    case CRYPTO_SIG_NONE: break;
    }
    return "none";
}

const char *crl_reason_text(const struct x509_crl_entry *entry)
{
    return x509_crl_reason_name(entry->reason);
}

void crl_hex(struct ca_bytes number, char text[CRL_HEX_LEN_MAX + 1])
{
    if (number.len > X509_CRL_NUMBER_LEN_MAX)
        number.len = X509_CRL_NUMBER_LEN_MAX;
    ca_text_hex(number, text);
}

void crl_count(uint64_t count, char text[CRL_COUNT_LEN])
{
    char digits[CRL_COUNT_LEN];
    int len = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)count);

    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            *text++ = ',';
        *text++ = digits[i];
    }
    *text = '\0';
}
