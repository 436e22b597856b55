/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/base/text.h"
#include "store/octets.h"
#include "store/tables.h"

/* What a walk over one table carries from record to record. */
struct checker {
    struct store_view *view;
    struct store_head head;
    struct store_damage *damage;
    uint64_t sequence;
    uint8_t chain[STORE_CHAIN_LEN];
    uint64_t added_count;
};

static enum ca_err checker_blame(struct checker *checker, const char *table, struct ca_bytes key)
{
    checker->damage->table = table;
    checker->damage->key[0] = '\0';
    if (key.len <= CA_SERIAL_LEN)
        ca_text_hex(key, checker->damage->key);
    return CA_ERR_STORAGE_CORRUPT;
}

static enum ca_err check_certificate(struct checker *checker, struct ca_bytes key,
                                     struct ca_bytes value)
{
    struct store_certificate certificate;

    (void)checker;
    return store_record_decode_certificate(key, value, &certificate);
}

static enum ca_err check_intent(struct checker *checker, struct ca_bytes key, struct ca_bytes value)
{
    struct store_certificate certificate;
    struct store_intent intent;

    enum ca_err err = store_record_decode_intent(key, value, &intent);
    if (err != CA_OK)
        return err;
    err = store_find_serial(checker->view, &intent.serial, &certificate);
    return err == CA_ERR_NOT_FOUND ? CA_OK : CA_ERR_STORAGE_CORRUPT;
}

/* Every certificate was added by exactly one change, which says the same of it. */
static enum ca_err check_change(struct checker *checker, struct ca_bytes key, struct ca_bytes value)
{
    struct store_change_record record;
    struct store_certificate certificate;

    enum ca_err err = store_record_decode_change(key, value, &record);
    if (err != CA_OK || record.change.sequence != ++checker->sequence)
        return CA_ERR_STORAGE_CORRUPT;
    if (!record.is_added)
        return CA_OK;
    checker->added_count++;
    if (store_find_serial(checker->view, &record.change.serial, &certificate) != CA_OK)
        return CA_ERR_STORAGE_CORRUPT;
    const struct store_digest want[STORE_SECTION_COUNT] = {
        [STORE_SECTION_IDENTITY] = certificate.identity,
        [STORE_SECTION_KEY] = certificate.key,
        [STORE_SECTION_REQUEST] = certificate.request,
    };
    return ca_bytes_equal(ca_bytes_of(want, sizeof(want)),
                          ca_bytes_of(record.digests, sizeof(record.digests)))
               ? CA_OK
               : CA_ERR_STORAGE_CORRUPT;
}

static enum ca_err check_audit(struct checker *checker, struct ca_bytes key, struct ca_bytes value)
{
    struct store_audit_entry entry;

    enum ca_err err = store_record_decode_audit(key, value, checker->chain, &entry);
    if (err != CA_OK || entry.sequence != ++checker->sequence)
        return CA_ERR_STORAGE_CORRUPT;
    memcpy(checker->chain, entry.chain, STORE_CHAIN_LEN);
    return CA_OK;
}

static enum ca_err check_table(struct checker *checker, enum store_table table, const char *name,
                               enum ca_err (*check)(struct checker *checker, struct ca_bytes key,
                                                    struct ca_bytes value))
{
    static const uint8_t lowest[1] = { 0 };
    struct store_scan scan;
    enum ca_err err;

    checker->sequence = 0;
    err = store_scan_open(checker->view, table, ca_bytes_of(lowest, 1), &scan);
    while (err == CA_OK && (err = store_scan_next(&scan)) == CA_OK)
        if (check(checker, scan.key, scan.value) != CA_OK)
            err = checker_blame(checker, name, scan.key);
    store_scan_close(&scan);
    return err == CA_ERR_NOT_FOUND ? CA_OK : err;
}

static enum ca_err check_counts(struct checker *checker)
{
    struct store *store = checker->view->store;
    MDB_stat status;

    if (mdb_stat(checker->view->txn, store->tables[STORE_TABLE_CERTIFICATES], &status) != 0 ||
        status.ms_entries != checker->added_count)
        return checker_blame(checker, "certificates", ca_bytes_of("", 0));
    return CA_OK;
}

enum ca_err store_check(struct store_view *view, struct store_damage *damage_out)
{
    struct checker checker = { .view = view, .damage = damage_out };
    const struct ca_bytes none = { (const uint8_t *)"", 0 };
    enum ca_err err;

    memset(damage_out, 0, sizeof(*damage_out));
    if (store_view_head(view, &checker.head) != CA_OK)
        return checker_blame(&checker, "meta", none);
    if ((err = check_table(&checker, STORE_TABLE_CERTIFICATES, "certificates",
                           check_certificate)) != CA_OK)
        return err;
    if ((err = check_table(&checker, STORE_TABLE_INTENTS, "intents", check_intent)) != CA_OK)
        return err;
    if ((err = check_table(&checker, STORE_TABLE_CHANGES, "changes", check_change)) != CA_OK)
        return err;
    if (checker.sequence != checker.head.change_sequence)
        return checker_blame(&checker, "changes", none);
    if ((err = check_counts(&checker)) != CA_OK)
        return err;
    store_record_genesis(&view->store->identity, checker.chain);
    if ((err = check_table(&checker, STORE_TABLE_AUDIT, "audit", check_audit)) != CA_OK)
        return err;
    if (checker.sequence != checker.head.audit_sequence ||
        !ca_bytes_equal(ca_bytes_of(checker.chain, STORE_CHAIN_LEN),
                        ca_bytes_of(checker.head.audit_head, STORE_CHAIN_LEN)))
        return checker_blame(&checker, "audit", none);
    if (store_runs_check(view->store->runs, view->set) != CA_OK)
        return checker_blame(&checker, "runs", none);
    return CA_OK;
}
