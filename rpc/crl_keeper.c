/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/crl_keeper.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "rpc/crl_service.h"
#include "rpc/log.h"

enum {
    TICK_S = 1, /* the wall clock is looked at so often */
    ORDERS_MAX = 64,
    RETRY_FIRST_US = 1000000, /* doubles with every failure */
    RETRY_DOUBLINGS_MAX = 6,
    ALARM_LEN_MAX = 128,
    NO_SHARD = -1,
    LOOKS_FIRST = 512, /* at reserves in one go, until all were seen once */
    LOOKS = 32,        /* in each tick from then on */
    NICENESS = 10, /* a tenth of the processor time of another thread, where there is not enough */
};

/* Failures, and when it is worth trying again. Of one list, of a CA's key, or of everything. */
struct trouble {
    enum ca_err err;
    unsigned count;
    uint64_t retry_us; /* of the monotonic clock */
};

/* Of the room for the next list; what is worse is further below. */
enum reserve {
    RESERVE_KEPT,
    RESERVE_NEEDED, /* there is no other room on the disk */
    RESERVE_MISSING,
};

struct published {
    struct rpc_crl_published list;
    bool is_stale; /* the file is not the list that was recorded */
    struct trouble trouble;
    enum reserve reserve;
};

struct shard {
    struct published published[RPC_CRL_KIND_COUNT];
};

struct keeper_ca {
    const struct rpc_ca *ca;
    struct crypto_own_key *own;
    struct store_digest issuer;
    struct shard *shards;
    int64_t overdue_shard; /* as told last; NO_SHARD: none is */
    struct trouble trouble;
};

/* One list that is to be made. */
struct task {
    struct keeper_ca *ca;
    uint32_t shard;
    enum rpc_crl_kind kind;
};

struct rpc_crl_keeper {
    struct rpc_crl_host host;
    struct rpc_crl_maker *maker;
    struct keeper_ca cas[RPC_CA_MAX];
    size_t ca_count;
    pthread_t thread;
    bool is_started;
    atomic_bool is_stopping;
    size_t next_ca;           /* whose turn it is; the thread's */
    uint32_t next_shard;      /* of that CA */
    struct task next_reserve; /* to be looked at; the thread's, as the number of looks */
    size_t reserves_seen, reserve_count;

    pthread_mutex_t lock; /* guards what follows, and what is published */
    pthread_cond_t work;  /* for the thread */
    pthread_cond_t rest;  /* for those who wait until it has nothing to do */
    struct rpc_call *first, *last;
    size_t order_count;
    uint64_t asked, rested; /* looks around asked for, and done */
    struct trouble trouble;
};

static struct published *published_of(const struct task *task)
{
    return &task->ca->shards[task->shard].published[task->kind];
}

/* ---- trouble */

static uint64_t monotonic_us(const struct rpc_crl_keeper *keeper)
{
    const struct rpc_clock *clock = &keeper->host.engine->clock.clock;

    return clock->monotonic_us(clock->arg);
}

/* Whose failure is it? What concerns everybody is not tried for everybody. */
static struct trouble *trouble_of(struct rpc_crl_keeper *keeper, const struct task *task,
                                  enum ca_err err)
{
    switch (err) {
    case CA_ERR_CLOCK:
    case CA_ERR_STORAGE:
    case CA_ERR_NOT_FOUND:
    case CA_ERR_DENIED:
    case CA_ERR_NOMEM:
    case CA_ERR_RANDOM: return &keeper->trouble;
    case CA_ERR_BUSY:
    case CA_ERR_TIMEOUT:
    case CA_ERR_KEY_TYPE:
    case CA_ERR_KEY_UNUSABLE:
    case CA_ERR_SIGNATURE_WRONG: return &task->ca->trouble;
    default: return &published_of(task)->trouble;
    }
}

static bool is_waiting(const struct trouble *trouble, uint64_t now_us)
{
    return trouble->count > 0 && now_us < trouble->retry_us;
}

