/* SPDX-License-Identifier: Apache-2.0 */
#include <stdatomic.h>

#include "tests/support/act.h"
#include "tests/support/faults.h"

TestSuite(act, .init = start, .fini = stop, .timeout = 60);

static enum store_audit_kind last_audit(void)
{
    struct store_audit_entry entry;
    struct store_view *view;
    size_t count;

    check_ok(store_view_open(instance.store, &view));
    check_ok(store_find_audit(view, info().audit_sequence - 1, &entry, 1, &count));
    cr_assert(count == 1);
    enum store_audit_kind kind = entry.audit.kind;
    store_view_close(view);
    return kind;
}

Test(act, a_revocation_is_told_by_get_and_answered_the_same_again)
{
    struct ca_serial serial = issue(ID, "alice");
    struct store_info before = info();

    struct life_acted first = check_act(ACT_ID, REVOKE, &serial, X509_CRL_SUPERSEDED, "OK");
    cr_assert(first.state == REVOKED && first.reason == X509_CRL_SUPERSEDED);
    cr_assert(first.revoked_at > 0 && first.sequence == before.change_sequence + 1);
    cr_assert(life_serial_equal(&first.serial, &serial));
    cr_assert(last_audit() == STORE_AUDIT_REVOKED);

    struct life_got got = life_get(&instance, &serial);
    cr_assert(got.state == REVOKED && got.reason == X509_CRL_SUPERSEDED);
    cr_assert(got.revoked_at == first.revoked_at && got.invalidity_date == 0);
    for (int round = 0; round < 2; round++) {
        struct life_acted again = check_act(ACT_ID, REVOKE, &serial, X509_CRL_SUPERSEDED, "OK");
        cr_assert(life_acted_equal(&first, &again));
        restart();
    }
    cr_assert(info().change_sequence == before.change_sequence + 1);
    cr_assert(info().audit_sequence == before.audit_sequence + 1);
}

Test(act, a_later_rise_to_key_compromise_keeps_the_date_and_the_first_answer)
{
    struct ca_serial serial = issue(ID, "alice");
    Certmill__ActItem item;

    struct life_acted first = check_act("act-request-first", REVOKE, &serial, 4, "OK");
    check_act("act-request-other", REVOKE, &serial, 5, "OK");
    instance_act_item(&item, "act-request-rise0", REVOKE, ca_serial_bytes(&serial));
    item.reason = X509_CRL_KEY_COMPROMISE;
    item.invalidity_date = first.revoked_at;
    struct life_acted rise = life_act_item(&instance, &item);
    cr_assert_str_eq(rise.code, "OK");
    cr_assert(rise.reason == X509_CRL_KEY_COMPROMISE && rise.revoked_at == first.revoked_at);
    cr_assert(rise.invalidity_date == first.revoked_at && rise.sequence > first.sequence);

    struct life_acted again = check_act("act-request-first", REVOKE, &serial, 4, "OK");
    cr_assert(life_acted_equal(&first, &again));
    again = life_act_item(&instance, &item);
    cr_assert(life_acted_equal(&rise, &again));
    again = check_act("act-request-third", REVOKE, &serial, 4, "OK");
    cr_assert(again.reason == X509_CRL_KEY_COMPROMISE && again.sequence == 0);
}

