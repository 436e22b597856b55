/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/crl_maker.h"

#include "tests/support/crl_keeper.h"

TestSuite(crl_maker, .init = start, .fini = stop, .timeout = 300);

/* ---- how long entries stay */

Test(crl_maker, an_entry_stays_until_it_was_on_a_list_made_after_the_certificates_end)
{
    const int64_t end_s = START_S + 10 * HOUR_S;

    open_keeper();
    revoke_one(0, 1, end_s);
    revoke_one(0, 2, end_s + 100 * DAY_S);
    must_make("root", 0, CERTMILL__CRL_KIND__CRL_FULL);
    read_list(0, 0, RPC_CRL_FULL);
    cr_assert_eq(reason_on_list(1), X509_CRL_SUPERSEDED);

    pass(9 * HOUR_S); /* an hour before its end */
    must_make("root", 0, CERTMILL__CRL_KIND__CRL_FULL);
    read_list(0, 0, RPC_CRL_FULL);
    cr_assert_eq(reason_on_list(1), X509_CRL_SUPERSEDED);

    pass(1 * HOUR_S); /* at its end: it is included, so the list was not made after it */
    must_make("root", 0, CERTMILL__CRL_KIND__CRL_FULL);
    cr_assert_eq(info_of(0, 0).entry_count, 2);

    pass(1 * HOUR_S); /* an hour after it */
    must_make("root", 0, CERTMILL__CRL_KIND__CRL_FULL);
    read_list(0, 0, RPC_CRL_FULL);
    cr_assert_eq(reason_on_list(1), X509_CRL_SUPERSEDED);
    cr_assert_eq(info_of(0, 0).entry_count, 1);

    must_make("root", 0, CERTMILL__CRL_KIND__CRL_FULL);
    read_list(0, 0, RPC_CRL_FULL);
    cr_assert_eq(reason_on_list(1), -1);
    cr_assert_eq(reason_on_list(2), X509_CRL_SUPERSEDED);
}

Test(crl_maker, what_was_revoked_just_before_a_certificates_end_was_on_a_list_after_it_all_the_same)
{
    open_keeper();
    revoke_one(0, 1, START_S + 10);
    pass(3 * DAY_S); /* lists are made for themselves */
    must_make("root", 0, CERTMILL__CRL_KIND__CRL_FULL);
    cr_assert_eq(info_of(0, 0).entry_count, 0);
    struct store_scope scope = scope_of(0, 0);
    struct store_crl lists[16];
    struct store_view *view;
    size_t count, with_entry = 0;
    check_ok(store_view_open(instance.store, &view));
    check_ok(store_find_crls(view, &scope, 0, lists, 16, &count));
    for (size_t i = 0; i < count; i++) {
        with_entry += lists[i].entry_count == 1 && lists[i].this_update_s > START_S + 10;
        cr_assert(i == 0 || lists[i].number > lists[i - 1].number);
    }
    store_view_close(view);
    cr_assert_eq(with_entry, 1);
}

enum { MANY = 2500 };

static enum ca_err put_many(void *arg, struct store_batch *batch)
{
    enum ca_err err = CA_OK;

    (void)arg;
    for (uint64_t n = 1; n <= MANY && err == CA_OK; n++) {
        struct store_status_change change =
            change_of(0, n, STORE_STATE_VALID, STORE_STATE_REVOKED, START_S + 10);
        err = put_change(&change, batch);
    }
    return err;
}

Test(crl_maker, many_entries_leave_in_pieces)
{
    open_keeper();
    check_ok(write_one(NULL, put_many, NULL));
    pass(HOUR_S);
    must_make("root", 0, CERTMILL__CRL_KIND__CRL_FULL);
    read_list(0, 0, RPC_CRL_FULL);
    cr_assert(reason_on_list(MANY) == X509_CRL_SUPERSEDED);
    cr_assert_eq(info_of(0, 0).entry_count, 0);
    must_make("root", 0, CERTMILL__CRL_KIND__CRL_FULL);
    read_list(0, 0, RPC_CRL_FULL);
    cr_assert(!list.has_entries);
}

