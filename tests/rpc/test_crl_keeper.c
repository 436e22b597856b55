/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/crl_keeper.h"

#include "tests/support/crl_keeper.h"

TestSuite(crl_keeper, .init = start, .fini = stop, .timeout = 300);

/* ---- the first start */

Test(crl_keeper, the_first_start_makes_a_list_for_every_shard)
{
    instance.cas[1].issuer.crl_shard_count = SHARDS;
    instance.cas[1].issuer.crl_url = CA_BYTES("http://crl.example.cn/second/%s.crl");
    open_keeper();
    read_list(0, 0, RPC_CRL_FULL);
    check_bytes(list.idp.url, instance.cas[0].issuer.crl_url);
    cr_assert(list.idp.is_critical && !list.has_entries && number_on_list() == 1);
    cr_assert_eq(list.this_update_s, START_S);
    cr_assert_eq(list.next_update_s, START_S + DAY_S);
    for (uint32_t shard = 0; shard < SHARDS; shard++) {
        struct ca_bytes url = rules_crl_url(&instance.cas[1].issuer, shard, instance.arena);
        read_list(1, shard, RPC_CRL_FULL);
        check_bytes(list.idp.url, url);
    }
    cr_assert(!has_alarm("CRL_OVERDUE:root") && !has_alarm("CRL_OVERDUE:second"));
}

Test(crl_keeper, a_list_is_recorded_with_the_digest_of_its_file)
{
    struct store_crl record;
    char path[RPC_CRL_PATH_SIZE];

    open_keeper();
    revoke_one(0, 1, START_S + DAY_S);
    cr_assert_eq(must_make("root", 0, CERTMILL__CRL_KIND__CRL_FULL), 2);
    record = info_of(0, 0).full;
    cr_assert(record.number == 2 && record.entry_count == 1 && record.base_number == 0);
    path_of(0, 0, RPC_CRL_FULL, path);
    check_ok(rpc_crl_inspect(path, &record));
    record.sha256[31] ^= 1;
    check_err(rpc_crl_inspect(path, &record), CA_ERR_CRL_UNKNOWN);
    cr_assert(unlink(path) == 0);
    check_err(rpc_crl_inspect(path, &record), CA_ERR_NOT_FOUND);
}

/* ---- schedule */

Test(crl_keeper, a_list_is_made_anew_before_its_next_update_and_not_before)
{
    open_keeper();
    pass(20 * HOUR_S - 1);
    read_list(0, 0, RPC_CRL_FULL);
    cr_assert_eq(number_on_list(), 1);
    pass(1);
    read_list(0, 0, RPC_CRL_FULL);
    cr_assert_eq(number_on_list(), 2);
    cr_assert_eq(list.this_update_s, START_S + 20 * HOUR_S);
    cr_assert_eq(list.next_update_s, START_S + 44 * HOUR_S);
}

Test(crl_keeper, an_overdue_list_is_made_first_thing_at_the_start)
{
    open_keeper();
    close_keeper();
    atomic_fetch_add(&now_us, (int64_t)3 * DAY_S * 1000000);
    open_keeper();
    read_list(0, 0, RPC_CRL_FULL);
    cr_assert_eq(number_on_list(), 2);
    cr_assert_eq(list.this_update_s, START_S + 3 * DAY_S);
    read_list(1, 0, RPC_CRL_FULL);
    cr_assert_eq(number_on_list(), 2);
}

/* ---- what fails */

Test(crl_keeper, a_token_that_is_away_is_asked_again_later_and_later_and_holds_up_nobody_else)
{
    open_keeper();
    atomic_store(&sign_error, CA_ERR_BUSY);
    pass(20 * HOUR_S);
    read_list(1, 0, RPC_CRL_FULL);
    cr_assert_eq(number_on_list(), 2);
    read_list(0, 0, RPC_CRL_FULL);
    cr_assert_eq(number_on_list(), 1);
    uint64_t tried = info_of(0, 0).last_number;
    rpc_crl_keeper_rest(keeper);
    cr_assert_eq(info_of(0, 0).last_number, tried, "not again in the same second");
    pass(1);
    cr_assert_eq(info_of(0, 0).last_number, tried + 1);
    pass(1);
    cr_assert_eq(info_of(0, 0).last_number, tried + 1);
    pass(1);
    cr_assert_eq(info_of(0, 0).last_number, tried + 2);
    must_refuse("root", 0, CERTMILL__CRL_KIND__CRL_FULL, "BUSY", NULL);

    atomic_store(&sign_error, CA_OK);
    pass(HOUR_S);
    read_list(0, 0, RPC_CRL_FULL);
    cr_assert_eq(number_on_list(), tried + 4);
}

Test(crl_keeper, somebody_is_woken_before_a_list_ends_without_a_successor)
{
    open_keeper();
    atomic_store(&sign_error, CA_ERR_KEY_UNUSABLE);
    pass(22 * HOUR_S - 1);
    cr_assert(!has_alarm("CRL_OVERDUE:root"));
    pass(1);
    cr_assert(has_alarm("CRL_OVERDUE:root") && !has_alarm("CRL_OVERDUE:second"));
    atomic_store(&sign_error, CA_OK);
    pass(HOUR_S);
    cr_assert(!has_alarm("CRL_OVERDUE:root"));
}

