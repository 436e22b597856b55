/* SPDX-License-Identifier: Apache-2.0 */
/* rpc/issue.c: what is prepared early and reserved late, after all that was claimed meanwhile is
 * forgotten. */
#include "rpc/pipeline_parts.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

#include "tests/support/check.h"
#include "tests/support/instance.h"

static struct instance instance;

/* The linker sends the pipeline's calls of it through here (--wrap): the next batch is prepared,
 * and then its worker takes its time. */
static atomic_bool is_next_slow, is_prepared, may_go_on;

void __real_rpc_issue_prepare(struct rpc_worker *worker, struct rpc_batch *batch);
void __wrap_rpc_issue_prepare(struct rpc_worker *worker, struct rpc_batch *batch);
void __wrap_rpc_issue_prepare(struct rpc_worker *worker, struct rpc_batch *batch)
{
    bool is_slow = atomic_exchange(&is_next_slow, false);

    __real_rpc_issue_prepare(worker, batch);
    if (!is_slow)
        return;
    atomic_store(&is_prepared, true);
    while (!atomic_load(&may_go_on))
        sched_yield();
}

static void start(void)
{
    instance_make(&instance, CRYPTO_KEY_P256);
    instance.profiles[0].rules.key_reuse = RULES_KEY_REUSE_REFUSED;
    instance_start(&instance);
}

static void stop(void)
{
    check_ok(instance_check(&instance));
    instance_unmake(&instance);
}

TestSuite(issue, .init = start, .fini = stop, .timeout = 60);

static void check_answer(Certmill__Answer *answer, const char *want)
{
    cr_assert(answer->status == NULL && answer->issue->n_items == 1);
    const Certmill__Status *status = answer->issue->items[0]->status;
    cr_assert_str_eq(status == NULL ? "OK" : status->code, want);
    certmill__answer__free_unpacked(answer, NULL);
}

static void check_one(const char *id, struct ca_bytes csr, const char *want)
{
    Certmill__IssueItem item, *pointer = &item;

    instance_item(&item, id, csr);
    check_answer(instance_issue(&instance, &pointer, 1), want);
}

/* So many at once are prepared even while another worker prepares. */
enum { LOT = RPC_TURN_ITEMS, LOTS = RPC_CLAIMS_KEPT_COMMITS / 2 + 1 };

/* The first item, and others of keys of their own. Intents and certificates: two commits. */
static void check_lot(int number, const char *id, struct ca_bytes csr)
{
    Certmill__IssueItem items[LOT], *pointers[LOT];
    char other[LOT][40];

    for (int i = 0; i < LOT; i++) {
        pointers[i] = &items[i];
        snprintf(other[i], sizeof(other[i]), "request-meanwhile-%03d-%d", number, i);
        instance_item(&items[i], other[i], instance_csr(&instance, CRYPTO_KEY_P256, "bob"));
    }
    if (id != NULL)
        instance_item(&items[0], id, csr);
    Certmill__Answer *answer = instance_issue(&instance, pointers, LOT);
    cr_assert(answer->status == NULL && answer->issue->n_items == LOT);
    for (int i = 0; i < LOT; i++)
        cr_assert_null(answer->issue->items[i]->status);
    certmill__answer__free_unpacked(answer, NULL);
}

/* The first of two is prepared, then the other overtakes it, and so many commits that no claim
 * tells of that any more. */
static void overtake(const char *late_id, const char *id, struct ca_bytes csr)
{
    Certmill__IssueItem item, *pointer = &item;
    Certmill__IssueRequest issue = CERTMILL__ISSUE_REQUEST__INIT;
    Certmill__Request request = CERTMILL__REQUEST__INIT;
    struct store_info info;

    instance_item(&item, late_id, csr);
    issue.n_items = 1;
    issue.items = &pointer;
    request.version = RPC_VERSION;
    request.method_case = CERTMILL__REQUEST__METHOD_ISSUE;
    request.issue = &issue;
    atomic_store(&is_next_slow, true);
    struct asker *late = instance_ask_begin(&instance, &request);
    while (!atomic_load(&is_prepared))
        sched_yield();

    check_lot(0, id, csr);
    for (int i = 1; i <= LOTS; i++)
        check_lot(i, NULL, csr);
    atomic_store(&may_go_on, true);
    check_answer(instance_ask_end(late), "UNKNOWN");
    store_info(instance.store, &info);
    cr_assert(info.certificate_count == LOT * (LOTS + 1) && info.intent_count == 0);
}

Test(issue, a_request_that_was_overtaken_long_ago_is_not_issued_again)
{
    static const char ID[] = "request-0000000001";
    struct ca_bytes csr = instance_csr(&instance, CRYPTO_KEY_P256, "alice");

    overtake(ID, ID, csr);
    check_one(ID, csr, "OK");
}

Test(issue, a_key_that_was_certified_long_ago_is_not_certified_again)
{
    struct ca_bytes csr = instance_csr(&instance, CRYPTO_KEY_P256, "alice");

    overtake("request-0000000001", "request-0000000002", csr);
    check_one("request-0000000001", csr, "CSR_KEY_REUSED");
}
