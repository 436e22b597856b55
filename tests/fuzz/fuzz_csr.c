/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_csr: a request that is taken lends only octets of itself, and its parts can be rewritten. */
#include <assert.h>
#include <stdlib.h>

#include "ca/x509/csr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_within(struct ca_bytes part, struct ca_bytes whole)
{
    assert(part.len == 0 ||
           (part.data >= whole.data && part.data + part.len <= whole.data + whole.len));
}

static void check_rewritten(const struct x509_csr *csr)
{
    static uint8_t buffer[CA_CSR_LEN_MAX];
    struct der_writer writer;

    der_writer_init(&writer, buffer, sizeof(buffer));
    x509_name_write(&writer, csr->subject.attributes, csr->subject.count);
    assert(ca_bytes_equal(der_writer_bytes(&writer), csr->subject.whole));
    der_writer_init(&writer, buffer, sizeof(buffer));
    x509_spki_write(&writer, &csr->key);
    assert(ca_bytes_equal(der_writer_bytes(&writer), csr->spki));
}

static void check_name_shown(const struct x509_csr *csr)
{
    struct ca_arena *arena;

    if (ca_arena_new(1 << 12, 1 << 20, &arena) != CA_OK)
        abort();
    struct ca_bytes text = x509_name_format(&csr->subject, arena);
    assert(text.data != NULL && strlen((const char *)text.data) == text.len);
    ca_arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct x509_csr csr;
    struct ca_refusal refusal = { 0 };
    struct ca_bytes der = ca_bytes_of(data, len);
    uint8_t id[20];

    if (x509_csr_parse(der, &csr, &refusal) != CA_OK) {
        assert(refusal.field != NULL && refusal.rule != NULL && csr.info.data == NULL);
        return 0;
    }
    check_within(csr.info, der);
    check_within(csr.spki, csr.info);
    check_within(csr.subject.whole, csr.info);
    check_within(csr.signature, der);
    check_within(csr.key.point, csr.spki);
    check_within(csr.key.modulus, csr.spki);
    check_within(csr.key.exponent, csr.spki);
    for (size_t i = 0; i < csr.extension_count; i++) {
        check_within(csr.extensions[i].value, csr.info);
        assert(der_check(csr.extensions[i].value) == CA_OK);
    }
    assert(crypto_sig_fits(csr.sig, csr.key.type));
    x509_key_id(&csr.key, id);
    check_rewritten(&csr);
    check_name_shown(&csr);
    return 0;
}