/* The lock is held. */
static void failed(struct rpc_crl_keeper *keeper, const struct task *task, enum ca_err err,
                   const struct ca_refusal *refusal)
{
    struct trouble *trouble = trouble_of(keeper, task, err);
    unsigned doublings =
        trouble->count < RETRY_DOUBLINGS_MAX ? trouble->count : RETRY_DOUBLINGS_MAX;

    if (err == CA_ERR_STOPPING)
        return;
    if (trouble->count == 0 || trouble->err != err)
        log_error("CRL cannot be made, to be tried again",
                  "ca=%s shard=%" PRIu32 " kind=%s code=%s field=%s rule=\"%s\"",
                  task->ca->ca->issuer.name, task->shard, rpc_crl_kind_name(task->kind),
                  ca_err_name(err), refusal->field == NULL ? "" : refusal->field,
                  refusal->rule == NULL ? "" : refusal->rule);
    trouble->err = err;
    trouble->count++;
    trouble->retry_us = monotonic_us(keeper) + ((uint64_t)RETRY_FIRST_US << doublings);
}

/* The lock is held. */
static void succeeded(struct rpc_crl_keeper *keeper, const struct task *task)
{
    keeper->trouble = task->ca->trouble = published_of(task)->trouble = (struct trouble){ 0 };
}

/* ---- what is published */

/* Which file is it? Asked by the only thread that puts files there. */
static void identify(const struct rpc_crl_keeper *keeper, const struct task *task,
                     struct rpc_crl_published *list)
{
    char path[RPC_CRL_PATH_SIZE];
    struct stat status;

    list->device = list->inode = 0;
    if (rpc_crl_path(keeper->host.engine->config->crl_path, &task->ca->ca->issuer, task->shard,
                     task->kind, path) != CA_OK ||
        lstat(path, &status) != 0 || !S_ISREG(status.st_mode) ||
        (uint64_t)status.st_size != list->record.len)
        return;
    list->device = (uint64_t)status.st_dev;
    list->inode = (uint64_t)status.st_ino;
}

/* At the start: is the file the list that was recorded? */
static void inspect(struct rpc_crl_keeper *keeper, const struct task *task)
{
    struct published *published = published_of(task);
    const struct store_crl *record = &published->list.record;
    char path[RPC_CRL_PATH_SIZE];

    if (record->number == 0)
        return;
    enum ca_err err = rpc_crl_path(keeper->host.engine->config->crl_path, &task->ca->ca->issuer,
                                   task->shard, task->kind, path);
    if (err == CA_OK)
        err = rpc_crl_inspect(path, record);
    struct rpc_crl_published list = published->list;
    if (err == CA_OK)
        identify(keeper, task, &list);
    else
        log_warn("published CRL is not the recorded one, it is made anew",
                 "file=%s number=%" PRIu64 " code=%s", path, record->number, ca_err_name(err));
    pthread_mutex_lock(&keeper->lock);
    published->list = list;
    published->is_stale = err != CA_OK;
    pthread_mutex_unlock(&keeper->lock);
}

static void inspect_all(struct rpc_crl_keeper *keeper)
{
    struct task task;

    for (size_t c = 0; c < keeper->ca_count; c++) {
        task.ca = &keeper->cas[c];
        for (task.shard = 0; task.shard < task.ca->ca->issuer.crl_shard_count; task.shard++) {
            for (task.kind = 0; task.kind < RPC_CRL_KIND_COUNT; task.kind++) {
                if (!atomic_load(&keeper->is_stopping))
                    inspect(keeper, &task);
            }
        }
    }
}

bool rpc_crl_keeper_find(struct rpc_crl_keeper *keeper, size_t ca, uint32_t shard,
                         enum rpc_crl_kind kind, struct rpc_crl_published *published_out)
{
    *published_out = (struct rpc_crl_published){ 0 };
    if (ca >= keeper->ca_count || shard >= keeper->cas[ca].ca->issuer.crl_shard_count)
        return false;
    pthread_mutex_lock(&keeper->lock);
    *published_out = keeper->cas[ca].shards[shard].published[kind].list;
    pthread_mutex_unlock(&keeper->lock);
    return true;
}

/* ---- room for the next list */

static void told_reserve(const struct task *task, enum reserve reserve, enum ca_err err)
{
    const char *ca = task->ca->ca->issuer.name, *kind = rpc_crl_kind_name(task->kind);

    if (reserve == RESERVE_KEPT)
        log_info("disk has room for the next CRL again", "ca=%s shard=%" PRIu32 " kind=%s", ca,
                 task->shard, kind);
    else if (reserve == RESERVE_NEEDED)
        log_warn("disk has no room for the next CRL but its reserve",
                 "ca=%s shard=%" PRIu32 " kind=%s", ca, task->shard, kind);
    else
        log_error("no room can be kept for the next CRL", "ca=%s shard=%" PRIu32 " kind=%s code=%s",
                  ca, task->shard, kind, ca_err_name(err));
}