Test(act, a_hold_is_released_and_answered_as_it_was)
{
    struct ca_serial serial = issue(ID, "alice");

    struct life_acted hold = check_act("act-request-hold0", HOLD, &serial, 0, "OK");
    cr_assert(hold.state == HELD && hold.reason == X509_CRL_CERTIFICATE_HOLD);
    cr_assert(life_get(&instance, &serial).state == HELD);
    cr_assert(last_audit() == STORE_AUDIT_HELD);
    struct life_acted release = check_act("act-request-free0", RELEASE, &serial, 0, "OK");
    cr_assert(release.state == VALID && release.reason == 0 && release.revoked_at == 0);
    cr_assert(release.sequence == hold.sequence + 1);
    cr_assert(last_audit() == STORE_AUDIT_RELEASED);
    cr_assert(life_get(&instance, &serial).state == VALID);
    check_act("act-request-free1", RELEASE, &serial, 0, "STATE");

    struct life_acted again = check_act("act-request-hold0", HOLD, &serial, 0, "OK");
    cr_assert(life_acted_equal(&hold, &again));
    cr_assert(life_get(&instance, &serial).state == VALID);
    check_act("act-request-hold1", HOLD, &serial, 0, "OK");
    struct life_acted end = check_act("act-request-stop0", REVOKE, &serial, 1, "OK");
    cr_assert(end.state == REVOKED && end.reason == 1);
    check_act("act-request-free2", RELEASE, &serial, 0, "CERT_REVOKED");
    check_act("act-request-hold2", HOLD, &serial, 0, "CERT_REVOKED");
    again = check_act("act-request-stop0", REVOKE, &serial, 1, "OK");
    cr_assert(life_acted_equal(&end, &again));
}

Test(act, what_is_refused_is_named_and_changes_nothing)
{
    struct ca_serial serial = issue(ID, "alice"), unknown = serial;
    struct store_info before = info();
    Certmill__ActItem item;
    struct x509_cert root;
    struct ca_refusal refusal;

    unknown.bytes[CA_SERIAL_LEN - 1] ^= 1;
    check_act("short", REVOKE, &serial, 4, "REQUEST_ID");
    check_act(ACT_ID, CERTMILL__ACT__ACT_NONE, &serial, 4, "FIELD_REQUIRED");
    check_act(ACT_ID, (Certmill__Act)6, &serial, 4, "FIELD_FORMAT");
    check_act(ACT_ID, REVOKE, &unknown, 4, "CERT_UNKNOWN");
    check_act(ACT_ID, REVOKE, &serial, 0, "REASON");
    check_act(ACT_ID, REVOKE, &serial, X509_CRL_CERTIFICATE_HOLD, "REASON");
    check_act(ACT_ID, REVOKE, &serial, 260, "REASON");
    check_act(ACT_ID, ACKNOWLEDGE, &serial, 4, "REASON");
    check_act(ACT_ID, ABANDON, &serial, 0, "STATE");
    check_act(ACT_ID, RELEASE, &serial, 0, "STATE");
    check_ok(x509_cert_parse(instance.cas[0].chain[0], &root, &refusal));
    instance_act_item(&item, ACT_ID, REVOKE, root.serial);
    item.reason = 1;
    cr_assert_str_eq(life_act_item(&instance, &item).code, "CERT_UNKNOWN");
    item.serial = rpc_binary(CA_BYTES("\x01"));
    cr_assert_str_eq(life_act_item(&instance, &item).code, "CERT_UNKNOWN");
    item.serial.len = 0;
    cr_assert_str_eq(life_act_item(&instance, &item).code, "FIELD_REQUIRED");
    instance_act_item(&item, ACT_ID, REVOKE, ca_serial_bytes(&serial));
    item.reason = 1;
    item.invalidity_date = INT64_MAX;
    cr_assert_str_eq(life_act_item(&instance, &item).code, "FIELD_FORMAT");
    item.act = ACKNOWLEDGE;
    item.reason = 0;
    cr_assert_str_eq(life_act_item(&instance, &item).code, "FIELD_FORMAT");

    cr_assert(info().change_sequence == before.change_sequence);
    cr_assert(info().audit_sequence == before.audit_sequence);
    check_act(ACT_ID, REVOKE, &serial, 4, "OK");
}

Test(act, the_same_id_with_another_body_is_refused_and_audited)
{
    struct ca_serial serial = issue(ID, "alice");

    check_act(ACT_ID, REVOKE, &serial, 4, "OK");
    struct store_info before = info();
    check_act(ACT_ID, REVOKE, &serial, 1, "IDEMPOTENCY_CONFLICT");
    check_act(ACT_ID, HOLD, &serial, 0, "IDEMPOTENCY_CONFLICT");
    cr_assert(info().audit_sequence == before.audit_sequence + 2);
    cr_assert(info().change_sequence == before.change_sequence);
    cr_assert(last_audit() == STORE_AUDIT_REFUSED);
}

