/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/succeed.h"

#include <pthread.h>
#include <stdio.h>

#include "ca/base/time.h"
#include "tests/support/check.h"
#include "tests/support/faults.h"
#include "tests/support/life.h"

static struct instance instance;
static struct rules_life *life; /* the profile's */

static void start(void)
{
    instance_make(&instance, CRYPTO_KEY_P256);
    instance_start(&instance);
    life = &instance.profiles[0].rules.life;
}

static void stop(void)
{
    if (instance.store != NULL)
        check_ok(instance_check(&instance));
    instance_unmake(&instance);
}

TestSuite(succeed, .init = start, .fini = stop, .timeout = 60);

static void restart(void)
{
    instance_stop(&instance);
    instance_start(&instance);
}

static struct ca_serial issue(const char *id)
{
    struct life_issued issued = life_new(&instance, id, "alice");

    cr_assert_str_eq(issued.code, "OK");
    return issued.serial;
}

static struct life_issued check_follow(const char *id, Certmill__Operation operation,
                                       const struct ca_serial *old, const char *code)
{
    struct life_issued issued = life_follow(&instance, id, "alice", operation, old);

    cr_assert_str_eq(issued.code, code, "%s: %s (%s) rather than %s", id, issued.code, issued.field,
                     code);
    return issued;
}

static void check_act(const char *id, Certmill__Act act, const struct ca_serial *serial,
                      uint32_t reason, const char *code)
{
    struct life_acted acted = life_act(&instance, id, act, serial, reason);

    cr_assert_str_eq(acted.code, code, "%s: %s rather than %s", id, acted.code, code);
}

static const struct ca_serial none;

static void check_place(const struct ca_serial *serial, const struct ca_serial *predecessor,
                        const struct ca_serial *successor, const struct ca_serial *head)
{
    struct life_got got = life_get(&instance, serial);

    cr_assert_str_eq(got.code, "OK");
    cr_assert(life_serial_equal(&got.predecessor, predecessor));
    cr_assert(life_serial_equal(&got.successor, successor));
    cr_assert(life_serial_equal(&got.head, head));
}

/* ---- what becomes of both */

Test(succeed, a_renewal_adds_the_term_to_the_old_end)
{
    struct ca_serial old = issue("request-0000000001");
    struct life_got before = life_get(&instance, &old);

    struct life_issued new = check_follow("request-0000000002", RENEW, &old, "OK");
    struct rules_validity expected =
        rules_validity(RULES_VALIDITY_CIVIL, RULES_RENEW,
                       (int64_t)(ca_serial_time_us(&new.serial) / 1000000), before.not_after, 12);
    cr_assert(new.not_before == expected.not_before_s &&new.not_after == expected.not_after_s);
    struct life_got got = life_get(&instance, &new.serial);
    cr_assert(got.operation == RENEW && got.delivery == DELIVERED && got.state == VALID);
    cr_assert(life_get(&instance, &old).state == VALID);
    check_place(&old, &none, &new.serial, &new.serial);
    check_place(&new.serial, &old, &none, &new.serial);

    struct life_issued third = check_follow("request-0000000003", RENEW, &new.serial, "OK");
    check_place(&old, &none, &new.serial, &third.serial);
    check_place(&new.serial, &old, &third.serial, &third.serial);
    check_follow("request-0000000004", RENEW, &new.serial, "RENEW_NOT_HEAD");
    check_follow("request-0000000005", REPLACE, &old, "CERT_NOT_HEAD");
}

Test(succeed, what_was_asked_before_is_answered_the_same_again)
{
    struct ca_serial old = issue("request-0000000001");
    struct ca_bytes csr = instance_csr(&instance, CRYPTO_KEY_P256, "alice");
    Certmill__IssueItem item;

    life_item(&item, "request-0000000002", csr, RENEW, &old);
    struct life_issued first = life_ask(&instance, &item);
    cr_assert_str_eq(first.code, "OK");
    for (int round = 0; round < 2; round++) {
        struct life_issued again = life_ask(&instance, &item);
        check_bytes(again.certificate, first.certificate);
        restart();
    }
    life_item(&item, "request-0000000002", csr, CHANGE, &old);
    cr_assert_str_eq(life_ask(&instance, &item).code, "IDEMPOTENCY_CONFLICT");
    life_item(&item, "request-0000000002", csr, RENEW, &first.serial);
    cr_assert_str_eq(life_ask(&instance, &item).code, "IDEMPOTENCY_CONFLICT");
    life_item(&item, "request-0000000002", csr, RENEW, &old);
    item.old_key_signature = rpc_binary(CA_BYTES("signature"));
    cr_assert_str_eq(life_ask(&instance, &item).code, "IDEMPOTENCY_CONFLICT");
}

