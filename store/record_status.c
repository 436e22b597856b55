/* SPDX-License-Identifier: Apache-2.0 */
#include "store/record_status.h"

#include "store/record_parts.h"

/* ---- keys: numbers big endian, so that keys sort by number */

void store_record_scope_key(const struct store_scope *scope, uint8_t key[STORE_SCOPE_KEY_LEN])
{
    memcpy(key, scope->issuer.bytes, STORE_DIGEST_LEN);
    ca_bytes_put_number(key + STORE_DIGEST_LEN, scope->shard, 4);
}

void store_record_serial_key(const struct store_scope *scope, const struct ca_serial *serial,
                             uint8_t key[STORE_SERIAL_KEY_LEN])
{
    store_record_scope_key(scope, key);
    memcpy(key + STORE_SCOPE_KEY_LEN, serial->bytes, CA_SERIAL_LEN);
}

void store_record_number_key(const struct store_scope *scope, uint64_t number,
                             uint8_t key[STORE_NUMBER_KEY_LEN])
{
    store_record_scope_key(scope, key);
    octets_store_be64(key + STORE_SCOPE_KEY_LEN, number);
}

enum ca_err store_record_parse_scope(struct ca_bytes key, struct store_scope *scope_out)
{
    memset(scope_out, 0, sizeof(*scope_out));
    if (key.len < STORE_SCOPE_KEY_LEN)
        return CA_ERR_STORAGE_CORRUPT;
    memcpy(scope_out->issuer.bytes, key.data, STORE_DIGEST_LEN);
    scope_out->shard = (uint32_t)ca_bytes_get_number(key.data + STORE_DIGEST_LEN, 4);
    return CA_OK;
}

/* ---- revoked, retired */

/* Two sums side by side, since each step waits for the one before. */
struct sums {
    uint64_t even, odd;
};

/* A bijection of the sum for a word, and of the word for a sum: one changed word is noticed. */
static inline uint64_t sum_step(uint64_t sum, uint64_t word)
{
    sum = (sum ^ word) * 0x9e3779b97f4a7c15u;
    return sum ^ sum >> 32;
}

/* The last len octets before end, with zeros behind them; eight are there, fewer are left. */
static inline uint64_t rest_word(const uint8_t *end, size_t len)
{
    return len == 0 ? 0 : octets_load_le64(end - 8) >> (64 - 8 * len);
}

static inline struct sums sum_bytes(struct sums sums, struct ca_bytes bytes)
{
    const uint8_t *at = bytes.data, *end = bytes.data + bytes.len;
    size_t left = bytes.len;

    assert(bytes.len >= 8);
    for (; left >= 16; at += 16, left -= 16) {
        sums.even = sum_step(sums.even, octets_load_le64(at));
        sums.odd = sum_step(sums.odd, octets_load_le64(at + 8));
    }
    if (left >= 8) {
        sums.even = sum_step(sums.even, octets_load_le64(at));
        sums.odd = sum_step(sums.odd, rest_word(end, left - 8));
    } else if (left > 0) {
        sums.even = sum_step(sums.even, rest_word(end, left));
        sums.odd = sum_step(sums.odd, 0);
    }
    return sums;
}

static uint64_t listed_sum(enum store_table table, struct ca_bytes key, struct ca_bytes content)
{
    struct sums sums = { (uint64_t)table << 32 | (uint64_t)key.len << 16 | content.len, 0 };

    sums = sum_bytes(sum_bytes(sums, key), content);
    return sums.even ^ sums.odd * 0xd6e8feb86659fd93u;
}

void store_record_sum_listed(enum store_table table, struct ca_bytes key, uint8_t *value,
                             size_t len)
{
    assert(len >= STORE_SUM_LEN);
    len -= STORE_SUM_LEN;
    octets_store_le64(value + len, listed_sum(table, key, ca_bytes_of(value, len)));
}

/* The entry of a list; empty when there is none that says this. */
static struct ca_bytes entry_build(const struct store_listed *listed, uint8_t *buffer, size_t size)
{
    const struct store_status *status = &listed->status;
    struct x509_crl_entry entry = {
        .serial = ca_serial_bytes(&listed->serial),
        .revoked_s = status->revoked_s,
        .reason = (enum x509_crl_reason)status->reason,
        .has_invalidity = status->has_invalidity,
        .invalidity_s = status->invalidity_s,
    };
    bool is_hold = status->reason == X509_CRL_CERTIFICATE_HOLD;
    struct der_writer writer;

