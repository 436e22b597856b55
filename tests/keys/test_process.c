/* SPDX-License-Identifier: Apache-2.0 */
/* The signer process as its client sees it, and what becomes of both when one of them dies. */
#include "ca/keys/process.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "ca/crypto/digest.h"
#include "ca/keys/head.h"
#include "tests/support/sealed_keys.h"

enum { LANES = 3, EVENTS_MAX = 16 };

static struct crypto_signature signatures[BATCH];

TestSuite(process, .init = open_all, .fini = close_all, .timeout = 120);

/* ---- a process and its client */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    enum keys_process_event events[EVENTS_MAX];
    int numbers[EVENTS_MAX];
    size_t count;
} heard = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static void hear_event(void *arg, enum keys_process_event event, int number)
{
    (void)arg;
    pthread_mutex_lock(&heard.lock);
    cr_assert(heard.count < EVENTS_MAX);
    heard.events[heard.count] = event;
    heard.numbers[heard.count++] = number;
    pthread_cond_broadcast(&heard.changed);
    pthread_mutex_unlock(&heard.lock);
}

/* Whichever it is. */
static enum keys_process_event await_is(size_t nth)
{
    pthread_mutex_lock(&heard.lock);
    while (heard.count < nth)
        pthread_cond_wait(&heard.changed, &heard.lock);
    enum keys_process_event event = heard.events[nth - 1];
    pthread_mutex_unlock(&heard.lock);
    return event;
}

/* Waits for the nth event (from 1), which must be this one; its number. */
static int await(size_t nth, enum keys_process_event event)
{
    enum keys_process_event is = await_is(nth);

    cr_assert_eq(is, event, "event %zu is %d", nth, (int)is);
    return heard.numbers[nth - 1];
}

static struct keys_process_options options_with(bool may_restart)
{
    return (struct keys_process_options){
        .keeper = { .signer = { .unseal = unseal, .key_count = KIND_COUNT, .lane_count = LANES },
                    .may_restart = may_restart,
                    .fds = { -1, -1, -1, -1 } },
        .pause_ms = 10,
        .tell = hear_event,
    };
}

static struct keys_process *process;
static struct keys_signer *signers[KIND_COUNT];

static void start(const struct keys_process_options *options)
{
    const struct keys_signer_options checked = { .is_unchecked = false };

    check_ok(keys_process_fork(options, &process));
    check_ok(keys_process_start(process));
    for (size_t i = 0; i < KIND_COUNT; i++)
        check_ok(keys_signer_open_process(process, i, &publics[i], &checked, &signers[i]));
}

static void stop(void)
{
    for (size_t i = 0; i < KIND_COUNT; i++)
        keys_signer_close(signers[i]);
    keys_process_close(process);
}

static void make_tickets(const struct keys_signer *signer, struct keys_ticket *tickets,
                         size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint8_t digest[CA_DIGEST_LEN];
        const struct keys_intent intent = { KEYS_TICKET_CERTIFICATE,
                                            { serials[i], CA_SERIAL_LEN },
                                            { digest, CA_DIGEST_LEN } };
        crypto_sha256(&messages[i], 1, digest);
        keys_ticket_make(signer, &intent, &tickets[i]);
    }
}

static enum ca_err sign(size_t kind, size_t count)
{
    struct keys_ticket tickets[BATCH];
    const struct keys_order order = {
        .sig = kinds[kind].sig, .messages = messages, .count = count, .tickets = tickets
    };

    make_tickets(signers[kind], tickets, count);
    return keys_sign(signers[kind], crypto, &order, signatures);
}

static void check_verify(size_t kind, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct crypto_verification job = {
            .sig = kinds[kind].sig,
            .key = &publics[kind],
            .message = messages[i],
            .signature = { signatures[i].bytes, signatures[i].len },
        };
        crypto_verify_many(crypto, &job, 1);
        check_ok(job.result);
    }
}

static struct keys_signer_counts counts_of(size_t kind)
{
    struct keys_signer_counts counts;

    keys_signer_count(signers[kind], &counts);
    return counts;
}