Test(succeed, a_lost_certificate_is_revoked_at_once)
{
    struct ca_serial old = issue("request-0000000001");
    struct life_got before = life_get(&instance, &old);
    Certmill__IssueItem item;

    life_item(&item, "request-0000000002", instance_csr(&instance, CRYPTO_KEY_P256, "alice"),
              REPLACE, &old);
    item.cause = CERTMILL__CAUSE__CAUSE_LOST;
    item.lost_at = before.not_before + 1;
    atomic_store(&fault_signatures, 1);
    cr_assert_str_eq(life_ask(&instance, &item).code, "UNKNOWN");
    struct life_got got = life_get(&instance, &old);
    cr_assert(got.state == REVOKED && got.reason == X509_CRL_KEY_COMPROMISE);
    cr_assert(got.invalidity_date == before.not_before + 1);

    for (int round = 0; round < 2; round++) {
        struct life_issued new = life_ask(&instance, &item);
        cr_assert_str_eq(new.code, "OK", "%s %s", new.code, new.field);
        cr_assert(new.not_after == before.not_after);
        check_place(&old, &none, &new.serial, &new.serial);
        restart();
    }
}

Test(succeed, a_damaged_certificate_is_revoked_with_the_new_one)
{
    struct ca_serial old = issue("request-0000000001");
    struct ca_bytes csr = instance_csr(&instance, CRYPTO_KEY_P256, "alice");
    Certmill__IssueItem item;

    life_item(&item, "request-0000000002", csr, REPLACE, &old);
    atomic_store(&fault_signatures, 1);
    cr_assert_str_eq(life_ask(&instance, &item).code, "UNKNOWN");
    cr_assert(life_get(&instance, &old).state == VALID);
    struct life_issued new = life_ask(&instance, &item);
    cr_assert_str_eq(new.code, "OK");
    struct life_got got = life_get(&instance, &old);
    cr_assert(got.state == REVOKED && got.reason == X509_CRL_SUPERSEDED);
    cr_assert(got.invalidity_date == 0);
}

/* What is revoked meanwhile keeps its own reason and date. */
static struct ca_serial revoked_while_signing;

static void revoke_while_signing(void)
{
    check_act("act-request-000000", REVOKE, &revoked_while_signing, X509_CRL_KEY_COMPROMISE, "OK");
}

Test(succeed, an_old_one_revoked_while_the_new_one_is_signed_stays_as_it_was_revoked)
{
    revoked_while_signing = issue("request-0000000001");
    fault_while_signing = revoke_while_signing;
    check_follow("request-0000000002", REPLACE, &revoked_while_signing, "OK");
    cr_assert(life_get(&instance, &revoked_while_signing).reason == X509_CRL_KEY_COMPROMISE);
}

Test(succeed, a_change_keeps_the_end_and_revokes_when_acknowledged)
{
    life->change_old = RULES_OLD_REVOKE_ACKNOWLEDGED;
    struct ca_serial old = issue("request-0000000001");
    struct life_got before = life_get(&instance, &old);

    struct life_issued new =
        life_follow(&instance, "request-0000000002", "alice the second", CHANGE, &old);
    cr_assert_str_eq(new.code, "OK", "%s %s", new.code, new.field);
    cr_assert(new.not_after == before.not_after);
    cr_assert(life_get(&instance, &new.serial).delivery == WAITING);
    cr_assert(life_get(&instance, &old).state == VALID);
    check_follow("request-0000000003", CHANGE, &new.serial, "CERT_BUSY");
    restart();
    check_act("act-request-000000", ACKNOWLEDGE, &new.serial, 0, "OK");
    struct life_got got = life_get(&instance, &old);
    cr_assert(got.state == REVOKED && got.reason == X509_CRL_AFFILIATION_CHANGED);
    check_act("act-request-000000", ACKNOWLEDGE, &new.serial, 0, "OK");
    check_follow("request-0000000004", CHANGE, &new.serial, "OK");
}