Test(act, an_id_used_for_a_certificate_is_free_for_an_act)
{
    struct ca_serial serial = issue(ID, "alice");

    check_act(ID, REVOKE, &serial, 4, "OK");
    cr_assert(life_get(&instance, &serial).state == REVOKED);
}

/* Items of one message are decided one after the other. */
Test(act, several_acts_on_one_certificate_in_one_message_come_out_in_order)
{
    enum { COUNT = 7 };
    static const struct {
        const char *id;
        Certmill__Act act;
        uint32_t reason;
        const char *code;
        Certmill__State state;
    } rows[COUNT] = {
        { "act-request-000000", HOLD, 0, "OK", HELD },
        { "act-request-000001", RELEASE, 0, "OK", VALID },
        { "act-request-000002", HOLD, 0, "OK", HELD },
        { "act-request-000002", HOLD, 0, "UNKNOWN", CERTMILL__STATE__STATE_NONE },
        { "act-request-000003", REVOKE, 4, "OK", REVOKED },
        { "act-request-000004", RELEASE, 0, "CERT_REVOKED", CERTMILL__STATE__STATE_NONE },
        { "act-request-000005", REVOKE, 5, "OK", REVOKED },
    };
    struct ca_serial serial = issue(ID, "alice");
    Certmill__ActItem items[COUNT], *pointers[COUNT];

    for (size_t i = 0; i < COUNT; i++) {
        instance_act_item(&items[i], rows[i].id, rows[i].act, ca_serial_bytes(&serial));
        items[i].reason = rows[i].reason;
        pointers[i] = &items[i];
    }
    Certmill__Answer *answer = instance_act(&instance, pointers, COUNT);
    cr_assert(answer->status == NULL && answer->act->n_items == COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        struct life_acted acted = life_acted_of(answer->act->items[i]);
        cr_assert_str_eq(acted.code, rows[i].code, "item %zu: %s", i, acted.code);
        cr_assert(acted.state == rows[i].state, "item %zu", i);
    }
    cr_assert(life_acted_of(answer->act->items[6]).reason == 4);
    cr_assert(life_acted_of(answer->act->items[6]).sequence == 0);
    certmill__answer__free_unpacked(answer, NULL);
    cr_assert(life_get(&instance, &serial).reason == 4);
}

Test(act, a_message_of_no_acts_is_answered)
{
    Certmill__Answer *answer = instance_act(&instance, NULL, 0);

    cr_assert(answer->status == NULL && answer->method_case == CERTMILL__ANSWER__METHOD_ACT);
    cr_assert(answer->act->n_items == 0);
    certmill__answer__free_unpacked(answer, NULL);
}

/* ---- profiles */

Test(act, a_profile_says_which_reasons_there_are)
{
    struct ca_serial serial = issue(ID, "alice");

    instance_stop(&instance);
    instance.profiles[0].rules.life.reasons = 1u << X509_CRL_KEY_COMPROMISE;
    instance.profiles[0].rules.life.allows_hold = false;
    instance_start(&instance);
    check_act("act-request-hold0", HOLD, &serial, 0, "HOLD");
    check_act("act-request-stop0", REVOKE, &serial, X509_CRL_SUPERSEDED, "REASON");
    check_act("act-request-stop1", REVOKE, &serial, X509_CRL_KEY_COMPROMISE, "OK");
}

/* ---- acknowledge, abandon */

static void want_acknowledgement(void)
{
    instance_stop(&instance);
    instance.profiles[0].rules.life.wants_acknowledgement = true;
    instance_start(&instance);
}