Test(process, what_has_a_ticket_is_signed_with_every_kind_of_key)
{
    struct keys_process_options options = options_with(false);

    start(&options);
    for (size_t i = 0; i < KIND_COUNT; i++) {
        check_ok(sign(i, BATCH));
        check_verify(i, BATCH);
        check_ok(sign(i, 0));
        check_ok(keys_signer_state(signers[i]));
        struct keys_signer_counts counts = counts_of(i);
        cr_assert(counts.signatures == BATCH && counts.refused == 0 && counts.repeated == 0);
    }
    stop();
}

Test(process, what_is_signed_twice_is_counted)
{
    struct keys_process_options options = options_with(false);

    start(&options);
    check_ok(sign(P256, 5));
    check_ok(sign(P256, 3));
    struct keys_signer_counts counts = counts_of(P256);
    cr_assert(counts.signatures == 8 && counts.repeated == 3);
    stop();
}

/* Each way to be without the right ticket; one of a batch is enough. */
static void spoil(struct keys_ticket *tickets, int how)
{
    uint8_t digest[CA_DIGEST_LEN], other[CA_SERIAL_LEN];
    struct keys_intent intent = { KEYS_TICKET_CERTIFICATE,
                                  { serials[1], CA_SERIAL_LEN },
                                  { digest, CA_DIGEST_LEN } };

    crypto_sha256(&messages[1], 1, digest);
    memset(other, 0x55, sizeof(other));
    switch (how) {
    case 0: tickets[1] = (struct keys_ticket){ 0 }; break;
    case 1: tickets[1].mac[7] ^= 0x10; break;
    case 2: tickets[1] = tickets[0]; break; /* for other bytes */
    case 3:                                 /* the number of the intent is not the content's */
        intent.number = ca_bytes_of(other, sizeof(other));
        keys_ticket_make(signers[P256], &intent, &tickets[1]);
        break;
    case 4: keys_ticket_make(signers[ED25519], &intent, &tickets[1]); break; /* another key */
    case 5:                                                                  /* for a list */
        intent.kind = KEYS_TICKET_CRL;
        keys_ticket_make(signers[P256], &intent, &tickets[1]);
        break;
    case 6: tickets[1].number[3] ^= 1; break;
    case 7: tickets[1].number_len--; break;
    case 8: tickets[1].kind = 3; break;
    default: intent.digest.len--; keys_ticket_make(signers[P256], &intent, &tickets[1]);
    }
}

Test(process, without_the_right_ticket_nothing_of_a_batch_is_signed)
{
    struct keys_process_options options = options_with(false);
    struct keys_ticket tickets[4];
    const struct keys_order order = {
        .sig = CRYPTO_SIG_ECDSA_SHA256, .messages = messages, .count = 4, .tickets = tickets
    };
    enum { WAYS = 10 };

    start(&options);
    for (int how = 0; how < WAYS; how++) {
        make_tickets(signers[P256], tickets, 4);
        spoil(tickets, how);
        signatures[0].len = 99;
        enum ca_err err = keys_sign(signers[P256], crypto, &order, signatures);
        cr_assert_eq(err, CA_ERR_DENIED, "way %d: %s", how, ca_err_name(err));
        cr_assert_eq(signatures[0].len, 0);
    }
    check_err(keys_sign_many(signers[P256], crypto, order.sig, messages, 1, signatures),
              CA_ERR_DENIED);
    struct keys_signer_counts counts = counts_of(P256);
    cr_assert(counts.signatures == 0 && counts.refused == 4 * WAYS + 1);
    check_ok(sign(P256, 4)); /* and it goes on */
    stop();
}

Test(process, bytes_changed_after_the_ticket_was_made_are_not_signed)
{
    struct keys_process_options options = options_with(false);
    struct keys_ticket tickets[1];
    const struct keys_order order = {
        .sig = CRYPTO_SIG_ECDSA_SHA256, .messages = messages, .count = 1, .tickets = tickets
    };

    start(&options);
    make_tickets(signers[P256], tickets, 1);
    for (size_t at = 0; at < messages[0].len; at++) {
        tbs[0][at] ^= 1;
        check_err(keys_sign(signers[P256], crypto, &order, signatures), CA_ERR_DENIED);
        tbs[0][at] ^= 1;
    }
    check_ok(keys_sign(signers[P256], crypto, &order, signatures));
    stop();
}

