/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crash: kill -9 at random moments, under load and while starting. What was acknowledged is there
 * to the byte; what was not becomes exactly one certificate when it is asked again.
 *
 * A few rounds in the ordinary run; CERTMILL_CRASH_ROUNDS by hand. CERTMILL_CRASH_SEED repeats a
 * run's choices (not its races).
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/check.h"
#include "tests/support/daemon.h"
#include "tests/support/random.h"
#include "tests/support/setting.h"

enum {
    ROUNDS_DEFAULT = 6,
    CLIENTS = 4,
    IN_FLIGHT = 16,     /* messages of one client */
    ITEMS_MAX = 8,      /* in one message */
    ROUND_MAX = 1500,   /* acknowledged before the kill, at most */
    ASKS_MAX = 1 << 14, /* of one client in one round */
    TIMEOUT_MS = 2000,
    PATIENCE_MS = 60000,
    AT_ONCE = 256, /* items of one message when all is asked again */
};

/* A request somebody made. */
struct asked {
    char request_id[40];
    size_t csr;
    uint8_t serial[CA_SERIAL_LEN];
    struct ca_bytes certificate; /* data NULL: not acknowledged */
};

struct asker {
    pthread_t thread;
    uint64_t random;
    unsigned round, number;
    size_t count;
    struct asked asks[ASKS_MAX];
};

TestSuite(crash, .timeout = 7200);

static struct daemon service;
static struct asker askers[CLIENTS];
static struct asked *all; /* of all rounds */
static size_t all_count, all_size;
static atomic_size_t acknowledged;
static atomic_bool is_over;

static struct ca_bytes keep(ProtobufCBinaryData data)
{
    uint8_t *copy = malloc(data.len);

    cr_assert(copy != NULL && data.len > 0);
    memcpy(copy, data.data, data.len);
    return ca_bytes_of(copy, data.len);
}

static void take_result(struct asked *asked, const Certmill__IssueResult *result)
{
    cr_assert(result->serial.len == CA_SERIAL_LEN);
    if (asked->certificate.data != NULL) {
        check_bytes(ca_bytes_of(result->certificate.data, result->certificate.len),
                    asked->certificate);
        check_bytes(ca_bytes_of(result->serial.data, result->serial.len),
                    ca_bytes_of(asked->serial, CA_SERIAL_LEN));
        return;
    }
    memcpy(asked->serial, result->serial.data, CA_SERIAL_LEN);
    asked->certificate = keep(result->certificate);
}

/* ---- load */

static void ask_some(struct asker *asker, struct rpc_client *client)
{
    struct daemon_item items[ITEMS_MAX];
    Certmill__IssueItem *pointers[ITEMS_MAX];
    Certmill__Request request = CERTMILL__REQUEST__INIT;
    Certmill__IssueRequest issue = CERTMILL__ISSUE_REQUEST__INIT;
    size_t count = 1 + random_next(&asker->random) % ITEMS_MAX;
    size_t first = asker->count;
    uint8_t packed[ITEMS_MAX * 1024];

    for (size_t i = 0; i < count; i++) {
        struct asked *asked = &asker->asks[asker->count++];
        *asked = (struct asked){ .csr = random_next(&asker->random) % DAEMON_CSRS };
        snprintf(asked->request_id, sizeof(asked->request_id), "crash-%06u-%02u-%08zu",
                 asker->round, asker->number, asker->count);
        daemon_item(&service, &items[i], asked->request_id, asked->csr);
        pointers[i] = &items[i].item;
    }
    issue.n_items = count;
    issue.items = pointers;
    request.version = 1;
    request.method_case = CERTMILL__REQUEST__METHOD_ISSUE;
    request.issue = &issue;
    cr_assert(certmill__request__get_packed_size(&request) <= sizeof(packed));
    size_t len = certmill__request__pack(&request, packed);
    check_ok(rpc_client_start(client, ca_bytes_of(packed, len), first << 8 | count));
}

