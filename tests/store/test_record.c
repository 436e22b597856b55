/* SPDX-License-Identifier: Apache-2.0 */
#include "store/record.h"

#include "tests/support/store.h"

enum { VALUE_MAX = STORE_CERTIFICATE_RECORD_MAX };

static uint8_t value[VALUE_MAX + 1];
static uint8_t again[VALUE_MAX + 1];
static uint8_t der[CA_CERTIFICATE_LEN_MAX];

/* Decodes a record of any table, and encodes it again: into `again`. */
static enum ca_err recode(enum store_table table, struct ca_bytes key, struct ca_bytes bytes,
                          struct ca_bytes *again_out)
{
    struct store_certificate certificate;
    struct store_intent intent;
    struct store_change_record change;
    struct store_audit_entry entry;
    uint8_t chain[STORE_CHAIN_LEN] = { 42 };
    enum ca_err err = CA_ERR_INTERNAL;

    *again_out = ca_bytes_of(again, 0);
    switch (table) {
    case STORE_TABLE_CERTIFICATES:
        if ((err = store_record_decode_certificate(key, bytes, &certificate)) == CA_OK) {
            store_record_encode_certificate(&certificate, again);
            again_out->len = store_record_certificate_len(&certificate);
        }
        break;
    case STORE_TABLE_INTENTS:
        if ((err = store_record_decode_intent(key, bytes, &intent)) == CA_OK) {
            store_record_encode_intent(&intent, again);
            again_out->len = STORE_INTENT_LEN;
        }
        break;
    case STORE_TABLE_CHANGES:
        if ((err = store_record_decode_change(key, bytes, &change)) == CA_OK) {
            store_record_encode_change(&change, again);
            again_out->len = store_record_change_len(&change);
        }
        break;
    case STORE_TABLE_AUDIT:
        if ((err = store_record_decode_audit(key, bytes, chain, &entry)) == CA_OK) {
            store_record_encode_audit(entry.sequence, &entry.audit, chain, again);
            again_out->len = store_record_audit_len(&entry.audit);
        }
        break;
    default: break;
    }
    return err;
}

struct sample {
    enum store_table table;
    uint8_t key[CA_SERIAL_LEN];
    size_t key_len;
    size_t len;
};

enum { SAMPLES = 6 };

/* A record of every kind, into value. */
static struct sample make_sample(int number)
{
    static const enum store_table tables[SAMPLES] = {
        STORE_TABLE_CERTIFICATES, STORE_TABLE_INTENTS, STORE_TABLE_CHANGES,
        STORE_TABLE_CHANGES,      STORE_TABLE_AUDIT,   STORE_TABLE_AUDIT,
    };
    struct sample sample = { .table = tables[number], .key_len = CA_SERIAL_LEN };
    struct ca_serial serial = test_serial(1234567);
    struct store_certificate certificate = test_certificate(1234567, der);
    struct store_intent intent = test_intent(1234567);
    struct store_change_record change = {
        .change = { 77, 88, serial, STORE_STATE_NONE, STORE_STATE_VALID },
        .is_added = number == 2,
        .digests = { { { 0 } } },
    };
    struct store_audit audit = test_audit(&serial, 99);
    uint8_t chain[STORE_CHAIN_LEN] = { 42 };

    memcpy(sample.key, serial.bytes, CA_SERIAL_LEN);
    if (number == 0) {
        store_record_encode_certificate(&certificate, value);
        sample.len = store_record_certificate_len(&certificate);
        return sample;
    }
    if (number == 1) {
        store_record_encode_intent(&intent, value);
        sample.len = STORE_INTENT_LEN;
        return sample;
    }
    sample.key_len = STORE_SEQUENCE_LEN;
    store_record_sequence_key(77, sample.key);
    if (number <= 3) {
        if (change.is_added)
            change.digests[1] = test_digest('x', 1);
        store_record_encode_change(&change, value);
        sample.len = store_record_change_len(&change);
        return sample;
    }
    if (number == 5)
        audit = (struct store_audit){ .kind = STORE_AUDIT_STARTED };
    store_record_encode_audit(77, &audit, chain, value);
    sample.len = store_record_audit_len(&audit);
    return sample;
}

Test(record, what_was_encoded_decodes_to_the_same)
{
    for (int i = 0; i < SAMPLES; i++) {
        struct sample sample = make_sample(i);
        struct ca_bytes got;
        check_ok(recode(sample.table, ca_bytes_of(sample.key, sample.key_len),
                        ca_bytes_of(value, sample.len), &got));
        check_bytes(got, ca_bytes_of(value, sample.len));
    }
}

