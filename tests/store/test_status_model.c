/* SPDX-License-Identifier: Apache-2.0 */
/* Status, lines and lists against plain arrays: random operations, the seed printed. */
#include <fcntl.h>
#include <time.h>

#include "ca/x509/crl.h"
#include "tests/support/store.h"

enum { NUMBERS = 700, STEPS = 1200, SCOPES = 10, CHANGES = 60000 };

struct one {
    bool is_issued, is_retired;
    enum store_state state; /* NONE: neither revoked nor held */
    uint8_t reason;
    uint64_t sequence; /* of the last change of status */
    uint64_t root;     /* of its line; 0: it has none */
    enum store_delivery delivery;
};

struct scope {
    uint64_t last_number, full_number, delta_number;
};

/* What should be there; a batch works on a copy. Numbers start at 1. */
struct model {
    struct one ones[NUMBERS];
    uint64_t lines[NUMBERS][STORE_LINE_MAX]; /* by root */
    size_t line_counts[NUMBERS];
    struct scope scopes[SCOPES];
    uint64_t changed[CHANGES]; /* by sequence: the number that it was about */
    bool is_status[CHANGES];
    uint64_t change_count, next;
};

static struct store *store;
static struct model model, next;
static uint64_t seed;

static uint64_t pick(uint64_t below)
{
    return test_random(&seed) % below;
}

/* A number whose certificates are in scope number k; the scope of number n is n % 10. */
static struct store_scope scope_of(uint64_t k)
{
    return test_scope(k);
}

static bool is_listed(enum store_state state)
{
    return state == STORE_STATE_REVOKED || state == STORE_STATE_HELD;
}

static uint64_t head_of(const struct model *of, uint64_t root)
{
    size_t last = of->line_counts[root] - 1;

    while (last > 0 && of->ones[of->lines[root][last]].delivery == STORE_DELIVERY_ABANDONED)
        last--;
    return of->lines[root][last];
}

/* ---- what a batch does */

static void note_change(uint64_t n, bool is_status)
{
    cr_assert_lt(next.change_count + 1, CHANGES);
    next.changed[++next.change_count] = n;
    next.is_status[next.change_count] = is_status;
}

static void step_issue(struct store_batch *batch)
{
    uint64_t n = next.next, root = 0, predecessor = 0;
    enum store_delivery delivery = pick(2) == 0 ? STORE_DELIVERED : STORE_DELIVERY_WAITING;
    enum ca_err want = CA_OK;

    if (n == NUMBERS)
        return;
    next.next++;
    if (n > 1 && pick(3) > 0) {
        predecessor = 1 + pick(n - 1);
        root = next.ones[predecessor].root == 0 ? predecessor : next.ones[predecessor].root;
        if (!next.ones[predecessor].is_issued)
            want = next.ones[root].is_issued ? CA_ERR_CERT_NOT_HEAD : CA_ERR_NOT_FOUND;
        else if (next.line_counts[root] > 0 && head_of(&next, root) != predecessor)
            want = CA_ERR_CERT_NOT_HEAD;
    }
    check_err(test_put_next(batch, n, root, predecessor, delivery), want);
    if (want != CA_OK)
        return;
    next.ones[n].is_issued = true;
    next.ones[n].delivery = delivery;
    if (root == 0 && delivery == STORE_DELIVERY_WAITING)
        root = n;
    if (root != 0 && next.line_counts[root] == 0) {
        next.lines[root][next.line_counts[root]++] = root;
        next.ones[root].root = root;
    }
    if (root != 0 && root != n)
        next.lines[root][next.line_counts[root]++] = n;
    next.ones[n].root = root;
    note_change(n, false);
}

static void check_batch_status(struct store_batch *batch, uint64_t n)
{
    struct store_scope scope = scope_of(n);
    struct ca_serial serial = test_serial(n);
    struct store_status status;

    check_err(store_batch_find_status(batch, &scope, &serial, &status),
              is_listed(next.ones[n].state) ? CA_OK : CA_ERR_NOT_FOUND);
    cr_assert(status.state == next.ones[n].state && status.reason == next.ones[n].reason &&
              status.sequence == next.ones[n].sequence);
}