/* ---- lists */

static enum ca_err sign_digest(size_t kind, enum keys_ticket_kind ticket_kind, uint8_t flip)
{
    static const uint8_t number[] = { 0x12, 0x34 };
    struct crypto_digest digest = { .len = 32 };
    struct keys_ticket ticket;
    const struct keys_order order = { .sig = kinds[kind].sig,
                                      .digest = &digest,
                                      .tickets = &ticket };

    memset(digest.bytes, 7, digest.len);
    const struct keys_intent intent = { ticket_kind,
                                        { number, sizeof(number) },
                                        { digest.bytes, digest.len } };
    keys_ticket_make(signers[kind], &intent, &ticket);
    digest.bytes[31] ^= flip;
    return keys_sign(signers[kind], crypto, &order, signatures);
}

Test(process, a_digest_is_signed_for_a_list_only)
{
    struct keys_process_options options = options_with(false);

    start(&options);
    check_ok(sign_digest(P256, KEYS_TICKET_CRL, 0));
    check_ok(sign_digest(RSA, KEYS_TICKET_CRL, 0));
    check_err(sign_digest(P256, KEYS_TICKET_CERTIFICATE, 0), CA_ERR_DENIED);
    check_err(sign_digest(P256, KEYS_TICKET_CRL, 1), CA_ERR_DENIED);
    check_err(sign_digest(ED25519, KEYS_TICKET_CRL, 0), CA_ERR_KEY_TYPE);
    stop();
}

Test(process, a_list_of_megabytes_is_signed_whole_where_the_key_wants_that)
{
    enum { LEN = 6 << 20 };
    struct keys_process_options options = options_with(false);
    uint8_t *list = calloc(1, LEN), digest[CA_DIGEST_LEN], number = 9;
    static const uint8_t head[] = { 0x30, 0x83, 0x5f, 0xff, 0xfb, 0x02, 0x01, 0x01 };
    struct ca_bytes message = { list, LEN };
    struct keys_ticket ticket;
    const struct keys_order order = {
        .sig = CRYPTO_SIG_ED25519, .messages = &message, .count = 1, .tickets = &ticket
    };
    const struct keys_intent intent = { KEYS_TICKET_CRL,
                                        { &number, 1 },
                                        { digest, CA_DIGEST_LEN } };

    cr_assert_not_null(list);
    memcpy(list, head, sizeof(head));
    start(&options);
    crypto_sha256(&message, 1, digest);
    keys_ticket_make(signers[ED25519], &intent, &ticket);
    check_ok(keys_sign(signers[ED25519], crypto, &order, signatures));
    list[LEN - 1] ^= 1;
    check_err(keys_sign(signers[ED25519], crypto, &order, signatures), CA_ERR_DENIED);
    check_ok(sign(ED25519, 3));
    stop();
    free(list);
}

/* ---- heads of the audit log */

static struct keys_process_options options_with_audit(void)
{
    struct keys_process_options options = options_with(false);

    options.keeper.signer.signs_heads[ED25519] = true;
    return options;
}

static enum ca_err sign_head(size_t kind, uint64_t sequence, uint8_t content)
{
    const struct keys_head head = { .sequence = sequence, .chain = { content }, .time_us = 5 };
    struct keys_signed_head made;
    enum ca_err err = keys_head_sign(signers[kind], crypto, &head, &made);

    if (err == CA_OK)
        check_ok(keys_head_verify(crypto, &publics[kind], &made));
    return err;
}

Test(process, an_audit_key_signs_heads_that_go_with_those_before)
{
    struct keys_process_options options = options_with_audit();

    start(&options);
    check_ok(sign_head(ED25519, 7, 1));
    check_ok(sign_head(ED25519, 7, 1));
    check_err(sign_head(ED25519, 7, 2), CA_ERR_DENIED);
    check_err(sign_head(ED25519, 6, 1), CA_ERR_DENIED);
    check_ok(sign_head(ED25519, 8, 2));
    check_err(sign_head(ED25519, 7, 1), CA_ERR_DENIED);
    struct keys_signer_counts counts = counts_of(ED25519);
    cr_assert(counts.signatures == 3 && counts.refused == 3);
    stop();
}