Test(succeed, an_abandoned_change_leaves_the_old_one_as_it_was)
{
    life->change_old = RULES_OLD_REVOKE_ACKNOWLEDGED;
    struct ca_serial old = issue("request-0000000001");
    struct life_issued first = life_follow(&instance, "request-0000000002", "bob", CHANGE, &old);

    check_act("act-request-000000", ABANDON, &first.serial, 0, "OK");
    struct life_got got = life_get(&instance, &first.serial);
    cr_assert(got.state == REVOKED && got.reason == X509_CRL_SUPERSEDED);
    cr_assert(life_get(&instance, &old).state == VALID);
    check_place(&old, &none, &none, &old);
    struct life_issued second = life_follow(&instance, "request-0000000003", "carol", CHANGE, &old);
    cr_assert_str_eq(second.code, "OK");
    check_place(&old, &none, &second.serial, &second.serial);
    check_place(&second.serial, &old, &none, &second.serial);
    check_place(&first.serial, &old, &none, &second.serial);
}

static void move_clock(int64_t days)
{
    instance.wall_us += (uint64_t)days * CA_DAY_S * 1000000;
    instance.monotonic_us += (uint64_t)days * CA_DAY_S * 1000000;
}

Test(succeed, nothing_follows_upon_what_was_abandoned_after_its_end)
{
    instance_stop(&instance);
    instance.monotonic_us = 1000000;
    instance.wall_us = (uint64_t)(instance.cas[0].issuer.not_before_s + 3 * CA_DAY_S) * 1000000;
    life->wants_acknowledgement = true;
    instance_start(&instance);
    struct ca_serial old = issue("request-0000000001");

    move_clock(370);
    check_act("act-request-000000", ABANDON, &old, 0, "OK");
    struct life_got got = life_get(&instance, &old);
    cr_assert(got.state == VALID && got.delivery == ABANDONED);
    check_follow("request-0000000002", RENEW, &old, "RENEW_NOT_HEAD");
}

Test(succeed, a_renewal_of_what_has_ended_begins_today)
{
    instance_stop(&instance);
    instance.monotonic_us = 1000000;
    instance.wall_us = (uint64_t)(instance.cas[0].issuer.not_before_s + 3 * CA_DAY_S) * 1000000;
    life->renew_old = RULES_OLD_REVOKE;
    life->renew_after_days = 10;
    instance_start(&instance);
    struct ca_serial old = issue("request-0000000001");
    struct life_got before = life_get(&instance, &old);

    move_clock(370);
    struct life_issued new = check_follow("request-0000000002", RENEW, &old, "OK");
    struct rules_validity expected = rules_validity(RULES_VALIDITY_CIVIL, RULES_NEW,
                                                    (int64_t)(instance.wall_us / 1000000), 0, 12);
    cr_assert(new.not_before == expected.not_before_s &&new.not_after == expected.not_after_s);
    cr_assert(new.not_before > before.not_after);
    cr_assert(life_get(&instance, &old).state == VALID, "what has ended is not revoked");
    move_clock(390);
    struct life_issued refused =
        check_follow("request-0000000003", RENEW, &new.serial, "RENEW_TOO_OLD");
    cr_assert(refused.not_after > new.not_after);
}

/* ---- refusals */