Test(crl_keeper, a_list_that_never_was_is_an_alarm_once_it_was_tried)
{
    instance.cas[0].issuer.crl_shard_count = SHARDS;
    instance.cas[0].issuer.crl_url = CA_BYTES("http://crl.example.cn/root/%s.crl");
    atomic_store(&sign_error, CA_ERR_BUSY);
    open_keeper();
    cr_assert(has_alarm("CRL_OVERDUE:root:0"));
}

Test(crl_keeper, a_clock_that_is_not_to_be_trusted_dates_no_list_and_the_alarm_comes_all_the_same)
{
    open_keeper();
    atomic_store(&skew_us, (int64_t)400 * DAY_S * 1000000);
    pass(20 * HOUR_S);
    read_list(0, 0, RPC_CRL_FULL);
    cr_assert_eq(number_on_list(), 1);
    must_refuse("root", 0, CERTMILL__CRL_KIND__CRL_FULL, "CLOCK", NULL);
    cr_assert_eq(info_of(0, 0).last_number, 1, "no number is used up");
    cr_assert(!has_alarm("CRL_OVERDUE:root"), "whatever the wall clock says");
    pass(2 * HOUR_S);
    cr_assert(has_alarm("CRL_OVERDUE:root"));
    atomic_store(&skew_us, 0);
    pass(HOUR_S);
    read_list(0, 0, RPC_CRL_FULL);
    cr_assert_eq(number_on_list(), 2);
}

static enum ca_err put_pruned_early(void *arg, struct store_batch *batch)
{
    struct store_scope scope = scope_of(0, 0);
    struct ca_serial from = { 0 };
    bool is_done;

    (void)arg;
    return store_put_pruned(batch, &scope, START_S + 1000 * DAY_S, UINT64_MAX, &from, 100,
                            &is_done);
}

Test(crl_keeper, a_list_that_lost_an_entry_is_not_published)
{
    open_keeper();
    revoke_one(0, 1, START_S + 100 * DAY_S);
    must_make("root", 0, CERTMILL__CRL_KIND__CRL_FULL);
    check_ok(write_one(NULL, put_pruned_early, NULL));
    must_refuse("root", 0, CERTMILL__CRL_KIND__CRL_FULL, "CRL_GATE", "crl.entries");
    read_list(0, 0, RPC_CRL_FULL);
    cr_assert(number_on_list() == 2 && reason_on_list(1) == X509_CRL_SUPERSEDED);
    cr_assert_eq(info_of(0, 0).full.number, 2);
    pass(22 * HOUR_S);
    cr_assert(has_alarm("CRL_OVERDUE:root"));
}

/* ---- orders */

Test(crl_keeper, orders_at_once_are_all_answered_with_numbers_of_their_own)
{
    enum { COUNT = 8 };
    Certmill__Answer *answers[COUNT];
    bool is_used[COUNT + 2] = { false };

    open_keeper();
    for (size_t i = 0; i < COUNT; i++)
        order("root", 0, CERTMILL__CRL_KIND__CRL_FULL, &answers[i]);
    for (size_t i = 0; i < COUNT; i++) {
        wait_for(&answers[i]);
        uint64_t number = answers[i]->crl_make->items[0]->number;
        cr_assert(number >= 2 && number < COUNT + 2 && !is_used[number]);
        is_used[number] = true;
        certmill__answer__free_unpacked(answers[i], NULL);
    }
}

Test(crl_keeper, what_cannot_be_ordered_is_refused)
{
    open_keeper();
    must_refuse("nobody", 0, CERTMILL__CRL_KIND__CRL_FULL, "CA_UNKNOWN", "scope");
    must_refuse("root", 1, CERTMILL__CRL_KIND__CRL_FULL, "CRL_UNKNOWN", "scope");
    must_refuse("root", 0, 2, "FIELD_FORMAT", "kind");
    rpc_crl_keeper_drain(keeper);
    Certmill__Answer *answer = make("root", 0, CERTMILL__CRL_KIND__CRL_FULL);
    cr_assert_str_eq(answer->status->code, "STOPPING");
    certmill__answer__free_unpacked(answer, NULL);
}

Test(crl_keeper, what_is_ordered_is_audited_with_who_asked)
{
    struct store_audit_entry entries[64];
    struct store_view *view;
    size_t count, ours = 0, anothers = 0;

    open_keeper();
    must_make("root", 0, CERTMILL__CRL_KIND__CRL_FULL);
    check_ok(store_view_open(instance.store, &view));
    check_ok(store_find_audit(view, 0, entries, 64, &count));
    for (size_t i = 0; i < count; i++) {
        if (entries[i].audit.kind != STORE_AUDIT_CRL)
            continue;
        cr_assert_eq(entries[i].audit.object.len, 28);
        ours += ca_bytes_equal(entries[i].audit.actor, CA_BYTES("certmilld"));
        anothers += ca_bytes_equal(entries[i].audit.actor, CA_BYTES("uid:7"));
    }
    store_view_close(view);
    cr_assert(ours == INSTANCE_CAS && anothers == 1);
}
