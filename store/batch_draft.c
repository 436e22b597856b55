/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/crypto/digest.h"
#include "store/octets.h"
#include "store/tables.h"

enum { PREFIX_LEN = 2 }; /* what a seal covers before the key: table, length of the key */
_Static_assert(PREFIX_LEN + CA_SERIAL_LEN + STORE_CERTIFICATE_RECORD_MAX +
                       CRYPTO_SHA256_PADDING_MAX <=
                   sizeof(((struct store_drafts *)NULL)->room),
               "there is room for the longest record");

static struct ca_bytes draft_key(const struct store_draft *draft)
{
    return ca_bytes_of(draft->octets + PREFIX_LEN, draft->octets[1]);
}

static uint8_t *draft_record(const struct store_draft *draft)
{
    return draft->octets + PREFIX_LEN + draft->octets[1];
}

/* Side by side, each where it stands; the seal takes the place of the padding. */
static void drafts_seal(const struct store_drafts *drafts, bool has_pair)
{
    struct ca_bytes messages[STORE_DRAFTS_MAX];
    uint8_t digests[STORE_DRAFTS_MAX][CA_DIGEST_LEN];

    for (size_t i = 0; i < drafts->count; i++) {
        const struct store_draft *draft = &drafts->drafts[i];
        size_t len = PREFIX_LEN + draft_key(draft).len + draft->len - STORE_DIGEST_LEN;
        messages[i] = ca_bytes_of(draft->octets, crypto_sha256_pad(draft->octets, len));
    }
    crypto_sha256_padded(has_pair, messages, drafts->count, digests);
    for (size_t i = 0; i < drafts->count; i++) {
        const struct store_draft *draft = &drafts->drafts[i];
        memcpy(draft_record(draft) + draft->len - STORE_DIGEST_LEN, digests[i], STORE_DIGEST_LEN);
    }
}

enum ca_err store_batch_settle(struct store_batch *batch)
{
    struct store_drafts *drafts = &batch->drafts;
    enum ca_err err = CA_OK;
    uint8_t *value;

    drafts_seal(drafts, batch->store->has_pair);
    for (size_t i = 0; i < drafts->count && err == CA_OK; i++) {
        const struct store_draft *draft = &drafts->drafts[i];
        err = store_batch_reserve(batch, (enum store_table)draft->octets[0], draft_key(draft),
                                  draft->len, &value);
        if (err == CA_OK)
            memcpy(value, draft_record(draft), draft->len);
    }
    store_batch_forget(batch);
    /* Whether they exist was looked into before. */
    return err == CA_ERR_EXISTS ? store_batch_fail(batch, MDB_KEYEXIST) : err;
}

void store_batch_forget(struct store_batch *batch)
{
    batch->drafts.count = batch->drafts.used = 0;
}

enum ca_err store_batch_settle_table(struct store_batch *batch, enum store_table table)
{
    for (size_t i = 0; i < batch->drafts.count; i++)
        if (batch->drafts.drafts[i].octets[0] == table)
            return store_batch_settle(batch);
    return CA_OK;
}

enum ca_err store_batch_draft(struct store_batch *batch, enum store_table table,
                              struct ca_bytes key, size_t len, uint8_t **record_out)
{
    size_t room = PREFIX_LEN + key.len + len + CRYPTO_SHA256_PADDING_MAX;
    struct store_drafts *drafts = &batch->drafts;
    enum ca_err err;

    *record_out = NULL;
    assert(key.len <= CA_SERIAL_LEN && room <= sizeof(drafts->room));
    if ((drafts->count == STORE_DRAFTS_MAX || drafts->used + room > sizeof(drafts->room)) &&
        (err = store_batch_settle(batch)) != CA_OK)
        return err;
    struct store_draft *draft = &drafts->drafts[drafts->count++];
    *draft = (struct store_draft){ drafts->room + drafts->used, len };
    drafts->used += room;
    draft->octets[0] = (uint8_t)table;
    draft->octets[1] = (uint8_t)key.len;
    memcpy(draft->octets + PREFIX_LEN, key.data, key.len);
    *record_out = draft_record(draft);
    return CA_OK;
}
