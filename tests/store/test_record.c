/* SPDX-License-Identifier: Apache-2.0 */
#include "store/record_status.h"

#include "ca/keys/head.h"
#include "tests/support/store.h"

enum { VALUE_MAX = STORE_PROFILE_LEN_MAX };

static uint8_t value[VALUE_MAX + 1];
static uint8_t again[VALUE_MAX + 1];
static uint8_t der[CA_CERTIFICATE_LEN_MAX];
static uint8_t content[CA_PROFILE_LEN_MAX + 1];

/* The tables of revocation, lines and CRLs. */
static enum ca_err recode_status(enum store_table table, struct ca_bytes key, struct ca_bytes bytes,
                                 struct ca_bytes *again_out)
{
    struct store_scope_info info;
    struct store_listed listed;
    struct store_status_row row;
    struct store_scope scope;
    struct store_line line;
    struct store_crl crl;
    enum ca_err err;

    switch (table) {
    case STORE_TABLE_REVOKED:
    case STORE_TABLE_RETIRED:
        if ((err = store_record_decode_listed(table, key, bytes, &listed)) == CA_OK)
            err = store_record_encode_listed(table, &listed, again, &again_out->len);
        return err;
    case STORE_TABLE_LINEAGES:
        if ((err = store_record_decode_line(key, bytes, &line)) == CA_OK) {
            store_record_encode_line(&line, again);
            again_out->len = store_record_line_len(&line);
        }
        return err;
    case STORE_TABLE_SCOPES: err = store_record_decode_scope(key, bytes, &info); break;
    case STORE_TABLE_CRLS: err = store_record_decode_crl(key, bytes, &crl); break;
    default: err = store_record_decode_status(key, bytes, &row); break;
    }
    if (err == CA_OK)
        err = store_record_parse_scope(key, &scope);
    if (err != CA_OK)
        return err;
    if (table == STORE_TABLE_SCOPES)
        store_record_encode_scope(&scope, &info, again);
    else if (table == STORE_TABLE_CRLS)
        store_record_encode_crl(&scope, &crl, again);
    else
        store_record_encode_status(&scope, &row, again);
    again_out->len = bytes.len;
    return CA_OK;
}

/* Decodes a record of any table, and encodes it again: into `again`. */
static enum ca_err recode(enum store_table table, struct ca_bytes key, struct ca_bytes bytes,
                          struct ca_bytes *again_out)
{
    struct store_certificate certificate;
    struct store_intent intent;
    struct store_change_record change;
    struct store_profile profile;
    struct keys_signed_head head;
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
    case STORE_TABLE_PROFILES:
        if ((err = store_record_decode_profile(key, bytes, &profile)) == CA_OK) {
            store_record_encode_profile(&profile, again);
            again_out->len = store_record_profile_len(&profile);
        }
        break;
    case STORE_TABLE_HEADS:
        if ((err = store_record_decode_signed_head(key, bytes, &head)) == CA_OK) {
            store_record_encode_signed_head(&head, again);
            again_out->len = STORE_SIGNED_HEAD_LEN;
        }
        break;
    case STORE_TABLE_AUDIT:
        if ((err = store_record_decode_audit(key, bytes, chain, &entry)) == CA_OK) {
            store_record_encode_audit(entry.sequence, &entry.audit, chain, again);
            again_out->len = store_record_audit_len(&entry.audit);
        }
        break;
    default: err = recode_status(table, key, bytes, again_out); break;
    }
    return err;
}

struct sample {
    enum store_table table;
    uint8_t key[STORE_KEY_LEN_MAX];
    size_t key_len;
    size_t len;
};

enum {
    SAMPLE_CERTIFICATE,
    SAMPLE_INTENT,
    SAMPLE_ADDED,
    SAMPLE_STATUS_CHANGE,
    SAMPLE_DELIVERY,
    SAMPLE_REVOKED,
    SAMPLE_HELD,
    SAMPLE_RETIRED,
    SAMPLE_SCOPE,
    SAMPLE_CRL,
    SAMPLE_LINE,
    SAMPLE_STATUS,
    SAMPLE_PROFILE,
    SAMPLE_SIGNED_HEAD,
    SAMPLE_AUDIT,
    SAMPLE_AUDIT_EMPTY,
    SAMPLES
};

