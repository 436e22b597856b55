/* SPDX-License-Identifier: Apache-2.0 */
#include "store/octets.h"
#include "store/tables.h"

const struct store_member *store_line_head(const struct store_line *line)
{
    size_t last = line->count - 1;

    assert(line->count >= 1 && line->count <= STORE_LINE_MAX);
    while (last > 0 && line->members[last].delivery == STORE_DELIVERY_ABANDONED)
        last--;
    return &line->members[last];
}

enum ca_err store_batch_find_line(struct store_batch *batch, uint64_t lineage,
                                  struct store_line *line_out)
{
    uint8_t bytes[STORE_LINE_KEY_LEN];
    struct ca_bytes key = ca_bytes_of(bytes, sizeof(bytes)), value;

    memset(line_out, 0, sizeof(*line_out));
    if (batch->failed != CA_OK)
        return batch->failed;
    store_record_sequence_key(lineage, bytes);
    enum ca_err err = store_batch_get(batch, STORE_TABLE_LINEAGES, key, &value);
    return err == CA_OK ? store_record_decode_line(key, value, line_out) : err;
}

/* A line of one: that of a certificate which nothing has followed upon yet. */
static enum ca_err line_start(struct store_batch *batch, uint64_t lineage,
                              struct store_line *line_out)
{
    struct store_certificate root;
    enum ca_err err = store_batch_get_locator(batch, lineage, &root);

    if (err != CA_OK)
        return err;
    if (root.predecessor != 0) /* of another line */
        return CA_ERR_CERT_NOT_HEAD;
    line_out->count = 1;
    line_out->members[0] = (struct store_member){
        .serial = root.serial,
        .operation = root.operation,
        .delivery = root.delivery,
    };
    return CA_OK;
}

enum ca_err store_batch_extend_line(struct store_batch *batch,
                                    const struct store_certificate *certificate,
                                    struct store_line *line_out)
{
    enum ca_err err = CA_OK;

    memset(line_out, 0, sizeof(*line_out));
    if (certificate->predecessor != 0) {
        err = store_batch_find_line(batch, certificate->lineage, line_out);
        if (err == CA_ERR_NOT_FOUND)
            err = line_start(batch, certificate->lineage, line_out);
        if (err != CA_OK)
            return err;
        const struct store_member *head = store_line_head(line_out);
        if (ca_serial_locator(&head->serial) != certificate->predecessor)
            return CA_ERR_CERT_NOT_HEAD;
    }
    if (line_out->count == STORE_LINE_MAX)
        return CA_ERR_TOO_MANY_ITEMS;
    bool is_waiting = certificate->delivery == STORE_DELIVERY_WAITING;
    line_out->members[line_out->count++] = (struct store_member){
        .serial = certificate->serial,
        .operation = certificate->operation,
        .delivery = certificate->delivery,
        .fate_reason = is_waiting ? certificate->fate_reason : 0,
    };
    return CA_OK;
}

enum ca_err store_batch_put_line(struct store_batch *batch, const struct store_line *line)
{
    uint8_t key[STORE_LINE_KEY_LEN];
    uint8_t *value;

    store_record_sequence_key(ca_serial_locator(&line->members[0].serial), key);
    enum ca_err err =
        store_batch_replace(batch, STORE_TABLE_LINEAGES, ca_bytes_of(key, sizeof(key)),
                            store_record_line_len(line), &value);
    if (err == CA_OK)
        store_record_encode_line(line, value);
    return err;
}

/* ---- delivery */

static struct store_member *line_find(struct store_line *line, const struct ca_serial *serial)
{
    for (size_t i = 0; i < line->count; i++)
        if (ca_bytes_equal(ca_serial_bytes(&line->members[i].serial), ca_serial_bytes(serial)))
            return &line->members[i];
    return NULL;
}

/* The state of a certificate does not change with its delivery, but its record tells it. */
static enum ca_err delivery_change(struct store_batch *batch, const struct ca_serial *serial,
                                   struct store_change_record *record)
{
    struct store_certificate certificate;
    struct store_status status;

    enum ca_err err = store_batch_get_locator(batch, ca_serial_locator(serial), &certificate);
    if (err != CA_OK)
        return err == CA_ERR_NOT_FOUND ? CA_ERR_STORAGE_CORRUPT : err;
    const struct store_scope scope = { certificate.issuer, certificate.crl_shard };
    err = store_batch_find_status(batch, &scope, serial, &status);
    if (err == CA_ERR_NOT_FOUND)
        status.state = STORE_STATE_VALID;
    else if (err != CA_OK)
        return err;
    record->change.serial = *serial;
    record->change.old_state = record->change.new_state = status.state;
    record->change.reason = status.reason;
    return CA_OK;
}

enum ca_err store_put_delivery(struct store_batch *batch, const struct ca_serial *serial,
                               uint64_t lineage, enum store_delivery delivery,
                               const struct store_digest *request, const struct store_digest *body,
                               const struct store_audit *audit)
{
    struct store_change_record record = {
        .change = { .time_us = audit->time_us },
        .kind = STORE_CHANGE_DELIVERY,
        .request = *request,
        .body = *body,
        .delivery = delivery,
    };
    struct store_line line;
    enum ca_err err;

    assert(delivery == STORE_DELIVERED || delivery == STORE_DELIVERY_ABANDONED);
    if (lineage == 0)
        lineage = ca_serial_locator(serial);
    if ((err = store_batch_find_line(batch, lineage, &line)) != CA_OK)
        return err;
    struct store_member *member = line_find(&line, serial);
    if (member == NULL)
        return CA_ERR_NOT_FOUND;
    if (member->delivery != STORE_DELIVERY_WAITING)
        return CA_ERR_STATE;
    if ((err = delivery_change(batch, serial, &record)) != CA_OK)
        return err;
    member->delivery = delivery;
    member->fate_reason = 0;
    if ((err = store_batch_put_line(batch, &line)) != CA_OK)
        return err;
    if ((err = store_batch_put_change(batch, &record)) != CA_OK)
        return err;
    return store_put_audit(batch, audit);
}