static void keep_reserve(struct rpc_crl_keeper *keeper, const struct task *task)
{
    struct published *published = published_of(task);
    const struct rpc_crl_order order = {
        .ca = task->ca->ca,
        .scope = { task->ca->issuer, task->shard },
        .kind = task->kind,
    };
    bool has_room;

    if (published->list.record.number == 0 ||
        rpc_crl_due_s(&task->ca->ca->crl, task->kind, &published->list.record) == RPC_CRL_NEVER)
        return;
    enum ca_err err = rpc_crl_keep_reserve(keeper->maker, &order, &has_room);
    enum reserve reserve = err != CA_OK ? RESERVE_MISSING
                           : has_room   ? RESERVE_KEPT
                                        : RESERVE_NEEDED;
    if (reserve != published->reserve)
        told_reserve(task, reserve, err);
    pthread_mutex_lock(&keeper->lock);
    published->reserve = reserve;
    pthread_mutex_unlock(&keeper->lock);
}

static void go_to_next(struct rpc_crl_keeper *keeper, struct task *next)
{
    next->kind++;
    if (next->kind < RPC_CRL_KIND_COUNT)
        return;
    next->kind = RPC_CRL_FULL;
    next->shard++;
    if (next->shard < next->ca->ca->issuer.crl_shard_count)
        return;
    next->shard = 0;
    next->ca++;
    if (next->ca == keeper->cas + keeper->ca_count)
        next->ca = keeper->cas;
}

/* Some of them, round and round: what is revoked makes the next list longer. */
static void keep_reserves(struct rpc_crl_keeper *keeper)
{
    size_t looks = keeper->reserves_seen < keeper->reserve_count ? LOOKS_FIRST : LOOKS;

    for (size_t i = 0; i < looks && i < keeper->reserve_count; i++) {
        keep_reserve(keeper, &keeper->next_reserve);
        go_to_next(keeper, &keeper->next_reserve);
    }
    keeper->reserves_seen += looks;
}

/* ---- making */

static void told(const struct task *task, const struct rpc_crl_made *made, uint64_t took_us)
{
    const struct store_crl *record = &made->record;
    const struct rules_crl_difference *difference = &made->difference;

    log_info("CRL published",
             "ca=%s shard=%" PRIu32 " kind=%s number=%" PRIu64 " base=%" PRIu64 " entries=%" PRIu64
             " added=%" PRIu64 " removed=%" PRIu64 " changed=%" PRIu64 " size=%" PRIu64
             " next_update=%" PRId64 " ms=%" PRIu64,
             task->ca->ca->issuer.name, task->shard, rpc_crl_kind_name(made->kind), record->number,
             record->base_number, record->entry_count, difference->added, difference->removed,
             difference->changed, record->len, record->next_update_s, took_us / 1000);
}

static enum ca_err make(struct rpc_crl_keeper *keeper, const struct task *task,
                        struct ca_bytes actor, struct rpc_crl_made *made,
                        struct ca_refusal *refusal)
{
    const struct rpc_crl_order order = {
        .ca = task->ca->ca,
        .own = task->ca->own,
        .scope = { task->ca->issuer, task->shard },
        .kind = task->kind,
        .actor = actor,
    };
    uint64_t start_us = monotonic_us(keeper);
    enum ca_err err = rpc_crl_make(keeper->maker, &order, made, refusal);
    const struct task was_made = { task->ca, task->shard, made->kind };

    pthread_mutex_lock(&keeper->lock);
    if (err == CA_OK) {
        struct published *published = published_of(&was_made);
        published->list.record = made->record;
        published->is_stale = false;
        identify(keeper, &was_made, &published->list);
        succeeded(keeper, &was_made);
        succeeded(keeper, task);
    } else {
        failed(keeper, task, err, refusal);
    }
    pthread_mutex_unlock(&keeper->lock);
    if (err == CA_OK)
        told(&was_made, made, monotonic_us(keeper) - start_us);
    rpc_crl_maker_rest(keeper->maker);
    keep_reserve(keeper, &was_made);
    return err;
}