static void make_change(int number, struct sample *sample)
{
    struct store_change_record change = {
        .change = { 77, 88, test_serial(1234567), STORE_STATE_NONE, STORE_STATE_VALID, 0 },
        .kind = (enum store_change_kind)(STORE_CHANGE_ADDED + number - SAMPLE_ADDED),
    };

    if (change.kind == STORE_CHANGE_ADDED) {
        change.digests[1] = test_digest('x', 1);
    } else {
        change.change.old_state = STORE_STATE_HELD;
        change.change.new_state = STORE_STATE_REVOKED;
        change.change.reason = 4;
        change.request = test_digest('q', 1);
        change.body = test_digest('b', 1);
    }
    if (change.kind == STORE_CHANGE_DELIVERY)
        change.delivery = STORE_DELIVERY_ABANDONED;
    sample->key_len = STORE_SEQUENCE_LEN;
    store_record_sequence_key(77, sample->key);
    sample->table = STORE_TABLE_CHANGES;
    store_record_encode_change(&change, value);
    sample->len = store_record_change_len(&change);
}

static void make_listed(int number, struct sample *sample)
{
    struct store_listed listed = {
        .scope = test_scope(1234567),
        .serial = test_serial(1234567),
        .status = { .state = STORE_STATE_REVOKED,
                    .reason = 1,
                    .revoked_s = 1700000000,
                    .has_invalidity = true,
                    .invalidity_s = 1600000000,
                    .not_after_s = -5,
                    .sequence = 77 },
    };

    if (number == SAMPLE_HELD) {
        listed.status.state = STORE_STATE_HELD;
        listed.status.reason = 6;
        listed.status.has_invalidity = false;
        listed.status.invalidity_s = 0;
    } else if (number == SAMPLE_RETIRED) {
        listed.status.reason = 0;
    }
    sample->table = number == SAMPLE_RETIRED ? STORE_TABLE_RETIRED : STORE_TABLE_REVOKED;
    sample->key_len = STORE_SERIAL_KEY_LEN;
    store_record_serial_key(&listed.scope, &listed.serial, sample->key);
    check_ok(store_record_encode_listed(sample->table, &listed, value, &sample->len));
}

static void make_of_scope(int number, struct sample *sample)
{
    const struct store_scope scope = { test_digest('i', 1), 0x01020304 };
    const struct store_crl full = { 9, 0, -1, 2, 3, 4, 5, { 6 } };
    const struct store_crl delta = { 10, 9, -1, 2, 3, 4, 5, { 7 } };
    const struct store_scope_info info = { 1, 50, 11, full, delta };
    const struct store_status_row row = { 78, test_serial(1234567), STORE_STATE_REVOKED,
                                          STORE_STATE_HELD, 99 };

    sample->key_len = STORE_NUMBER_KEY_LEN;
    if (number == SAMPLE_SCOPE) {
        sample->table = STORE_TABLE_SCOPES;
        sample->key_len = STORE_SCOPE_KEY_LEN;
        store_record_scope_key(&scope, sample->key);
        store_record_encode_scope(&scope, &info, value);
        sample->len = STORE_SCOPE_LEN;
    } else if (number == SAMPLE_CRL) {
        sample->table = STORE_TABLE_CRLS;
        store_record_number_key(&scope, 10, sample->key);
        store_record_encode_crl(&scope, &delta, value);
        sample->len = STORE_CRL_LEN;
    } else {
        sample->table = STORE_TABLE_STATUS;
        store_record_number_key(&scope, 78, sample->key);
        store_record_encode_status(&scope, &row, value);
        sample->len = STORE_STATUS_ROW_LEN;
    }
}

static void make_line(struct sample *sample)
{
    struct store_line line = { .count = 3 };

    for (size_t i = 0; i < line.count; i++)
        line.members[i] =
            (struct store_member){ test_serial(1000 + i), (enum store_operation)(i + 1),
                                   (enum store_delivery)i, (uint8_t)(4 * i) };
    sample->table = STORE_TABLE_LINEAGES;
    sample->key_len = STORE_LINE_KEY_LEN;
    store_record_sequence_key(test_locator(1000), sample->key);
    store_record_encode_line(&line, value);
    sample->len = store_record_line_len(&line);
}

