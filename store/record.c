/* SPDX-License-Identifier: Apache-2.0 */
#include "store/record.h"

#include "ca/crypto/digest.h"
#include "ca/keys/head.h"
#include "store/record_parts.h"

static const struct ca_bytes head_key = { (const uint8_t *)"head", 4 };
static const struct ca_bytes identity_key = { (const uint8_t *)"store", 5 };

void store_record_sequence_key(uint64_t sequence, uint8_t key[STORE_SEQUENCE_LEN])
{
    octets_store_be64(key, sequence);
}

static void record_digest(enum store_table table, struct ca_bytes key, struct ca_bytes content,
                          uint8_t digest[CA_DIGEST_LEN])
{
    const uint8_t prefix[2] = { (uint8_t)table, (uint8_t)key.len };
    const struct ca_bytes parts[] = { ca_bytes_of(prefix, sizeof(prefix)), key, content };

    crypto_sha256(parts, 3, digest);
}

void store_record_seal(enum store_table table, struct ca_bytes key, uint8_t *value, size_t len)
{
    uint8_t digest[CA_DIGEST_LEN];

    assert(len >= STORE_DIGEST_LEN);
    record_digest(table, key, ca_bytes_of(value, len - STORE_DIGEST_LEN), digest);
    memcpy(value + len - STORE_DIGEST_LEN, digest, STORE_DIGEST_LEN);
}

struct octets_reader record_open(enum store_table table, struct ca_bytes key, struct ca_bytes value)
{
    struct octets_reader reader = { .is_failed = true };
    uint8_t digest[CA_DIGEST_LEN];

    size_t len_max =
        table == STORE_TABLE_PROFILES ? STORE_PROFILE_LEN_MAX : STORE_CERTIFICATE_RECORD_MAX;
    if (value.len < 1 + STORE_DIGEST_LEN || value.len > len_max)
        return reader;
    size_t len = value.len - STORE_DIGEST_LEN;
    record_digest(table, key, ca_bytes_of(value.data, len), digest);
    if (!ca_bytes_equal(ca_bytes_of(digest, STORE_DIGEST_LEN),
                        ca_bytes_of(value.data + len, STORE_DIGEST_LEN)))
        return reader;
    reader = (struct octets_reader){ value.data, len, false };
    if (octets_get_u8(&reader) != STORE_RECORD_VERSION)
        reader.is_failed = true;
    return reader;
}

/* ---- intents */

void store_record_fill_intent(const struct store_intent *intent, uint8_t value[STORE_INTENT_LEN])
{
    struct octets_writer writer = { value, STORE_INTENT_LEN - STORE_DIGEST_LEN };

    octets_put_u8(&writer, STORE_RECORD_VERSION);
    record_put_digest(&writer, &intent->request);
    record_put_digest(&writer, &intent->body);
    record_put_digest(&writer, &intent->profile);
    record_put_digest(&writer, &intent->issuer);
    octets_put(&writer, intent->tbs_digest, sizeof(intent->tbs_digest));
    octets_put_u64(&writer, (uint64_t)intent->not_after_s);
    octets_put_u32(&writer, intent->crl_shard);
    octets_put_u64(&writer, intent->predecessor);
    octets_put_u64(&writer, intent->lineage);
    assert(writer.left == 0);
}

void store_record_encode_intent(const struct store_intent *intent, uint8_t value[STORE_INTENT_LEN])
{
    store_record_fill_intent(intent, value);
    store_record_seal(STORE_TABLE_INTENTS, ca_serial_bytes(&intent->serial), value,
                      STORE_INTENT_LEN);
}

enum ca_err store_record_decode_intent(struct ca_bytes key, struct ca_bytes value,
                                       struct store_intent *intent_out)
{
    struct octets_reader reader = record_open(STORE_TABLE_INTENTS, key, value);

