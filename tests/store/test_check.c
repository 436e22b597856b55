/* SPDX-License-Identifier: Apache-2.0 */
/* Records that are each sealed rightly but contradict each other: what only store_check() sees. */
#include <sys/wait.h>
#include <unistd.h>

#include "store/record_status.h"
#include "tests/support/data_file.h"
#include "tests/support/store.h"

enum { REVOKED = 10, HELD = 20, PRUNED = 30, FIRST = 3, SECOND = 41, PROFILE = 4 };

static struct store *store;

static struct store_batch *begin(void)
{
    return test_begin(store);
}

static void put_second(struct store_batch *batch)
{
    uint8_t der[TEST_DER_MAX];
    struct store_certificate certificate = test_certificate(SECOND, der);
    struct store_audit audit = test_audit(&certificate.serial, SECOND);
    struct store_intent intent = test_intent(SECOND);

    certificate.lineage = intent.lineage = test_locator(FIRST);
    certificate.predecessor = intent.predecessor = test_locator(FIRST);
    check_ok(store_put_intent(batch, &intent));
    check_ok(store_put_certificate(batch, &certificate, &audit));
}

static void make_data(void)
{
    const struct store_audit audit = { .kind = STORE_AUDIT_CRL };
    struct store_scope scope = test_scope(REVOKED);
    struct ca_serial from = { { 0 } };
    bool is_done;

    store = test_store_make();
    test_issue(store, 1, 41, 10);
    struct store_batch *batch = begin();
    put_second(batch);
    check_ok(test_put_status(batch, REVOKED, STORE_STATE_VALID, STORE_STATE_REVOKED, 1, 50));
    check_ok(test_put_status(batch, HELD, STORE_STATE_VALID, STORE_STATE_HELD, 2, 51));
    check_ok(test_put_status(batch, PRUNED, STORE_STATE_VALID, STORE_STATE_REVOKED, 3, 52));
    for (uint64_t i = 1; i <= 2; i++) {
        struct store_crl crl = { .base_number = i - 1, .len = 100 * i };
        check_ok(store_put_crl_number(batch, &scope, &crl.number));
        check_ok(store_put_crl(batch, &scope, &crl, &audit));
    }
    check_ok(store_put_pruned(batch, &scope, -25, UINT64_MAX, &from, 9, &is_done));
    check_ok(test_put_profile(batch, PROFILE, 53));
    check_ok(store_commit(batch));
    test_check_whole(store);
    store_close(store);
    store = NULL;
}

TestSuite(check, .init = make_data, .fini = test_dir_remove, .timeout = 120);

/* ---- the data file, with LMDB's own hands */

static MDB_txn *txn;

static MDB_dbi table(const char *name)
{
    MDB_dbi dbi;

    cr_assert_eq(mdb_dbi_open(txn, name, 0, &dbi), 0);
    return dbi;
}

static struct ca_bytes get(const char *name, const void *key, size_t key_len)
{
    MDB_val key_val = { key_len, (void *)(uintptr_t)key }, value;

    cr_assert_eq(mdb_get(txn, table(name), &key_val, &value), 0, "%s", name);
    return ca_bytes_of(value.mv_data, value.mv_size);
}

static void put(const char *name, const void *key, size_t key_len, const void *value, size_t len)
{
    MDB_val key_val = { key_len, (void *)(uintptr_t)key };
    MDB_val val = { len, (void *)(uintptr_t)value };

    cr_assert_eq(mdb_put(txn, table(name), &key_val, &val, 0), 0, "%s", name);
}

static void drop(const char *name, const void *key, size_t key_len)
{
    MDB_val key_val = { key_len, (void *)(uintptr_t)key };

    cr_assert_eq(mdb_del(txn, table(name), &key_val, NULL), 0, "%s", name);
}

/* ---- contradictions */

static struct store_scope_info get_scope(uint8_t key[STORE_SCOPE_KEY_LEN])
{
    struct store_scope scope = test_scope(REVOKED);
    struct store_scope_info info;

    store_record_scope_key(&scope, key);
    check_ok(store_record_decode_scope(ca_bytes_of(key, STORE_SCOPE_KEY_LEN),
                                       get("scopes", key, STORE_SCOPE_KEY_LEN), &info));
    return info;
}