/* ---- what is due; the lock is held */

static bool is_due(const struct task *task, int64_t now_s, uint64_t now_us)
{
    const struct published *published = published_of(task);
    const struct rpc_crl_schedule *schedule = &task->ca->ca->crl;

    if (is_waiting(&published->trouble, now_us))
        return false;
    int64_t due_s = rpc_crl_due_s(schedule, task->kind, &published->list.record);
    if (published->is_stale && due_s != RPC_CRL_NEVER)
        due_s = RPC_CRL_AT_ONCE;
    return now_s >= due_s;
}

static bool ca_find_due(struct rpc_crl_keeper *keeper, int64_t now_s, uint64_t now_us,
                        struct task *task)
{
    uint32_t count = task->ca->ca->issuer.crl_shard_count;

    if (is_waiting(&task->ca->trouble, now_us))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        task->shard = (keeper->next_shard + i) % count;
        for (task->kind = 0; task->kind < RPC_CRL_KIND_COUNT; task->kind++) {
            if (is_due(task, now_s, now_us))
                return true;
        }
    }
    return false;
}

/* The CAs in turn, so that a slow one leaves the others their time. */
static bool find_due(struct rpc_crl_keeper *keeper, struct task *task)
{
    int64_t now_s = (int64_t)(rpc_clock_guess(&keeper->host.engine->clock) / 1000000);
    uint64_t now_us = monotonic_us(keeper);

    if (is_waiting(&keeper->trouble, now_us))
        return false;
    for (size_t i = 0; i < keeper->ca_count; i++) {
        size_t at = (keeper->next_ca + i) % keeper->ca_count;
        task->ca = &keeper->cas[at];
        if (!ca_find_due(keeper, now_s, now_us, task))
            continue;
        keeper->next_ca = (at + 1) % keeper->ca_count;
        keeper->next_shard = task->shard;
        return true;
    }
    return false;
}

/* ---- alarms; the lock is held */

static bool is_overdue(const struct rpc_crl_keeper *keeper, const struct task *task, int64_t now_s)
{
    const struct published *published = published_of(task);
    int64_t overdue_s = rpc_crl_overdue_s(&task->ca->ca->crl, task->kind, &published->list.record);

    if (overdue_s == RPC_CRL_AT_ONCE) /* there is none yet: the first try may be under way */
        return published->trouble.count + task->ca->trouble.count + keeper->trouble.count > 0;
    return now_s >= overdue_s;
}

static int64_t find_overdue(const struct rpc_crl_keeper *keeper, struct keeper_ca *ca,
                            int64_t now_s)
{
    struct task task = { .ca = ca };

    for (task.shard = 0; task.shard < ca->ca->issuer.crl_shard_count; task.shard++) {
        for (task.kind = 0; task.kind < RPC_CRL_KIND_COUNT; task.kind++) {
            if (is_overdue(keeper, &task, now_s))
                return task.shard;
        }
    }
    return NO_SHARD;
}

static void look_for_overdue(struct rpc_crl_keeper *keeper)
{
    int64_t now_s = (int64_t)(rpc_clock_guess(&keeper->host.engine->clock) / 1000000);

    for (size_t i = 0; i < keeper->ca_count; i++) {
        struct keeper_ca *ca = &keeper->cas[i];
        int64_t shard = find_overdue(keeper, ca, now_s);
        if ((shard == NO_SHARD) != (ca->overdue_shard == NO_SHARD)) {
            if (shard != NO_SHARD)
                log_error("CRL is overdue", "ca=%s shard=%" PRId64, ca->ca->issuer.name, shard);
            else
                log_info("CRLs are in time again", "ca=%s", ca->ca->issuer.name);
        }
        ca->overdue_shard = shard;
    }
}

/* The worst of a CA's reserves, and whose it is. */
static enum reserve find_reserve(const struct keeper_ca *ca, int64_t *shard_out)
{
    enum reserve worst = RESERVE_KEPT;

    for (uint32_t i = 0; i < ca->ca->issuer.crl_shard_count; i++) {
        for (size_t kind = 0; kind < RPC_CRL_KIND_COUNT; kind++) {
            enum reserve reserve = ca->shards[i].published[kind].reserve;
            if (reserve <= worst)
                continue;
            worst = reserve;
            *shard_out = i;
        }
    }
    return worst;
}