static void make_profile(struct sample *sample)
{
    struct store_profile profile = {
        .id = { { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 } },
        .introduced_us = 0x0102030405060708,
        .reasons = 0x2a,
        .allows_hold = true,
        .name = CA_BYTES("tls"),
        .content = CA_BYTES("\0\0\0\1a\0\0\0\0"),
    };

    sample->table = STORE_TABLE_PROFILES;
    sample->key_len = STORE_DIGEST_LEN;
    memcpy(sample->key, profile.id.bytes, STORE_DIGEST_LEN);
    store_record_encode_profile(&profile, value);
    sample->len = store_record_profile_len(&profile);
}

static void make_signed_head(struct sample *sample)
{
    struct keys_signed_head head = { .head = { .sequence = 0x0102030405060708,
                                               .time_us = 0x1112131415161718 },
                                     .key_id = { 0x31, 0x32, 0x33, 0x34 } };

    memset(head.head.chain, 0x21, sizeof(head.head.chain));
    memset(head.signature, 0x41, sizeof(head.signature));
    sample->table = STORE_TABLE_HEADS;
    sample->key_len = STORE_SEQUENCE_LEN;
    store_record_sequence_key(head.head.sequence, sample->key);
    store_record_encode_signed_head(&head, value);
    sample->len = STORE_SIGNED_HEAD_LEN;
}

static void make_audit(int number, struct sample *sample)
{
    struct ca_serial serial = test_serial(1234567);
    struct store_audit audit = test_audit(&serial, 99);
    uint8_t chain[STORE_CHAIN_LEN] = { 42 };

    if (number == SAMPLE_AUDIT_EMPTY)
        audit = (struct store_audit){ .kind = STORE_AUDIT_STARTED };
    sample->table = STORE_TABLE_AUDIT;
    sample->key_len = STORE_SEQUENCE_LEN;
    store_record_sequence_key(77, sample->key);
    store_record_encode_audit(77, &audit, chain, value);
    sample->len = store_record_audit_len(&audit);
}

static void make_issued(int number, struct sample *sample)
{
    struct ca_serial serial = test_serial(1234567);
    struct store_certificate certificate = test_certificate(1234567, der);
    struct store_intent intent = test_intent(1234567);

    sample->key_len = CA_SERIAL_LEN;
    memcpy(sample->key, serial.bytes, CA_SERIAL_LEN);
    certificate.predecessor = intent.predecessor = 12;
    certificate.lineage = intent.lineage = 11;
    certificate.delivery = STORE_DELIVERY_WAITING;
    certificate.fate_reason = 4;
    sample->table = number == SAMPLE_INTENT ? STORE_TABLE_INTENTS : STORE_TABLE_CERTIFICATES;
    if (number == SAMPLE_INTENT) {
        store_record_encode_intent(&intent, value);
        sample->len = STORE_INTENT_LEN;
    } else {
        store_record_encode_certificate(&certificate, value);
        sample->len = store_record_certificate_len(&certificate);
    }
}

/* A record of every kind, into value. */
static struct sample make_sample(int number)
{
    struct sample sample = { .len = 0 };

    if (number <= SAMPLE_INTENT)
        make_issued(number, &sample);
    else if (number <= SAMPLE_DELIVERY)
        make_change(number, &sample);
    else if (number <= SAMPLE_RETIRED)
        make_listed(number, &sample);
    else if (number == SAMPLE_LINE)
        make_line(&sample);
    else if (number <= SAMPLE_STATUS)
        make_of_scope(number, &sample);
    else if (number == SAMPLE_PROFILE)
        make_profile(&sample);
    else if (number == SAMPLE_SIGNED_HEAD)
        make_signed_head(&sample);
    else
        make_audit(number, &sample);
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