Test(act, a_new_certificate_waits_until_it_is_acknowledged)
{
    want_acknowledgement();
    struct ca_serial serial = issue(ID, "alice");
    cr_assert(life_get(&instance, &serial).delivery == WAITING);
    cr_assert_str_eq(life_follow(&instance, "request-renew-00001", "alice", RENEW, &serial).code,
                     "RENEW_OPEN_ORDER");

    struct life_acted first = check_act(ACT_ID, ACKNOWLEDGE, &serial, 0, "OK");
    cr_assert(first.state == VALID && first.sequence > 0);
    cr_assert(last_audit() == STORE_AUDIT_ACKNOWLEDGED);
    struct life_got got = life_get(&instance, &serial);
    cr_assert(got.delivery == DELIVERED && got.state == VALID);
    cr_assert(check_act("act-request-take1", ACKNOWLEDGE, &serial, 0, "OK").sequence == 0);
    check_act("act-request-drop1", ABANDON, &serial, 0, "STATE");
    check_act("act-request-stop1", REVOKE, &serial, 1, "OK");
    restart();
    struct life_acted again = check_act(ACT_ID, ACKNOWLEDGE, &serial, 0, "OK");
    cr_assert(life_acted_equal(&first, &again));
}

Test(act, an_abandoned_certificate_is_revoked_and_leaves_its_line)
{
    want_acknowledgement();
    struct ca_serial old = issue(ID, "alice");
    check_act("act-request-take0", ACKNOWLEDGE, &old, 0, "OK");
    struct life_issued new = life_follow(&instance, "request-renew-00001", "alice", RENEW, &old);
    cr_assert_str_eq(new.code, "OK");
    struct life_got got = life_get(&instance, &old);
    cr_assert(life_serial_equal(&got.head, &new.serial));
    cr_assert(life_serial_equal(&got.successor, &new.serial));

    struct life_acted first = check_act(ACT_ID, ABANDON, &new.serial, 0, "OK");
    cr_assert(first.state == REVOKED && first.reason == X509_CRL_SUPERSEDED);
    cr_assert(life_get(&instance, &new.serial).delivery == ABANDONED);
    got = life_get(&instance, &old);
    cr_assert(got.state == VALID && life_serial_equal(&got.head, &old));
    struct ca_serial none = { { 0 } };
    cr_assert(life_serial_equal(&got.successor, &none));
    check_act("act-request-take1", ACKNOWLEDGE, &new.serial, 0, "STATE");
    cr_assert(check_act("act-request-drop1", ABANDON, &new.serial, 0, "OK").sequence == 0);
    struct life_acted again = check_act(ACT_ID, ABANDON, &new.serial, 0, "OK");
    cr_assert(life_acted_equal(&first, &again));
    cr_assert_str_eq(life_follow(&instance, "request-renew-00002", "alice", RENEW, &old).code,
                     "OK");
}

Test(act, what_is_revoked_or_held_is_not_acknowledged)
{
    want_acknowledgement();
    struct ca_serial revoked = issue(ID, "alice"), held = issue("request-0000000002", "bob");

    check_act("act-request-stop0", REVOKE, &revoked, 1, "OK");
    check_act("act-request-hold0", HOLD, &held, 0, "OK");
    check_act("act-request-take0", ACKNOWLEDGE, &revoked, 0, "CERT_REVOKED");
    check_act("act-request-take1", ACKNOWLEDGE, &held, 0, "CERT_HELD");
    struct life_acted drop = check_act("act-request-drop0", ABANDON, &revoked, 0, "OK");
    cr_assert(drop.reason == 1 && drop.sequence > 0);
    check_act("act-request-free1", RELEASE, &held, 0, "OK");
    check_act("act-request-take2", ACKNOWLEDGE, &held, 0, "OK");
}

/* ---- failing commits */

static void fail_and_ask_again(bool is_on_disk)
{
    struct ca_serial serial = issue(ID, "alice");

    fault_commit_is_on_disk = is_on_disk;
    atomic_store(&fault_commit, 1);
    check_act(ACT_ID, REVOKE, &serial, 4, "UNKNOWN");
    check_act("act-request-after", REVOKE, &serial, 4, "STORAGE");
    restart();
    uint64_t before = info().change_sequence;
    struct life_acted acted = check_act(ACT_ID, REVOKE, &serial, 4, "OK");
    cr_assert(acted.sequence > 0 && life_get(&instance, &serial).state == REVOKED);
    cr_assert(info().change_sequence == before + !is_on_disk);
}

Test(act, a_failed_commit_is_unknown_until_asked_again)
{
    fail_and_ask_again(false);
}

