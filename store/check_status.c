/* SPDX-License-Identifier: Apache-2.0 */
#include "store/octets.h"
#include "store/tables.h"

/* ---- lines */

/* The line of a certificate has it at a place that fits. */
enum ca_err store_check_in_line(struct store_checker *checker,
                                const struct store_certificate *certificate)
{
    uint64_t locator = ca_serial_locator(&certificate->serial);
    uint64_t lineage = certificate->lineage == 0 ? locator : certificate->lineage;
    struct store_line line;

    enum ca_err err = store_find_line(checker->view, lineage, &line);
    for (size_t i = 0; err == CA_OK && i < line.count; i++)
        if (ca_serial_locator(&line.members[i].serial) == locator)
            return (i == 0) == (certificate->predecessor == 0) ? CA_OK : CA_ERR_STORAGE_CORRUPT;
    return CA_ERR_STORAGE_CORRUPT;
}

/* A member is what its certificate says, and follows upon a member before it. */
static bool member_is_right(struct store_checker *checker, const struct store_line *line, size_t at)
{
    const struct store_member *member = &line->members[at];
    struct store_certificate certificate;
    bool has_predecessor = at == 0;

    if (store_find_serial(checker->view, &member->serial, &certificate) != CA_OK)
        return false;
    for (size_t i = 0; i < at; i++)
        if (ca_serial_locator(&line->members[i].serial) == certificate.predecessor)
            has_predecessor = true;
    uint64_t lineage = at == 0 ? 0 : ca_serial_locator(&line->members[0].serial);
    return has_predecessor && (at != 0 || certificate.predecessor == 0) &&
           certificate.lineage == lineage && certificate.operation == member->operation &&
           (certificate.delivery == STORE_DELIVERY_WAITING ||
            member->delivery == STORE_DELIVERED) &&
           member->fate_reason ==
               (member->delivery == STORE_DELIVERY_WAITING ? certificate.fate_reason : 0);
}

static enum ca_err check_line(struct store_checker *checker, struct ca_bytes key,
                              struct ca_bytes value)
{
    struct store_line line;
    enum ca_err err = store_record_decode_line(key, value, &line);

    for (size_t i = 0; err == CA_OK && i < line.count; i++)
        if (!member_is_right(checker, &line, i))
            err = CA_ERR_STORAGE_CORRUPT;
    return err;
}

/* ---- status */

static bool is_listed(enum store_state state)
{
    return state == STORE_STATE_REVOKED || state == STORE_STATE_HELD;
}

static enum ca_err find_change(struct store_checker *checker, uint64_t sequence,
                               struct store_change_record *record_out)
{
    uint8_t bytes[STORE_SEQUENCE_LEN];
    struct ca_bytes key = ca_bytes_of(bytes, sizeof(bytes)), value;

    store_record_sequence_key(sequence, bytes);
    enum ca_err err = store_view_get(checker->view, STORE_TABLE_CHANGES, key, &value);
    return err == CA_OK ? store_record_decode_change(key, value, record_out) : err;
}

/* Each row is a change, and no change of status is without a row. */
static enum ca_err check_status_row(struct store_checker *checker, struct ca_bytes key,
                                    struct ca_bytes value)
{
    struct store_change_record record;
    struct store_status_row row;
    struct store_status status;
    struct store_scope scope;

    if (store_record_decode_status(key, value, &row) != CA_OK ||
        store_record_parse_scope(key, &scope) != CA_OK ||
        find_change(checker, row.sequence, &record) != CA_OK)
        return CA_ERR_STORAGE_CORRUPT;
    checker->sequence++;
    checker->listed_count += is_listed(row.new_state) - is_listed(row.old_state);
    if (record.kind != STORE_CHANGE_STATUS || record.change.time_us != row.time_us ||
        record.change.old_state != row.old_state || record.change.new_state != row.new_state ||
        !ca_bytes_equal(ca_serial_bytes(&record.change.serial), ca_serial_bytes(&row.serial)))
        return CA_ERR_STORAGE_CORRUPT;
    /* What is so now is what this change said, or a later one. */
    enum ca_err err = store_find_status(checker->view, &scope, &row.serial, &status);
    if (err == CA_OK)
        return status.sequence >= row.sequence ? CA_OK : CA_ERR_STORAGE_CORRUPT;
    return err == CA_ERR_NOT_FOUND ? CA_OK : err;
}

/* Certificate or intent of an entry: it must be of the scope. */
static bool listed_is_issued(struct store_checker *checker, const struct store_listed *listed)
{
    struct store_certificate certificate;
    struct store_intent intent;
    struct store_scope scope;

    if (store_find_serial(checker->view, &listed->serial, &certificate) == CA_OK)
        scope = (struct store_scope){ certificate.issuer, certificate.crl_shard };
    else if (store_find_intent(checker->view, &listed->serial, &intent) == CA_OK)
        scope = (struct store_scope){ intent.issuer, intent.crl_shard };
    else
        return false;
    return store_scope_equal(&scope, &listed->scope);
}

static enum ca_err check_listed(struct store_checker *checker, enum store_table table,
                                struct ca_bytes key, struct ca_bytes value,
                                struct store_listed *listed_out)
{
    struct store_change_record record;

    enum ca_err err = store_record_decode_listed(table, key, value, listed_out);
    if (err != CA_OK || !listed_is_issued(checker, listed_out))
        return CA_ERR_STORAGE_CORRUPT;
    if (find_change(checker, listed_out->status.sequence, &record) != CA_OK)
        return CA_ERR_STORAGE_CORRUPT;
    checker->sequence++;
    bool is_same = record.kind == STORE_CHANGE_STATUS &&
                   record.change.new_state == listed_out->status.state &&
                   record.change.reason == listed_out->status.reason &&
                   ca_bytes_equal(ca_serial_bytes(&record.change.serial),
                                  ca_serial_bytes(&listed_out->serial));
    return is_same ? CA_OK : CA_ERR_STORAGE_CORRUPT;
}