    record_get_digest(&reader, &intent_out->request);
    record_get_digest(&reader, &intent_out->body);
    record_get_digest(&reader, &intent_out->profile);
    record_get_digest(&reader, &intent_out->issuer);
    octets_get_copy(&reader, intent_out->tbs_digest, sizeof(intent_out->tbs_digest));
    intent_out->not_after_s = (int64_t)octets_get_u64(&reader);
    intent_out->crl_shard = octets_get_u32(&reader);
    intent_out->predecessor = octets_get_u64(&reader);
    intent_out->lineage = octets_get_u64(&reader);
    if (ca_serial_from_bytes(key, &intent_out->serial) != CA_OK || record_end(&reader) != CA_OK) {
        memset(intent_out, 0, sizeof(*intent_out));
        return CA_ERR_STORAGE_CORRUPT;
    }
    return CA_OK;
}

/* ---- certificates */

size_t store_record_certificate_len(const struct store_certificate *certificate)
{
    return STORE_CERTIFICATE_LEN_MIN + certificate->der.len;
}

void store_record_fill_certificate(const struct store_certificate *certificate, uint8_t *value)
{
    size_t len = store_record_certificate_len(certificate);
    struct octets_writer writer = { value, len - STORE_DIGEST_LEN };

    octets_put_u8(&writer, STORE_RECORD_VERSION);
    record_put_digest(&writer, &certificate->request);
    record_put_digest(&writer, &certificate->body);
    record_put_digest(&writer, &certificate->profile);
    record_put_digest(&writer, &certificate->issuer);
    record_put_digest(&writer, &certificate->identity);
    record_put_digest(&writer, &certificate->key);
    octets_put_u64(&writer, (uint64_t)certificate->not_before_s);
    octets_put_u64(&writer, (uint64_t)certificate->not_after_s);
    octets_put_u64(&writer, certificate->predecessor);
    octets_put_u64(&writer, certificate->lineage);
    octets_put_u8(&writer, (uint8_t)certificate->operation);
    octets_put_u8(&writer, (uint8_t)certificate->delivery);
    octets_put_u8(&writer, certificate->fate_reason);
    octets_put_u32(&writer, certificate->crl_shard);
    octets_put(&writer, certificate->der.data, certificate->der.len);
    assert(writer.left == 0);
}

void store_record_encode_certificate(const struct store_certificate *certificate, uint8_t *value)
{
    store_record_fill_certificate(certificate, value);
    store_record_seal(STORE_TABLE_CERTIFICATES, ca_serial_bytes(&certificate->serial), value,
                      store_record_certificate_len(certificate));
}

enum ca_err store_record_decode_certificate(struct ca_bytes key, struct ca_bytes value,
                                            struct store_certificate *certificate_out)
{
    struct octets_reader reader = record_open(STORE_TABLE_CERTIFICATES, key, value);

    record_get_digest(&reader, &certificate_out->request);
    record_get_digest(&reader, &certificate_out->body);
    record_get_digest(&reader, &certificate_out->profile);
    record_get_digest(&reader, &certificate_out->issuer);
    record_get_digest(&reader, &certificate_out->identity);
    record_get_digest(&reader, &certificate_out->key);
    certificate_out->not_before_s = (int64_t)octets_get_u64(&reader);
    certificate_out->not_after_s = (int64_t)octets_get_u64(&reader);
    certificate_out->predecessor = octets_get_u64(&reader);
    certificate_out->lineage = octets_get_u64(&reader);
    uint8_t operation = record_get_enum(&reader, STORE_OPERATION_COUNT);
    uint8_t delivery = record_get_enum(&reader, STORE_DELIVERY_COUNT);
    certificate_out->fate_reason = octets_get_u8(&reader);
    certificate_out->crl_shard = octets_get_u32(&reader);
    certificate_out->der = octets_get(&reader, reader.len);
    if (ca_serial_from_bytes(key, &certificate_out->serial) != CA_OK ||
        certificate_out->der.len == 0 || record_end(&reader) != CA_OK) {
        memset(certificate_out, 0, sizeof(*certificate_out));
        return CA_ERR_STORAGE_CORRUPT;
    }
    certificate_out->operation = (enum store_operation)operation;
    certificate_out->delivery = (enum store_delivery)delivery;
    return CA_OK;
}