Test(record, every_flipped_bit_is_noticed)
{
    struct ca_bytes got;

    for (int i = 0; i < SAMPLES; i++) {
        struct sample sample = make_sample(i);
        for (size_t bit = 0; bit < 8 * sample.len; bit++) {
            value[bit / 8] ^= (uint8_t)(1u << bit % 8);
            check_err(recode(sample.table, ca_bytes_of(sample.key, sample.key_len),
                             ca_bytes_of(value, sample.len), &got),
                      CA_ERR_STORAGE_CORRUPT);
            value[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        for (size_t bit = 0; bit < 8 * sample.key_len; bit++) {
            sample.key[bit / 8] ^= (uint8_t)(1u << bit % 8);
            check_err(recode(sample.table, ca_bytes_of(sample.key, sample.key_len),
                             ca_bytes_of(value, sample.len), &got),
                      CA_ERR_STORAGE_CORRUPT);
            sample.key[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
}

Test(record, every_other_length_is_noticed)
{
    struct ca_bytes got;

    for (int i = 0; i < SAMPLES; i++) {
        struct sample sample = make_sample(i);
        for (size_t len = 0; len <= sample.len + 1; len++)
            if (len != sample.len)
                check_err(recode(sample.table, ca_bytes_of(sample.key, sample.key_len),
                                 ca_bytes_of(value, len), &got),
                          CA_ERR_STORAGE_CORRUPT);
        for (size_t len = 0; len < sample.key_len; len++)
            check_err(recode(sample.table, ca_bytes_of(sample.key, len),
                             ca_bytes_of(value, sample.len), &got),
                      CA_ERR_STORAGE_CORRUPT);
    }
}

Test(record, a_record_of_another_table_is_refused)
{
    struct ca_bytes got;

    for (int i = 0; i < 4; i++) {
        struct sample sample = make_sample(i);
        for (int table = STORE_TABLE_CERTIFICATES; table < STORE_TABLE_COUNT; table++)
            if (table != (int)sample.table)
                check_err(recode((enum store_table)table, ca_bytes_of(sample.key, sample.key_len),
                                 ca_bytes_of(value, sample.len), &got),
                          CA_ERR_STORAGE_CORRUPT);
    }
}

/* Damage that comes with a right digest: another version of the program, or a bug. */
Test(record, a_sealed_record_of_wrong_contents_is_refused)
{
    static const struct {
        int sample;
        size_t at;
        uint8_t octet;
    } cases[] = {
        { 0, 0, 2 }, { 1, 0, 0 },  { 2, 0, 9 },  { 2, 1, 0 },  { 2, 1, 2 },
        { 3, 1, 1 }, { 3, 28, 4 }, { 3, 29, 4 }, { 3, 10, 0 }, { 3, 10, 0x80 },
    };
    struct ca_bytes got;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sample sample = make_sample(cases[i].sample);
        struct ca_bytes key = ca_bytes_of(sample.key, sample.key_len);
        value[cases[i].at] = cases[i].octet;
        store_record_seal(sample.table, key, value, sample.len);
        enum ca_err err = recode(sample.table, key, ca_bytes_of(value, sample.len), &got);
        cr_assert(err == CA_ERR_STORAGE_CORRUPT, "case %zu", i);
    }
}

Test(record, a_certificate_of_the_largest_size_fits_and_none_larger_does)
{
    struct ca_serial serial = test_serial(5);
    struct store_certificate found, certificate = { .serial = serial };

    certificate.der = ca_bytes_of(der, CA_CERTIFICATE_LEN_MAX);
    store_record_encode_certificate(&certificate, value);
    check_ok(store_record_decode_certificate(
        ca_serial_bytes(&serial), ca_bytes_of(value, STORE_CERTIFICATE_RECORD_MAX), &found));
    check_bytes(found.der, certificate.der);
    store_record_seal(STORE_TABLE_CERTIFICATES, ca_serial_bytes(&serial), value, VALUE_MAX + 1);
    check_err(store_record_decode_certificate(ca_serial_bytes(&serial),
                                              ca_bytes_of(value, VALUE_MAX + 1), &found),
              CA_ERR_STORAGE_CORRUPT);
    cr_assert_null(found.der.data);
}

Test(record, the_head_and_the_identity_are_kept_and_guarded)
{
    struct store_head head = { 1, 2, { 3 }, 4 }, head_found;
    struct store_identity identity = { 1, 127, { 5, 6 } }, identity_found;

    store_record_encode_head(&head, value);
    check_ok(store_record_decode_head(ca_bytes_of(value, STORE_HEAD_LEN), &head_found));
    cr_assert(head_found.change_sequence == 1 && head_found.audit_sequence == 2 &&
              head_found.audit_head[0] == 3 && head_found.clock_us == 4);
    for (size_t bit = 0; bit < 8 * STORE_HEAD_LEN; bit++) {
        value[bit / 8] ^= (uint8_t)(1u << bit % 8);
        check_err(store_record_decode_head(ca_bytes_of(value, STORE_HEAD_LEN), &head_found),
                  CA_ERR_STORAGE_CORRUPT);
        value[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    store_record_encode_identity(&identity, value);
    check_ok(store_record_decode_identity(ca_bytes_of(value, STORE_IDENTITY_LEN), &identity_found));
    cr_assert(identity_found.schema == 1 && identity_found.instance == 127 &&
              identity_found.id[1] == 6);
    check_err(
        store_record_decode_identity(ca_bytes_of(value, STORE_IDENTITY_LEN - 1), &identity_found),
        CA_ERR_STORAGE_CORRUPT);
}