Test(succeed, what_does_not_fit_the_operation_is_named)
{
    static const struct {
        Certmill__Operation operation;
        bool has_old;
        Certmill__Cause cause;
        int64_t lost_at;
        const char *signature, *code, *field;
    } rows[] = {
        { (Certmill__Operation)9, true, 0, 0, "", "FIELD_FORMAT", "operation" },
        { NEW, true, 0, 0, "", "FIELD_NOT_ALLOWED", "predecessor" },
        { NEW, false, 1, 0, "", "CAUSE", "cause" },
        { NEW, false, 0, 1, "", "CAUSE", "cause" },
        { NEW, false, 0, 0, "x", "FIELD_NOT_ALLOWED", "old_key_signature" },
        { RENEW, false, 0, 0, "", "FIELD_REQUIRED", "predecessor" },
        { RENEW, true, 1, 0, "", "CAUSE", "cause" },
        { RENEW, true, 0, 0, "x", "OLD_KEY_SIG", "old_key_signature" },
        { REPLACE, true, 0, 0, "", "CAUSE", "cause" },
        { REPLACE, true, (Certmill__Cause)3, 0, "", "FIELD_FORMAT", "cause" },
        { REPLACE, true, 2, 1, "", "CAUSE", "lost_at" },
        { REPLACE, true, 1, 1, "", "FIELD_FORMAT", "lost_at" },
    };
    struct ca_serial old = issue("request-0000000001");
    struct ca_bytes csr = instance_csr(&instance, CRYPTO_KEY_P256, "alice");
    struct store_info before, after;

    store_info(instance.store, &before);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        Certmill__IssueItem item;
        life_item(&item, "request-0000000002", csr, rows[i].operation,
                  rows[i].has_old ? &old : NULL);
        item.cause = rows[i].cause;
        item.lost_at = rows[i].lost_at;
        item.old_key_signature = rpc_binary(ca_bytes_of_text(rows[i].signature));
        struct life_issued issued = life_ask(&instance, &item);
        cr_assert_str_eq(issued.code, rows[i].code, "row %zu: %s", i, issued.code);
        cr_assert_str_eq(issued.field, rows[i].field, "row %zu: %s", i, issued.field);
    }
    struct ca_serial unknown = old;
    unknown.bytes[CA_SERIAL_LEN - 1] ^= 1;
    check_follow("request-0000000002", RENEW, &unknown, "CERT_UNKNOWN");
    store_info(instance.store, &after);
    cr_assert(after.audit_sequence == before.audit_sequence && after.intent_count == 0);
    check_follow("request-0000000002", RENEW, &old, "OK");
}

Test(succeed, the_state_of_the_old_one_decides)
{
    struct ca_serial old = issue("request-0000000001");

    check_act("act-request-000000", HOLD, &old, 0, "OK");
    check_follow("request-0000000002", RENEW, &old, "RENEW_HELD");
    check_follow("request-0000000002", CHANGE, &old, "CERT_HELD");
    check_act("act-request-000001", RELEASE, &old, 0, "OK");
    check_follow("request-0000000003", RENEW, &old, "OK");
    struct ca_serial other = issue("request-0000000004");
    check_act("act-request-000002", REVOKE, &other, 1, "OK");
    check_follow("request-0000000005", RENEW, &other, "RENEW_REVOKED");
    check_follow("request-0000000005", REPLACE, &other, "CERT_REVOKED");
    life->allows_change = false;
    check_follow("request-0000000005", CHANGE, &other, "OPERATION");
}

Test(succeed, refusals_about_dates_tell_the_dates)
{
    struct ca_serial old = issue("request-0000000001");
    struct life_got before = life_get(&instance, &old);

    life->renew_before_days = 30;
    struct life_issued refused = check_follow("request-0000000002", RENEW, &old, "RENEW_TOO_EARLY");
    cr_assert(refused.not_after > before.not_after && refused.not_before >= before.not_before);
    life->renew_before_days = 0;
    life->total_months_max = 13;
    refused = check_follow("request-0000000002", RENEW, &old, "RENEW_CAP");
    cr_assert(refused.not_after > before.not_after);
    life->total_months_max = 0;
    instance.cas[0].issuer.not_after_s = before.not_after + CA_DAY_S;
    refused = check_follow("request-0000000002", RENEW, &old, "RENEW_ISSUER_END");
    cr_assert(refused.not_after > before.not_after + CA_DAY_S);
    refused = check_follow("request-0000000002", CHANGE, &none, "CERT_UNKNOWN");
    cr_assert(refused.not_after == 0);
}

Test(succeed, a_dry_run_of_each_operation_reserves_nothing)
{
    static const Certmill__Operation operations[] = { RENEW, REPLACE, CHANGE };
    struct ca_serial old = issue("request-0000000001");
    struct store_info before, after;

    store_info(instance.store, &before);
    for (size_t i = 0; i < 3; i++) {
        Certmill__IssueItem item;
        life_item(&item, "", instance_csr(&instance, CRYPTO_KEY_P256, "alice"), operations[i],
                  &old);
        item.dry_run = true;
        struct life_issued issued = life_ask(&instance, &item);
        cr_assert_str_eq(issued.code, "OK", "%s %s", issued.code, issued.field);
        cr_assert(issued.not_after > 0 && issued.certificate.len == 0);
    }
    store_info(instance.store, &after);
    cr_assert(after.audit_sequence == before.audit_sequence && after.intent_count == 0);
    cr_assert(life_get(&instance, &old).state == VALID);
    check_follow("request-0000000002", REPLACE, &old, "OK");
}