static void step_status(struct store_batch *batch)
{
    static const uint8_t reasons[] = { 0, 1, 3, 4, 5, 9 };
    uint64_t n = 1 + pick(next.next == 1 ? 1 : next.next - 1);
    struct one *one = &next.ones[n];
    enum store_state from = one->state == STORE_STATE_NONE ? STORE_STATE_VALID : one->state;
    enum store_state to = (enum store_state)(STORE_STATE_VALID + pick(3));

    if (n >= next.next)
        return;
    struct store_status_change change = test_status_change(n, from, to, next.change_count + 1);
    struct store_audit audit = test_status_audit(&change, 5000000);
    if (to == STORE_STATE_REVOKED)
        change.status.reason = reasons[pick(sizeof(reasons))];
    change.status.has_invalidity = pick(2) == 0;
    change.status.invalidity_s = change.status.has_invalidity ? 77 : 0;
    if (pick(10) == 0) { /* a wrong idea of what is so */
        change.old_state = is_listed(from) ? STORE_STATE_VALID : STORE_STATE_HELD;
        check_err(store_put_status(batch, &change, &audit), CA_ERR_STATE);
        check_batch_status(batch, n);
        return;
    }
    bool is_nothing = !is_listed(from) && !is_listed(to);
    check_err(store_put_status(batch, &change, &audit), is_nothing ? CA_ERR_STATE : CA_OK);
    if (!is_nothing) {
        note_change(n, true);
        one->state = is_listed(to) ? to : STORE_STATE_NONE;
        one->reason = is_listed(to) ? change.status.reason : 0;
        one->sequence = is_listed(to) ? next.change_count : 0;
        one->is_retired = one->is_retired && is_listed(to);
    }
    check_batch_status(batch, n);
}

static void step_deliver(struct store_batch *batch)
{
    uint64_t n = 1 + pick(next.next == 1 ? 1 : next.next - 1), root = next.ones[n].root;
    enum store_delivery delivery = pick(2) == 0 ? STORE_DELIVERED : STORE_DELIVERY_ABANDONED;
    struct store_digest request = test_digest('q', next.change_count + 1);
    struct store_digest body = test_digest('b', next.change_count + 1);
    struct ca_serial serial = test_serial(n);
    struct store_audit audit = test_audit(&serial, 5000000);
    enum ca_err want = CA_ERR_NOT_FOUND;

    audit.kind = STORE_AUDIT_ACKNOWLEDGED;
    if (root != 0)
        want = next.ones[n].delivery == STORE_DELIVERY_WAITING ? CA_OK : CA_ERR_STATE;
    check_err(store_put_delivery(batch, &serial, root == 0 ? 0 : test_locator(root), delivery,
                                 &request, &body, &audit),
              want);
    if (want != CA_OK)
        return;
    next.ones[n].delivery = delivery;
    note_change(n, false);
}

static void step_crl(struct store_batch *batch)
{
    uint64_t k = pick(SCOPES), number;
    struct store_scope scope = scope_of(k);
    struct scope *mine = &next.scopes[k];
    const struct store_audit audit = { .kind = STORE_AUDIT_CRL, .time_us = 5 };

    check_ok(store_put_crl_number(batch, &scope, &number));
    cr_assert_eq(number, ++mine->last_number);
    if (pick(3) == 0)
        return; /* used up for nothing */
    bool is_delta = mine->full_number > 0 && pick(2) == 0;
    const struct store_crl crl = { .number = number,
                                   .base_number = is_delta ? mine->full_number : 0,
                                   .sequence = next.change_count };
    check_ok(store_put_crl(batch, &scope, &crl, &audit));
    *(is_delta ? &mine->delta_number : &mine->full_number) = number;
}