/* ---- delta lists */

static void start_with_deltas(void)
{
    instance.cas[0].crl.delta_s = HOUR_S;
    instance.cas[0].crl.delta_validity_s = 2 * HOUR_S;
    open_keeper();
}

Test(crl_maker, a_hold_comes_and_goes_through_complete_and_delta_lists)
{
    start_with_deltas();
    read_list(0, 0, RPC_CRL_DELTA); /* there from the first start, of the first list */
    cr_assert(number_on_list() == 2 && !list.has_entries);

    change_state(0, 1, STORE_STATE_VALID, STORE_STATE_HELD, START_S + 100 * DAY_S);
    pass(HOUR_S);
    read_list(0, 0, RPC_CRL_DELTA);
    cr_assert_eq(reason_on_list(1), X509_CRL_CERTIFICATE_HOLD);
    cr_assert_eq(list.next_update_s, START_S + 3 * HOUR_S);
    uint64_t base = must_make("root", 0, CERTMILL__CRL_KIND__CRL_FULL);
    read_list(0, 0, RPC_CRL_FULL);
    cr_assert_eq(reason_on_list(1), X509_CRL_CERTIFICATE_HOLD);

    change_state(0, 1, STORE_STATE_HELD, STORE_STATE_VALID, START_S + 100 * DAY_S);
    pass(HOUR_S);
    read_list(0, 0, RPC_CRL_DELTA);
    cr_assert_eq(reason_on_list(1), X509_CRL_REMOVE_FROM_CRL);
    cr_assert(list.base_number.len == 1 && list.base_number.data[0] == base);
    cr_assert(list.is_base_critical);
    must_make("root", 0, CERTMILL__CRL_KIND__CRL_FULL);
    read_list(0, 0, RPC_CRL_FULL);
    cr_assert_eq(reason_on_list(1), -1);
    pass(HOUR_S);
    read_list(0, 0, RPC_CRL_DELTA);
    cr_assert(!list.has_entries, "what the base says is not said again");
}

Test(crl_maker, complete_lists_name_the_delta_lists_of_their_shard)
{
    instance.cas[0].issuer.crl_shard_count = SHARDS;
    instance.cas[0].issuer.crl_url = CA_BYTES("http://crl.example.cn/%s.crl");
    instance.cas[0].issuer.crl_delta_url = CA_BYTES("http://crl.example.cn/%s-delta.crl");
    start_with_deltas();
    for (uint32_t shard = 0; shard < SHARDS; shard++) {
        read_list(0, shard, RPC_CRL_FULL);
        cr_assert(list.freshest.is_present && !list.freshest.is_critical);
        check_bytes(list.freshest.url,
                    rules_crl_delta_url(&instance.cas[0].issuer, shard, instance.arena));
        read_list(0, shard, RPC_CRL_DELTA);
        cr_assert(!list.freshest.is_present && list.base_number.len > 0);
        check_bytes(list.idp.url, rules_crl_url(&instance.cas[0].issuer, shard, instance.arena));
    }
    read_list(1, 0, RPC_CRL_FULL);
    cr_assert(!list.freshest.is_present);
}

Test(crl_maker, a_delta_list_that_would_be_too_long_is_made_as_a_complete_one)
{
    start_with_deltas();
    revoke_one(0, 1, START_S + 100 * DAY_S);
    atomic_store(&too_many_since, 1);
    Certmill__Answer *answer = make("root", 0, CERTMILL__CRL_KIND__CRL_DELTA);
    const Certmill__CrlInfo *info = answer->crl_make->items[0];
    cr_assert(info->status == NULL && info->kind == CERTMILL__CRL_KIND__CRL_FULL);
    cr_assert(info->base_number == 0 && info->entries == 1);
    certmill__answer__free_unpacked(answer, NULL);
    atomic_store(&too_many_since, 0);
    cr_assert_eq(must_make("root", 0, CERTMILL__CRL_KIND__CRL_DELTA), 4);
    read_list(0, 0, RPC_CRL_DELTA);
    cr_assert(list.base_number.data[0] == 3);
}