/* ---- keys */

Test(succeed, the_old_key_signs_the_request_and_only_it)
{
    struct crypto_private_key *key, *other;
    Certmill__IssueItem item;

    life->wants_old_key_signature = true;
    check_ok(crypto_private_key_generate(CRYPTO_KEY_SM2, 0, &key));
    check_ok(crypto_private_key_generate(CRYPTO_KEY_P256, 0, &other));
    instance_item(&item, "request-0000000001", instance_csr_of(&instance, key, "alice"));
    struct life_issued old = life_ask(&instance, &item);
    cr_assert_str_eq(old.code, "OK");

    struct ca_bytes csr = instance_csr(&instance, CRYPTO_KEY_P256, "alice");
    life_item(&item, "request-0000000002", csr, RENEW, &old.serial);
    cr_assert_str_eq(life_ask(&instance, &item).code, "OLD_KEY_SIG");
    item.old_key_signature = rpc_binary(instance_sign(&instance, other, csr));
    cr_assert_str_eq(life_ask(&instance, &item).code, "OLD_KEY_SIG");
    item.old_key_signature = rpc_binary(
        instance_sign(&instance, key, instance_csr(&instance, CRYPTO_KEY_P256, "alice")));
    cr_assert_str_eq(life_ask(&instance, &item).code, "OLD_KEY_SIG");
    item.old_key_signature = rpc_binary(instance_sign(&instance, key, csr));
    struct life_issued new = life_ask(&instance, &item);
    cr_assert_str_eq(new.code, "OK", "%s %s", new.code, new.field);
    crypto_private_key_free(key);
    crypto_private_key_free(other);
}

Test(succeed, the_key_of_the_line_may_be_used_again_where_the_profile_says_so)
{
    struct crypto_private_key *key;
    Certmill__IssueItem item;

    instance_stop(&instance);
    instance.profiles[0].rules.key_reuse = RULES_KEY_REUSE_REFUSED;
    instance_start(&instance);
    check_ok(crypto_private_key_generate(CRYPTO_KEY_P256, 0, &key));
    struct ca_bytes csr = instance_csr_of(&instance, key, "alice");
    instance_item(&item, "request-0000000001", csr);
    struct life_issued old = life_ask(&instance, &item);
    cr_assert_str_eq(old.code, "OK");
    instance_item(&item, "request-0000000002", csr);
    cr_assert_str_eq(life_ask(&instance, &item).code, "CSR_KEY_REUSED");

    life->renew_key = RULES_OLD_KEY_MUST_NOT;
    life_item(&item, "request-0000000003", csr, RENEW, &old.serial);
    cr_assert_str_eq(life_ask(&instance, &item).code, "RENEW_KEY");
    life->renew_key = RULES_OLD_KEY_MAY;
    struct life_issued new = life_ask(&instance, &item);
    cr_assert_str_eq(new.code, "OK", "%s %s", new.code, new.field);
    life_item(&item, "request-0000000004", csr, RENEW, &new.serial);
    struct life_issued third = life_ask(&instance, &item);
    cr_assert_str_eq(third.code, "OK", "%s %s", third.code, third.field);

    /* Of another line it may not, nor that of an earlier one. */
    struct ca_serial stranger = issue("request-0000000005");
    life_item(&item, "request-0000000006", csr, RENEW, &stranger);
    cr_assert_str_eq(life_ask(&instance, &item).code, "CSR_KEY_REUSED");
    struct life_issued fourth = check_follow("request-0000000007", RENEW, &third.serial, "OK");
    life_item(&item, "request-0000000008", csr, RENEW, &fourth.serial);
    cr_assert_str_eq(life_ask(&instance, &item).code, "CSR_KEY_REUSED");
    crypto_private_key_free(key);
}

/* ---- intents without a result */

static struct ca_serial orphan_of(Certmill__IssueItem *item)
{
    struct store_view *view;
    struct store_intent intent;
    size_t count;

