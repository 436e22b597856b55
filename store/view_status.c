/* SPDX-License-Identifier: Apache-2.0 */
#include "store/octets.h"
#include "store/tables.h"

enum ca_err store_find_status(struct store_view *view, const struct store_scope *scope,
                              const struct ca_serial *serial, struct store_status *status_out)
{
    static const enum store_table tables[] = { STORE_TABLE_REVOKED, STORE_TABLE_RETIRED };
    uint8_t bytes[STORE_SERIAL_KEY_LEN];
    struct ca_bytes key = ca_bytes_of(bytes, sizeof(bytes)), value;
    struct store_listed listed = { .entry = { NULL, 0 } };
    enum ca_err err = CA_ERR_NOT_FOUND;

    store_record_serial_key(scope, serial, bytes);
    for (int i = 0; i < 2 && err == CA_ERR_NOT_FOUND; i++) {
        err = store_view_get(view, tables[i], key, &value);
        if (err == CA_OK)
            err = store_record_decode_listed(tables[i], key, value, &listed);
    }
    *status_out = listed.status;
    return err;
}

enum ca_err store_find_line(struct store_view *view, uint64_t lineage, struct store_line *line_out)
{
    uint8_t bytes[STORE_LINE_KEY_LEN];
    struct ca_bytes key = ca_bytes_of(bytes, sizeof(bytes)), value;

    memset(line_out, 0, sizeof(*line_out));
    store_record_sequence_key(lineage, bytes);
    enum ca_err err = store_view_get(view, STORE_TABLE_LINEAGES, key, &value);
    return err == CA_OK ? store_record_decode_line(key, value, line_out) : err;
}

enum ca_err store_find_scope(struct store_view *view, const struct store_scope *scope,
                             struct store_scope_info *info_out)
{
    uint8_t bytes[STORE_SCOPE_KEY_LEN];
    struct ca_bytes key = ca_bytes_of(bytes, sizeof(bytes)), value;

    memset(info_out, 0, sizeof(*info_out));
    store_record_scope_key(scope, bytes);
    enum ca_err err = store_view_get(view, STORE_TABLE_SCOPES, key, &value);
    if (err == CA_ERR_NOT_FOUND)
        return CA_OK;
    return err == CA_OK ? store_record_decode_scope(key, value, info_out) : err;
}

/* The key has the right length. */
static void list_crl(const struct store_scan *scan, struct store_crl *crl_out)
{
    bool is_damaged = store_record_decode_crl(scan->key, scan->value, crl_out) != CA_OK;

    crl_out->is_damaged = is_damaged;
    crl_out->number = octets_load_be64(scan->key.data + STORE_SCOPE_KEY_LEN);
}

enum ca_err store_find_crls(struct store_view *view, const struct store_scope *scope,
                            uint64_t after, struct store_crl *crls_out, size_t count_max,
                            size_t *count_out)
{
    uint8_t from[STORE_NUMBER_KEY_LEN];
    struct store_scan scan;
    size_t count = 0;

    *count_out = 0;
    if (after == UINT64_MAX)
        return CA_OK;
    store_record_number_key(scope, after + 1, from);
    enum ca_err err =
        store_scan_open(view, STORE_TABLE_CRLS, ca_bytes_of(from, sizeof(from)), &scan);
    while (err == CA_OK && count < count_max && (err = store_scan_next(&scan)) == CA_OK) {
        if (scan.key.len != STORE_NUMBER_KEY_LEN)
            err = CA_ERR_STORAGE_CORRUPT;
        else if (!ca_bytes_equal(ca_bytes_of(scan.key.data, STORE_SCOPE_KEY_LEN),
                                 ca_bytes_of(from, STORE_SCOPE_KEY_LEN)))
            break;
        else
            list_crl(&scan, &crls_out[count++]);
    }
    return store_scan_end(&scan, err, count, count_out);
}

enum ca_err store_view_sequence(struct store_view *view, uint64_t *sequence_out)
{
    struct store_head head;
    enum ca_err err = store_view_head(view, &head);

    *sequence_out = head.change_sequence;
    return err;
}