static void change_totals(uint64_t count, uint64_t len)
{
    uint8_t key[STORE_SCOPE_KEY_LEN], value[STORE_SCOPE_LEN];
    struct store_scope scope = test_scope(REVOKED);
    struct store_scope_info info = get_scope(key);

    info.entry_count += count;
    info.entries_len += len;
    store_record_encode_scope(&scope, &info, value);
    put("scopes", key, sizeof(key), value, sizeof(value));
}

static void one_entry_too_many(void)
{
    change_totals(1, 0);
}

static void one_octet_too_few(void)
{
    change_totals(0, UINT64_MAX);
}

static void no_scope(void)
{
    uint8_t key[STORE_SCOPE_KEY_LEN];

    get_scope(key);
    drop("scopes", key, sizeof(key));
}

static struct store_listed get_listed(const char *name, uint64_t n,
                                      uint8_t key[STORE_SERIAL_KEY_LEN])
{
    bool is_revoked = name[2] == 'v';
    struct store_scope scope = test_scope(n);
    struct ca_serial serial = test_serial(n);
    struct store_listed listed;

    store_record_serial_key(&scope, &serial, key);
    check_ok(store_record_decode_listed(is_revoked ? STORE_TABLE_REVOKED : STORE_TABLE_RETIRED,
                                        ca_bytes_of(key, STORE_SERIAL_KEY_LEN),
                                        get(name, key, STORE_SERIAL_KEY_LEN), &listed));
    return listed;
}

static void put_listed(const struct store_listed *listed)
{
    uint8_t key[STORE_SERIAL_KEY_LEN], value[STORE_LISTED_LEN_MAX];
    size_t len;

    store_record_serial_key(&listed->scope, &listed->serial, key);
    check_ok(store_record_encode_listed(STORE_TABLE_REVOKED, listed, value, &len));
    put("revoked", key, sizeof(key), value, len);
}

static void entry_of_another_certificate(void)
{
    uint8_t key[STORE_SERIAL_KEY_LEN];
    struct store_listed listed = get_listed("revoked", REVOKED, key);

    listed.serial = test_serial(40);
    put_listed(&listed);
}

static void entry_without_a_certificate(void)
{
    uint8_t key[STORE_SERIAL_KEY_LEN];
    struct store_listed listed = get_listed("revoked", REVOKED, key);

    listed.serial = test_serial(50);
    put_listed(&listed);
}

static void entry_of_another_shard(void)
{
    uint8_t key[STORE_SERIAL_KEY_LEN];
    struct store_listed listed = get_listed("revoked", REVOKED, key);

    drop("revoked", key, sizeof(key));
    listed.scope.shard++;
    put_listed(&listed);
}

static void entry_of_an_earlier_change(void)
{
    uint8_t key[STORE_SERIAL_KEY_LEN];
    struct store_listed listed = get_listed("revoked", REVOKED, key);

    listed.status.sequence--;
    put_listed(&listed);
}

static void entry_with_another_reason(void)
{
    uint8_t key[STORE_SERIAL_KEY_LEN];
    struct store_listed listed = get_listed("revoked", REVOKED, key);

    listed.status.reason = 4;
    put_listed(&listed);
}

static void entry_lost(void)
{
    uint8_t key[STORE_SERIAL_KEY_LEN];
    struct store_listed listed = get_listed("revoked", REVOKED, key);

    change_totals(UINT64_MAX, 0 - (uint64_t)listed.entry.len);
    drop("revoked", key, sizeof(key));
}

static void entry_in_both_tables(void)
{
    uint8_t key[STORE_SERIAL_KEY_LEN];
    struct store_listed listed = get_listed("retired", PRUNED, key);

    change_totals(1, listed.entry.len);
    put_listed(&listed);
}

static struct store_status_row get_row(uint64_t sequence, uint8_t key[STORE_NUMBER_KEY_LEN])
{
    struct store_scope scope = test_scope(REVOKED);
    struct store_status_row row;

    store_record_number_key(&scope, sequence, key);
    check_ok(store_record_decode_status(ca_bytes_of(key, STORE_NUMBER_KEY_LEN),
                                        get("status", key, STORE_NUMBER_KEY_LEN), &row));
    return row;
}