    atomic_store(&fault_signatures, 1);
    cr_assert_str_eq(life_ask(&instance, item).code, "UNKNOWN");
    check_ok(store_view_open(instance.store, &view));
    check_ok(store_find_intents(view, 0, &intent, 1, &count));
    store_view_close(view);
    cr_assert(count == 1);
    return intent.serial;
}

Test(succeed, an_intent_holds_its_line_until_it_is_asked_again)
{
    struct ca_serial old = issue("request-0000000001");
    Certmill__IssueItem item;

    life_item(&item, "request-0000000002", instance_csr(&instance, CRYPTO_KEY_P256, "alice"), RENEW,
              &old);
    struct ca_serial serial = orphan_of(&item);
    check_place(&serial, &old, &none, &none);
    for (int round = 0; round < 2; round++) {
        check_follow("request-0000000003", RENEW, &old, "RENEW_OPEN_ORDER");
        check_follow("request-0000000003", CHANGE, &old, "CERT_BUSY");
        restart();
    }
    struct life_issued new = life_ask(&instance, &item);
    cr_assert_str_eq(new.code, "OK");
    cr_assert(life_serial_equal(&new.serial, &serial));
    check_follow("request-0000000003", RENEW, &old, "RENEW_NOT_HEAD");
    check_follow("request-0000000003", RENEW, &new.serial, "OK");
}

static void revoke_intent_and_go_on(bool is_restarted)
{
    struct ca_serial old = issue("request-0000000001");
    Certmill__IssueItem item;

    life_item(&item, "request-0000000002", instance_csr(&instance, CRYPTO_KEY_P256, "alice"), RENEW,
              &old);
    struct ca_serial serial = orphan_of(&item);
    check_act("act-request-000000", REVOKE, &serial, 4, "OK");
    if (is_restarted)
        restart();
    struct life_issued new = check_follow("request-0000000003", RENEW, &old, "OK");
    cr_assert_str_eq(life_ask(&instance, &item).code, "CERT_REVOKED");
    restart();
    cr_assert_str_eq(life_ask(&instance, &item).code, "CERT_REVOKED");
    check_place(&old, &none, &new.serial, &new.serial);
    check_follow("request-0000000004", RENEW, &new.serial, "OK");
}

Test(succeed, a_revoked_intent_lets_go_of_its_line)
{
    revoke_intent_and_go_on(false);
}

Test(succeed, a_revoked_intent_lets_go_of_its_line_after_a_restart)
{
    revoke_intent_and_go_on(true);
}

/* An intent that was admitted is finished, whatever became of the old one since then. */
Test(succeed, an_intent_is_finished_although_the_old_one_was_revoked_since)
{
    struct ca_serial old = issue("request-0000000001");
    Certmill__IssueItem item;

    life_item(&item, "request-0000000002", instance_csr(&instance, CRYPTO_KEY_P256, "alice"), RENEW,
              &old);
    orphan_of(&item);
    check_act("act-request-000000", REVOKE, &old, 1, "OK");
    cr_assert_str_eq(life_ask(&instance, &item).code, "OK");
    check_follow("request-0000000003", RENEW, &old, "RENEW_REVOKED");
}

/* ---- failing commits: 1 holds the intent, 2 the certificate */

static void fail_commit_and_ask_again(int which, bool is_on_disk)
{
    struct ca_serial old = issue("request-0000000001");
    Certmill__IssueItem item;

    life_item(&item, "request-0000000002", instance_csr(&instance, CRYPTO_KEY_P256, "alice"),
              REPLACE, &old);
    item.cause = which == 1 ? CERTMILL__CAUSE__CAUSE_LOST : CERTMILL__CAUSE__CAUSE_DAMAGED;
    fault_commit_is_on_disk = is_on_disk;
    atomic_store(&fault_commit, which);
    cr_assert_str_eq(life_ask(&instance, &item).code, "UNKNOWN");
    restart();
    bool is_revoked = life_get(&instance, &old).state == REVOKED;
    cr_assert(is_revoked == is_on_disk);
    struct life_issued new = life_ask(&instance, &item);
    cr_assert_str_eq(new.code, "OK", "%s %s", new.code, new.field);
    cr_assert(life_get(&instance, &old).state == REVOKED);
    check_place(&old, &none, &new.serial, &new.serial);
}