struct alarms {
    struct ca_arena *arena;
    char **texts;
    size_t count;
};

/* False: no memory. */
static bool alarm_put(struct alarms *alarms, const char *word, const struct keeper_ca *ca,
                      int64_t shard)
{
    char *text = ca_arena_alloc(alarms->arena, ALARM_LEN_MAX), number[24] = "";

    if (text == NULL)
        return false;
    if (ca->ca->issuer.crl_shard_count > 1)
        snprintf(number, sizeof(number), ":%" PRId64, shard);
    snprintf(text, ALARM_LEN_MAX, "%s:%s%s", word, ca->ca->issuer.name, number);
    alarms->texts[alarms->count++] = text;
    return true;
}

static bool alarms_of(struct alarms *alarms, const struct keeper_ca *ca)
{
    static const char *const reserve_words[] = {
        [RESERVE_NEEDED] = "CRL_STORAGE_FULL", [RESERVE_MISSING] = "CRL_RESERVE"
    };
    int64_t shard = 0;

    if (ca->overdue_shard != NO_SHARD && !alarm_put(alarms, "CRL_OVERDUE", ca, ca->overdue_shard))
        return false;
    enum reserve reserve = find_reserve(ca, &shard);
    return reserve == RESERVE_KEPT || alarm_put(alarms, reserve_words[reserve], ca, shard);
}

enum ca_err rpc_crl_keeper_alarms(struct rpc_crl_keeper *keeper, struct ca_arena *arena,
                                  char **texts, size_t *count_out)
{
    struct alarms alarms = { .arena = arena, .texts = texts };
    bool has_memory = true;

    pthread_mutex_lock(&keeper->lock);
    look_for_overdue(keeper);
    for (size_t i = 0; i < keeper->ca_count && has_memory; i++)
        has_memory = alarms_of(&alarms, &keeper->cas[i]);
    pthread_mutex_unlock(&keeper->lock);
    *count_out = alarms.count;
    return has_memory ? CA_OK : CA_ERR_BUSY;
}

/* ---- orders */

static bool serve_item(struct rpc_crl_keeper *keeper, struct rpc_call *call,
                       const Certmill__CrlMakeItem *item, Certmill__CrlInfo *info)
{
    const struct rpc_config *config = keeper->host.engine->config;
    struct ca_refusal refusal = { "scope", "configuration" };
    struct rpc_crl_made made;
    size_t ca;
    enum ca_err err = rpc_crl_find_scope(config, item->scope, &ca);

    if (err == CA_OK && item->kind != CERTMILL__CRL_KIND__CRL_FULL &&
        item->kind != CERTMILL__CRL_KIND__CRL_DELTA)
        err = ca_refuse(&refusal, CA_ERR_FIELD_FORMAT, "kind", "protocol");
    if (err == CA_OK) {
        const struct task task = { &keeper->cas[ca], item->scope->shard,
                                   item->kind == CERTMILL__CRL_KIND__CRL_DELTA ? RPC_CRL_DELTA
                                                                               : RPC_CRL_FULL };
        err = make(keeper, &task, ca_bytes_of_text(call->session->actor), &made, &refusal);
    }
    if (err == CA_OK) {
        info->is_current = true;
        return rpc_crl_info_fill(call, &config->cas[ca].issuer, item->scope->shard, &made.record,
                                 info);
    }
    info->status = rpc_call_status(call, err, &refusal);
    return info->status != NULL;
}

static bool serve_items(struct rpc_crl_keeper *keeper, struct rpc_call *call)
{
    const Certmill__CrlMakeRequest *asked = call->request->crl_make;
    Certmill__CrlMakeAnswer *answer = rpc_call_alloc(call, sizeof(*answer));
    Certmill__CrlInfo *items = rpc_call_alloc(call, asked->n_items * sizeof(*items));
    Certmill__CrlInfo **pointers = rpc_call_alloc(call, asked->n_items * sizeof(*pointers));

    if (answer == NULL || items == NULL || pointers == NULL)
        return false;
    for (size_t i = 0; i < asked->n_items; i++) {
        pointers[i] = &items[i];
        certmill__crl_info__init(&items[i]);
        if (!serve_item(keeper, call, asked->items[i], &items[i]))
            return false;
    }
    certmill__crl_make_answer__init(answer);
    answer->n_items = asked->n_items;
    answer->items = pointers;
    call->answer.method_case = CERTMILL__ANSWER__METHOD_CRL_MAKE;
    call->answer.crl_make = answer;
    return true;
}

