/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation fails once, and from each one on: what is asked then, and what is there after.
 */
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>

#include "ca/x509/crl.h"
#include "tests/support/check.h"
#include "tests/support/instance.h"
#include "tests/support/scarcity.h"

enum { ANSWER_MAX = 1 << 20, REQUEST_MAX = 1 << 18, ROUNDS_MAX = 100000, DAY_S = 86400 };

static struct instance instance;
static char crl_folder[80];

/* ---- an outlet that needs no memory */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ready = PTHREAD_COND_INITIALIZER;
static uint8_t answer_bytes[ANSWER_MAX];
static size_t answer_len; /* 0: none yet */

static void *pack_answer(void *arg, struct rpc_call *call)
{
    size_t *len = arg;

    *len = rpc_call_answer_size(call);
    cr_assert(*len <= sizeof(answer_bytes));
    rpc_call_answer_pack(call, answer_bytes);
    rpc_call_free(call);
    return len;
}

static void send_answer(void *arg, void *packed)
{
    const size_t *len = packed;

    (void)arg;
    pthread_mutex_lock(&lock);
    answer_len = *len;
    pthread_cond_signal(&ready);
    pthread_mutex_unlock(&lock);
}

static enum ca_err open_all(void)
{
    static size_t packed_len; /* one call at a time */
    const struct rpc_outlet outlet = { pack_answer, send_answer, &packed_len };
    char path[96];

    snprintf(path, sizeof(path), "%s/data", instance.dir);
    enum ca_err err = store_open(path, &instance.store_options, &instance.store);
    if (err != CA_OK)
        return err;
    err = rpc_pipeline_open(&instance.config, instance.store, &outlet, &instance.pipeline);
    if (err != CA_OK) {
        store_close(instance.store);
        instance.store = NULL;
    }
    return err;
}

static unsigned rounds;      /* begun */
static uint64_t last_number; /* of a list */

static void start(void)
{
    static const struct rpc_crl_schedule schedule = { DAY_S, DAY_S / 4, 0, 0, 0 };

    rounds = 0;
    last_number = 0;
    instance_make(&instance, CRYPTO_KEY_P256);
    instance.config.limits.worker_count = 1;
    for (size_t i = 0; i < INSTANCE_CAS; i++)
        instance.cas[i].crl = schedule;
    snprintf(crl_folder, sizeof(crl_folder), "%s/crl", instance.dir);
    cr_assert(mkdir(crl_folder, 0755) == 0);
}

static void stop(void)
{
    instance_unmake(&instance);
}

TestSuite(scarcity, .init = start, .fini = stop, .timeout = 300);

/* ---- asking while memory runs out */

/* Offers the packed request as a connection would. What was refused before it got in. */
static enum ca_err offer(struct rpc_caller *caller, struct ca_bytes packed)
{
    static struct rpc_session session;
    struct rpc_call *call;
    enum ca_err err;

    rpc_session_init(&session, &instance.config, true, 0);
    if ((err = rpc_call_new(&call)) != CA_OK)
        return err;
    call->session = &session;
    if ((err = rpc_call_decode(call, packed)) == CA_OK)
        err = rpc_pipeline_offer(instance.pipeline, caller, call);
    if (err != CA_OK)
        rpc_call_free(call);
    return err;
}

/* NULL: refused with *err_out before it got in. */
static Certmill__Answer *ask(const Certmill__Request *request, int after, bool is_for_good,
                             bool *ran_out, enum ca_err *err_out)
{
    static uint8_t packed[REQUEST_MAX];
    struct rpc_caller *caller;
    size_t size = certmill__request__pack(request, packed);

    cr_assert(size <= sizeof(packed));
    answer_len = 0;
    check_ok(rpc_caller_new(instance.pipeline, 0, &caller));
    if (after >= 0)
        scarcity_begin((unsigned)after, is_for_good);
    *err_out = offer(caller, ca_bytes_of(packed, size));
    pthread_mutex_lock(&lock);
    while (*err_out == CA_OK && answer_len == 0)
        pthread_cond_wait(&ready, &lock);
    pthread_mutex_unlock(&lock);
    *ran_out = scarcity_end();
    rpc_caller_free(caller);
    return *err_out != CA_OK ? NULL : certmill__answer__unpack(NULL, answer_len, answer_bytes);
}

static enum ca_blame blame_of(const char *code)
{
    for (int err = 0; err < CA_ERR_COUNT; err++) {
        if (strcmp(ca_err_name((enum ca_err)err), code) == 0)
            return ca_err_blame((enum ca_err)err);
    }
    cr_assert_fail("no such code: %s", code);
    return CA_BLAME_NOBODY;
}

/* A caller who is told that it is to blame does not ask again. */
static void check_blame(const char *code, int after)
{
    enum ca_blame blame = blame_of(code);

    cr_assert(blame == CA_BLAME_LOAD || blame == CA_BLAME_US, "allocation %d: %s", after, code);
}