Test(succeed, a_failed_first_commit_is_unknown_until_asked_again)
{
    fail_commit_and_ask_again(1, false);
}

Test(succeed, a_failed_second_commit_is_unknown_until_asked_again)
{
    fail_commit_and_ask_again(2, false);
}

Test(succeed, a_first_commit_that_only_seemed_to_fail_is_resolved)
{
    fail_commit_and_ask_again(1, true);
}

Test(succeed, a_second_commit_that_only_seemed_to_fail_is_resolved)
{
    fail_commit_and_ask_again(2, true);
}

/* ---- commits without memory: no restart, and what was claimed is free */

static void run_out_and_ask_again(int which, const char *next_id)
{
    struct ca_serial old = issue("request-0000000001");
    Certmill__IssueItem item;

    life_item(&item, "request-0000000002", instance_csr(&instance, CRYPTO_KEY_P256, "alice"),
              REPLACE, &old);
    item.cause = which == 1 ? CERTMILL__CAUSE__CAUSE_LOST : CERTMILL__CAUSE__CAUSE_DAMAGED;
    fault_commit_err = CA_ERR_NOMEM;
    atomic_store(&fault_commit, which);
    cr_assert_str_eq(life_ask(&instance, &item).code, "UNKNOWN");
    cr_assert(life_get(&instance, &old).state == VALID);
    item.request_id = (char *)(uintptr_t)next_id;
    struct life_issued new = life_ask(&instance, &item);
    cr_assert_str_eq(new.code, "OK", "%s %s", new.code, new.field);
    cr_assert(life_get(&instance, &old).state == REVOKED);
    check_place(&old, &none, &new.serial, &new.serial);
}

Test(succeed, a_first_commit_without_memory_has_not_happened)
{
    run_out_and_ask_again(1, "request-0000000002");
}

Test(succeed, a_line_is_free_after_a_first_commit_without_memory)
{
    run_out_and_ask_again(1, "request-0000000003");
}

Test(succeed, a_second_commit_without_memory_is_resolved)
{
    run_out_and_ask_again(2, "request-0000000002");
}

/* ---- races */

/* Each may add a year, and the CA lives for ten. */
enum { RACERS = 12, ROUNDS = 8 };

struct racer {
    pthread_t thread;
    struct ca_serial old;
    Certmill__IssueItem item;
    Certmill__ActItem act;
    bool acts;
    char id[32];
    struct life_issued issued;
    struct life_acted acted;
};

/* Not of the instance's arena, which is one thread's. */
static void *race(void *arg)
{
    struct racer *racer = arg;
    Certmill__IssueItem *item = &racer->item;

    if (racer->acts) {
        racer->acted = life_act_item(&instance, &racer->act);
        return NULL;
    }
    Certmill__Answer *answer = instance_issue(&instance, &item, 1);
    const Certmill__IssueResult *result = answer->issue->items[0];
    snprintf(racer->issued.code, sizeof(racer->issued.code), "%s",
             result->status == NULL ? "OK" : result->status->code);
    if (result->serial.len == CA_SERIAL_LEN)
        memcpy(racer->issued.serial.bytes, result->serial.data, CA_SERIAL_LEN);
    certmill__answer__free_unpacked(answer, NULL);
    return NULL;
}

static void race_all(struct racer *racers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        cr_assert(pthread_create(&racers[i].thread, NULL, race, &racers[i]) == 0);
    for (size_t i = 0; i < count; i++)
        cr_assert(pthread_join(racers[i].thread, NULL) == 0);
}

static bool is_one_of(const char *code, const char *const *codes)
{
    while (*codes != NULL && strcmp(*codes, code) != 0)
        codes++;
    return *codes != NULL;
}