static void step_prune(struct store_batch *batch)
{
    uint64_t k = pick(SCOPES), ended = pick(NUMBERS);
    uint64_t sequence = pick(2) == 0 ? next.change_count : pick(next.change_count + 1);
    struct store_scope scope = scope_of(k);
    struct ca_serial from = { { 0 } };
    bool is_done = false;

    while (!is_done)
        check_ok(store_put_pruned(batch, &scope, -(int64_t)ended, sequence, &from, 1 + pick(5),
                                  &is_done));
    for (uint64_t n = ended + 1; n < NUMBERS; n++) /* number n ends at second -n */
        if (n % SCOPES == k && is_listed(next.ones[n].state) && next.ones[n].sequence <= sequence)
            next.ones[n].is_retired = true;
}

static void step_batch(void)
{
    struct store_batch *batch;

    check_ok(store_begin(store, &batch));
    next = model;
    for (uint64_t i = pick(20); i > 0; i--) {
        switch (pick(12)) {
        case 0:
        case 1:
        case 2: step_issue(batch); break;
        case 3:
        case 4: step_deliver(batch); break;
        case 5: step_crl(batch); break;
        case 6:
            if (pick(6) == 0)
                step_prune(batch);
            break;
        default: step_status(batch); break;
        }
    }
    if (pick(5) == 0) {
        store_abort(batch);
        return;
    }
    check_ok(store_commit(batch));
    model = next;
}

/* ---- what is there */

/* The next certificate of a list behind number n; 0: none. */
static uint64_t expected_after(uint64_t n, uint64_t k, bool is_delta, uint64_t since,
                               enum x509_crl_reason *reason_out)
{
    for (n++; n < NUMBERS; n++) {
        const struct one *one = &model.ones[n];
        bool is_changed = false;
        if (n % SCOPES != k)
            continue;
        for (uint64_t i = since + 1; is_delta && i <= model.change_count; i++)
            is_changed = is_changed || (model.is_status[i] && model.changed[i] == n);
        bool is_on_list = is_listed(one->state) && !one->is_retired;
        *reason_out = is_on_list ? (enum x509_crl_reason)one->reason : X509_CRL_REMOVE_FROM_CRL;
        if (is_delta ? is_changed && (is_on_list || !is_listed(one->state)) : is_on_list)
            return n;
    }
    return 0;
}

static void check_list(struct store_view *view, uint64_t k, bool is_delta, uint64_t since)
{
    struct store_scope scope = scope_of(k);
    struct store_entries *entries;
    struct ca_refusal refusal;
    struct ca_bytes chunk;
    enum x509_crl_reason reason;
    uint64_t n = 0;

    if (is_delta)
        check_ok(store_entries_open_since(view, &scope, since, &entries));
    else
        check_ok(store_entries_open(view, &scope, &entries));
    for (;;) {
        check_ok(store_entries_next(entries, &chunk));
        struct x509_crl_cursor cursor = { chunk.data, chunk.data + chunk.len };
        while (!x509_crl_at_end(&cursor)) {
            struct x509_crl_entry entry;
            struct ca_serial want;
            check_ok(x509_crl_next(&cursor, &entry, &refusal));
            n = expected_after(n, k, is_delta, since, &reason);
            want = test_serial(n);
            check_bytes(entry.serial, ca_serial_bytes(&want));
            cr_assert_eq(entry.reason, reason);
        }
        if (chunk.len == 0)
            break;
    }
    cr_assert_eq(expected_after(n, k, is_delta, since, &reason), 0);
    store_entries_close(entries);
}

static void check_scope(struct store_view *view, uint64_t k)
{
    struct store_scope scope = scope_of(k);
    struct store_scope_info info;

    check_ok(store_find_scope(view, &scope, &info));
    cr_assert_eq(info.last_number, model.scopes[k].last_number);
    cr_assert_eq(info.full.number, model.scopes[k].full_number);
    cr_assert_eq(info.delta.number, model.scopes[k].delta_number);
    check_list(view, k, false, 0);
    check_list(view, k, true, pick(model.change_count + 1));
}