    der_writer_init(&writer, buffer, size);
    if (status->state != (is_hold ? STORE_STATE_HELD : STORE_STATE_REVOKED) ||
        status->reason == X509_CRL_REMOVE_FROM_CRL ||
        (!status->has_invalidity && status->invalidity_s != 0) ||
        x509_crl_entry_write(&writer, &entry) != CA_OK)
        return ca_bytes_of(NULL, 0);
    return der_writer_bytes(&writer);
}

enum ca_err store_record_encode_listed(enum store_table table, const struct store_listed *listed,
                                       uint8_t value[STORE_LISTED_LEN_MAX], size_t *len_out)
{
    uint8_t key[STORE_SERIAL_KEY_LEN], buffer[X509_CRL_ENTRY_LEN_MAX];
    struct ca_bytes entry = entry_build(listed, buffer, sizeof(buffer));

    *len_out = 0;
    if (entry.len == 0)
        return CA_ERR_FIELD_FORMAT;
    size_t len = STORE_LISTED_LEN_MIN + entry.len;
    struct octets_writer writer = { value, len - STORE_SUM_LEN };
    octets_put_u8(&writer, STORE_RECORD_VERSION);
    octets_put_u64(&writer, (uint64_t)listed->status.not_after_s);
    octets_put_u64(&writer, listed->status.sequence);
    octets_put(&writer, entry.data, entry.len);
    assert(writer.left == 0);
    store_record_serial_key(&listed->scope, &listed->serial, key);
    store_record_sum_listed(table, ca_bytes_of(key, sizeof(key)), value, len);
    *len_out = len;
    return CA_OK;
}

enum ca_err store_record_open_listed(enum store_table table, struct ca_bytes key,
                                     struct ca_bytes value, struct store_listed *listed_out)
{
    if (key.len != STORE_SERIAL_KEY_LEN || value.len <= STORE_LISTED_LEN_MIN ||
        value.len > STORE_LISTED_LEN_MAX || value.data[0] != STORE_RECORD_VERSION)
        return CA_ERR_STORAGE_CORRUPT;
    size_t len = value.len - STORE_SUM_LEN;
    if (listed_sum(table, key, ca_bytes_of(value.data, len)) != octets_load_le64(value.data + len))
        return CA_ERR_STORAGE_CORRUPT;
    listed_out->status.not_after_s = (int64_t)octets_load_le64(value.data + 1);
    listed_out->status.sequence = octets_load_le64(value.data + 9);
    listed_out->entry = ca_bytes_of(value.data + 17, len - 17);
    return CA_OK;
}

/* The rest of the status is what the entry says. */
static bool status_from_entry(struct store_listed *listed)
{
    struct x509_crl_cursor cursor = { listed->entry.data, listed->entry.data + listed->entry.len };
    struct store_status *status = &listed->status;
    uint8_t buffer[X509_CRL_ENTRY_LEN_MAX];
    struct x509_crl_entry entry;
    struct ca_refusal refusal;

    if (x509_crl_next(&cursor, &entry, &refusal) != CA_OK)
        return false;
    bool is_hold = entry.reason == X509_CRL_CERTIFICATE_HOLD;
    status->state = is_hold ? STORE_STATE_HELD : STORE_STATE_REVOKED;
    status->reason = (uint8_t)entry.reason;
    status->revoked_s = entry.revoked_s;
    status->has_invalidity = entry.has_invalidity;
    status->invalidity_s = entry.invalidity_s;
    return ca_bytes_equal(entry_build(listed, buffer, sizeof(buffer)), listed->entry);
}

enum ca_err store_record_decode_listed(enum store_table table, struct ca_bytes key,
                                       struct ca_bytes value, struct store_listed *listed_out)
{
    memset(listed_out, 0, sizeof(*listed_out));
    enum ca_err err = store_record_open_listed(table, key, value, listed_out);
    if (err != CA_OK)
        return err;
    struct ca_bytes serial = ca_bytes_of(key.data + STORE_SCOPE_KEY_LEN, CA_SERIAL_LEN);
    if (store_record_parse_scope(key, &listed_out->scope) != CA_OK ||
        ca_serial_from_bytes(serial, &listed_out->serial) != CA_OK ||
        !status_from_entry(listed_out)) {
        memset(listed_out, 0, sizeof(*listed_out));
        return CA_ERR_STORAGE_CORRUPT;
    }
    return CA_OK;
}