static void serve(struct rpc_crl_keeper *keeper, struct rpc_call *call)
{
    if (atomic_load(&keeper->is_stopping))
        rpc_call_refuse(call, CA_ERR_STOPPING);
    else if (!serve_items(keeper, call))
        rpc_call_refuse(call, CA_ERR_BUSY);
    keeper->host.answer(keeper->host.arg, call);
}

enum ca_err rpc_crl_keeper_order(struct rpc_crl_keeper *keeper, struct rpc_call *call)
{
    enum ca_err err = CA_OK;

    pthread_mutex_lock(&keeper->lock);
    if (atomic_load(&keeper->is_stopping)) {
        err = CA_ERR_STOPPING;
    } else if (keeper->order_count == ORDERS_MAX) {
        err = CA_ERR_BUSY;
    } else {
        call->next = NULL;
        if (keeper->last == NULL)
            keeper->first = call;
        else
            keeper->last->next = call;
        keeper->last = call;
        keeper->order_count++;
        pthread_cond_signal(&keeper->work);
    }
    pthread_mutex_unlock(&keeper->lock);
    return err;
}

/* The lock is held. */
static struct rpc_call *order_pop(struct rpc_crl_keeper *keeper)
{
    struct rpc_call *call = keeper->first;

    if (call == NULL)
        return NULL;
    keeper->first = call->next;
    if (keeper->first == NULL)
        keeper->last = NULL;
    keeper->order_count--;
    return call;
}

/* ---- the thread */

/* The lock is held. */
static void wait_for_work(struct rpc_crl_keeper *keeper, uint64_t asked)
{
    struct timespec until;

    keeper->rested = asked;
    pthread_cond_broadcast(&keeper->rest);
    if (keeper->asked != asked || keeper->first != NULL)
        return;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += TICK_S;
    pthread_cond_timedwait(&keeper->work, &keeper->lock, &until);
}

static void *keeper_run(void *arg)
{
    static const struct ca_bytes itself = { (const uint8_t *)"certmilld", 9 };
    struct rpc_crl_keeper *keeper = arg;
    struct rpc_crl_made made;
    struct ca_refusal refusal;
    struct rpc_call *call;
    struct task task;

    /* Of this thread and those it starts: certificates come before lists where both want to work.
     */
    if (setpriority(PRIO_PROCESS, (id_t)gettid(), NICENESS) != 0)
        log_warn("CRLs are made with the priority of everything else", "error=%s", strerror(errno));
    inspect_all(keeper);
    pthread_mutex_lock(&keeper->lock);
    for (;;) {
        uint64_t asked = keeper->asked;
        if ((call = order_pop(keeper)) != NULL) {
            pthread_mutex_unlock(&keeper->lock);
            serve(keeper, call);
            pthread_mutex_lock(&keeper->lock);
        } else if (atomic_load(&keeper->is_stopping)) {
            break;
        } else if (find_due(keeper, &task)) {
            pthread_mutex_unlock(&keeper->lock);
            (void)make(keeper, &task, itself, &made, &refusal); /* the trouble is remembered */
            pthread_mutex_lock(&keeper->lock);
        } else {
            look_for_overdue(keeper);
            pthread_mutex_unlock(&keeper->lock);
            keep_reserves(keeper);
            pthread_mutex_lock(&keeper->lock);
            if (keeper->reserves_seen >= keeper->reserve_count)
                wait_for_work(keeper, asked);
        }
    }
    pthread_mutex_unlock(&keeper->lock);
    return NULL;
}

void rpc_crl_keeper_rest(struct rpc_crl_keeper *keeper)
{
    pthread_mutex_lock(&keeper->lock);
    uint64_t asked = ++keeper->asked;
    pthread_cond_signal(&keeper->work);
    while (keeper->rested < asked)
        pthread_cond_wait(&keeper->rest, &keeper->lock);
    pthread_mutex_unlock(&keeper->lock);
}

/* ---- life */

static enum ca_err ca_init(struct rpc_crl_keeper *keeper, size_t index, struct store_view *view)
{
    struct rpc_engine *engine = keeper->host.engine;
    struct keeper_ca *ca = &keeper->cas[index];
    enum ca_err err;