static void check_number(struct store_view *view, uint64_t n)
{
    const struct one *one = &model.ones[n];
    struct store_scope scope = scope_of(n);
    struct ca_serial serial = test_serial(n);
    struct store_status status;
    struct store_line line;

    check_err(store_find_status(view, &scope, &serial, &status),
              is_listed(one->state) ? CA_OK : CA_ERR_NOT_FOUND);
    cr_assert(status.state == one->state && status.reason == one->reason &&
              status.sequence == one->sequence);
    size_t count = model.line_counts[n];
    check_err(store_find_line(view, test_locator(n), &line), count > 0 ? CA_OK : CA_ERR_NOT_FOUND);
    cr_assert_eq(line.count, count);
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(ca_serial_time_us(&line.members[i].serial), model.lines[n][i]);
        cr_assert_eq(line.members[i].delivery, model.ones[model.lines[n][i]].delivery);
    }
    if (count > 0)
        cr_assert_eq(ca_serial_time_us(&store_line_head(&line)->serial), head_of(&model, n));
}

/* Request number s made change number s, unless that was an issue. */
static void check_request(struct store_view *view, uint64_t sequence)
{
    struct store_digest request = test_digest('q', sequence), body;
    struct store_certificate certificate;
    struct store_change change;

    enum ca_err err = store_find_request_change(view, &request, &change, &body);
    if (sequence == 0 || sequence > model.change_count) {
        check_err(err, CA_ERR_NOT_FOUND);
        return;
    }
    cr_assert(err == CA_OK || (err == CA_ERR_NOT_FOUND && !model.is_status[sequence]));
    if (err == CA_OK)
        cr_assert(change.sequence == sequence &&
                  ca_serial_time_us(&change.serial) == model.changed[sequence]);
    check_err(store_find_request(view, &request, &certificate), CA_ERR_NOT_FOUND);
}

static void step_check(struct store *of)
{
    struct store_view *view;
    uint64_t sequence;

    check_ok(store_view_open(of, &view));
    check_ok(store_view_sequence(view, &sequence));
    cr_assert_eq(sequence, model.change_count);
    for (int i = 0; i < 30; i++)
        check_number(view, 1 + pick(NUMBERS - 1));
    for (int i = 0; i < 3; i++)
        check_scope(view, pick(SCOPES));
    for (int i = 0; i < 20; i++)
        check_request(view, pick(model.change_count + 10));
    store_view_close(view);
}

/* Stops, perhaps loses all files of the index, looks read only, starts. */
static void step_reopen(void)
{
    struct store_options options = test_options;
    char runs_path[128];
    struct store *reader;

    store_close(store);
    snprintf(runs_path, sizeof(runs_path), "%s/runs", test_path);
    if (pick(3) == 0)
        cr_assert(folder_drop(runs_path));
    options.run_entries = 5 + pick(60);
    options.is_read_only = true;
    if (pick(2) == 0 && access(runs_path, F_OK) == 0) {
        check_ok(store_open(test_path, &options, &reader));
        step_check(reader);
        store_close(reader);
    }
    options.is_read_only = false;
    check_ok(store_open(test_path, &options, &store));
}

Test(status_model, the_store_is_what_plain_arrays_are, .timeout = 300)
{
    seed = (uint64_t)getpid() << 20 ^ (uint64_t)time(NULL);
    printf("seed %llu\n", (unsigned long long)seed);
    store = test_store_make();
    model.next = 1;
    for (int step = 0; step < STEPS; step++) {
        switch (pick(16)) {
        case 0: step_reopen(); break;
        case 1: store_rest(store); break;
        case 2:
        case 3: step_check(store); break;
        case 4: test_check_whole(store); break;
        default: step_batch(); break;
        }
    }
    for (int i = 0; i < 20; i++)
        step_check(store);
    test_check_whole(store);
    cr_assert_eq(model.next, NUMBERS, "every number came to be used");
    store_close(store);
    test_dir_remove();
}