static void status_row_lost(void)
{
    uint8_t key[STORE_NUMBER_KEY_LEN];

    get_row(42, key);
    drop("status", key, sizeof(key));
}

static void change_row(enum store_state new_state, uint64_t time_us, uint64_t n)
{
    uint8_t key[STORE_NUMBER_KEY_LEN], value[STORE_STATUS_ROW_LEN];
    struct store_scope scope = test_scope(REVOKED);
    struct store_status_row row = get_row(42, key);

    row.new_state = new_state;
    row.time_us = time_us;
    row.serial = test_serial(n);
    store_record_encode_status(&scope, &row, value);
    put("status", key, sizeof(key), value, sizeof(value));
}

static void status_row_of_another_state(void)
{
    change_row(STORE_STATE_HELD, 50, REVOKED);
}

static void status_row_of_another_time(void)
{
    change_row(STORE_STATE_REVOKED, 49, REVOKED);
}

static void status_row_of_another_certificate(void)
{
    change_row(STORE_STATE_REVOKED, 50, HELD);
}

static void put_crl(uint64_t number, uint64_t len)
{
    uint8_t key[STORE_NUMBER_KEY_LEN], value[STORE_CRL_LEN];
    struct store_scope scope = test_scope(REVOKED);
    const struct store_crl crl = { .number = number, .base_number = 1, .len = len };

    store_record_number_key(&scope, number, key);
    store_record_encode_crl(&scope, &crl, value);
    put("crls", key, sizeof(key), value, sizeof(value));
}

static void list_lost(void)
{
    uint8_t key[STORE_NUMBER_KEY_LEN];
    struct store_scope scope = test_scope(REVOKED);

    store_record_number_key(&scope, 2, key);
    drop("crls", key, sizeof(key));
}

static void list_of_another_length(void)
{
    put_crl(2, 201);
}

static void list_with_a_number_never_given_out(void)
{
    put_crl(3, 300);
}

static struct store_line get_line(uint8_t key[STORE_LINE_KEY_LEN])
{
    struct store_line line;

    store_record_sequence_key(test_locator(FIRST), key);
    check_ok(store_record_decode_line(ca_bytes_of(key, STORE_LINE_KEY_LEN),
                                      get("lineages", key, STORE_LINE_KEY_LEN), &line));
    return line;
}

static void put_line(const struct store_line *line)
{
    uint8_t key[STORE_LINE_KEY_LEN], value[STORE_LINE_LEN_MAX];

    store_record_sequence_key(ca_serial_locator(&line->members[0].serial), key);
    store_record_encode_line(line, value);
    put("lineages", key, sizeof(key), value, store_record_line_len(line));
}

static void line_lost(void)
{
    uint8_t key[STORE_LINE_KEY_LEN];

    get_line(key);
    drop("lineages", key, sizeof(key));
}

static void line_without_its_last(void)
{
    uint8_t key[STORE_LINE_KEY_LEN];
    struct store_line line = get_line(key);

    line.count--;
    put_line(&line);
}

static void line_with_a_stranger(void)
{
    uint8_t key[STORE_LINE_KEY_LEN];
    struct store_line line = get_line(key);

    line.members[line.count] = line.members[line.count - 1];
    line.members[line.count++].serial = test_serial(5);
    put_line(&line);
}

static void line_with_another_operation(void)
{
    uint8_t key[STORE_LINE_KEY_LEN];
    struct store_line line = get_line(key);

    line.members[1].operation = (line.members[1].operation + 1) % STORE_OPERATION_COUNT;
    put_line(&line);
}

static void line_abandoned_though_nobody_waited(void)
{
    uint8_t key[STORE_LINE_KEY_LEN];
    struct store_line line = get_line(key);

    line.members[1].delivery = STORE_DELIVERY_ABANDONED;
    put_line(&line);
}

static void line_of_a_certificate_that_is_not_there(void)
{
    const struct store_line line = { .count = 1, .members = { { .serial = test_serial(60) } } };

    put_line(&line);
}

static void profile_lost(void)
{
    struct store_digest id = test_digest('p', PROFILE);

    drop("profiles", id.bytes, STORE_DIGEST_LEN);
}