static enum ca_err check_revoked(struct store_checker *checker, struct ca_bytes key,
                                 struct ca_bytes value)
{
    struct store_listed listed;

    return check_listed(checker, STORE_TABLE_REVOKED, key, value, &listed);
}

static enum ca_err check_retired(struct store_checker *checker, struct ca_bytes key,
                                 struct ca_bytes value)
{
    struct store_listed listed;
    struct ca_bytes other;

    enum ca_err err = check_listed(checker, STORE_TABLE_RETIRED, key, value, &listed);
    if (err != CA_OK)
        return err;
    err = store_view_get(checker->view, STORE_TABLE_REVOKED, key, &other);
    return err == CA_ERR_NOT_FOUND ? CA_OK : CA_ERR_STORAGE_CORRUPT;
}

/* ---- scopes and lists */

/* Reading a list tells whether the totals are true; checker->sequence counts all entries. */
static enum ca_err check_totals(struct store_checker *checker, const struct store_scope *scope)
{
    struct store_entries *entries = NULL;
    struct ca_bytes chunk;

    enum ca_err err = store_entries_open(checker->view, scope, &entries);
    if (err != CA_OK)
        return err;
    do
        err = store_entries_next(entries, &chunk);
    while (err == CA_OK && chunk.len > 0);
    checker->sequence += store_entries_count(entries);
    store_entries_close(entries);
    return err;
}

static bool crls_are_equal(const struct store_crl *a, const struct store_crl *b)
{
    return a->number == b->number && a->base_number == b->base_number &&
           a->this_update_s == b->this_update_s && a->next_update_s == b->next_update_s &&
           a->sequence == b->sequence && a->entry_count == b->entry_count && a->len == b->len &&
           ca_bytes_equal(ca_bytes_of(a->sha256, sizeof(a->sha256)),
                          ca_bytes_of(b->sha256, sizeof(b->sha256)));
}

/* The latest lists of a scope are the last ones recorded. */
static enum ca_err check_latest(struct store_checker *checker, const struct store_scope *scope,
                                const struct store_scope_info *info)
{
    struct store_crl crls[16], full = { .number = 0 }, delta = { .number = 0 };
    uint64_t after = 0;
    size_t count;

    do {
        enum ca_err err = store_find_crls(checker->view, scope, after, crls, 16, &count);
        if (err != CA_OK)
            return err;
        for (size_t i = 0; i < count; i++) {
            if (crls[i].is_damaged)
                return CA_ERR_STORAGE_CORRUPT;
            *(crls[i].base_number == 0 ? &full : &delta) = crls[i];
            after = crls[i].number;
        }
    } while (count == 16);
    return after <= info->last_number && crls_are_equal(&full, &info->full) &&
                   crls_are_equal(&delta, &info->delta)
               ? CA_OK
               : CA_ERR_STORAGE_CORRUPT;
}

static enum ca_err check_scope(struct store_checker *checker, struct ca_bytes key,
                               struct ca_bytes value)
{
    struct store_scope_info info;
    struct store_scope scope;

    enum ca_err err = store_record_decode_scope(key, value, &info);
    if (err == CA_OK)
        err = store_record_parse_scope(key, &scope);
    if (err == CA_OK)
        err = check_totals(checker, &scope);
    return err == CA_OK ? check_latest(checker, &scope, &info) : err;
}

static enum ca_err check_crl(struct store_checker *checker, struct ca_bytes key,
                             struct ca_bytes value)
{
    struct store_scope_info info;
    struct store_scope scope;
    struct store_crl crl;

    if (store_record_decode_crl(key, value, &crl) != CA_OK ||
        store_record_parse_scope(key, &scope) != CA_OK ||
        store_find_scope(checker->view, &scope, &info) != CA_OK)
        return CA_ERR_STORAGE_CORRUPT;
    return crl.number <= info.last_number && crl.sequence <= checker->head.change_sequence
               ? CA_OK
               : CA_ERR_STORAGE_CORRUPT;
}

enum ca_err store_check_status(struct store_checker *checker)
{
    const struct ca_bytes none = { (const uint8_t *)"", 0 };
    enum ca_err err;

    if ((err = store_checker_walk(checker, STORE_TABLE_LINEAGES, "lineages", check_line)) != CA_OK)
        return err;
    if ((err = store_checker_walk(checker, STORE_TABLE_STATUS, "status", check_status_row)) !=
        CA_OK)
        return err;
    if (checker->sequence != checker->status_count)
        return store_checker_blame(checker, "status", none);
    if ((err = store_checker_walk(checker, STORE_TABLE_REVOKED, "revoked", check_revoked)) != CA_OK)
        return err;
    uint64_t revoked_count = checker->sequence;
    if ((err = store_checker_walk(checker, STORE_TABLE_RETIRED, "retired", check_retired)) != CA_OK)
        return err;
    if (checker->listed_count < 0 ||
        revoked_count + checker->sequence != (uint64_t)checker->listed_count)
        return store_checker_blame(checker, "revoked", none);
    if ((err = store_checker_walk(checker, STORE_TABLE_SCOPES, "scopes", check_scope)) != CA_OK)
        return err;
    if (checker->sequence != revoked_count)
        return store_checker_blame(checker, "scopes", none);
    return store_checker_walk(checker, STORE_TABLE_CRLS, "crls", check_crl);
}
