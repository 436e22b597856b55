/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_record: any bytes as a stored record. First two octets: the table, the length of the key;
 * then key and value, as they are and with a right seal. What decodes encodes to the same.
 */
#include <assert.h>
#include <stdlib.h>

#include "ca/keys/head.h"
#include "store/record_status.h"

static uint8_t again[STORE_PROFILE_LEN_MAX];

static struct ca_bytes recode_certificate(struct ca_bytes key, struct ca_bytes value)
{
    struct store_certificate certificate;

    if (store_record_decode_certificate(key, value, &certificate) != CA_OK)
        return value;
    store_record_encode_certificate(&certificate, again);
    return ca_bytes_of(again, store_record_certificate_len(&certificate));
}

static struct ca_bytes recode_intent(struct ca_bytes key, struct ca_bytes value)
{
    struct store_intent intent;

    if (store_record_decode_intent(key, value, &intent) != CA_OK)
        return value;
    store_record_encode_intent(&intent, again);
    return ca_bytes_of(again, STORE_INTENT_LEN);
}

static struct ca_bytes recode_change(struct ca_bytes key, struct ca_bytes value)
{
    struct store_change_record change;

    if (store_record_decode_change(key, value, &change) != CA_OK)
        return value;
    store_record_encode_change(&change, again);
    return ca_bytes_of(again, store_record_change_len(&change));
}

static struct ca_bytes recode_meta(struct ca_bytes key, struct ca_bytes value)
{
    struct store_identity identity;
    struct store_head head;

    if (key.len == 4 && store_record_decode_head(value, &head) == CA_OK) {
        store_record_encode_head(&head, again);
        return ca_bytes_of(again, STORE_HEAD_LEN);
    }
    if (key.len == 5 && store_record_decode_identity(value, &identity) == CA_OK) {
        store_record_encode_identity(&identity, again);
        return ca_bytes_of(again, STORE_IDENTITY_LEN);
    }
    return value;
}

static struct ca_bytes recode_listed(enum store_table table, struct ca_bytes key,
                                     struct ca_bytes value)
{
    struct store_listed listed;
    size_t len;

    if (store_record_decode_listed(table, key, value, &listed) != CA_OK)
        return value;
    enum ca_err err = store_record_encode_listed(table, &listed, again, &len);
    assert(err == CA_OK);
    return ca_bytes_of(again, len);
}

static struct ca_bytes recode_of_scope(enum store_table table, struct ca_bytes key,
                                       struct ca_bytes value)
{
    struct store_scope_info info;
    struct store_status_row row;
    struct store_scope scope;
    struct store_crl crl;

    if (store_record_parse_scope(key, &scope) != CA_OK)
        return value;
    if (table == STORE_TABLE_SCOPES && store_record_decode_scope(key, value, &info) == CA_OK) {
        store_record_encode_scope(&scope, &info, again);
        return ca_bytes_of(again, STORE_SCOPE_LEN);
    }
    if (table == STORE_TABLE_CRLS && store_record_decode_crl(key, value, &crl) == CA_OK) {
        store_record_encode_crl(&scope, &crl, again);
        return ca_bytes_of(again, STORE_CRL_LEN);
    }
    if (table == STORE_TABLE_STATUS && store_record_decode_status(key, value, &row) == CA_OK) {
        store_record_encode_status(&scope, &row, again);
        return ca_bytes_of(again, STORE_STATUS_ROW_LEN);
    }
    return value;
}

static struct ca_bytes recode_line(struct ca_bytes key, struct ca_bytes value)
{
    struct store_line line;

    if (store_record_decode_line(key, value, &line) != CA_OK)
        return value;
    store_record_encode_line(&line, again);
    return ca_bytes_of(again, store_record_line_len(&line));
}

static struct ca_bytes recode_profile(struct ca_bytes key, struct ca_bytes value)
{
    struct store_profile profile;

    if (store_record_decode_profile(key, value, &profile) != CA_OK)
        return value;
    store_record_encode_profile(&profile, again);
    return ca_bytes_of(again, store_record_profile_len(&profile));
}

static struct ca_bytes recode_signed_head(struct ca_bytes key, struct ca_bytes value)
{
    struct keys_signed_head head;

    if (store_record_decode_signed_head(key, value, &head) != CA_OK)
        return value;
    store_record_encode_signed_head(&head, again);
    return ca_bytes_of(again, STORE_SIGNED_HEAD_LEN);
}