/* Each key with tickets that fit it. */
Test(process, an_audit_key_signs_no_certificates_and_others_no_heads)
{
    struct keys_process_options options = options_with_audit();

    start(&options);
    check_err(sign(ED25519, 1), CA_ERR_DENIED);
    check_err(sign_digest(ED25519, KEYS_TICKET_CRL, 0), CA_ERR_KEY_TYPE);
    check_ok(sign(P256, 1));
    stop();
    options = options_with(false);
    start(&options);
    check_err(sign_head(ED25519, 7, 1), CA_ERR_DENIED); /* a CA's key of the same type */
    check_ok(sign(ED25519, 1));
    stop();
}

static enum ca_err sign_text(struct ca_bytes message, const struct keys_intent *intent)
{
    struct keys_ticket ticket;
    const struct keys_order order = {
        .sig = CRYPTO_SIG_ED25519, .messages = &message, .count = 1, .tickets = &ticket
    };

    keys_ticket_make(signers[ED25519], intent, &ticket);
    return keys_sign(signers[ED25519], crypto, &order, signatures);
}

Test(process, a_head_needs_the_ticket_of_a_head_and_of_its_number)
{
    const struct keys_head head = { .sequence = 7, .time_us = 5 };
    char text[KEYS_HEAD_TEXT_MAX + 1];
    struct ca_bytes message = { (const uint8_t *)text, keys_head_text(&head, text) };
    struct keys_process_options options = options_with_audit();
    uint8_t number[8] = { 0, 0, 0, 0, 0, 0, 0, 7 }, digest[CA_DIGEST_LEN];
    const struct keys_intent good = { KEYS_TICKET_HEAD,
                                      { number, sizeof(number) },
                                      { digest, sizeof(digest) } };
    struct keys_intent intent = good;

    start(&options);
    crypto_sha256(&message, 1, digest);
    check_err(keys_sign_many(signers[ED25519], crypto, CRYPTO_SIG_ED25519, &message, 1, signatures),
              CA_ERR_DENIED);
    intent.kind = KEYS_TICKET_CERTIFICATE;
    check_err(sign_text(message, &intent), CA_ERR_DENIED);
    intent.kind = KEYS_TICKET_CRL;
    check_err(sign_text(message, &intent), CA_ERR_DENIED);
    intent = good;
    intent.number.len = 7;
    check_err(sign_text(message, &intent), CA_ERR_DENIED);
    number[7] = 8;
    check_err(sign_text(message, &good), CA_ERR_DENIED);
    number[7] = 7;
    digest[0] ^= 1;
    check_err(sign_text(message, &good), CA_ERR_DENIED);
    digest[0] ^= 1;
    check_ok(sign_text(message, &good));
    stop();
}

/* ---- faults */

Test(process, a_wrong_signature_from_the_signer_latches_its_key)
{
    struct keys_process_options options = options_with(true);

    start(&options);
    atomic_store(&shared->fault, FAULT_BIT);
    check_err(sign(P256, BATCH), CA_ERR_SIGNATURE_WRONG);
    cr_assert_eq(signatures[0].len, 0);
    atomic_store(&shared->fault, FAULT_NONE);
    check_err(sign(P256, BATCH), CA_ERR_KEY_UNUSABLE);
    check_err(keys_signer_state(signers[P256]), CA_ERR_KEY_UNUSABLE);
    check_ok(sign(P384, BATCH)); /* others go on */
    stop();
}

static enum ca_err random_fails(void *arg, uint8_t *bytes, size_t len)
{
    (void)arg;
    memset(bytes, 1, len);
    return CA_ERR_RANDOM;
}

static enum ca_err random_is_constant(void *arg, uint8_t *bytes, size_t len)
{
    (void)arg;
    memset(bytes, 0x5a, len);
    return CA_OK;
}

Test(process, without_randomness_there_is_no_signature)
{
    crypto_random_fn *const sources[] = { random_fails, random_is_constant };

    for (size_t i = 0; i < 2; i++) {
        struct keys_process_options options = options_with(false);
        options.keeper.signer.random = sources[i];
        start(&options);
        for (size_t kind = 0; kind < KIND_COUNT; kind++) {
            check_err(sign(kind, BATCH), CA_ERR_RANDOM);
            cr_assert_eq(counts_of(kind).signatures, 0);
        }
        stop();
    }
}

