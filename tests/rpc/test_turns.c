/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/pipeline_parts.h"

#include <stdio.h>

#include "rpc/act.h"
#include "tests/support/check.h"
#include "tests/support/faults.h"
#include "tests/support/instance.h"
#include "tests/support/life.h"

static struct instance instance;

/*
 * One worker, so that there is an order. What is asked from inside its first signature waits until
 * that is made, and then goes in turn. The linker sends what it prepares through here (--wrap).
 */
static bool is_noted;
static size_t acts_before_issue, acts_prepared;

void __real_rpc_act_prepare(struct rpc_worker *worker, struct rpc_call *call);
void __wrap_rpc_act_prepare(struct rpc_worker *worker, struct rpc_call *call);
void __wrap_rpc_act_prepare(struct rpc_worker *worker, struct rpc_call *call)
{
    acts_prepared += call->weight;
    __real_rpc_act_prepare(worker, call);
}

void __real_rpc_issue_prepare(struct rpc_worker *worker, struct rpc_batch *batch);
void __wrap_rpc_issue_prepare(struct rpc_worker *worker, struct rpc_batch *batch);
void __wrap_rpc_issue_prepare(struct rpc_worker *worker, struct rpc_batch *batch)
{
    if (is_noted)
        acts_before_issue = acts_prepared;
    is_noted = false;
    __real_rpc_issue_prepare(worker, batch);
}

static void start(void)
{
    instance_make(&instance, CRYPTO_KEY_P256);
    instance.config.limits.worker_count = 1;
    instance_start(&instance);
}

static void stop(void)
{
    instance_unmake(&instance);
}

TestSuite(turns, .init = start, .fini = stop, .timeout = 60);

enum { FLOOD = 100, ACTS = 8 };
static const uint64_t GREEDY = 1000, MODEST = 1001; /* uids */

static struct rpc_caller *greedy, *modest;
static struct ca_serial victim;
static struct asker *flood[FLOOD], *one;

static struct asker *revoke_as(struct rpc_caller *caller, const char *name, size_t number)
{
    Certmill__Request request = CERTMILL__REQUEST__INIT;
    Certmill__ActRequest act = CERTMILL__ACT_REQUEST__INIT;
    Certmill__ActItem items[ACTS], *pointers[ACTS];
    char ids[ACTS][48];

    for (size_t i = 0; i < ACTS; i++) {
        snprintf(ids[i], sizeof(ids[i]), "request-%s-%06zu-%zu", name, number, i);
        instance_act_item(&items[i], ids[i], REVOKE, ca_serial_bytes(&victim));
        items[i].reason = X509_CRL_SUPERSEDED;
        pointers[i] = &items[i];
    }
    act.n_items = ACTS;
    act.items = pointers;
    request.version = RPC_VERSION;
    request.method_case = CERTMILL__REQUEST__METHOD_ACT;
    request.act = &act;
    return instance_ask_begin_as(&instance, caller, &request);
}

static void check_revoked(struct asker *asker)
{
    Certmill__Answer *answer = instance_ask_end(asker);

    cr_assert(answer->status == NULL, "%s", answer->status->code);
    for (size_t i = 0; i < ACTS; i++)
        cr_assert(answer->act->items[i]->status == NULL);
    certmill__answer__free_unpacked(answer, NULL);
}

static void callers_make(void)
{
    check_ok(rpc_caller_new(instance.pipeline, GREEDY, &greedy));
    check_ok(rpc_caller_new(instance.pipeline, MODEST, &modest));
    victim = life_new(&instance, "request-0000000001", "alice").serial;
}

static void callers_free(void)
{
    rpc_caller_free(greedy);
    rpc_caller_free(modest);
}

static void flood_then_one_act(void)
{
    for (size_t i = 0; i < FLOOD; i++)
        flood[i] = revoke_as(greedy, "greedy", i);
    one = revoke_as(modest, "modest", 0);
}

