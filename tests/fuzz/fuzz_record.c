/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_record: any bytes as a stored record. First octet: the table and the length of the key;
 * then key and value, as they are and with a right seal. What decodes encodes to the same.
 */
#include <assert.h>
#include <stdlib.h>

#include "store/record.h"

static uint8_t again[STORE_CERTIFICATE_RECORD_MAX];

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

static void decode(enum store_table table, struct ca_bytes key, struct ca_bytes value)
{
    static const uint8_t chain[STORE_CHAIN_LEN];
    struct store_audit_entry entry;
    struct ca_bytes encoded = value;

    switch (table) {
    case STORE_TABLE_CERTIFICATES: encoded = recode_certificate(key, value); break;
    case STORE_TABLE_INTENTS: encoded = recode_intent(key, value); break;
    case STORE_TABLE_CHANGES: encoded = recode_change(key, value); break;
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > 2 * STORE_CERTIFICATE_RECORD_MAX)
        return 0;
    enum store_table table = (enum store_table)(data[0] % STORE_TABLE_COUNT);
    size_t key_len = data[0] / 8;
    if (key_len > size - 1)
        return 0;
    struct ca_bytes key = ca_bytes_of(data + 1, key_len);
    size_t len = size - 1 - key_len;
    uint8_t *value = malloc(len + 1);
    memcpy(value, data + 1 + key_len, len);

    decode(table, key, ca_bytes_of(value, len));
    if (table == STORE_TABLE_AUDIT) {
        seal_audit(key, value, len);
    } else if (len >= STORE_DIGEST_LEN) {
        const struct ca_bytes meta = key_len == 4 ? CA_BYTES("head") : CA_BYTES("store");
        store_record_seal(table, table == STORE_TABLE_META ? meta : key, value, len);
    }
    decode(table, key, ca_bytes_of(value, len));
    free(value);
    return 0;
}
