/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load (certmill-load): asks a running daemon for certificates as fast as it can answer; or, with
 * --renew or --revoke, for renewals or revocations of those in a file that --keep wrote before.
 *
 * Closed loop: as many messages in flight as asked for, a new one for every answer. Messages
 * are packed before, every answer is read and its every item checked. Measured is from the
 * last answer of the warm-up to the first moment there is nothing left to send, so the
 * daemon is equally busy at both ends; its CPU time is read from the kernel's clock of the
 * process (--pid), which counts nanoseconds.
 */
#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/types.h>

#include "bench/load_messages.h"
#include "bench/load_verify.h"
#include "ca/base/limits.h"
#include "rpc/client.h"

enum {
    CONNECTIONS_MAX = 64,
    ANSWER_MEMORY = 16 << 20, /* for one unpacked answer */
    COUNT_MAX = 100000000,
    SECONDS_MAX = 86400,
};

/* The clocks at one end of the measured part. */
struct moment {
    uint64_t wall_ns, daemon_ns, own_ns;
};

struct load {
    const char *url, *prefix;
    struct bench_plan plan;
    struct bench_messages messages;
    size_t in_flight, connections, warm_up; /* messages */
    uint64_t seconds;                       /* 0: until all are sent */
    bool has_pid;
    clockid_t daemon_clock;
    struct bench_sample sample;
    struct bench_known_list kept; /* items NULL: not asked for */

    uint64_t *sent_ns; /* by message */
    uint64_t *taken_ns;
    atomic_size_t next, answered, refused;
    atomic_bool is_stopped;
    atomic_flag is_ended;
    size_t measured_until; /* answers, set with end */
    struct moment start, end;
};

struct worker {
    struct load *load;
    pthread_t thread;
    struct rpc_client *client;
    uint8_t *memory; /* answers are unpacked into it, one at a time */
    size_t used;
};

/* ---- reading answers without asking for memory */

static void *memory_take(void *arg, size_t size)
{
    struct worker *worker = arg;
    size_t start = worker->used;

    size = (size + 15) & ~(size_t)15;
    if (ANSWER_MEMORY - start < size)
        return NULL;
    worker->used += size;
    return worker->memory + start;
}

static void memory_give(void *arg, void *pointer)
{
    (void)arg;
    (void)pointer;
}

static void refusal_say(struct load *load, const Certmill__Status *status)
{
    if (atomic_fetch_add(&load->refused, 1) < 5)
        fprintf(stderr, "refused: %s, field %s, rule %s: %s\n", status->code, status->field,
                status->rule, status->text);
}

static void keep(struct load *load, size_t number, ProtobufCBinaryData serial)
{
    struct bench_known *known = &load->kept.items[number];

    *known = (struct bench_known){ .csr = number, .code = load->messages.run + number };
    memcpy(known->serial.bytes, serial.data, CA_SERIAL_LEN);
}

static void certificates_check(struct load *load, size_t message,
                               const Certmill__IssueAnswer *answer)
{
    for (size_t i = 0; i < answer->n_items; i++) {
        const Certmill__IssueResult *result = answer->items[i];

        if (result->status != NULL) {
            refusal_say(load, result->status);
            continue;
        }
        if (result->serial.len != CA_SERIAL_LEN || result->certificate.len == 0)
            bench_die("an answer holds no certificate");
        if (load->kept.items != NULL)
            keep(load, message * answer->n_items + i, result->serial);
    }
    const Certmill__IssueResult *first = answer->items[0];
    if (first->status == NULL)
        bench_sample_take(&load->sample, message,
                          ca_bytes_of(first->certificate.data, first->certificate.len));
}

static void acts_check(struct load *load, const Certmill__ActAnswer *answer)
{
    for (size_t i = 0; i < answer->n_items; i++) {
        const Certmill__ActResult *result = answer->items[i];

        if (result->status != NULL)
            refusal_say(load, result->status);
        else if (result->state != CERTMILL__STATE__STATE_REVOKED || result->sequence == 0)
            bench_die("an answer tells of no revocation");
    }
}