Test(turns, a_revocation_does_not_wait_for_the_flood_of_another_caller)
{
    callers_make();
    fault_while_signing = flood_then_one_act;
    life_new(&instance, "request-0000000002", "bob");
    size_t before = 0, place = instance_ask_place(one);
    for (size_t i = 0; i < FLOOD; i++)
        before += instance_ask_place(flood[i]) < place;
    cr_assert(before <= 1, "%zu of the flood came before it", before);

    check_revoked(one);
    for (size_t i = 0; i < FLOOD; i++)
        check_revoked(flood[i]);
    callers_free();
}

static void flood_then_one_issue(void)
{
    static Certmill__IssueItem item, *pointer = &item;
    Certmill__Request request = CERTMILL__REQUEST__INIT;
    Certmill__IssueRequest issue = CERTMILL__ISSUE_REQUEST__INIT;

    for (size_t i = 0; i < FLOOD; i++)
        flood[i] = revoke_as(greedy, "greedy", i);
    instance_item(&item, "request-0000000003", instance_csr(&instance, CRYPTO_KEY_P256, "carol"));
    issue.n_items = 1;
    issue.items = &pointer;
    request.version = RPC_VERSION;
    request.method_case = CERTMILL__REQUEST__METHOD_ISSUE;
    request.issue = &issue;
    is_noted = true;
    one = instance_ask_begin_as(&instance, modest, &request);
}

Test(turns, issuing_goes_on_beside_a_flood_of_acts)
{
    callers_make();
    fault_while_signing = flood_then_one_issue;
    life_new(&instance, "request-0000000002", "bob");
    Certmill__Answer *answer = instance_ask_end(one);
    cr_assert(answer->issue->items[0]->status == NULL);
    certmill__answer__free_unpacked(answer, NULL);
    for (size_t i = 0; i < FLOOD; i++)
        check_revoked(flood[i]);

    cr_assert(!is_noted && acts_prepared == FLOOD * ACTS);
    cr_assert(acts_before_issue <= RPC_ACTS_TURN, "%zu acts came first", acts_before_issue);
    callers_free();
}

Test(turns, a_commit_that_issuing_waits_for_takes_so_many_acts, .init = NULL, .fini = NULL)
{
    enum { CALLS = 5, WEIGHT = 100 };
    struct rpc_pipeline *pipeline = calloc(1, sizeof(*pipeline));
    struct rpc_call calls[CALLS] = { 0 };
    struct rpc_group group = { 0 };

    for (size_t i = 0; i < CALLS; i++) {
        calls[i].weight = WEIGHT;
        calls[i].next = i + 1 < CALLS ? &calls[i + 1] : NULL;
    }
    pipeline->acts_prepared = (struct rpc_call_queue){ &calls[0], &calls[CALLS - 1] };
    rpc_queue_push(&pipeline->prepared, &group);
    struct rpc_call_queue first = rpc_acts_gather(pipeline);
    cr_assert(first.first == &calls[0] && first.last == &calls[1] && calls[1].next == NULL);
    cr_assert(pipeline->acts_prepared.first == &calls[2] && pipeline->pending_items == 3 * WEIGHT);

    calls[2].weight = RPC_ITEMS_MAX; /* stays together */
    struct rpc_call_queue second = rpc_acts_gather(pipeline);
    cr_assert(second.first == &calls[2] && second.last == &calls[2]);

    rpc_queue_pop(&pipeline->prepared); /* nobody waits: all of them */
    struct rpc_call_queue third = rpc_acts_gather(pipeline);
    cr_assert(third.first == &calls[3] && third.last == &calls[4]);
    cr_assert(pipeline->acts_prepared.first == NULL && pipeline->pending_items == 0);
    free(pipeline);
}

/* ---- room */

static const char *code_of(Certmill__Answer *answer)
{
    return answer->status == NULL ? "OK" : answer->status->code;
}

static Certmill__Answer *refused;

static void fill_all_places_of_one_uid(void)
{
    struct rpc_caller *second;

    check_ok(rpc_caller_new(instance.pipeline, GREEDY, &second));
    for (size_t i = 0; i < 3; i++)
        flood[i] = revoke_as(i % 2 == 0 ? greedy : second, "greedy", i);
    refused = instance_ask_end(revoke_as(second, "greedy", 3));
    one = revoke_as(modest, "modest", 0);
    rpc_caller_free(second);
}