/* ---- changes */

size_t store_record_change_len(const struct store_change_record *record)
{
    switch (record->kind) {
    case STORE_CHANGE_ADDED: return STORE_CHANGE_ADDED_LEN;
    case STORE_CHANGE_STATUS: return STORE_CHANGE_STATUS_LEN;
    default: return STORE_CHANGE_DELIVERY_LEN;
    }
}

void store_record_fill_change(const struct store_change_record *record, uint8_t *value)
{
    const struct store_change *change = &record->change;
    size_t len = store_record_change_len(record);
    struct octets_writer writer = { value, len - STORE_DIGEST_LEN };

    octets_put_u8(&writer, STORE_RECORD_VERSION);
    octets_put_u8(&writer, (uint8_t)record->kind);
    octets_put_u64(&writer, change->time_us);
    octets_put(&writer, change->serial.bytes, CA_SERIAL_LEN);
    octets_put_u8(&writer, (uint8_t)change->old_state);
    octets_put_u8(&writer, (uint8_t)change->new_state);
    octets_put_u8(&writer, change->reason);
    if (record->kind == STORE_CHANGE_ADDED) {
        for (int i = 0; i < STORE_SECTION_COUNT; i++)
            record_put_digest(&writer, &record->digests[i]);
    } else {
        record_put_digest(&writer, &record->request);
        record_put_digest(&writer, &record->body);
    }
    if (record->kind == STORE_CHANGE_DELIVERY)
        octets_put_u8(&writer, (uint8_t)record->delivery);
    assert(writer.left == 0);
}

void store_record_encode_change(const struct store_change_record *record, uint8_t *value)
{
    uint8_t key[STORE_SEQUENCE_LEN];

    store_record_fill_change(record, value);
    store_record_sequence_key(record->change.sequence, key);
    store_record_seal(STORE_TABLE_CHANGES, ca_bytes_of(key, sizeof(key)), value,
                      store_record_change_len(record));
}

/* What the kind of a change has of its own. */
static void get_change_kind(struct octets_reader *reader, struct store_change_record *record)
{
    if (record->kind == STORE_CHANGE_ADDED) {
        for (int i = 0; i < STORE_SECTION_COUNT; i++)
            record_get_digest(reader, &record->digests[i]);
        return;
    }
    record_get_digest(reader, &record->request);
    record_get_digest(reader, &record->body);
    if (record->kind == STORE_CHANGE_DELIVERY)
        record->delivery = (enum store_delivery)record_get_enum(reader, STORE_DELIVERY_COUNT);
}

enum ca_err store_record_decode_change(struct ca_bytes key, struct ca_bytes value,
                                       struct store_change_record *record_out)
{
    struct octets_reader reader = record_open(STORE_TABLE_CHANGES, key, value);
    struct store_change *change = &record_out->change;

    memset(record_out, 0, sizeof(*record_out));
    uint8_t kind = octets_get_u8(&reader);
    change->time_us = octets_get_u64(&reader);
    struct ca_bytes serial = octets_get(&reader, CA_SERIAL_LEN);
    change->old_state = (enum store_state)record_get_enum(&reader, STORE_STATE_HELD + 1);
    change->new_state = (enum store_state)record_get_enum(&reader, STORE_STATE_HELD + 1);
    change->reason = octets_get_u8(&reader);
    record_out->kind = (enum store_change_kind)kind;
    get_change_kind(&reader, record_out);