Test(crl_maker, a_delta_list_can_be_ordered_where_none_are_scheduled)
{
    char path[RPC_CRL_PATH_SIZE];

    open_keeper();
    path_of(0, 0, RPC_CRL_DELTA, path);
    cr_assert(access(path, F_OK) != 0);
    revoke_one(0, 1, START_S + 100 * DAY_S);
    must_make("root", 0, CERTMILL__CRL_KIND__CRL_DELTA);
    read_list(0, 0, RPC_CRL_DELTA);
    cr_assert_eq(reason_on_list(1), X509_CRL_SUPERSEDED);
}

/* ---- files that are not what they were */

static void overwrite(size_t ca, long at, const char *with)
{
    char path[RPC_CRL_PATH_SIZE];

    path_of(ca, 0, RPC_CRL_FULL, path);
    FILE *to = fopen(path, "r+b");
    cr_assert(to != NULL && fseek(to, at, at < 0 ? SEEK_END : SEEK_SET) == 0);
    cr_assert(fputs(with, to) >= 0 && fclose(to) == 0);
}

Test(crl_maker, a_published_file_that_is_gone_or_damaged_is_made_anew_at_the_start)
{
    char path[RPC_CRL_PATH_SIZE];

    open_keeper();
    close_keeper();
    path_of(0, 0, RPC_CRL_FULL, path);
    cr_assert(unlink(path) == 0);
    overwrite(1, -10, "x");
    open_keeper();
    for (size_t ca = 0; ca < INSTANCE_CAS; ca++) {
        read_list(ca, 0, RPC_CRL_FULL);
        cr_assert_eq(number_on_list(), 2);
        cr_assert_eq(info_of(ca, 0).full.number, 2);
    }
}

Test(crl_maker, a_published_file_that_is_damaged_does_not_hold_up_the_next_one)
{
    open_keeper();
    revoke_one(0, 1, START_S + 100 * DAY_S);
    must_make("root", 0, CERTMILL__CRL_KIND__CRL_FULL);
    read_list(0, 0, RPC_CRL_FULL);
    overwrite(0, (long)(list.entries.data - file) + 10, "vanished"); /* in the serial number */
    cr_assert_eq(must_make("root", 0, CERTMILL__CRL_KIND__CRL_FULL), 3);
    overwrite(0, 0, "no list at all");
    cr_assert_eq(must_make("root", 0, CERTMILL__CRL_KIND__CRL_FULL), 4);
    read_list(0, 0, RPC_CRL_FULL);
    cr_assert_eq(reason_on_list(1), X509_CRL_SUPERSEDED);
}

Test(crl_maker, an_older_list_put_back_in_its_place_does_not_hold_up_the_next_one)
{
    static uint8_t older[FILE_MAX];
    char path[RPC_CRL_PATH_SIZE];

    open_keeper();
    revoke_one(0, 1, START_S + 10);
    must_make("root", 0, CERTMILL__CRL_KIND__CRL_FULL);
    read_list(0, 0, RPC_CRL_FULL);
    size_t len = list.whole.len;
    memcpy(older, file, len);
    pass(HOUR_S);
    must_make("root", 0, CERTMILL__CRL_KIND__CRL_FULL); /* after which the entry is gone */
    path_of(0, 0, RPC_CRL_FULL, path);
    FILE *to = fopen(path, "wb");
    cr_assert(to != NULL && fwrite(older, 1, len, to) == len && fclose(to) == 0);
    cr_assert_eq(must_make("root", 0, CERTMILL__CRL_KIND__CRL_FULL), 4);
    read_list(0, 0, RPC_CRL_FULL);
    cr_assert_eq(reason_on_list(1), -1);
}