/* False when there was no answer. */
static bool take_some(struct asker *asker, struct rpc_client *client)
{
    struct rpc_client_reply reply;

    check_ok(rpc_client_next(client, &reply));
    if (reply.err != CA_OK)
        return false;
    size_t first = reply.tag >> 8, count = reply.tag & 0xff;
    Certmill__Answer *answer = certmill__answer__unpack(NULL, reply.packed.len, reply.packed.data);
    cr_assert(answer != NULL && answer->method_case == CERTMILL__ANSWER__METHOD_ISSUE);
    cr_assert(answer->issue->n_items == count);
    for (size_t i = 0; i < count; i++) {
        const Certmill__IssueResult *result = answer->issue->items[i];
        cr_assert(result->status == NULL, "%s", result->status->code);
        take_result(&asker->asks[first + i], result);
    }
    certmill__answer__free_unpacked(answer, NULL);
    atomic_fetch_add(&acknowledged, count);
    return true;
}

static void *asker_run(void *arg)
{
    struct asker *asker = arg;
    struct rpc_client *client = daemon_connect(&service, TIMEOUT_MS);
    size_t in_flight = 0;
    bool is_answered = true;

    asker->count = 0;
    while (is_answered && !atomic_load(&is_over)) {
        while (in_flight < IN_FLIGHT && asker->count + ITEMS_MAX <= ASKS_MAX) {
            ask_some(asker, client);
            in_flight++;
        }
        if (in_flight == 0)
            break;
        is_answered = take_some(asker, client);
        in_flight--;
    }
    rpc_client_close(client);
    return NULL;
}

static void pause_us(uint64_t us)
{
    struct timespec time = { (time_t)(us / 1000000), (long)(us % 1000000) * 1000 };

    nanosleep(&time, NULL);
}

/* The moment of the kill is the test's random input: nothing waits for it. */
static void kill_under_load(unsigned round, uint64_t *random)
{
    size_t enough = random_next(random) % ROUND_MAX;

    atomic_store(&acknowledged, 0);
    atomic_store(&is_over, false);
    for (unsigned i = 0; i < CLIENTS; i++) {
        askers[i].round = round;
        askers[i].number = i;
        askers[i].random = random_next(random) | 1;
        cr_assert(pthread_create(&askers[i].thread, NULL, asker_run, &askers[i]) == 0);
    }
    while (atomic_load(&acknowledged) < enough)
        pause_us(500);
    pause_us(random_next(random) % 8000);
    daemon_kill(&service);
    atomic_store(&is_over, true);
    for (unsigned i = 0; i < CLIENTS; i++)
        pthread_join(askers[i].thread, NULL);
}

/* ---- afterwards */

static void remember(void)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        if (all_count + askers[i].count > all_size) {
            all_size = 2 * (all_count + askers[i].count);
            all = realloc(all, all_size * sizeof(*all));
            cr_assert(all != NULL);
        }
        memcpy(&all[all_count], askers[i].asks, askers[i].count * sizeof(*all));
        all_count += askers[i].count;
    }
}

/* Same request id, same body: until there is a certificate. */
static void ask_again(struct rpc_client *client, struct asked *asks, size_t count)
{
    struct daemon_item items[AT_ONCE];
    Certmill__IssueItem *pointers[AT_ONCE];
    bool is_done = false;

    for (size_t i = 0; i < count; i++) {
        daemon_item(&service, &items[i], asks[i].request_id, asks[i].csr);
        pointers[i] = &items[i].item;
    }
    while (!is_done) {
        Certmill__Answer *answer = daemon_issue(client, pointers, count);
        is_done = true;
        for (size_t i = 0; i < count; i++) {
            const Certmill__IssueResult *result = answer->issue->items[i];
            if (result->status == NULL) {
                take_result(&asks[i], result);
                continue;
            }
            cr_assert(strcmp(result->status->code, "UNKNOWN") == 0 ||
                          strcmp(result->status->code, "BUSY") == 0,
                      "%s: %s", asks[i].request_id, result->status->code);
            is_done = false;
        }
        certmill__answer__free_unpacked(answer, NULL);
    }
}