/* ---- crls, scopes */

static void put_crl(struct octets_writer *writer, const struct store_crl *crl)
{
    octets_put_u64(writer, crl->number);
    octets_put_u64(writer, crl->base_number);
    octets_put_u64(writer, (uint64_t)crl->this_update_s);
    octets_put_u64(writer, (uint64_t)crl->next_update_s);
    octets_put_u64(writer, crl->sequence);
    octets_put_u64(writer, crl->entry_count);
    octets_put_u64(writer, crl->len);
    octets_put(writer, crl->sha256, sizeof(crl->sha256));
}

static void get_crl(struct octets_reader *reader, struct store_crl *crl_out)
{
    crl_out->number = octets_get_u64(reader);
    crl_out->base_number = octets_get_u64(reader);
    crl_out->this_update_s = (int64_t)octets_get_u64(reader);
    crl_out->next_update_s = (int64_t)octets_get_u64(reader);
    crl_out->sequence = octets_get_u64(reader);
    crl_out->entry_count = octets_get_u64(reader);
    crl_out->len = octets_get_u64(reader);
    octets_get_copy(reader, crl_out->sha256, sizeof(crl_out->sha256));
}

void store_record_encode_crl(const struct store_scope *scope, const struct store_crl *crl,
                             uint8_t value[STORE_CRL_LEN])
{
    struct octets_writer writer = { value, STORE_CRL_LEN - STORE_DIGEST_LEN };
    uint8_t key[STORE_NUMBER_KEY_LEN];

    octets_put_u8(&writer, STORE_RECORD_VERSION);
    put_crl(&writer, crl);
    assert(writer.left == 0);
    store_record_number_key(scope, crl->number, key);
    store_record_seal(STORE_TABLE_CRLS, ca_bytes_of(key, sizeof(key)), value, STORE_CRL_LEN);
}

enum ca_err store_record_decode_crl(struct ca_bytes key, struct ca_bytes value,
                                    struct store_crl *crl_out)
{
    struct octets_reader reader = record_open(STORE_TABLE_CRLS, key, value);

    get_crl(&reader, crl_out);
    if (key.len != STORE_NUMBER_KEY_LEN || record_end(&reader) != CA_OK ||
        octets_load_be64(key.data + STORE_SCOPE_KEY_LEN) != crl_out->number ||
        crl_out->number <= crl_out->base_number) {
        memset(crl_out, 0, sizeof(*crl_out));
        return CA_ERR_STORAGE_CORRUPT;
    }
    return CA_OK;
}

void store_record_encode_scope(const struct store_scope *scope, const struct store_scope_info *info,
                               uint8_t value[STORE_SCOPE_LEN])
{
    struct octets_writer writer = { value, STORE_SCOPE_LEN - STORE_DIGEST_LEN };
    uint8_t key[STORE_SCOPE_KEY_LEN];

    octets_put_u8(&writer, STORE_RECORD_VERSION);
    octets_put_u64(&writer, info->entry_count);
    octets_put_u64(&writer, info->entries_len);
    octets_put_u64(&writer, info->last_number);
    put_crl(&writer, &info->full);
    put_crl(&writer, &info->delta);
    assert(writer.left == 0);
    store_record_scope_key(scope, key);
    store_record_seal(STORE_TABLE_SCOPES, ca_bytes_of(key, sizeof(key)), value, STORE_SCOPE_LEN);
}

enum ca_err store_record_decode_scope(struct ca_bytes key, struct ca_bytes value,
                                      struct store_scope_info *info_out)
{
    struct octets_reader reader = record_open(STORE_TABLE_SCOPES, key, value);

    info_out->entry_count = octets_get_u64(&reader);
    info_out->entries_len = octets_get_u64(&reader);
    info_out->last_number = octets_get_u64(&reader);
    get_crl(&reader, &info_out->full);
    get_crl(&reader, &info_out->delta);
    if (key.len != STORE_SCOPE_KEY_LEN || record_end(&reader) != CA_OK ||
        info_out->full.number > info_out->last_number ||
        info_out->delta.number > info_out->last_number) {
        memset(info_out, 0, sizeof(*info_out));
        return CA_ERR_STORAGE_CORRUPT;
    }
    return CA_OK;
}

/* ---- lineages */

size_t store_record_line_len(const struct store_line *line)
{
    return STORE_LINE_LEN_MIN + line->count * STORE_MEMBER_LEN;
}