    for (int i = 0; i < SAMPLE_AUDIT; i++) {
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
        { SAMPLE_CERTIFICATE, 0, 2 },
        { SAMPLE_CERTIFICATE, 1 + 96 + 32, STORE_OPERATION_COUNT },
        { SAMPLE_CERTIFICATE, 1 + 96 + 33, STORE_DELIVERY_COUNT },
        { SAMPLE_INTENT, 0, 0 },
        { SAMPLE_ADDED, 0, 9 },
        { SAMPLE_ADDED, 1, 0 },
        { SAMPLE_ADDED, 1, STORE_CHANGE_STATUS },
        { SAMPLE_STATUS_CHANGE, 1, STORE_CHANGE_DELIVERY },
        { SAMPLE_STATUS_CHANGE, 1, STORE_CHANGE_DELIVERY + 1 },
        { SAMPLE_STATUS_CHANGE, 28, 4 },
        { SAMPLE_STATUS_CHANGE, 29, 4 },
        { SAMPLE_STATUS_CHANGE, 10, 0 },
        { SAMPLE_STATUS_CHANGE, 10, 0x80 },
        { SAMPLE_DELIVERY, 1 + 1 + 8 + 18 + 3 + 32, STORE_DELIVERY_COUNT },
        { SAMPLE_REVOKED, 0, 2 },
        { SAMPLE_REVOKED, 17, 0x31 },             /* no SEQUENCE */
        { SAMPLE_REVOKED, 17 + 4 + 17, 0x11 },    /* another serial number than the key's */
        { SAMPLE_REVOKED, 17 + 4 + 18 + 2, 'x' }, /* no date */
        { SAMPLE_SCOPE, 0, 2 },
        { SAMPLE_SCOPE, 1 + 16, 8 }, /* the last number is below a list's */
        { SAMPLE_CRL, 1, 11 },       /* another number than the key's */
        { SAMPLE_CRL, 1 + 8, 10 },   /* builds on itself */
        { SAMPLE_LINE, 1, 0 },
        { SAMPLE_LINE, 1, 2 },
        { SAMPLE_LINE, 1, STORE_LINE_MAX + 1 },
        { SAMPLE_LINE, 2, 0x80 },
        { SAMPLE_LINE, 2 + 1, 1 }, /* another locator than the key's */
        { SAMPLE_LINE, 2 + 18, STORE_OPERATION_COUNT },
        { SAMPLE_LINE, 2 + 19, STORE_DELIVERY_COUNT },
        { SAMPLE_STATUS, 1, 0 },
        { SAMPLE_STATUS, 19, 4 },
        { SAMPLE_STATUS, 20, 4 },
        { SAMPLE_PROFILE, 0, 2 },
        { SAMPLE_PROFILE, 13, 2 },  /* a hold is allowed or not */
        { SAMPLE_PROFILE, 14, 0 },  /* no name */
        { SAMPLE_PROFILE, 14, 13 }, /* a name beyond the end */
        { SAMPLE_SIGNED_HEAD, 0, 2 },
        { SAMPLE_SIGNED_HEAD, 8, 0x80 }, /* a time that is none */
    };
    struct ca_bytes got;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sample sample = make_sample(cases[i].sample);
        struct ca_bytes key = ca_bytes_of(sample.key, sample.key_len);
        value[cases[i].at] = cases[i].octet;
        if (sample.table == STORE_TABLE_REVOKED)
            store_record_sum_listed(sample.table, key, value, sample.len);
        else
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

/* By an independent program: hashlib.sha256(bytes([11, 16]) + key + record).digest()[:16]. */
Test(record, a_profile_has_these_octets)
{
    static const uint8_t want[] = { 0x01, 0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01,
                                    0x2a, 0x00, 0x00, 0x00, 0x01, 0x03, 0x74, 0x6c, 0x73,
                                    0x00, 0x00, 0x00, 0x01, 0x61, 0x00, 0x00, 0x00, 0x00,
                                    0xfb, 0x52, 0x80, 0xd8, 0x81, 0xbf, 0xd7, 0xd7, 0x69,
                                    0xcd, 0xe8, 0xcf, 0xc6, 0xd0, 0xe8, 0x8d };
    struct sample sample = make_sample(SAMPLE_PROFILE);
    struct store_profile found;

    check_bytes(ca_bytes_of(value, sample.len), ca_bytes_of(want, sizeof(want)));
    check_ok(store_record_decode_profile(ca_bytes_of(sample.key, sample.key_len),
                                         ca_bytes_of(want, sizeof(want)), &found));
    cr_assert(found.introduced_us == 0x0102030405060708 && found.reasons == 0x2a);
    cr_assert(found.allows_hold);
    check_bytes(found.name, CA_BYTES("tls"));
    check_bytes(found.content, CA_BYTES("\0\0\0\1a\0\0\0\0"));
    check_bytes(ca_bytes_of(found.id.bytes, STORE_DIGEST_LEN),
                ca_bytes_of(sample.key, sample.key_len));
}

/* As above, with [12, 8]. */
Test(record, a_signed_head_has_these_octets)
{
    static const uint8_t time[] = { 0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11 };
    static const uint8_t seal[] = { 0xaf, 0x62, 0xbe, 0x58, 0xdb, 0x4b, 0xd6, 0x29,
                                    0xb4, 0x66, 0x34, 0x68, 0x16, 0xfe, 0xfa, 0x56 };
    struct sample sample = make_sample(SAMPLE_SIGNED_HEAD);
    struct keys_signed_head found;

    cr_assert(sample.len == 125 && value[0] == 1 && value[9] == 0x21 && value[40] == 0x21);
    check_bytes(ca_bytes_of(value + 1, 8), ca_bytes_of(time, sizeof(time)));
    check_bytes(ca_bytes_of(value + 41, 4), CA_BYTES("1234"));
    cr_assert(value[45] == 0x41 && value[108] == 0x41);
    check_bytes(ca_bytes_of(value + 109, 16), ca_bytes_of(seal, sizeof(seal)));
    check_ok(store_record_decode_signed_head(ca_bytes_of(sample.key, sample.key_len),
                                             ca_bytes_of(value, sample.len), &found));
    cr_assert_eq(found.head.sequence, 0x0102030405060708);
    memset(sample.key, 0, STORE_SEQUENCE_LEN);
    store_record_seal(STORE_TABLE_HEADS, ca_bytes_of(sample.key, sample.key_len), value,
                      sample.len);
    check_err(store_record_decode_signed_head(ca_bytes_of(sample.key, sample.key_len),
                                              ca_bytes_of(value, sample.len), &found),
              CA_ERR_STORAGE_CORRUPT); /* of nothing */
}

Test(record, a_profile_of_the_largest_size_fits_and_none_larger_does)
{
    char name[CA_NAME_LEN_MAX + 1];
    struct store_profile found, profile = { .reasons = 2 };
    struct ca_bytes key = ca_bytes_of(profile.id.bytes, STORE_DIGEST_LEN);

    memset(name, 'n', sizeof(name));
    profile.name = ca_bytes_of(name, CA_NAME_LEN_MAX);
    profile.content = ca_bytes_of(content, CA_PROFILE_LEN_MAX);
    store_record_encode_profile(&profile, value);
    check_ok(store_record_decode_profile(key, ca_bytes_of(value, STORE_PROFILE_LEN_MAX), &found));
    check_bytes(found.content, profile.content);
    store_record_seal(STORE_TABLE_PROFILES, key, value, STORE_PROFILE_LEN_MAX + 1);
    check_err(
        store_record_decode_profile(key, ca_bytes_of(value, STORE_PROFILE_LEN_MAX + 1), &found),
        CA_ERR_STORAGE_CORRUPT);
    profile.name.len = 3;
    profile.content.len = CA_PROFILE_LEN_MAX + 1;
    store_record_encode_profile(&profile, value);
    check_err(store_record_decode_profile(
                  key, ca_bytes_of(value, store_record_profile_len(&profile)), &found),
              CA_ERR_STORAGE_CORRUPT);
    profile.name.len = CA_NAME_LEN_MAX + 1;
    profile.content.len = 0;
    store_record_encode_profile(&profile, value);
    check_err(store_record_decode_profile(
                  key, ca_bytes_of(value, store_record_profile_len(&profile)), &found),
              CA_ERR_STORAGE_CORRUPT);
    cr_assert_null(found.name.data);
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

/* Entries that no list may have. */
Test(record, a_status_that_no_entry_can_say_is_refused)
{
    static const struct {
        enum store_state state;
        uint8_t reason;
        bool has_invalidity;
        int64_t invalidity_s;
    } cases[] = {
        { STORE_STATE_HELD, 1, false, 0 },     { STORE_STATE_REVOKED, 6, false, 0 },
        { STORE_STATE_REVOKED, 8, false, 0 },  { STORE_STATE_REVOKED, 7, false, 0 },
        { STORE_STATE_REVOKED, 11, false, 0 }, { STORE_STATE_VALID, 1, false, 0 },
        { STORE_STATE_REVOKED, 1, false, 5 },
    };
    size_t len;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct store_listed listed = { .serial = test_serial(1),
                                       .status = { .state = cases[i].state,
                                                   .reason = cases[i].reason,
                                                   .has_invalidity = cases[i].has_invalidity,
                                                   .invalidity_s = cases[i].invalidity_s } };
        enum ca_err err = store_record_encode_listed(STORE_TABLE_REVOKED, &listed, value, &len);
        cr_assert(err == CA_ERR_FIELD_FORMAT && len == 0, "case %zu", i);
    }
}