/* The record of profile PROFILE, as that of another one or of another time. */
static void move_profile(uint64_t n, uint64_t time_us)
{
    struct store_digest id = test_digest('p', PROFILE);
    uint8_t value[STORE_PROFILE_LEN_MIN + CA_NAME_LEN_MAX];
    struct store_profile profile;

    check_ok(store_record_decode_profile(ca_bytes_of(id.bytes, STORE_DIGEST_LEN),
                                         get("profiles", id.bytes, STORE_DIGEST_LEN), &profile));
    profile.id = test_digest('p', n);
    profile.introduced_us = time_us;
    store_record_encode_profile(&profile, value);
    put("profiles", profile.id.bytes, STORE_DIGEST_LEN, value, store_record_profile_len(&profile));
}

static void profile_of_another_time(void)
{
    move_profile(PROFILE, 52);
}

static void profile_that_was_never_introduced(void)
{
    move_profile(PROFILE + 1, 53);
}

static void profile_in_the_place_of_another(void)
{
    struct store_digest other = test_digest('p', PROFILE + 1), id = test_digest('p', PROFILE);
    struct ca_bytes value = get("profiles", id.bytes, STORE_DIGEST_LEN);
    uint8_t copy[STORE_PROFILE_LEN_MIN + CA_NAME_LEN_MAX];

    memcpy(copy, value.data, value.len);
    put("profiles", other.bytes, STORE_DIGEST_LEN, copy, value.len);
}

static enum ca_err check_whole(struct store_damage *damage)
{
    struct store_view *view;

    store = test_open();
    check_ok(store_view_open(store, &view));
    enum ca_err err = store_check(view, damage);
    store_view_close(view);
    store_close(store);
    return err;
}

static void damage_data(void (*damage)(void))
{
    struct data_file file = data_file_open(test_path);

    txn = file.txn;
    damage();
    data_file_close(&file);
}

Test(check, records_that_contradict_each_other_are_told)
{
    static const struct {
        void (*damage)(void);
        const char *table;
    } cases[] = {
        { profile_lost, "audit" },
        { profile_of_another_time, "audit" },
        { profile_that_was_never_introduced, "profiles" },
        { profile_in_the_place_of_another, "profiles" },
        { one_entry_too_many, "scopes" },
        { one_octet_too_few, "scopes" },
        { no_scope, "scopes" },
        { entry_of_another_certificate, "revoked" },
        { entry_without_a_certificate, "revoked" },
        { entry_of_another_shard, "revoked" },
        { entry_of_an_earlier_change, "status" },
        { entry_with_another_reason, "revoked" },
        { entry_lost, "revoked" },
        { entry_in_both_tables, "retired" },
        { status_row_lost, "status" },
        { status_row_of_another_state, "status" },
        { status_row_of_another_time, "status" },
        { status_row_of_another_certificate, "status" },
        { list_lost, "scopes" },
        { list_of_another_length, "scopes" },
        { list_with_a_number_never_given_out, "scopes" },
        { line_lost, "certificates" },
        { line_without_its_last, "certificates" },
        { line_with_a_stranger, "lineages" },
        { line_with_another_operation, "lineages" },
        { line_abandoned_though_nobody_waited, "lineages" },
        { line_of_a_certificate_that_is_not_there, "lineages" },
    };
    struct store_damage damage;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (i > 0) {
            test_dir_remove();
            make_data();
        }
        check_ok(check_whole(&damage));
        damage_data(cases[i].damage);
        enum ca_err err = check_whole(&damage);
        cr_assert(err == CA_ERR_STORAGE_CORRUPT, "case %zu: %s", i, ca_err_text(err));
        cr_assert_str_eq(damage.table, cases[i].table, "case %zu: %s", i, damage.table);
    }
}

/* ---- the audit log */

enum { ALTERED = 20, ACTOR_AT = 1 + 1 + 8 + 2 * STORE_DIGEST_LEN + 1, RECORDS_MAX = 64 };

static void alter_audit(size_t at)
{
    uint8_t key[STORE_SEQUENCE_LEN], copy[STORE_AUDIT_LEN_MAX];

    store_record_sequence_key(ALTERED, key);
    struct ca_bytes value = get("audit", key, sizeof(key));
    memcpy(copy, value.data, value.len);
    copy[at == SIZE_MAX ? value.len - 1 : at] ^= 1;
    put("audit", key, sizeof(key), copy, value.len);
}

