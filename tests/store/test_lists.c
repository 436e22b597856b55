/* SPDX-License-Identifier: Apache-2.0 */
/* A damaged record in a list: it is named, and those around it are told. */
#include "store/record_status.h"
#include "tests/support/data_file.h"
#include "tests/support/store.h"

enum { DAMAGED = 15, FIRST = 11, UNTIL = 20, ALONE = 35, LIST_MAX = 64 };

static struct store *store;
static struct store_view *view;

static void make(void)
{
    store = test_store_make();
    test_issue(store, 1, 31, 10);
}

static void unmake(void)
{
    store_view_close(view);
    test_store_remove(store);
}

TestSuite(lists, .init = make, .fini = unmake, .timeout = 120);

static void damage(const char *table, struct ca_bytes key)
{
    data_file_damage(test_path, table, key);
    view = test_view_open(store);
}

static void damage_serial(const char *table, uint64_t n)
{
    struct ca_serial serial = test_serial(n);

    damage(table, ca_serial_bytes(&serial));
}

static bool is_serial(const struct ca_serial *serial, uint64_t n)
{
    const struct ca_serial want = test_serial(n);

    return ca_bytes_equal(ca_serial_bytes(serial), ca_serial_bytes(&want));
}

/* Certificates first to UNTIL (excluded), all but DAMAGED with what they were put with. */
static void check_certificates(const struct store_certificate *found, size_t count, uint64_t first)
{
    cr_assert_eq(count, UNTIL - first);
    for (size_t i = 0; i < count; i++) {
        cr_assert(is_serial(&found[i].serial, first + i), "%zu", i);
        cr_assert_eq(found[i].is_damaged, first + i == DAMAGED, "%zu", i);
        cr_assert(found[i].is_damaged || test_is_certificate(&found[i], first + i), "%zu", i);
        cr_assert(!found[i].is_damaged || found[i].der.len == 0);
    }
}

Test(lists, a_damaged_certificate_is_named_and_hides_no_other)
{
    struct store_digest identity = test_digest('s', DAMAGED / 10), key = test_digest('k', DAMAGED);
    struct store_digest request = test_digest('r', DAMAGED);
    struct store_certificate found[LIST_MAX];
    size_t count;

    memset(found, 0xff, sizeof(found));
    damage_serial("certificates", DAMAGED);
    for (uint64_t first = FIRST; first <= DAMAGED; first++) {
        check_ok(store_find_time(view, first, UNTIL, 0, found, LIST_MAX, &count));
        check_certificates(found, count, first);
        check_ok(store_find_digest(view, STORE_BY_IDENTITY, &identity, test_locator(first) - 1,
                                   found, LIST_MAX, &count));
        check_certificates(found, count, first);
    }
    check_ok(store_find_digest(view, STORE_BY_KEY, &key, 0, found, LIST_MAX, &count));
    cr_assert(count == 1 && found[0].is_damaged && is_serial(&found[0].serial, DAMAGED));
    check_err(store_find_request(view, &request, found), CA_ERR_STORAGE_CORRUPT);
    cr_assert(!found[0].is_damaged && found[0].serial.bytes[0] == 0);
}

Test(lists, a_damaged_intent_is_named_and_hides_no_other)
{
    struct store_intent found[LIST_MAX];
    struct store_batch *batch = test_begin(store);
    size_t count;

    for (uint64_t n = ALONE - 2; n <= ALONE + 2; n++)
        check_ok(test_put_intent(batch, n));
    check_ok(store_commit(batch));
    memset(found, 0xff, sizeof(found));
    damage_serial("intents", ALONE);
    check_ok(store_find_intents(view, 0, found, LIST_MAX, &count));
    cr_assert_eq(count, 5);
    for (size_t i = 0; i < count; i++) {
        cr_assert(is_serial(&found[i].serial, ALONE - 2 + i) && found[i].is_damaged == (i == 2));
        cr_assert_eq(found[i].not_after_s, i == 2 ? 0 : -(int64_t)(ALONE - 2 + i));
    }
    check_ok(store_find_intents(view, test_locator(ALONE), found, LIST_MAX, &count));
    cr_assert(count == 2 && !found[0].is_damaged);
}

