/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>

#include "store/tables.h"

enum ca_err store_put_profile(struct store_batch *batch, const struct store_profile *profile,
                              const struct store_audit *audit)
{
    const struct store *store = batch->store;
    struct store_profile introduced = *profile;
    MDB_stat status;
    uint8_t *value;

    assert(profile->name.len >= 1 && profile->name.len <= CA_NAME_LEN_MAX &&
           profile->content.len <= CA_PROFILE_LEN_MAX);
    assert(audit->kind == STORE_AUDIT_PROFILE);
    if (batch->failed != CA_OK)
        return batch->failed;
    int rc = mdb_stat(batch->txn, store->tables[STORE_TABLE_PROFILES], &status);
    if (rc != 0)
        return store_batch_fail(batch, rc);
    if (status.ms_entries >= STORE_PROFILES_MAX)
        return CA_ERR_TOO_MANY_ITEMS;
    introduced.introduced_us = audit->time_us;
    enum ca_err err = store_batch_reserve(batch, STORE_TABLE_PROFILES,
                                          ca_bytes_of(profile->id.bytes, STORE_DIGEST_LEN),
                                          store_record_profile_len(&introduced), &value);
    if (err != CA_OK)
        return err;
    store_record_encode_profile(&introduced, value);
    return store_put_audit(batch, audit);
}

enum ca_err store_find_profile(struct store_view *view, const struct store_digest *id,
                               struct store_profile *profile_out)
{
    struct ca_bytes key = ca_bytes_of(id->bytes, STORE_DIGEST_LEN), value;

    memset(profile_out, 0, sizeof(*profile_out));
    if (view->store->lacks[STORE_TABLE_PROFILES])
        return CA_ERR_NOT_FOUND;
    enum ca_err err = store_view_get(view, STORE_TABLE_PROFILES, key, &value);
    return err == CA_OK ? store_record_decode_profile(key, value, profile_out) : err;
}

static enum ca_err list_profile(const struct store_scan *scan, struct store_profile *profile_out)
{
    enum ca_err err = store_record_decode_profile(scan->key, scan->value, profile_out);

    profile_out->is_damaged = err != CA_OK;
    if (err == CA_OK || scan->key.len != STORE_DIGEST_LEN)
        return err;
    memcpy(profile_out->id.bytes, scan->key.data, STORE_DIGEST_LEN);
    return CA_OK;
}

enum ca_err store_find_profiles(struct store_view *view, const struct store_digest *after,
                                struct store_profile *profiles_out, size_t count_max,
                                size_t *count_out)
{
    static const struct store_digest lowest = { { 0 } };
    struct ca_bytes from =
        ca_bytes_of(after == NULL ? lowest.bytes : after->bytes, STORE_DIGEST_LEN);
    struct store_scan scan;
    size_t count = 0;

    *count_out = 0;
    if (view->store->lacks[STORE_TABLE_PROFILES])
        return CA_OK;
    enum ca_err err = store_scan_open(view, STORE_TABLE_PROFILES, from, &scan);
    while (err == CA_OK && count < count_max && (err = store_scan_next(&scan)) == CA_OK) {
        if (after != NULL && ca_bytes_equal(scan.key, from))
            continue;
        if ((err = list_profile(&scan, &profiles_out[count])) == CA_OK)
            count++;
    }
    return store_scan_end(&scan, err, count, count_out);
}