static void audit_by_another(void)
{
    alter_audit(ACTOR_AT);
}

static void audit_of_another_chain(void)
{
    alter_audit(SIZE_MAX);
}

static void audit_lost(void)
{
    uint8_t key[STORE_SEQUENCE_LEN];

    store_record_sequence_key(ALTERED, key);
    drop("audit", key, sizeof(key));
}

/* Records are listed up to number ALTERED; those from `next` on are, by who begins there. */
static void check_listed(uint64_t next)
{
    struct store_audit_entry found[RECORDS_MAX];
    struct store_view *view;
    size_t count;

    store = test_open();
    check_ok(store_view_open(store, &view));
    check_ok(store_find_audit(view, 0, found, RECORDS_MAX, &count));
    cr_assert(count == ALTERED - 1 && found[count - 1].sequence == ALTERED - 1);
    check_err(store_find_audit(view, ALTERED - 1, found, RECORDS_MAX, &count),
              CA_ERR_STORAGE_CORRUPT);
    cr_assert_eq(count, 0);
    if (next > ALTERED + 1)
        check_err(store_find_audit(view, ALTERED, found, RECORDS_MAX, &count),
                  CA_ERR_STORAGE_CORRUPT);
    check_ok(store_find_audit(view, next - 1, found, RECORDS_MAX, &count));
    cr_assert(count > 20 && found[0].sequence == next);
    store_view_close(view);
    store_close(store);
}

Test(check, audit_records_are_listed_up_to_one_that_is_altered_or_lost)
{
    static const struct {
        void (*damage)(void);
        uint64_t next; /* the first that continues something again */
    } cases[] = {
        { audit_by_another, ALTERED + 1 },
        { audit_of_another_chain, ALTERED + 2 },
        { audit_lost, ALTERED + 2 },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (i > 0) {
            test_dir_remove();
            make_data();
        }
        damage_data(cases[i].damage);
        check_listed(cases[i].next);
    }
}

/* ---- changes */

static void change_altered(void)
{
    uint8_t key[STORE_SEQUENCE_LEN], copy[STORE_CHANGE_ADDED_LEN];

    store_record_sequence_key(ALTERED, key);
    struct ca_bytes value = get("changes", key, sizeof(key));
    memcpy(copy, value.data, value.len);
    copy[value.len - 1] ^= 1;
    put("changes", key, sizeof(key), copy, value.len);
}

static void change_lost(void)
{
    uint8_t key[STORE_SEQUENCE_LEN];

    store_record_sequence_key(ALTERED, key);
    drop("changes", key, sizeof(key));
}

/* While the store is open: opening reads the changes that no index file covers. */
static void damage_from_outside(void (*damage)(void))
{
    int status = -1;
    pid_t child = fork();

    cr_assert(child >= 0);
    if (child == 0) {
        damage_data(damage);
        _exit(0);
    }
    cr_assert(waitpid(child, &status, 0) == child && status == 0);
}

Test(check, changes_are_listed_up_to_one_that_is_altered_or_lost)
{
    static void (*const damages[])(void) = { change_altered, change_lost };
    struct store_change found[RECORDS_MAX];
    struct store_view *view;
    size_t count;

    for (size_t i = 0; i < 2; i++) {
        if (i > 0) {
            test_dir_remove();
            make_data();
        }
        store = test_open();
        damage_from_outside(damages[i]);
        check_ok(store_view_open(store, &view));
        check_ok(store_find_changes(view, 0, found, RECORDS_MAX, &count));
        cr_assert(count == ALTERED - 1 && found[count - 1].sequence == ALTERED - 1);
        check_err(store_find_changes(view, ALTERED - 1, found, RECORDS_MAX, &count),
                  CA_ERR_STORAGE_CORRUPT);
        cr_assert_eq(count, 0);
        check_ok(store_find_changes(view, ALTERED, found, RECORDS_MAX, &count));
        cr_assert(count > 20 && found[0].sequence == ALTERED + 1);
        store_view_close(view);
        store_close(store);
    }
}