static void answer_check(struct worker *worker, size_t message, struct ca_bytes packed)
{
    struct load *load = worker->load;
    size_t per_message = load->plan.items_per_message;
    ProtobufCAllocator allocator = { memory_take, memory_give, worker };

    worker->used = 0;
    Certmill__Answer *answer = certmill__answer__unpack(&allocator, packed.len, packed.data);
    if (answer == NULL)
        bench_die("an answer cannot be read");
    if (answer->status != NULL)
        refusal_say(load, answer->status);
    else if (load->plan.kind == BENCH_REVOKE &&
             answer->method_case == CERTMILL__ANSWER__METHOD_ACT &&
             answer->act->n_items == per_message)
        acts_check(load, answer->act);
    else if (load->plan.kind != BENCH_REVOKE &&
             answer->method_case == CERTMILL__ANSWER__METHOD_ISSUE &&
             answer->issue->n_items == per_message)
        certificates_check(load, message, answer->issue);
    else
        bench_die("an answer is not that of its request");
}

/* ---- the loop */

static struct moment moment_now(const struct load *load)
{
    return (struct moment){
        .wall_ns = bench_now_ns(),
        .daemon_ns = load->has_pid ? bench_clock_ns(load->daemon_clock) : 0,
        .own_ns = bench_clock_ns(CLOCK_PROCESS_CPUTIME_ID),
    };
}

static void end_measuring(struct load *load, size_t answered)
{
    if (atomic_flag_test_and_set(&load->is_ended))
        return;
    load->end = moment_now(load);
    load->measured_until = answered;
    atomic_store(&load->is_stopped, true);
}

/* Sends the next message if there is one. */
static bool message_start(struct worker *worker)
{
    struct load *load = worker->load;

    if (atomic_load(&load->is_stopped))
        return false;
    size_t message = atomic_fetch_add(&load->next, 1);
    if (message >= load->messages.count) {
        end_measuring(load, atomic_load(&load->answered));
        return false;
    }
    load->sent_ns[message] = bench_now_ns();
    if (rpc_client_start(worker->client, bench_message(&load->messages, message), message) != CA_OK)
        bench_die("a message cannot be sent");
    return true;
}

static void message_finish(struct worker *worker)
{
    struct load *load = worker->load;
    struct rpc_client_reply reply;
    enum ca_err err = rpc_client_next(worker->client, &reply);

    if (err != CA_OK || reply.err != CA_OK)
        bench_die("no answer: %s", ca_err_text(err != CA_OK ? err : reply.err));
    uint64_t now_ns = bench_now_ns();
    answer_check(worker, reply.tag, reply.packed);
    size_t answered = atomic_fetch_add(&load->answered, 1) + 1;
    if (answered <= load->warm_up) {
        if (answered == load->warm_up)
            load->start = moment_now(load);
        return;
    }
    load->taken_ns[answered - 1] = now_ns - load->sent_ns[reply.tag];
    if (load->seconds > 0 && now_ns > load->start.wall_ns + load->seconds * 1000000000)
        end_measuring(load, answered);
}

static void *work(void *arg)
{
    struct worker *worker = arg;
    struct load *load = worker->load;
    size_t flying = 0;

    for (size_t i = 0; i < load->in_flight / load->connections; i++)
        flying += message_start(worker) ? 1 : 0;
    while (flying > 0) {
        message_finish(worker);
        if (!message_start(worker))
            flying--;
    }
    return NULL;
}

static void run(struct load *load)
{
    static struct worker workers[CONNECTIONS_MAX];

    load->sent_ns = calloc(load->messages.count, sizeof(*load->sent_ns));
    load->taken_ns = calloc(load->messages.count, sizeof(*load->taken_ns));
    if (load->sent_ns == NULL || load->taken_ns == NULL)
        bench_die("out of memory");
    for (size_t i = 0; i < load->connections; i++) {
        struct worker *worker = &workers[i];

        worker->load = load;
        worker->memory = malloc(ANSWER_MEMORY);
        if (worker->memory == NULL ||
            rpc_client_open(load->url, &(struct rpc_client_options){ 0 }, &worker->client) != CA_OK)
            bench_die("%s cannot be opened", load->url);
    }
    if (load->warm_up == 0)
        load->start = moment_now(load);
    for (size_t i = 0; i < load->connections; i++) {
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            bench_die("no thread");
    }
    for (size_t i = 0; i < load->connections; i++) {
        pthread_join(workers[i].thread, NULL);
        rpc_client_close(workers[i].client);
        free(workers[i].memory);
    }
}

/* ---- the report */

static int compare_ns(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

    return (a > b) - (a < b);
}