static void check_by_serial(struct rpc_client *client, const struct asked *asks, size_t count)
{
    ProtobufCBinaryData serials[AT_ONCE];
    size_t known = 0, seen = 0;

    for (size_t i = 0; i < count; i++) {
        if (asks[i].certificate.data != NULL)
            serials[known++] =
                (ProtobufCBinaryData){ CA_SERIAL_LEN, (uint8_t *)(uintptr_t)asks[i].serial };
    }
    Certmill__Answer *answer = daemon_get(client, serials, known);
    for (size_t i = 0; i < count; i++) {
        if (asks[i].certificate.data == NULL)
            continue;
        const Certmill__Certificate *got = answer->get->items[seen++];
        cr_assert(got->status == NULL && got->state == CERTMILL__STATE__STATE_VALID, "%s is lost",
                  asks[i].request_id);
        check_bytes(ca_bytes_of(got->certificate.data, got->certificate.len), asks[i].certificate);
    }
    certmill__answer__free_unpacked(answer, NULL);
}

/* first: from where on; older ones were checked before. */
static void check_all(size_t first)
{
    struct rpc_client *client = daemon_connect(&service, PATIENCE_MS);

    for (size_t i = first; i < all_count; i += AT_ONCE) {
        size_t count = all_count - i < AT_ONCE ? all_count - i : AT_ONCE;
        check_by_serial(client, &all[i], count);
        ask_again(client, &all[i], count);
        check_by_serial(client, &all[i], count);
    }
    cr_assert(daemon_counter(client, "store.intents") == 0);
    cr_assert(daemon_counter(client, "store.certificates") == all_count);
    rpc_client_close(client);
}

static int by_serial(const void *a, const void *b)
{
    return ca_bytes_compare(ca_bytes_of(((const struct asked *)a)->serial, CA_SERIAL_LEN),
                            ca_bytes_of(((const struct asked *)b)->serial, CA_SERIAL_LEN));
}

static void check_serials_are_unique(void)
{
    qsort(all, all_count, sizeof(*all), by_serial);
    for (size_t i = 1; i < all_count; i++)
        cr_assert(by_serial(&all[i - 1], &all[i]) < 0);
}

static void start_killed(uint64_t *random)
{
    for (uint64_t left = random_next(random) % 3; left > 0; left--) {
        daemon_spawn(&service);
        pause_us(random_next(random) % 400000);
        daemon_kill(&service);
    }
}

Test(crash, what_was_acknowledged_survives_and_what_was_not_becomes_one_certificate)
{
    unsigned rounds = (unsigned)setting_number("CERTMILL_CRASH_ROUNDS", ROUNDS_DEFAULT);
    uint64_t seed = setting_number("CERTMILL_CRASH_SEED", (uint64_t)time(NULL));
    uint64_t random = seed * 2 + 1;
    struct store_info info;
    size_t intents = 0, unanswered = 0;

    fprintf(stderr, "crash: CERTMILL_CRASH_SEED=%" PRIu64 " rounds %u\n", seed, rounds);
    daemon_make(&service);
    daemon_start(&service);
    for (unsigned round = 0; round < rounds; round++) {
        size_t first = all_count;
        kill_under_load(round, &random);
        remember();
        for (size_t i = first; i < all_count; i++)
            unanswered += all[i].certificate.data == NULL;
        daemon_check_store(&service, &info);
        intents += info.intent_count;
        start_killed(&random);
        daemon_start(&service);
        check_all(first);
    }
    check_all(0);
    daemon_stop(&service);
    daemon_check_store(&service, &info);
    cr_assert(info.intent_count == 0 && info.certificate_count == all_count);
    check_serials_are_unique();
    fprintf(stderr, "crash: %zu certificates, %zu not answered at first, %zu intents left\n",
            all_count, unanswered, intents);
    daemon_unmake(&service);
}