    if (key.len == STORE_SEQUENCE_LEN)
        change->sequence = octets_load_be64(key.data);
    if (key.len != STORE_SEQUENCE_LEN || record_end(&reader) != CA_OK ||
        kind < STORE_CHANGE_ADDED || kind > STORE_CHANGE_DELIVERY ||
        ca_serial_from_bytes(serial, &change->serial) != CA_OK) {
        memset(record_out, 0, sizeof(*record_out));
        return CA_ERR_STORAGE_CORRUPT;
    }
    return CA_OK;
}

/* ---- profiles */

size_t store_record_profile_len(const struct store_profile *profile)
{
    return STORE_PROFILE_LEN_MIN + profile->name.len + profile->content.len;
}

void store_record_encode_profile(const struct store_profile *profile, uint8_t *value)
{
    size_t len = store_record_profile_len(profile);
    struct octets_writer writer = { value, len - STORE_DIGEST_LEN };

    octets_put_u8(&writer, STORE_RECORD_VERSION);
    octets_put_u64(&writer, profile->introduced_us);
    octets_put_u32(&writer, profile->reasons);
    octets_put_u8(&writer, profile->allows_hold);
    octets_put_u8(&writer, (uint8_t)profile->name.len);
    octets_put(&writer, profile->name.data, profile->name.len);
    octets_put(&writer, profile->content.data, profile->content.len);
    assert(writer.left == 0);
    store_record_seal(STORE_TABLE_PROFILES, ca_bytes_of(profile->id.bytes, STORE_DIGEST_LEN), value,
                      len);
}

enum ca_err store_record_decode_profile(struct ca_bytes key, struct ca_bytes value,
                                        struct store_profile *profile_out)
{
    struct octets_reader reader = record_open(STORE_TABLE_PROFILES, key, value);

    profile_out->introduced_us = octets_get_u64(&reader);
    profile_out->reasons = octets_get_u32(&reader);
    profile_out->allows_hold = record_get_enum(&reader, 2) != 0;
    profile_out->name = octets_get(&reader, octets_get_u8(&reader));
    profile_out->content = octets_get(&reader, reader.len);
    if (key.len != STORE_DIGEST_LEN || profile_out->name.len == 0 ||
        profile_out->name.len > CA_NAME_LEN_MAX || profile_out->content.len > CA_PROFILE_LEN_MAX ||
        record_end(&reader) != CA_OK) {
        memset(profile_out, 0, sizeof(*profile_out));
        return CA_ERR_STORAGE_CORRUPT;
    }
    memcpy(profile_out->id.bytes, key.data, STORE_DIGEST_LEN);
    return CA_OK;
}

/* ---- audit */

void store_record_genesis(const struct store_identity *identity, uint8_t chain[STORE_CHAIN_LEN])
{
    const struct ca_bytes parts[] = {
        CA_BYTES("certmill audit chain 1"),
        ca_bytes_of(identity->id, STORE_ID_LEN),
        ca_bytes_of(&identity->instance, 1),
    };

    crypto_sha256(parts, 3, chain);
}

static void audit_chain(const uint8_t previous[STORE_CHAIN_LEN], struct ca_bytes key,
                        struct ca_bytes content, uint8_t chain[STORE_CHAIN_LEN])
{
    const struct ca_bytes parts[] = { ca_bytes_of(previous, STORE_CHAIN_LEN), key, content };

    crypto_sha256(parts, 3, chain);
}

size_t store_record_audit_len(const struct store_audit *audit)
{
    return STORE_AUDIT_LEN_MIN + audit->actor.len + audit->object.len;
}