static void report(struct load *load)
{
    uint64_t *taken_ns = load->taken_ns + load->warm_up;
    size_t messages = load->measured_until - load->warm_up;
    double certificates = (double)(messages * load->plan.items_per_message);
    bool is_revoking = load->plan.kind == BENCH_REVOKE;
    double wall_ns = (double)(load->end.wall_ns - load->start.wall_ns);
    double daemon_ns = (double)(load->end.daemon_ns - load->start.daemon_ns);
    double own_ns = (double)(load->end.own_ns - load->start.own_ns);

    qsort(taken_ns, messages, sizeof(*taken_ns), compare_ns);
    bench_figure(load->prefix, "rate", certificates * 1e9 / wall_ns,
                 is_revoking ? "revocations/s" : "certificates/s");
    if (load->has_pid) {
        bench_figure(load->prefix, "server_us", daemon_ns / certificates / 1000, "us");
        bench_figure(load->prefix, "server_cores", daemon_ns / wall_ns, "cores");
    }
    bench_figure(load->prefix, "client_us", own_ns / certificates / 1000, "us");
    bench_figure(load->prefix, "p50_ms", (double)taken_ns[messages / 2] / 1e6, "ms");
    bench_figure(load->prefix, "p99_ms", (double)taken_ns[messages * 99 / 100] / 1e6, "ms");
    bench_figure(load->prefix, "max_ms", (double)taken_ns[messages - 1] / 1e6, "ms");
    bench_figure(load->prefix, is_revoking ? "revocations" : "certificates", certificates,
                 "measured");
}

/* ---- options */

struct arguments {
    const char *csrs, *known, *keep;
    uint64_t count, sample_count, warm_up; /* items */
};

static void value_parse(struct bench_plan *plan, char *text)
{
    char *value = strchr(text, '=');

    if (value == NULL || plan->value_count == BENCH_VALUE_COUNT_MAX)
        bench_die("--value is NAME=TEXT, at most %d times", BENCH_VALUE_COUNT_MAX);
    *value++ = '\0';
    plan->values[plan->value_count++] = (struct bench_value){ text, value };
}

static void pid_parse(struct load *load, const char *text)
{
    pid_t pid = (pid_t)bench_number("--pid", text, 1 << 30);

    load->has_pid = true;
    if (clock_getcpuclockid(pid, &load->daemon_clock) != 0)
        bench_die("there is no process %s", text);
}

static void parse(int argc, char **argv, struct load *load, struct arguments *arguments)
{
    /* clang-format off */
    static const struct option options[] = {
        { "url", 1, NULL, 'u' },                { "profile", 1, NULL, 'p' },
        { "ca", 1, NULL, 'a' },                 { "csrs", 1, NULL, 'c' },
        { "value", 1, NULL, 'v' },              { "per-message", 1, NULL, 'm' },
        { "in-flight", 1, NULL, 'f' },          { "count", 1, NULL, 'n' },
        { "seconds", 1, NULL, 's' },            { "connections", 1, NULL, 'C' },
        { "pid", 1, NULL, 'i' },                { "warm-up", 1, NULL, 'w' },
        { "verify", 1, NULL, 'V' },             { "prefix", 1, NULL, 'P' },
        { "renew", 1, NULL, 'N' },              { "revoke", 1, NULL, 'R' },
        { "keep", 1, NULL, 'k' },
        { NULL, 0, NULL, 0 },
    };
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'u': load->url = optarg; break;
        case 'p': load->plan.profile = optarg; break;
        case 'a': load->plan.ca = optarg; break;
        case 'c': arguments->csrs = optarg; break;
        case 'v': value_parse(&load->plan, optarg); break;
        case 'm': load->plan.items_per_message = bench_number("--per-message", optarg, 1024); break;
        case 'f': load->in_flight = bench_number("--in-flight", optarg, 4096); break;
        case 'n': arguments->count = bench_number("--count", optarg, COUNT_MAX); break;
        case 's': load->seconds = bench_number("--seconds", optarg, SECONDS_MAX); break;
        case 'C': load->connections = bench_number("--connections", optarg, CONNECTIONS_MAX); break;
        case 'i': pid_parse(load, optarg); break;
        case 'w': arguments->warm_up = bench_number("--warm-up", optarg, COUNT_MAX); break;
        case 'V': arguments->sample_count = bench_number("--verify", optarg, 10000); break;
        case 'P': load->prefix = optarg; break;
        case 'N': load->plan.kind = BENCH_RENEW; arguments->known = optarg; break;
        case 'R': load->plan.kind = BENCH_REVOKE; arguments->known = optarg; break;
        case 'k': arguments->keep = optarg; break;
        default: exit(2);
        }
    }
    /* clang-format on */
    bool is_revoking = load->plan.kind == BENCH_REVOKE;
    if (load->url == NULL || (arguments->csrs == NULL) != is_revoking || optind != argc ||
        (is_revoking && (arguments->sample_count > 0 || arguments->keep != NULL)))
        bench_die("usage: certmill-load --url URL --csrs FILE [--renew FILE] [--profile NAME] "
                  "[--ca NAME] [--value NAME=TEXT]... [--verify N] [--keep FILE] [OPTION...]\n"
                  "       certmill-load --url URL --revoke FILE [OPTION...]\n"
                  "[--per-message N] [--in-flight N] [--connections N] [--count N] [--seconds N] "
                  "[--warm-up N] [--pid PID] [--prefix TEXT]");
}

