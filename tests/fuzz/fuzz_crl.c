/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_crl: a list is refused, or read to its end; what was read of an entry of ours writes it. */
#include <assert.h>

#include "ca/rules/crl_gate.h"
#include "ca/x509/crl_lint.h"

static void check_entry(const struct x509_crl_entry *entry)
{
    uint8_t buffer[X509_CRL_ENTRY_LEN_MAX];
    struct der_writer writer;

    if (entry->has_unknown || entry->has_critical ||
        (entry->has_reason && entry->reason == X509_CRL_UNSPECIFIED))
        return;
    der_writer_init(&writer, buffer, sizeof(buffer));
    assert(x509_crl_entry_write(&writer, entry) == CA_OK);
    /* Extensions may come in another order: the length is the same. */
    assert(der_writer_bytes(&writer).len == entry->whole.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct x509_crl_lint_context context = { .now_s = 1767225600 };
    struct x509_crl crl;
    struct x509_crl_entry entry;
    struct x509_crl_report report;
    struct rules_crl_difference difference;
    struct ca_refusal refusal;

    if (x509_crl_parse(ca_bytes_of(data, size), &crl, &refusal) != CA_OK)
        return 0;
    bool is_read = x509_crl_lint(&crl, &context, &report, &refusal) == CA_OK;
    const struct rules_crl_side side = { .crl = &crl };
    if (rules_crl_compare(&side, &side, NULL, NULL, &difference, &refusal) == CA_OK)
        assert(difference.added == 0 && difference.removed == 0 && difference.changed == 0);
    struct x509_crl_cursor cursor = x509_crl_entries(&crl);
    while (!x509_crl_at_end(&cursor) && x509_crl_next(&cursor, &entry, &refusal) == CA_OK)
        check_entry(&entry);
    assert(x509_crl_at_end(&cursor) == is_read);
    return 0;
}