Test(lists, a_damaged_crl_is_named_and_hides_no_other)
{
    const struct store_audit audit = { .kind = STORE_AUDIT_CRL };
    struct store_scope scope = test_scope(1);
    struct store_crl found[LIST_MAX];
    struct store_batch *batch = test_begin(store);
    uint8_t key[STORE_NUMBER_KEY_LEN];
    size_t count;

    for (uint64_t i = 1; i <= 3; i++) {
        struct store_crl crl = { .len = 100 * i };
        check_ok(store_put_crl_number(batch, &scope, &crl.number));
        check_ok(store_put_crl(batch, &scope, &crl, &audit));
    }
    check_ok(store_commit(batch));
    memset(found, 0xff, sizeof(found));
    store_record_number_key(&scope, 2, key);
    damage("crls", ca_bytes_of(key, sizeof(key)));
    check_ok(store_find_crls(view, &scope, 0, found, LIST_MAX, &count));
    cr_assert_eq(count, 3);
    for (size_t i = 0; i < count; i++) {
        cr_assert(found[i].number == i + 1 && found[i].is_damaged == (i == 1));
        cr_assert_eq(found[i].len, i == 1 ? 0 : 100 * (i + 1));
    }
}

Test(lists, a_damaged_profile_is_named_and_hides_no_other)
{
    struct store_profile found[LIST_MAX];
    struct store_batch *batch = test_begin(store);
    size_t count, damaged_count = 0;

    for (uint64_t n = 1; n <= 5; n++)
        check_ok(test_put_profile(batch, n, n));
    check_ok(store_commit(batch));
    memset(found, 0xff, sizeof(found));
    const struct store_digest id = test_digest('p', 3);
    damage("profiles", ca_bytes_of(id.bytes, STORE_DIGEST_LEN));
    check_ok(store_find_profiles(view, NULL, found, LIST_MAX, &count));
    cr_assert_eq(count, 5);
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(found[i].is_damaged, store_digest_equal(&found[i].id, &id));
        cr_assert_eq(found[i].name.len, found[i].is_damaged ? 0 : strlen("profile"));
        damaged_count += found[i].is_damaged;
    }
    cr_assert_eq(damaged_count, 1);
}

Test(lists, the_last_audit_record_or_change_that_is_lost_is_no_end)
{
    struct store_audit_entry entries[LIST_MAX];
    struct store_change changes[LIST_MAX];
    uint8_t key[STORE_SEQUENCE_LEN];
    struct store_info info;
    size_t count;

    store_info(store, &info);
    cr_assert(info.audit_sequence == info.change_sequence && info.audit_sequence < LIST_MAX);
    store_record_sequence_key(info.audit_sequence, key);
    data_file_lose(test_path, "audit", ca_bytes_of(key, sizeof(key)));
    data_file_lose(test_path, "changes", ca_bytes_of(key, sizeof(key)));
    view = test_view_open(store);
    check_ok(store_find_audit(view, 0, entries, LIST_MAX, &count));
    cr_assert_eq(count, info.audit_sequence - 1);
    check_err(store_find_audit(view, count, entries, LIST_MAX, &count), CA_ERR_STORAGE_CORRUPT);
    check_ok(store_find_changes(view, 0, changes, LIST_MAX, &count));
    cr_assert_eq(count, info.change_sequence - 1);
    check_err(store_find_changes(view, count, changes, LIST_MAX, &count), CA_ERR_STORAGE_CORRUPT);
    for (uint64_t after = info.change_sequence; after <= info.change_sequence + 1; after++) {
        check_ok(store_find_changes(view, after, changes, LIST_MAX, &count));
        cr_assert_eq(count, 0);
    }
}