static void plan_make(struct load *load, const struct arguments *arguments)
{
    struct bench_plan *plan = &load->plan;
    uint64_t there = plan->known != NULL ? plan->known->count : plan->csrs->count;
    uint64_t count = arguments->count > 0 ? arguments->count : there;

    if (plan->items_per_message == 0 || load->connections == 0 ||
        load->in_flight % load->connections != 0 || load->in_flight == 0)
        bench_die("--in-flight must be a multiple of --connections, and nothing may be 0");
    if (load->in_flight / load->connections > RPC_CLIENT_IN_FLIGHT_MAX)
        bench_die("at most %d messages in flight per connection", RPC_CLIENT_IN_FLIGHT_MAX);
    if (count > there && plan->known != NULL)
        bench_die("there are only %llu certificates", (unsigned long long)there);
    if (count > there)
        fprintf(stderr, "%llu requests serve for %llu certificates\n", (unsigned long long)there,
                (unsigned long long)count);
    plan->message_count = count / plan->items_per_message;
    load->warm_up = arguments->warm_up / plan->items_per_message;
    if (plan->message_count < load->warm_up + 2 * load->in_flight)
        bench_die("too few requests for the warm-up and a measurement");
}

static void load_read(struct load *load, const struct arguments *arguments, struct bench_csrs *csrs,
                      struct bench_known_list *known)
{
    if (arguments->csrs != NULL) {
        bench_csrs_load(arguments->csrs, COUNT_MAX, csrs);
        load->plan.csrs = csrs;
    }
    if (arguments->known != NULL) {
        bench_known_load(arguments->known, known);
        load->plan.known = known;
    }
    plan_make(load, arguments);
    bench_messages_pack(&load->plan, &load->messages);
    bench_sample_init(&load->sample, load->messages.count, arguments->sample_count);
    if (arguments->keep != NULL) {
        load->kept.count = load->messages.count * load->plan.items_per_message;
        load->kept.items = calloc(load->kept.count, sizeof(*load->kept.items));
        if (load->kept.items == NULL)
            bench_die("out of memory");
    }
}

int main(int argc, char **argv)
{
    static struct load load = {
        .prefix = "",
        .plan = { .profile = "enterprise", .ca = "", .items_per_message = 64 },
        .in_flight = 8,
        .connections = 1,
        .is_ended = ATOMIC_FLAG_INIT,
    };
    struct arguments arguments = { 0 };
    struct bench_csrs csrs = { 0 };
    struct bench_known_list known = { 0 };

    parse(argc, argv, &load, &arguments);
    load_read(&load, &arguments, &csrs, &known);
    run(&load);
    size_t refused = atomic_load(&load.refused);
    if (refused > 0)
        bench_die("%zu requests were refused", refused);
    report(&load);
    if (arguments.keep != NULL)
        bench_known_save(arguments.keep, &load.kept);
    bench_sample_verify(&load.sample, load.url, &load.plan);
    bench_sample_free(&load.sample);
    bench_messages_free(&load.messages);
    bench_csrs_free(&csrs);
    bench_known_free(&known);
    bench_known_free(&load.kept);
    free(load.sent_ns);
    free(load.taken_ns);
    return EXIT_SUCCESS;
}
