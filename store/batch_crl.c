/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "store/octets.h"
#include "store/tables.h"

/* ---- scopes */

static enum ca_err scope_load(struct store_batch *batch, const struct store_scope *scope,
                              struct store_scope_info *info_out)
{
    uint8_t bytes[STORE_SCOPE_KEY_LEN];
    struct ca_bytes key = ca_bytes_of(bytes, sizeof(bytes)), value;

    memset(info_out, 0, sizeof(*info_out));
    store_record_scope_key(scope, bytes);
    enum ca_err err = store_batch_get(batch, STORE_TABLE_SCOPES, key, &value);
    if (err == CA_ERR_NOT_FOUND)
        return CA_OK;
    return err == CA_OK ? store_record_decode_scope(key, value, info_out) : err;
}

enum ca_err store_batch_scope(struct store_batch *batch, const struct store_scope *scope,
                              struct store_scope_info **info_out)
{
    struct store_scope_info info;

    *info_out = NULL;
    for (size_t i = batch->scope_count; i-- > 0;)
        if (store_scope_equal(&batch->scopes[i].scope, scope)) {
            *info_out = &batch->scopes[i].info;
            return CA_OK;
        }
    enum ca_err err = scope_load(batch, scope, &info);
    if (err != CA_OK)
        return err;
    if (batch->scope_count == batch->scope_room) {
        size_t room = batch->scope_room == 0 ? 16 : 2 * batch->scope_room;
        struct store_batch_scope *scopes = realloc(batch->scopes, room * sizeof(*scopes));
        if (scopes == NULL)
            return store_batch_fail(batch, ENOMEM);
        batch->scopes = scopes;
        batch->scope_room = room;
    }
    batch->scopes[batch->scope_count] = (struct store_batch_scope){ *scope, info };
    *info_out = &batch->scopes[batch->scope_count++].info;
    return CA_OK;
}

enum ca_err store_batch_put_scopes(struct store_batch *batch)
{
    enum ca_err err = CA_OK;

    for (size_t i = 0; i < batch->scope_count && err == CA_OK; i++) {
        const struct store_batch_scope *scope = &batch->scopes[i];
        uint8_t key[STORE_SCOPE_KEY_LEN];
        uint8_t *value;
        store_record_scope_key(&scope->scope, key);
        err = store_batch_replace(batch, STORE_TABLE_SCOPES, ca_bytes_of(key, sizeof(key)),
                                  STORE_SCOPE_LEN, &value);
        if (err == CA_OK)
            store_record_encode_scope(&scope->scope, &scope->info, value);
    }
    return err;
}

/* ---- lists */

enum ca_err store_put_crl_number(struct store_batch *batch, const struct store_scope *scope,
                                 uint64_t *number_out)
{
    struct store_scope_info *info;

    *number_out = 0;
    if (batch->failed != CA_OK)
        return batch->failed;
    enum ca_err err = store_batch_scope(batch, scope, &info);
    if (err != CA_OK)
        return err;
    *number_out = ++info->last_number;
    batch->is_changed = true;
    return CA_OK;
}

enum ca_err store_put_crl(struct store_batch *batch, const struct store_scope *scope,
                          const struct store_crl *crl, const struct store_audit *audit)
{
    uint8_t key[STORE_NUMBER_KEY_LEN];
    struct store_scope_info *info;
    uint8_t *value;
    enum ca_err err;

    assert(crl->number > crl->base_number && crl->sequence <= batch->head.change_sequence);
    if (batch->failed != CA_OK)
        return batch->failed;
    if ((err = store_batch_scope(batch, scope, &info)) != CA_OK)
        return err;
    if (crl->number > info->last_number)
        return CA_ERR_NOT_FOUND;
    if (crl->number <= info->full.number || crl->number <= info->delta.number)
        return CA_ERR_EXISTS;
    store_record_number_key(scope, crl->number, key);
    err = store_batch_reserve(batch, STORE_TABLE_CRLS, ca_bytes_of(key, sizeof(key)), STORE_CRL_LEN,
                              &value);
    if (err != CA_OK)
        return err;
    store_record_encode_crl(scope, crl, value);
    if (crl->base_number == 0)
        info->full = *crl;
    else
        info->delta = *crl;
    return store_put_audit(batch, audit);
}