static void decode(enum store_table table, struct ca_bytes key, struct ca_bytes value)
{
    static const uint8_t chain[STORE_CHAIN_LEN];
    struct store_audit_entry entry;
    struct ca_bytes encoded = value;

    switch (table) {
    case STORE_TABLE_CERTIFICATES: encoded = recode_certificate(key, value); break;
    case STORE_TABLE_INTENTS: encoded = recode_intent(key, value); break;
    case STORE_TABLE_CHANGES: encoded = recode_change(key, value); break;
    case STORE_TABLE_REVOKED:
    case STORE_TABLE_RETIRED: encoded = recode_listed(table, key, value); break;
    case STORE_TABLE_SCOPES:
    case STORE_TABLE_CRLS:
    case STORE_TABLE_STATUS: encoded = recode_of_scope(table, key, value); break;
    case STORE_TABLE_LINEAGES: encoded = recode_line(key, value); break;
    case STORE_TABLE_PROFILES: encoded = recode_profile(key, value); break;
    case STORE_TABLE_HEADS: encoded = recode_signed_head(key, value); break;
    case STORE_TABLE_META: encoded = recode_meta(key, value); break;
    default:
        if (store_record_decode_audit(key, value, chain, &entry) == CA_OK) {
            uint8_t next[STORE_CHAIN_LEN] = { 0 };
            store_record_encode_audit(entry.sequence, &entry.audit, next, again);
            encoded = ca_bytes_of(again, store_record_audit_len(&entry.audit));
        }
        break;
    }
    assert(ca_bytes_equal(encoded, value));
}

/* The chain digest of an audit record, as if it were the first: what encode would write. */
static void seal_audit(struct ca_bytes key, uint8_t *value, size_t len)
{
    struct store_audit_entry entry;
    uint8_t chain[STORE_CHAIN_LEN] = { 0 };

    /* Decoding leaves nothing when the chain is wrong, so the fields are taken by position. */
    memset(&entry, 0, sizeof(entry));
    if (key.len != STORE_SEQUENCE_LEN || len < STORE_AUDIT_LEN_MIN || value[1] < 1 ||
        value[1] > STORE_AUDIT_LAST)
        return;
    size_t actor_len = len - STORE_AUDIT_LEN_MIN;
    if (actor_len > STORE_ACTOR_LEN_MAX)
        return;
    entry.audit.kind = (enum store_audit_kind)value[1];
    uint8_t *actor = value + STORE_AUDIT_LEN_MIN - STORE_CHAIN_LEN - 1;
    uint8_t *copy = malloc(actor_len + 1);
    memcpy(copy, actor, actor_len);
    entry.audit.actor = ca_bytes_of(copy, actor_len);
    uint64_t sequence = 0;
    for (size_t i = 0; i < key.len; i++)
        sequence = sequence << 8 | key.data[i];
    store_record_encode_audit(sequence, &entry.audit, chain, value);
    free(copy);
}

static void seal(enum store_table table, struct ca_bytes key, uint8_t *value, size_t len)
{
    const struct ca_bytes meta = key.len == 4 ? CA_BYTES("head") : CA_BYTES("store");

    if (table == STORE_TABLE_AUDIT)
        seal_audit(key, value, len);
    else if (table == STORE_TABLE_REVOKED || table == STORE_TABLE_RETIRED) {
        if (key.len == STORE_SERIAL_KEY_LEN && len >= STORE_LISTED_LEN_MIN)
            store_record_sum_listed(table, key, value, len);
    } else if (len >= STORE_DIGEST_LEN)
        store_record_seal(table, table == STORE_TABLE_META ? meta : key, value, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > 2 * STORE_CERTIFICATE_RECORD_MAX)
        return 0;
    enum store_table table = (enum store_table)(data[0] % STORE_TABLE_COUNT);
    size_t key_len = data[1];
    if (key_len > size - 2)
        return 0;
    struct ca_bytes key = ca_bytes_of(data + 2, key_len);
    size_t len = size - 2 - key_len;
    uint8_t *value = malloc(len + 1);
    memcpy(value, data + 2 + key_len, len);

    decode(table, key, ca_bytes_of(value, len));
    seal(table, key, value, len);
    decode(table, key, ca_bytes_of(value, len));
    free(value);
    return 0;
}