Test(turns, connections_of_one_uid_leave_a_quarter_to_others)
{
    instance_stop(&instance);
    instance.config.limits.act_items_max = 4 * ACTS;
    instance_start(&instance);
    callers_make();
    fault_while_signing = fill_all_places_of_one_uid;
    life_new(&instance, "request-0000000002", "bob");
    cr_assert_str_eq(code_of(refused), "BUSY");
    certmill__answer__free_unpacked(refused, NULL);
    check_revoked(one);
    for (size_t i = 0; i < 3; i++)
        check_revoked(flood[i]);
    check_revoked(revoke_as(greedy, "greedy", 4)); /* its places are free again */
    callers_free();
}

static Certmill__Answer *refused_large;

static Certmill__Answer *issue_with(struct rpc_caller *caller, const char *id, size_t size,
                                    struct asker **asker_out)
{
    Certmill__IssueItem item, *pointer = &item;
    Certmill__Request request = CERTMILL__REQUEST__INIT;
    Certmill__IssueRequest issue = CERTMILL__ISSUE_REQUEST__INIT;
    uint8_t *junk = calloc(1, size);

    instance_item(&item, id, ca_bytes_of(junk, size));
    issue.n_items = 1;
    issue.items = &pointer;
    request.version = RPC_VERSION;
    request.method_case = CERTMILL__REQUEST__METHOD_ISSUE;
    request.issue = &issue;
    struct asker *asker = instance_ask_begin_as(&instance, caller, &request);
    free(junk);
    if (asker_out == NULL)
        return instance_ask_end(asker);
    *asker_out = asker;
    return NULL;
}

enum { LARGE = 400000 }; /* twice that once it is decoded */

static void fill_with_octets(void)
{
    issue_with(greedy, "request-0000000010", LARGE, &flood[0]);
    refused_large = issue_with(greedy, "request-0000000011", LARGE, NULL);
    issue_with(modest, "request-0000000012", LARGE, &flood[1]);
    refused = issue_with(NULL, "request-0000000013", LARGE / 2, NULL); /* the engine is full */
    one = revoke_as(modest, "modest", 0);                              /* of these; not of acts */
}

Test(turns, octets_are_limited_as_items_are)
{
    instance_stop(&instance);
    instance.config.limits.caller_octets_max = 3 * LARGE;
    instance.config.limits.queue_octets_max = 4 * LARGE + LARGE / 4;
    instance_start(&instance);
    callers_make();
    fault_while_signing = fill_with_octets;
    life_new(&instance, "request-0000000002", "bob");
    cr_assert_str_eq(code_of(refused_large), "BUSY");
    cr_assert(refused_large->status->retry_after_ms > 0);
    cr_assert_str_eq(code_of(refused), "BUSY");
    certmill__answer__free_unpacked(refused_large, NULL);
    certmill__answer__free_unpacked(refused, NULL);
    check_revoked(one);
    for (size_t i = 0; i < 2; i++)
        certmill__answer__free_unpacked(instance_ask_end(flood[i]), NULL);
    cr_assert(instance.pipeline->rooms[false].octets == 0);
    cr_assert(instance.pipeline->rooms[true].octets == 0);
    refused = issue_with(greedy, "request-0000000014", LARGE, NULL); /* there is room again */
    cr_assert_str_eq(code_of(refused), "OK");
    certmill__answer__free_unpacked(refused, NULL);
    callers_free();
}

Test(turns, one_request_larger_than_all_room_is_taken_where_nothing_else_is)
{
    instance_stop(&instance);
    instance.config.limits.caller_octets_max = 1000;
    instance.config.limits.queue_octets_max = 1000;
    instance_start(&instance);
    callers_make();
    refused = issue_with(greedy, "request-0000000010", LARGE, NULL);
    cr_assert_str_eq(code_of(refused), "OK"); /* the item is refused, by the rules */
    cr_assert_str_eq(refused->issue->items[0]->status->code, "FIELD_LENGTH");
    certmill__answer__free_unpacked(refused, NULL);
    callers_free();
}
