/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/base/text.h"
#include "store/octets.h"
#include "store/tables.h"

enum ca_err store_checker_blame(struct store_checker *checker, const char *table,
                                struct ca_bytes key)
{
    checker->damage->table = table;
    checker->damage->key[0] = '\0';
    if (2 * key.len < sizeof(checker->damage->key))
        ca_text_hex(key, checker->damage->key);
    return CA_ERR_STORAGE_CORRUPT;
}

static enum ca_err check_certificate(struct store_checker *checker, struct ca_bytes key,
                                     struct ca_bytes value)
{
    struct store_certificate certificate;

    enum ca_err err = store_record_decode_certificate(key, value, &certificate);
    if (err != CA_OK)
        return err;
    if (certificate.predecessor == 0 && certificate.delivery == STORE_DELIVERED)
        return CA_OK;
    return store_check_in_line(checker, &certificate);
}

static enum ca_err check_intent(struct store_checker *checker, struct ca_bytes key,
                                struct ca_bytes value)
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
static enum ca_err check_change(struct store_checker *checker, struct ca_bytes key,
                                struct ca_bytes value)
{
    struct store_change_record record;
    struct store_certificate certificate;

    enum ca_err err = store_record_decode_change(key, value, &record);
    if (err != CA_OK || record.change.sequence != ++checker->sequence)
        return CA_ERR_STORAGE_CORRUPT;
    checker->status_count += record.kind == STORE_CHANGE_STATUS;
    if (record.kind != STORE_CHANGE_ADDED)
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

static enum ca_err check_profile(struct store_checker *checker, struct ca_bytes key,
                                 struct ca_bytes value)
{
    struct store_profile profile;

    checker->profile_count++;
    return store_record_decode_profile(key, value, &profile);
}

/* Of a profile that is remembered, introduced then. */
static enum ca_err check_introduced(struct store_checker *checker, const struct store_audit *audit)
{
    struct store_profile profile;
    struct store_digest id;

    if (audit->object.len != STORE_DIGEST_LEN)
        return CA_ERR_STORAGE_CORRUPT;
    memcpy(id.bytes, audit->object.data, STORE_DIGEST_LEN);
    checker->introduced_count++;
    return store_find_profile(checker->view, &id, &profile) == CA_OK &&
                   profile.introduced_us == audit->time_us
               ? CA_OK
               : CA_ERR_STORAGE_CORRUPT;
}

static enum ca_err check_audit(struct store_checker *checker, struct ca_bytes key,
                               struct ca_bytes value)
{
    struct store_audit_entry entry;

    enum ca_err err = store_record_decode_audit(key, value, checker->chain, &entry);
    if (err != CA_OK || entry.sequence != ++checker->sequence)
        return CA_ERR_STORAGE_CORRUPT;
    memcpy(checker->chain, entry.chain, STORE_CHAIN_LEN);
    return entry.audit.kind == STORE_AUDIT_PROFILE ? check_introduced(checker, &entry.audit)
                                                   : CA_OK;
}

enum ca_err store_checker_walk(struct store_checker *checker, enum store_table table,
                               const char *name, store_check_record *check)
{
    static const uint8_t lowest[1] = { 0 };
    struct store_scan scan;
    enum ca_err err;

    checker->sequence = 0;
    err = store_scan_open(checker->view, table, ca_bytes_of(lowest, 1), &scan);
    while (err == CA_OK && (err = store_scan_next(&scan)) == CA_OK)
        if (check(checker, scan.key, scan.value) != CA_OK)
            err = store_checker_blame(checker, name, scan.key);
    store_scan_close(&scan);
    return err == CA_ERR_NOT_FOUND ? CA_OK : err;
}

static enum ca_err check_counts(struct store_checker *checker)
{
    struct store *store = checker->view->store;
    MDB_stat status;

    if (mdb_stat(checker->view->txn, store->tables[STORE_TABLE_CERTIFICATES], &status) != 0 ||
        status.ms_entries != checker->added_count)
        return store_checker_blame(checker, "certificates", ca_bytes_of("", 0));
    return CA_OK;
}

enum ca_err store_check(struct store_view *view, struct store_damage *damage_out)
{
    struct store_checker checker = { .view = view, .damage = damage_out };
    const struct ca_bytes none = { (const uint8_t *)"", 0 };
    enum ca_err err;

    memset(damage_out, 0, sizeof(*damage_out));
    if (store_view_head(view, &checker.head) != CA_OK)
        return store_checker_blame(&checker, "meta", none);
    if ((err = store_checker_walk(&checker, STORE_TABLE_CERTIFICATES, "certificates",
                                  check_certificate)) != CA_OK)
        return err;
    if ((err = store_checker_walk(&checker, STORE_TABLE_INTENTS, "intents", check_intent)) != CA_OK)
        return err;
    if ((err = store_checker_walk(&checker, STORE_TABLE_CHANGES, "changes", check_change)) != CA_OK)
        return err;
    if (checker.sequence != checker.head.change_sequence)
        return store_checker_blame(&checker, "changes", none);
    if ((err = check_counts(&checker)) != CA_OK)
        return err;
    if ((err = store_check_status(&checker)) != CA_OK)
        return err;
    if (!view->store->lacks[STORE_TABLE_PROFILES] &&
        (err = store_checker_walk(&checker, STORE_TABLE_PROFILES, "profiles", check_profile)) !=
            CA_OK)
        return err;
    store_record_genesis(&view->store->identity, checker.chain);
    if ((err = store_checker_walk(&checker, STORE_TABLE_AUDIT, "audit", check_audit)) != CA_OK)
        return err;
    if (checker.sequence != checker.head.audit_sequence ||
        !ca_bytes_equal(ca_bytes_of(checker.chain, STORE_CHAIN_LEN),
                        ca_bytes_of(checker.head.audit_head, STORE_CHAIN_LEN)))
        return store_checker_blame(&checker, "audit", none);
    if (checker.introduced_count != checker.profile_count)
        return store_checker_blame(&checker, "profiles", none);
    if ((err = store_check_heads(&checker)) != CA_OK)
        return err;
    if (store_runs_check(view->store->runs, view->set) != CA_OK)
        return store_checker_blame(&checker, "runs", none);
    return CA_OK;
}
