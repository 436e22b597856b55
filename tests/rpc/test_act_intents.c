/* SPDX-License-Identifier: Apache-2.0 */
/* Acts on intents without a result, also while they get one. */
#include <sched.h>
#include <stdatomic.h>

#include "tests/support/act.h"
#include "tests/support/faults.h"

TestSuite(act_intents, .init = start, .fini = stop, .timeout = 60);

/* An intent whose signature failed. */
static struct ca_serial orphan(const char *id, struct ca_bytes csr)
{
    Certmill__IssueItem item;
    struct store_view *view;
    struct store_intent intents[8];
    size_t count;

    atomic_store(&fault_signatures, 1);
    instance_item(&item, id, csr);
    cr_assert_str_eq(life_ask(&instance, &item).code, "UNKNOWN");
    check_ok(store_view_open(instance.store, &view));
    check_ok(store_find_intents(view, 0, intents, 8, &count));
    cr_assert(count > 0);
    store_view_close(view);
    return intents[count - 1].serial;
}

static struct store_change last_change(void)
{
    struct store_change change;
    struct store_view *view;
    size_t count;

    check_ok(store_view_open(instance.store, &view));
    check_ok(store_find_changes(view, info().change_sequence - 1, &change, 1, &count));
    cr_assert(count == 1);
    store_view_close(view);
    return change;
}

Test(act_intents, a_revoked_intent_is_not_signed_any_more)
{
    struct ca_bytes csr = instance_csr(&instance, CRYPTO_KEY_P256, "alice");
    struct ca_serial serial = orphan(ID, csr);
    Certmill__IssueItem item;

    check_act("act-request-hold0", HOLD, &serial, 0, "STATE");
    check_act("act-request-take0", ACKNOWLEDGE, &serial, 0, "STATE");
    check_act("act-request-drop0", ABANDON, &serial, 0, "STATE");
    struct life_acted first = check_act(ACT_ID, REVOKE, &serial, 4, "OK");
    cr_assert(first.state == REVOKED && first.reason == 4);
    struct life_got got = life_get(&instance, &serial);
    cr_assert(got.state == REVOKED && got.reason == 4);
    struct store_change change = last_change();
    cr_assert(change.old_state == STORE_STATE_NONE && change.new_state == STORE_STATE_REVOKED);

    instance_item(&item, ID, csr);
    for (int round = 0; round < 2; round++) {
        cr_assert_str_eq(life_ask(&instance, &item).code, "CERT_REVOKED");
        struct life_acted again = check_act(ACT_ID, REVOKE, &serial, 4, "OK");
        cr_assert(life_acted_equal(&first, &again));
        restart();
    }
    cr_assert(info().certificate_count == 0);
}

static struct ca_serial only_intent(void)
{
    struct store_view *view;
    struct store_intent intent;
    size_t count;

    check_ok(store_view_open(instance.store, &view));
    check_ok(store_find_intents(view, 0, &intent, 1, &count));
    store_view_close(view);
    cr_assert(count == 1);
    return intent.serial;
}

static void revoke_in_flight(void)
{
    struct ca_serial serial = only_intent();

    check_act(ACT_ID, REVOKE, &serial, 1, "OK");
}

Test(act_intents, what_is_revoked_while_it_is_signed_is_never_handed_out)
{
    struct ca_bytes csr = instance_csr(&instance, CRYPTO_KEY_P256, "alice");
    Certmill__IssueItem item;

    fault_while_signing = revoke_in_flight;
    instance_item(&item, ID, csr);
    for (int round = 0; round < 3; round++) {
        cr_assert_str_eq(life_ask(&instance, &item).code, "CERT_REVOKED");
        if (round == 1)
            restart();
    }
    cr_assert(info().certificate_count == 0 && info().intent_count == 1);
}

/* The linker sends the pipeline's calls of it through here: looks up, and then takes its time. */
static atomic_bool is_slow, has_looked;

void __real_rpc_act_prepare(struct rpc_worker *worker, struct rpc_call *call);
void __wrap_rpc_act_prepare(struct rpc_worker *worker, struct rpc_call *call);
void __wrap_rpc_act_prepare(struct rpc_worker *worker, struct rpc_call *call)
{
    __real_rpc_act_prepare(worker, call);
    if (!atomic_load(&is_slow))
        return;
    atomic_store(&has_looked, true);
    while (info().certificate_count == 0)
        sched_yield();
}

static struct asker *slow_asker;

static void hold_slowly(void)
{
    static Certmill__ActItem item, *pointer = &item;
    static struct ca_serial serial;
    Certmill__Request request = CERTMILL__REQUEST__INIT;
    Certmill__ActRequest act = CERTMILL__ACT_REQUEST__INIT;

    serial = only_intent();
    instance_act_item(&item, ACT_ID, HOLD, ca_serial_bytes(&serial));
    act.n_items = 1;
    act.items = &pointer;
    request.version = RPC_VERSION;
    request.method_case = CERTMILL__REQUEST__METHOD_ACT;
    request.act = &act;
    atomic_store(&is_slow, true);
    slow_asker = instance_ask_begin(&instance, &request);
    while (!atomic_load(&has_looked))
        sched_yield();
}

Test(act_intents, an_intent_that_became_a_certificate_meanwhile_is_treated_as_one)
{
    fault_while_signing = hold_slowly;
    struct ca_serial serial = issue(ID, "alice");
    Certmill__Answer *answer = instance_ask_end(slow_asker);
    struct life_acted acted = life_acted_of(answer->act->items[0]);

    cr_assert_str_eq(acted.code, "OK");
    cr_assert(acted.state == HELD && life_get(&instance, &serial).state == HELD);
    cr_assert(last_change().old_state == STORE_STATE_VALID);
    certmill__answer__free_unpacked(answer, NULL);
}
