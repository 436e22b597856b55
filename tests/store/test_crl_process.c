/* SPDX-License-Identifier: Apache-2.0 */
/* Lists by the signer process: what asks it for a signature has the ticket for it. */
#include <stdio.h>
#include <stdlib.h>

#include "ca/keys/process.h"
#include "store/crl_file.h"
#include "tests/support/issuer.h"
#include "tests/support/sealed_keys.h"

static char dir[] = "/tmp/certmill-crl-process-XXXXXX";
static char path[128];
static struct keys_process *process;
static struct issuer issuer;

static void make(void)
{
    const struct keys_process_options options = {
        .keeper = { .signer = { .unseal = unseal, .key_count = KIND_COUNT, .lane_count = 1 },
                    .fds = { -1, -1, -1, -1 } },
    };

    open_all();
    check_ok(keys_process_fork(&options, &process));
    check_ok(keys_process_start(process));
    cr_assert(mkdtemp(dir) != NULL);
    snprintf(path, sizeof(path), "%s/list.crl", dir);
}

static void drop(void)
{
    keys_process_close(process);
    unlink(path);
    rmdir(dir);
    close_all();
}

TestSuite(crl_process, .init = make, .fini = drop, .timeout = 120);

/* A CA whose key is there. */
static void open_issuer(size_t kind)
{
    static const uint8_t name[] = { 0x30, 0x0d, 0x31, 0x0b, 0x30, 0x09, 0x06, 0x03,
                                    0x55, 0x04, 0x06, 0x13, 0x02, 'C',  'N' };
    const struct keys_signer_options checked = { .is_unchecked = false };

    issuer = (struct issuer){ .crypto = crypto, .sig = kinds[kind].sig };
    issuer.name = ca_bytes_of(name, sizeof(name));
    x509_key_id(&publics[kind], issuer.key_id);
    check_ok(crypto_own_key_new(&publics[kind], &issuer.own));
    check_ok(keys_signer_open_process(process, kind, &publics[kind], &checked, &issuer.signer));
}

static enum ca_err write_list(struct entries *entries)
{
    static const uint8_t number[] = { 7 };
    struct x509_crl_form form = issuer_form(&issuer, number);
    const struct store_publish_options options = { 0 };
    struct store_crl_made made;
    struct ca_refusal refusal;
    const struct store_crl_job job = {
        .form = &form,
        .source = { entries, entries_next, entries_rewind },
        .signer = issuer.signer,
        .crypto = crypto,
        .gate = { .key = issuer.own },
    };

    form.entries_len = entries->len;
    entries->at = 0;
    return store_crl_write(path, &job, &options, &made, &refusal);
}

Test(crl_process, every_kind_of_key_signs_lists_with_a_ticket)
{
    static const uint32_t counts[] = { 0, 3, 20000 };

    for (size_t kind = 0; kind < KIND_COUNT; kind++) {
        struct keys_signer_counts signed_counts;
        open_issuer(kind);
        for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
            struct entries entries = { 0 };
            entries_fill(&entries, 1, counts[i], 18);
            check_ok(write_list(&entries));
            entries_free(&entries);
        }
        keys_signer_count(issuer.signer, &signed_counts);
        cr_assert(signed_counts.signatures >= 3 && signed_counts.refused == 0);
        keys_signer_close(issuer.signer);
        crypto_own_key_free(issuer.own);
    }
}