/* What the item, or the whole, was refused with; NULL: nothing. */
static const Certmill__Status *status_of(const Certmill__Answer *answer)
{
    if (answer->status != NULL)
        return answer->status;
    switch (answer->method_case) {
    case CERTMILL__ANSWER__METHOD_ISSUE: return answer->issue->items[0]->status;
    case CERTMILL__ANSWER__METHOD_ACT: return answer->act->items[0]->status;
    case CERTMILL__ANSWER__METHOD_CRL_MAKE: return answer->crl_make->items[0]->status;
    default: cr_assert_fail("another answer"); return NULL;
    }
}

/* Asks without memory, then with, until it is done: nothing latches. */
static Certmill__Answer *ask_until_done(const Certmill__Request *request, int after,
                                        bool is_for_good, bool *ran_out)
{
    enum ca_err err;
    bool again;
    Certmill__Answer *answer = ask(request, after, is_for_good, ran_out, &err);

    for (int tries = 0; answer == NULL || status_of(answer) != NULL; tries++) {
        const char *code = answer == NULL ? ca_err_name(err) : status_of(answer)->code;
        cr_assert(tries < 100, "allocation %d: still %s", after, code);
        check_blame(code, after);
        cr_assert(strcmp(code, "STORAGE") != 0, "allocation %d", after);
        if (answer != NULL)
            certmill__answer__free_unpacked(answer, NULL);
        answer = ask(request, -1, false, &again, &err);
    }
    return answer;
}

static void issue_request(Certmill__Request *request, Certmill__IssueRequest *issue,
                          Certmill__IssueItem **items, size_t count)
{
    certmill__request__init(request);
    certmill__issue_request__init(issue);
    issue->n_items = count;
    issue->items = items;
    request->version = RPC_VERSION;
    request->method_case = CERTMILL__REQUEST__METHOD_ISSUE;
    request->issue = issue;
}

/* One certificate; the serial number is left in serial. */
static bool issue_one(unsigned round, int after, bool is_for_good, struct ca_serial *serial)
{
    Certmill__IssueItem item, *items[] = { &item };
    Certmill__IssueRequest issue;
    Certmill__Request request;
    char id[40], cn[40];
    bool ran_out;

    snprintf(id, sizeof(id), "request-of-round-%08u", round);
    snprintf(cn, sizeof(cn), "holder %u", round);
    instance_item(&item, id, instance_csr(&instance, CRYPTO_KEY_P256, cn));
    issue_request(&request, &issue, items, 1);
    Certmill__Answer *answer = ask_until_done(&request, after, is_for_good, &ran_out);
    const Certmill__IssueResult *result = answer->issue->items[0];
    cr_assert(result->serial.len == CA_SERIAL_LEN && result->certificate.len > 0);
    memcpy(serial->bytes, result->serial.data, CA_SERIAL_LEN);
    certmill__answer__free_unpacked(answer, NULL);
    return ran_out;
}

/* A message whose decoding takes several allocations; its items ask for nothing that costs more. */
static bool dry_run_many(int after, bool is_for_good)
{
    enum { ITEMS = 128, FILLER = 600 };
    static uint8_t filler[FILLER];
    static Certmill__IssueItem items[ITEMS];
    Certmill__IssueItem *pointers[ITEMS];
    Certmill__IssueRequest issue;
    Certmill__Request request;
    enum ca_err err;
    bool ran_out;

    for (size_t i = 0; i < ITEMS; i++) {
        pointers[i] = &items[i];
        instance_item(&items[i], "", ca_bytes_of(filler, FILLER));
        items[i].dry_run = 1;
    }
    issue_request(&request, &issue, pointers, ITEMS);
    Certmill__Answer *answer = ask(&request, after, is_for_good, &ran_out, &err);
    if (answer == NULL)
        check_blame(ca_err_name(err), after);
    else if (answer->status != NULL)
        check_blame(answer->status->code, after);
    for (size_t i = 0; answer != NULL && answer->issue != NULL && i < ITEMS; i++) {
        const Certmill__Status *status = answer->issue->items[i]->status;
        cr_assert(status != NULL);
        if (strcmp(status->code, "CSR_PARSE") != 0) /* which it is */
            check_blame(status->code, after);
    }
    if (answer != NULL)
        certmill__answer__free_unpacked(answer, NULL);
    return ran_out;
}