/* Two that were forked from the same memory. */
Test(process, a_signer_started_again_has_randomness_of_its_own)
{
    struct keys_process_options options = options_with(true);
    struct crypto_signature first;

    start(&options);
    check_ok(sign(P256, 1));
    first = signatures[0];
    kill(await(1, KEYS_PROCESS_STARTED), SIGKILL);
    await(3, KEYS_PROCESS_STARTED);
    check_ok(sign(P256, 1));
    cr_assert(!ca_bytes_equal(ca_bytes_of(first.bytes, first.len),
                              ca_bytes_of(signatures[0].bytes, signatures[0].len)));
    stop();
}

/* ---- death */

Test(process, a_signer_that_makes_a_forbidden_call_dies_and_the_daemon_lives)
{
    static const enum fault calls[] = { FAULT_OPEN, FAULT_SOCKET, FAULT_FORK };
    struct keys_process_options options = options_with(true);

    if (IS_SANITIZED)
        cr_skip("no filter beside a sanitizer");
    start(&options);
    await(1, KEYS_PROCESS_STARTED);
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        atomic_store(&shared->fault, calls[i]);
        check_err(sign(P256, 8), CA_ERR_UNKNOWN);
        cr_assert_eq(signatures[0].len, 0);
        int status = await(2 + 2 * i, KEYS_PROCESS_ENDED);
        cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
        atomic_store(&shared->fault, FAULT_NONE);
        await(3 + 2 * i, KEYS_PROCESS_STARTED);
        check_ok(sign(P256, 8));
        check_verify(P256, 8);
    }
    cr_assert_eq(atomic_load(&shared->unsealed), 4);
    cr_assert_eq(counts_of(P256).signatures, 24); /* over all of them */
    stop();
}

Test(process, a_signer_that_does_not_answer_is_ended)
{
    struct keys_process_options options = options_with(true);

    options.timeout_ms = 200;
    start(&options);
    atomic_store(&shared->fault, FAULT_HANG);
    check_err(sign(P256, 2), CA_ERR_UNKNOWN);
    int status = await(2, KEYS_PROCESS_ENDED);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    atomic_store(&shared->fault, FAULT_NONE);
    await(3, KEYS_PROCESS_STARTED);
    stop();
}

Test(process, without_consent_a_dead_signer_stays_dead)
{
    struct keys_process_options options = options_with(false);

    start(&options);
    check_ok(sign(P256, 2));
    kill(await(1, KEYS_PROCESS_STARTED), SIGKILL);
    await(2, KEYS_PROCESS_ENDED);
    await(3, KEYS_PROCESS_GONE);
    for (size_t i = 0; i < KIND_COUNT; i++) {
        check_err(sign(i, 2), CA_ERR_KEY_UNUSABLE);
        check_err(keys_signer_state(signers[i]), CA_ERR_KEY_UNUSABLE);
    }
    cr_assert_eq(atomic_load(&shared->unsealed), 1);
    cr_assert_eq(counts_of(P256).signatures, 2);
    stop();
}

/* The only child of this process. */
static pid_t own_child(void)
{
    char name[64];
    int child = 0;

    snprintf(name, sizeof(name), "/proc/%d/task/%d/children", getpid(), getpid());
    FILE *children = fopen(name, "r");
    cr_assert(children != NULL && fscanf(children, "%d", &child) == 1);
    fclose(children);
    return child;
}

Test(process, without_its_keeper_a_signer_ends_and_is_gone)
{
    struct keys_process_options options = options_with(true);

    start(&options);
    check_ok(sign(P256, 2));
    await(1, KEYS_PROCESS_STARTED);
    kill(own_child(), SIGKILL);
    await(2, KEYS_PROCESS_GONE);
    check_err(sign(P256, 2), CA_ERR_KEY_UNUSABLE);
    check_err(keys_signer_state(signers[P256]), CA_ERR_KEY_UNUSABLE);
    stop();
}