void store_record_encode_audit(uint64_t sequence, const struct store_audit *audit,
                               uint8_t chain[STORE_CHAIN_LEN], uint8_t *value)
{
    size_t len = store_record_audit_len(audit) - STORE_CHAIN_LEN;
    struct octets_writer writer = { value, len };
    uint8_t key[STORE_SEQUENCE_LEN], next[STORE_CHAIN_LEN];

    octets_put_u8(&writer, STORE_RECORD_VERSION);
    octets_put_u8(&writer, (uint8_t)audit->kind);
    octets_put_u64(&writer, audit->time_us);
    record_put_digest(&writer, &audit->request);
    record_put_digest(&writer, &audit->body);
    octets_put_u8(&writer, (uint8_t)audit->actor.len);
    octets_put(&writer, audit->actor.data, audit->actor.len);
    octets_put_u8(&writer, (uint8_t)audit->object.len);
    octets_put(&writer, audit->object.data, audit->object.len);
    assert(writer.left == 0);
    store_record_sequence_key(sequence, key);
    audit_chain(chain, ca_bytes_of(key, sizeof(key)), ca_bytes_of(value, len), next);
    memcpy(value + len, next, STORE_CHAIN_LEN);
    memcpy(chain, next, STORE_CHAIN_LEN);
}

enum ca_err store_record_decode_audit(struct ca_bytes key, struct ca_bytes value,
                                      const uint8_t previous[STORE_CHAIN_LEN],
                                      struct store_audit_entry *entry_out)
{
    struct store_audit *audit = &entry_out->audit;

    memset(entry_out, 0, sizeof(*entry_out));
    if (key.len != STORE_SEQUENCE_LEN || value.len < STORE_AUDIT_LEN_MIN ||
        value.len > STORE_AUDIT_LEN_MAX)
        return CA_ERR_STORAGE_CORRUPT;
    size_t len = value.len - STORE_CHAIN_LEN;
    struct octets_reader reader = { value.data, len, false };
    uint8_t version = octets_get_u8(&reader);
    uint8_t kind = octets_get_u8(&reader);
    audit->time_us = octets_get_u64(&reader);
    record_get_digest(&reader, &audit->request);
    record_get_digest(&reader, &audit->body);
    audit->actor = octets_get(&reader, octets_get_u8(&reader));
    audit->object = octets_get(&reader, octets_get_u8(&reader));
    audit_chain(previous, key, ca_bytes_of(value.data, len), entry_out->chain);

    if (version != STORE_RECORD_VERSION || kind < STORE_AUDIT_ISSUED || kind > STORE_AUDIT_LAST ||
        audit->actor.len > STORE_ACTOR_LEN_MAX || audit->object.len > STORE_AUDIT_OBJECT_LEN_MAX ||
        record_end(&reader) != CA_OK ||
        !ca_bytes_equal(ca_bytes_of(entry_out->chain, STORE_CHAIN_LEN),
                        ca_bytes_of(value.data + len, STORE_CHAIN_LEN))) {
        memset(entry_out, 0, sizeof(*entry_out));
        return CA_ERR_STORAGE_CORRUPT;
    }
    entry_out->sequence = octets_load_be64(key.data);
    audit->kind = (enum store_audit_kind)kind;
    return CA_OK;
}

/* ---- signed heads */

_Static_assert(STORE_SIGNED_HEAD_LEN == 1 + 8 + STORE_CHAIN_LEN + KEYS_HEAD_KEY_ID_LEN +
                                            KEYS_HEAD_SIGNATURE_LEN + STORE_DIGEST_LEN,
               "as docs/STORAGE.md says");
_Static_assert((int)STORE_ID_LEN == (int)KEYS_HEAD_LOG_LEN, "a log is called as its store");

void store_record_encode_signed_head(const struct keys_signed_head *head,
                                     uint8_t value[STORE_SIGNED_HEAD_LEN])
{
    struct octets_writer writer = { value, STORE_SIGNED_HEAD_LEN - STORE_DIGEST_LEN };
    uint8_t key[STORE_SEQUENCE_LEN];

    octets_put_u8(&writer, STORE_RECORD_VERSION);
    octets_put_u64(&writer, head->head.time_us);
    octets_put(&writer, head->head.chain, STORE_CHAIN_LEN);
    octets_put(&writer, head->key_id, KEYS_HEAD_KEY_ID_LEN);
    octets_put(&writer, head->signature, KEYS_HEAD_SIGNATURE_LEN);
    store_record_sequence_key(head->head.sequence, key);
    store_record_seal(STORE_TABLE_HEADS, ca_bytes_of(key, sizeof(key)), value,
                      STORE_SIGNED_HEAD_LEN);
}