void store_record_encode_line(const struct store_line *line, uint8_t *value)
{
    size_t len = store_record_line_len(line);
    struct octets_writer writer = { value, len - STORE_DIGEST_LEN };
    uint8_t key[STORE_LINE_KEY_LEN];

    assert(line->count >= 1 && line->count <= STORE_LINE_MAX);
    octets_put_u8(&writer, STORE_RECORD_VERSION);
    octets_put_u8(&writer, (uint8_t)line->count);
    for (size_t i = 0; i < line->count; i++) {
        const struct store_member *member = &line->members[i];
        octets_put(&writer, member->serial.bytes, CA_SERIAL_LEN);
        octets_put_u8(&writer, (uint8_t)member->operation);
        octets_put_u8(&writer, (uint8_t)member->delivery);
        octets_put_u8(&writer, member->fate_reason);
    }
    assert(writer.left == 0);
    store_record_sequence_key(ca_serial_locator(&line->members[0].serial), key);
    store_record_seal(STORE_TABLE_LINEAGES, ca_bytes_of(key, sizeof(key)), value, len);
}

enum ca_err store_record_decode_line(struct ca_bytes key, struct ca_bytes value,
                                     struct store_line *line_out)
{
    struct octets_reader reader = record_open(STORE_TABLE_LINEAGES, key, value);

    memset(line_out, 0, sizeof(*line_out));
    size_t count = octets_get_u8(&reader);
    if (count < 1 || count > STORE_LINE_MAX)
        return CA_ERR_STORAGE_CORRUPT;
    for (size_t i = 0; i < count; i++) {
        struct store_member *member = &line_out->members[i];
        struct ca_bytes serial = octets_get(&reader, CA_SERIAL_LEN);
        if (ca_serial_from_bytes(serial, &member->serial) != CA_OK)
            reader.is_failed = true;
        member->operation = (enum store_operation)record_get_enum(&reader, STORE_OPERATION_COUNT);
        member->delivery = (enum store_delivery)record_get_enum(&reader, STORE_DELIVERY_COUNT);
        member->fate_reason = octets_get_u8(&reader);
    }
    if (key.len != STORE_LINE_KEY_LEN || record_end(&reader) != CA_OK ||
        octets_load_be64(key.data) != ca_serial_locator(&line_out->members[0].serial)) {
        memset(line_out, 0, sizeof(*line_out));
        return CA_ERR_STORAGE_CORRUPT;
    }
    line_out->count = count;
    return CA_OK;
}

/* ---- status */

void store_record_encode_status(const struct store_scope *scope, const struct store_status_row *row,
                                uint8_t value[STORE_STATUS_ROW_LEN])
{
    struct octets_writer writer = { value, STORE_STATUS_ROW_LEN - STORE_DIGEST_LEN };
    uint8_t key[STORE_NUMBER_KEY_LEN];

    octets_put_u8(&writer, STORE_RECORD_VERSION);
    octets_put(&writer, row->serial.bytes, CA_SERIAL_LEN);
    octets_put_u8(&writer, (uint8_t)row->old_state);
    octets_put_u8(&writer, (uint8_t)row->new_state);
    octets_put_u64(&writer, row->time_us);
    assert(writer.left == 0);
    store_record_number_key(scope, row->sequence, key);
    store_record_seal(STORE_TABLE_STATUS, ca_bytes_of(key, sizeof(key)), value,
                      STORE_STATUS_ROW_LEN);
}

enum ca_err store_record_decode_status(struct ca_bytes key, struct ca_bytes value,
                                       struct store_status_row *row_out)
{
    struct octets_reader reader = record_open(STORE_TABLE_STATUS, key, value);

    memset(row_out, 0, sizeof(*row_out));
    struct ca_bytes serial = octets_get(&reader, CA_SERIAL_LEN);
    row_out->old_state = (enum store_state)record_get_enum(&reader, STORE_STATE_HELD + 1);
    row_out->new_state = (enum store_state)record_get_enum(&reader, STORE_STATE_HELD + 1);
    row_out->time_us = octets_get_u64(&reader);
    if (key.len != STORE_NUMBER_KEY_LEN || record_end(&reader) != CA_OK ||
        ca_serial_from_bytes(serial, &row_out->serial) != CA_OK) {
        memset(row_out, 0, sizeof(*row_out));
        return CA_ERR_STORAGE_CORRUPT;
    }
    row_out->sequence = octets_load_be64(key.data + STORE_SCOPE_KEY_LEN);
    return CA_OK;
}