Test(process, a_signer_that_cannot_unseal_again_is_tried_again)
{
    struct keys_process_options options = options_with(true);

    start(&options);
    atomic_store(&shared->unseal_err, CA_ERR_PASSPHRASE);
    kill(await(1, KEYS_PROCESS_STARTED), SIGKILL);
    await(2, KEYS_PROCESS_ENDED);
    cr_assert_eq(await(3, KEYS_PROCESS_REFUSED), CA_ERR_PASSPHRASE);
    check_err(keys_signer_state(signers[P256]), CA_ERR_BUSY);
    check_err(sign(P256, 1), CA_ERR_BUSY);
    await(4, KEYS_PROCESS_ENDED);
    atomic_store(&shared->unseal_err, CA_OK);
    for (size_t nth = 5; await_is(nth) != KEYS_PROCESS_STARTED; nth++)
        continue;
    check_ok(sign(P256, 1));
    stop();
}

Test(process, a_signer_that_cannot_unseal_at_the_start_says_why)
{
    struct keys_process_options options = options_with(true);

    atomic_store(&shared->unseal_err, CA_ERR_PASSPHRASE);
    check_ok(keys_process_fork(&options, &process));
    check_err(keys_process_start(process), CA_ERR_PASSPHRASE);
    keys_process_close(process);
    keys_process_close(NULL);
}

Test(process, a_signer_unseals_while_the_daemon_does_something_else)
{
    struct keys_process_options options = options_with(false);

    check_ok(keys_process_fork(&options, &process));
    check_ok(keys_process_begin(process));
    while (atomic_load(&shared->unsealed) == 0)
        usleep(1000);
    check_ok(keys_process_start(process));
    cr_assert_eq(atomic_load(&shared->unsealed), 1);
    keys_process_close(process);

    atomic_store(&shared->unseal_err, CA_ERR_PASSPHRASE);
    check_ok(keys_process_fork(&options, &process));
    check_ok(keys_process_begin(process));
    check_err(keys_process_start(process), CA_ERR_PASSPHRASE);
    keys_process_close(process);
}

Test(process, no_process_is_forked_from_one_that_holds_secrets)
{
    struct keys_process_options options = options_with(false);

    check_ok(keys_harden_process());
    check_err(keys_process_fork(&options, &process), CA_ERR_KEY_UNUSABLE);
    cr_assert_null(process);
}

static bool has_ended(pid_t pid)
{
    for (int i = 0; i < 10000; i++) { /* no clock: it goes as soon as the kernel gets to it */
        if (kill(pid, 0) != 0 && errno == ESRCH)
            return true;
        usleep(1000);
    }
    return false;
}

/* A daemon of its own, killed; what it started goes with it. */
Test(process, keeper_and_signer_end_with_the_daemon)
{
    int told[2], status;
    struct {
        pid_t keeper, signer;
    } pids;

    cr_assert(pipe(told) == 0 && prctl(PR_SET_CHILD_SUBREAPER, 1L) == 0);
    pid_t daemon = fork();
    if (daemon == 0) {
        struct keys_process_options options = options_with(true);
        start(&options);
        pids.signer = await(1, KEYS_PROCESS_STARTED);
        pids.keeper = own_child();
        if (write(told[1], &pids, sizeof(pids)) != (ssize_t)sizeof(pids))
            _exit(1);
        pause();
    }
    cr_assert(read(told[0], &pids, sizeof(pids)) == (ssize_t)sizeof(pids));
    cr_assert(kill(pids.keeper, 0) == 0 && kill(pids.signer, 0) == 0);
    kill(daemon, SIGKILL);
    while (waitpid(-1, &status, 0) > 0) /* orphans are ours: no zombie looks alive */
        continue;
    cr_assert(has_ended(pids.keeper) && has_ended(pids.signer));
}

/* As when the store cannot be opened meanwhile. */
Test(process, a_signer_that_nobody_waits_for_ends)
{
    struct keys_process_options options = options_with(false);
    int status;

    cr_assert(prctl(PR_SET_CHILD_SUBREAPER, 1L) == 0);
    check_ok(keys_process_fork(&options, &process));
    check_ok(keys_process_begin(process));
    while (atomic_load(&shared->unsealed) == 0)
        usleep(1000);
    keys_process_close(process);
    while (waitpid(-1, &status, 0) > 0) /* ends once the signer, an orphan of ours, has */
        continue;
    cr_assert_eq(errno, ECHILD);
}