Test(act, a_commit_that_only_seemed_to_fail_is_resolved)
{
    fail_and_ask_again(true);
}

Test(act, a_commit_without_memory_has_not_happened_and_the_next_one_does)
{
    struct ca_serial serial = issue(ID, "alice");
    uint64_t before = info().change_sequence;

    fault_commit_err = CA_ERR_NOMEM;
    for (int i = 0; i < 3; i++) {
        atomic_store(&fault_commit, 1);
        check_act(ACT_ID, REVOKE, &serial, 4, "UNKNOWN");
        cr_assert(life_get(&instance, &serial).state == VALID);
    }
    struct life_acted acted = check_act(ACT_ID, REVOKE, &serial, 4, "OK");
    cr_assert(acted.sequence == before + 1 && life_get(&instance, &serial).state == REVOKED);
    check_act(ACT_ID, REVOKE, &serial, 4, "OK");
    cr_assert(info().change_sequence == before + 1);
}

/* ---- changes */

Test(act, changes_come_in_order_and_to_their_end)
{
    Certmill__Request request = CERTMILL__REQUEST__INIT;
    Certmill__ChangesRequest changes = CERTMILL__CHANGES_REQUEST__INIT;
    struct ca_serial serial = issue(ID, "alice");
    static const Certmill__State states[] = { VALID, HELD, REVOKED };
    uint64_t last = 0;

    check_act("act-request-hold0", HOLD, &serial, 0, "OK");
    check_act("act-request-stop0", REVOKE, &serial, 1, "OK");
    request.version = RPC_VERSION;
    request.method_case = CERTMILL__REQUEST__METHOD_CHANGES;
    request.changes = &changes;
    changes.limit = 1;
    for (size_t i = 0; i < 3; i++) {
        changes.since = last;
        Certmill__Answer *answer = instance_ask(&instance, &request);
        cr_assert(answer->status == NULL && answer->changes->n_changes == 1);
        const Certmill__Change *change = answer->changes->changes[0];
        cr_assert(change->sequence == last + 1 && answer->changes->last == 3);
        cr_assert(change->new_state == states[i]);
        check_bytes(rpc_bytes(change->serial), ca_serial_bytes(&serial));
        last = change->sequence;
        certmill__answer__free_unpacked(answer, NULL);
    }
    changes.since = last;
    Certmill__Answer *answer = instance_ask(&instance, &request);
    cr_assert(answer->changes->n_changes == 0 && answer->changes->last == last);
    certmill__answer__free_unpacked(answer, NULL);
    changes.limit = 1001;
    answer = instance_ask(&instance, &request);
    cr_assert_str_eq(answer->status->code, "FIELD_FORMAT");
    certmill__answer__free_unpacked(answer, NULL);
}

static uint64_t counter(const Certmill__StatsAnswer *stats, const char *name)
{
    for (size_t i = 0; i < stats->n_counters; i++) {
        if (strcmp(stats->counters[i]->name, name) == 0)
            return stats->counters[i]->value;
    }
    return UINT64_MAX;
}

Test(act, statistics_count_what_was_done_by_kind)
{
    Certmill__Request request = CERTMILL__REQUEST__INIT;
    Certmill__StatsRequest stats = CERTMILL__STATS_REQUEST__INIT;
    struct ca_serial serial = issue(ID, "alice");

    check_act("act-request-hold0", HOLD, &serial, 0, "OK");
    check_act("act-request-hold1", HOLD, &serial, 0, "OK");
    check_act("act-request-stop0", REVOKE, &serial, 0, "REASON");
    request.version = RPC_VERSION;
    request.method_case = CERTMILL__REQUEST__METHOD_STATS;
    request.stats = &stats;
    Certmill__Answer *answer = instance_ask(&instance, &request);
    cr_assert(counter(answer->stats, "acts") == 3);
    cr_assert(counter(answer->stats, "acts.held") == 1);
    cr_assert(counter(answer->stats, "acts.revoked") == 0);
    cr_assert(counter(answer->stats, "refused.REASON") == 1);
    certmill__answer__free_unpacked(answer, NULL);
}