    ca->ca = &engine->config->cas[index];
    ca->issuer = rpc_store_digest(engine->ca_keys[index]);
    ca->overdue_shard = NO_SHARD;
    ca->shards = calloc(ca->ca->issuer.crl_shard_count, sizeof(*ca->shards));
    if (ca->shards == NULL)
        return CA_ERR_NOMEM;
    if ((err = crypto_own_key_new(ca->ca->issuer.key, &ca->own)) != CA_OK)
        return err;
    for (uint32_t i = 0; i < ca->ca->issuer.crl_shard_count; i++) {
        const struct store_scope scope = { ca->issuer, i };
        struct store_scope_info info;
        if ((err = store_find_scope(view, &scope, &info)) != CA_OK)
            return err;
        ca->shards[i].published[RPC_CRL_FULL].list.record = info.full;
        ca->shards[i].published[RPC_CRL_DELTA].list.record = info.delta;
    }
    return CA_OK;
}

static enum ca_err cas_init(struct rpc_crl_keeper *keeper)
{
    struct store_view *view;
    enum ca_err err = store_view_open(keeper->host.engine->store, &view);

    for (size_t i = 0; i < keeper->host.engine->config->ca_count && err == CA_OK; i++) {
        keeper->ca_count = i + 1;
        err = ca_init(keeper, i, view);
        keeper->reserve_count +=
            (size_t)keeper->cas[i].ca->issuer.crl_shard_count * RPC_CRL_KIND_COUNT;
    }
    keeper->next_reserve.ca = keeper->cas;
    store_view_close(view);
    return err;
}

static enum ca_err locks_init(struct rpc_crl_keeper *keeper)
{
    pthread_condattr_t attributes;

    if (pthread_condattr_init(&attributes) != 0)
        return CA_ERR_NOMEM;
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&keeper->lock, NULL);
    pthread_cond_init(&keeper->work, &attributes);
    pthread_cond_init(&keeper->rest, NULL);
    pthread_condattr_destroy(&attributes);
    return CA_OK;
}

enum ca_err rpc_crl_keeper_open(const struct rpc_crl_host *host, struct rpc_crl_keeper **keeper_out)
{
    struct rpc_crl_keeper *keeper = calloc(1, sizeof(*keeper));

    *keeper_out = NULL;
    if (keeper == NULL || locks_init(keeper) != CA_OK) {
        free(keeper);
        return CA_ERR_NOMEM;
    }
    keeper->host = *host;
    const struct rpc_crl_desk desk = {
        .store = host->engine->store,
        .clock = &host->engine->clock,
        .crypto = host->engine->config->crypto,
        .folder = host->engine->config->crl_path,
        .write = host->write,
        .write_arg = host->arg,
        .is_stopping = &keeper->is_stopping,
    };
    enum ca_err err = rpc_crl_maker_open(&desk, &keeper->maker);
    if (err == CA_OK)
        err = cas_init(keeper);
    if (err == CA_OK && pthread_create(&keeper->thread, NULL, keeper_run, keeper) != 0)
        err = CA_ERR_NOMEM;
    keeper->is_started = err == CA_OK;
    if (err != CA_OK) {
        rpc_crl_keeper_close(keeper);
        return err;
    }
    *keeper_out = keeper;
    return CA_OK;
}

void rpc_crl_keeper_drain(struct rpc_crl_keeper *keeper)
{
    if (keeper == NULL)
        return;
    pthread_mutex_lock(&keeper->lock);
    atomic_store(&keeper->is_stopping, true);
    pthread_cond_signal(&keeper->work);
    pthread_mutex_unlock(&keeper->lock);
}

void rpc_crl_keeper_close(struct rpc_crl_keeper *keeper)
{
    if (keeper == NULL)
        return;
    rpc_crl_keeper_drain(keeper);
    if (keeper->is_started)
        pthread_join(keeper->thread, NULL);
    for (size_t i = 0; i < keeper->ca_count; i++) {
        crypto_own_key_free(keeper->cas[i].own);
        free(keeper->cas[i].shards);
    }
    rpc_crl_maker_close(keeper->maker);
    pthread_cond_destroy(&keeper->rest);
    pthread_cond_destroy(&keeper->work);
    pthread_mutex_destroy(&keeper->lock);
    free(keeper);
}