Test(succeed, of_operations_racing_for_one_head_exactly_one_wins)
{
    static const Certmill__Operation operations[] = { RENEW, REPLACE, CHANGE };
    static const char *const lost[] = { "RENEW_OPEN_ORDER",
                                        "RENEW_NOT_HEAD",
                                        "RENEW_REVOKED",
                                        "CERT_BUSY",
                                        "CERT_NOT_HEAD",
                                        "CERT_REVOKED",
                                        NULL };
    static struct racer racers[RACERS];
    struct ca_bytes csr = instance_csr(&instance, CRYPTO_KEY_P256, "alice");
    struct ca_serial head = issue("request-0000000001");

    for (int round = 0; round < ROUNDS; round++) {
        struct ca_serial won = none;
        for (size_t i = 0; i < RACERS; i++) {
            struct racer *racer = &racers[i];
            snprintf(racer->id, sizeof(racer->id), "request-race-%03d-%03zu", round, i);
            racer->old = head;
            life_item(&racer->item, racer->id, csr, operations[i % 3], &racer->old);
        }
        race_all(racers, RACERS);
        for (size_t i = 0; i < RACERS; i++) {
            bool has_won = strcmp(racers[i].issued.code, "OK") == 0;
            cr_assert(has_won || is_one_of(racers[i].issued.code, lost), "%s",
                      racers[i].issued.code);
            cr_assert(!has_won || life_serial_equal(&won, &none), "two have won");
            if (has_won)
                won = racers[i].issued.serial;
        }
        cr_assert(!life_serial_equal(&won, &none), "nobody has won");
        struct life_got got = life_get(&instance, &head);
        cr_assert(life_serial_equal(&got.successor, &won) && life_serial_equal(&got.head, &won));
        head = won;
    }
}

Test(succeed, one_request_asked_by_many_at_once_is_done_once)
{
    static const char *const open[] = { "OK", "UNKNOWN", NULL };
    static struct racer racers[RACERS];
    struct ca_bytes csr = instance_csr(&instance, CRYPTO_KEY_P256, "alice");
    struct ca_serial head = issue("request-0000000001");

    for (int round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < RACERS; i++) {
            snprintf(racers[i].id, sizeof(racers[i].id), "request-race-%03d", round);
            racers[i].old = head;
            life_item(&racers[i].item, racers[i].id, csr, RENEW, &racers[i].old);
        }
        race_all(racers, RACERS);
        for (size_t i = 0; i < RACERS; i++)
            cr_assert(is_one_of(racers[i].issued.code, open), "%s", racers[i].issued.code);
        struct life_issued again = life_ask(&instance, &racers[0].item);
        cr_assert_str_eq(again.code, "OK");
        head = again.serial;
    }
    struct store_info info;
    store_info(instance.store, &info);
    cr_assert(info.certificate_count == 1 + ROUNDS);
}

/* Renewed first, and revoked: both. Revoked first: no renewal. Never a half of either. */
Test(succeed, revocations_and_renewals_at_once_leave_one_truth)
{
    static const char *const renewed[] = { "OK", "RENEW_REVOKED", "RENEW_OPEN_ORDER",
                                           "RENEW_NOT_HEAD", NULL };
    static struct racer racers[3];
    struct ca_bytes csr = instance_csr(&instance, CRYPTO_KEY_P256, "alice");
    char id[32], act_id[32];

    for (int round = 0; round < 2 * ROUNDS; round++) {
        snprintf(id, sizeof(id), "request-first-%03d", round);
        snprintf(act_id, sizeof(act_id), "act-request-race-%03d", round);
        struct ca_serial old = issue(id);
        for (size_t i = 0; i < 3; i++) {
            snprintf(racers[i].id, sizeof(racers[i].id), "request-race-%03d-%zu", round, i);
            racers[i].old = old;
            life_item(&racers[i].item, racers[i].id, csr, RENEW, &racers[i].old);
            racers[i].acts = i == 1;
        }
        instance_act_item(&racers[1].act, act_id, REVOKE, ca_serial_bytes(&racers[1].old));
        racers[1].act.reason = X509_CRL_KEY_COMPROMISE;
        race_all(racers, 3);
        cr_assert_str_eq(racers[1].acted.code, "OK");
        size_t won = 0;
        for (size_t i = 0; i < 3; i += 2) {
            cr_assert(is_one_of(racers[i].issued.code, renewed), "%s", racers[i].issued.code);
            won += strcmp(racers[i].issued.code, "OK") == 0;
        }
        struct life_got got = life_get(&instance, &old);
        cr_assert(got.state == REVOKED && got.reason == X509_CRL_KEY_COMPROMISE);
        cr_assert(won <= 1 && (won == 1) == !life_serial_equal(&got.successor, &none));
    }
}