static bool act_one(unsigned round, Certmill__Act act, const struct ca_serial *serial, int after,
                    bool is_for_good)
{
    Certmill__ActItem item, *items[] = { &item };
    Certmill__ActRequest body = CERTMILL__ACT_REQUEST__INIT;
    Certmill__Request request = CERTMILL__REQUEST__INIT;
    char id[40];
    bool ran_out;

    snprintf(id, sizeof(id), "act-of-the-round-%08u", round);
    instance_act_item(&item, id, act, ca_serial_bytes(serial));
    item.reason = X509_CRL_SUPERSEDED;
    body.n_items = 1;
    body.items = items;
    request.version = RPC_VERSION;
    request.method_case = CERTMILL__REQUEST__METHOD_ACT;
    request.act = &body;
    Certmill__Answer *answer = ask_until_done(&request, after, is_for_good, &ran_out);
    cr_assert(answer->act->items[0]->state == CERTMILL__STATE__STATE_REVOKED);
    certmill__answer__free_unpacked(answer, NULL);
    return ran_out;
}

static bool list_one(uint64_t *number, int after, bool is_for_good)
{
    Certmill__CrlScope scope;
    Certmill__CrlMakeItem item = CERTMILL__CRL_MAKE_ITEM__INIT, *items[] = { &item };
    Certmill__CrlMakeRequest make = CERTMILL__CRL_MAKE_REQUEST__INIT;
    Certmill__Request request = CERTMILL__REQUEST__INIT;
    bool ran_out;

    certmill__crl_scope__init(&scope);
    scope.ca = rpc_text("root");
    item.scope = &scope;
    make.n_items = 1;
    make.items = items;
    request.version = RPC_VERSION;
    request.method_case = CERTMILL__REQUEST__METHOD_CRL_MAKE;
    request.crl_make = &make;
    Certmill__Answer *answer = ask_until_done(&request, after, is_for_good, &ran_out);
    const Certmill__CrlInfo *info = answer->crl_make->items[0];
    cr_assert(info->number > *number, "number %lu after %lu", info->number, *number);
    *number = info->number;
    certmill__answer__free_unpacked(answer, NULL);
    return ran_out;
}

/* ---- the tests: once each allocation alone, once all from each on */

/* Nothing fired for a while: there are no more allocations to fail. */
enum { QUIET_ROUNDS = 3 };

/* Each allocation fails, alone and then with all after it, until no more are met. */
static void at_each_allocation(bool (*ask_one)(int after, bool is_for_good))
{
    for (int mode = 0; mode < 2; mode++) {
        for (int after = 0, quiet = 0; quiet < QUIET_ROUNDS; after++) {
            cr_assert(after < ROUNDS_MAX);
            quiet = ask_one(after, mode == 1) ? 0 : quiet + 1;
        }
    }
}

Test(scarcity, a_start_without_memory_fails_clearly_and_leaves_nothing_open)
{
    for (int mode = 0; mode < 2; mode++) {
        int after = 0, failed = 0;
        for (bool ran_out = true; ran_out; after += mode == 1 ? 7 : 1) {
            cr_assert(after < ROUNDS_MAX);
            scarcity_begin((unsigned)after, mode == 1);
            enum ca_err err = open_all();
            ran_out = scarcity_end();
            if (err == CA_OK)
                instance_stop(&instance);
            else
                check_blame(ca_err_name(err), after);
            failed += err != CA_OK;
        }
        cr_assert(failed > 10, "only %d of %d", failed, after);
        check_ok(open_all());
        check_ok(instance_check(&instance));
        instance_stop(&instance);
    }
}

static bool issue_another(int after, bool is_for_good)
{
    struct ca_serial serial;

    return issue_one(rounds++, after, is_for_good, &serial);
}

Test(scarcity, a_request_without_memory_is_not_to_blame_and_becomes_one_certificate)
{
    check_ok(open_all());
    at_each_allocation(issue_another);
    struct store_info info;
    store_info(instance.store, &info);
    cr_assert_eq(info.certificate_count, rounds);
    check_ok(instance_check(&instance));
}

Test(scarcity, a_long_message_without_memory_is_not_malformed)
{
    check_ok(open_all());
    at_each_allocation(dry_run_many);
    check_ok(instance_check(&instance));
}

static bool revoke_another(int after, bool is_for_good)
{
    struct ca_serial serial;
    unsigned round = rounds++;

    issue_one(round, -1, false, &serial);
    return act_one(round, CERTMILL__ACT__ACT_REVOKE, &serial, after, is_for_good);
}

Test(scarcity, a_revocation_without_memory_is_done_when_asked_again)
{
    check_ok(open_all());
    at_each_allocation(revoke_another);
    check_ok(instance_check(&instance));
}

static bool list_another(int after, bool is_for_good)
{
    return list_one(&last_number, after, is_for_good);
}

Test(scarcity, a_list_without_memory_is_made_when_ordered_again_and_no_number_comes_twice)
{
    struct ca_serial serial;

    instance.config.crl_path = crl_folder;
    check_ok(open_all());
    issue_one(0, -1, false, &serial);
    act_one(0, CERTMILL__ACT__ACT_REVOKE, &serial, -1, false);
    list_one(&last_number, -1, false);
    at_each_allocation(list_another);
    check_ok(instance_check(&instance));
}