Test(crl_maker, a_list_that_was_published_and_not_recorded_is_followed_by_a_higher_number)
{
    open_keeper();
    revoke_one(0, 1, START_S + 100 * DAY_S);
    atomic_store(&writes_left, 1); /* the number is committed, the record is not */
    must_refuse("root", 0, CERTMILL__CRL_KIND__CRL_FULL, "STORAGE", NULL);
    read_list(0, 0, RPC_CRL_FULL);
    cr_assert_eq(number_on_list(), 2);
    cr_assert_eq(info_of(0, 0).full.number, 1);
    close_keeper();
    atomic_store(&writes_left, -1);
    open_keeper();
    read_list(0, 0, RPC_CRL_FULL);
    cr_assert(number_on_list() == 3 && reason_on_list(1) == X509_CRL_SUPERSEDED);
    cr_assert_eq(info_of(0, 0).full.number, 3);
}

Test(crl_maker, a_number_is_used_up_whatever_becomes_of_its_list)
{
    open_keeper();
    atomic_store(&sign_error, CA_ERR_BUSY);
    must_refuse("root", 0, CERTMILL__CRL_KIND__CRL_FULL, "BUSY", NULL);
    close_keeper();
    atomic_store(&sign_error, CA_OK);
    open_keeper();
    cr_assert_eq(must_make("root", 0, CERTMILL__CRL_KIND__CRL_FULL), 3);
}

static uint8_t saved[FILE_MAX];

Test(crl_maker, data_restored_from_an_older_copy_is_noticed)
{
    char path[RPC_CRL_PATH_SIZE];

    open_keeper();
    for (int i = 0; i < 5; i++)
        must_make("root", 0, CERTMILL__CRL_KIND__CRL_FULL);
    read_list(0, 0, RPC_CRL_FULL);
    size_t len = list.whole.len;
    memcpy(saved, file, len);
    close_keeper();

    /* A store that knows nothing of these, and the folder as it was. */
    store_close(instance.store);
    snprintf(path, sizeof(path), "%s/older", instance.dir);
    check_ok(store_create(path, 7));
    check_ok(store_open(path, &instance.store_options, &instance.store));
    open_keeper();
    read_list(0, 0, RPC_CRL_FULL);
    check_bytes(list.whole, ca_bytes_of(saved, len));
    must_refuse("root", 0, CERTMILL__CRL_KIND__CRL_FULL, "CRL_GATE", "crl.number");
    cr_assert(has_alarm("CRL_OVERDUE:root"));
}

/* ---- every kind of key */

static void check_kind(enum crypto_key_type type, enum crypto_sig sig)
{
    struct crypto_own_key *own;

    stop();
    make_instance(type);
    if (sig != CRYPTO_SIG_NONE)
        instance.cas[0].issuer.sig = sig;
    open_keeper();
    for (uint64_t n = 1; n < 50; n++)
        revoke_one(0, n, START_S + 100 * DAY_S);
    must_make("root", 0, CERTMILL__CRL_KIND__CRL_FULL);
    must_make("root", 0, CERTMILL__CRL_KIND__CRL_DELTA);
    check_ok(crypto_own_key_new(instance.cas[0].issuer.key, &own));
    for (enum rpc_crl_kind kind = 0; kind < RPC_CRL_KIND_COUNT; kind++) {
        read_list(0, 0, kind);
        check_ok(rules_crl_verify(instance.crypto, own, &list));
    }
    crypto_own_key_free(own);
}

Test(crl_maker, every_kind_of_key_signs_its_lists)
{
    check_kind(CRYPTO_KEY_P384, CRYPTO_SIG_NONE);
    check_kind(CRYPTO_KEY_SM2, CRYPTO_SIG_NONE);
    check_kind(CRYPTO_KEY_ED25519, CRYPTO_SIG_NONE);
    check_kind(CRYPTO_KEY_RSA, CRYPTO_SIG_NONE);
    check_kind(CRYPTO_KEY_RSA, CRYPTO_SIG_PSS_SHA256);
}