enum ca_err store_record_decode_signed_head(struct ca_bytes key, struct ca_bytes value,
                                            struct keys_signed_head *head_out)
{
    struct octets_reader reader = record_open(STORE_TABLE_HEADS, key, value);

    memset(head_out, 0, sizeof(*head_out));
    head_out->head.time_us = octets_get_u64(&reader);
    octets_get_copy(&reader, head_out->head.chain, STORE_CHAIN_LEN);
    octets_get_copy(&reader, head_out->key_id, KEYS_HEAD_KEY_ID_LEN);
    octets_get_copy(&reader, head_out->signature, KEYS_HEAD_SIGNATURE_LEN);
    if (key.len != STORE_SEQUENCE_LEN || record_end(&reader) != CA_OK ||
        head_out->head.time_us > INT64_MAX || octets_load_be64(key.data) == 0 ||
        octets_load_be64(key.data) > INT64_MAX) {
        memset(head_out, 0, sizeof(*head_out));
        return CA_ERR_STORAGE_CORRUPT;
    }
    head_out->head.sequence = octets_load_be64(key.data);
    return CA_OK;
}

/* ---- meta */

void store_record_encode_head(const struct store_head *head, uint8_t value[STORE_HEAD_LEN])
{
    struct octets_writer writer = { value, STORE_HEAD_LEN - STORE_DIGEST_LEN };

    octets_put_u8(&writer, STORE_RECORD_VERSION);
    octets_put_u64(&writer, head->change_sequence);
    octets_put_u64(&writer, head->audit_sequence);
    octets_put(&writer, head->audit_head, STORE_CHAIN_LEN);
    octets_put_u64(&writer, head->clock_us);
    assert(writer.left == 0);
    store_record_seal(STORE_TABLE_META, head_key, value, STORE_HEAD_LEN);
}

enum ca_err store_record_decode_head(struct ca_bytes value, struct store_head *head_out)
{
    struct octets_reader reader = record_open(STORE_TABLE_META, head_key, value);

    head_out->change_sequence = octets_get_u64(&reader);
    head_out->audit_sequence = octets_get_u64(&reader);
    octets_get_copy(&reader, head_out->audit_head, STORE_CHAIN_LEN);
    head_out->clock_us = octets_get_u64(&reader);
    return record_end(&reader);
}

void store_record_encode_identity(const struct store_identity *identity,
                                  uint8_t value[STORE_IDENTITY_LEN])
{
    struct octets_writer writer = { value, STORE_IDENTITY_LEN - STORE_DIGEST_LEN };

    octets_put_u8(&writer, STORE_RECORD_VERSION);
    octets_put_u64(&writer, identity->schema);
    octets_put_u8(&writer, identity->instance);
    octets_put(&writer, identity->id, STORE_ID_LEN);
    assert(writer.left == 0);
    store_record_seal(STORE_TABLE_META, identity_key, value, STORE_IDENTITY_LEN);
}

enum ca_err store_record_decode_identity(struct ca_bytes value, struct store_identity *identity_out)
{
    struct octets_reader reader = record_open(STORE_TABLE_META, identity_key, value);

    identity_out->schema = octets_get_u64(&reader);
    identity_out->instance = octets_get_u8(&reader);
    octets_get_copy(&reader, identity_out->id, STORE_ID_LEN);
    if (record_end(&reader) != CA_OK || identity_out->instance < 1 || identity_out->instance > 127)
        return CA_ERR_STORAGE_CORRUPT;
    return CA_OK;
}
