/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/crl_maker.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ca/crypto/digest.h"
#include "rpc/log.h"
#include "store/reserve.h"

enum {
    NUMBER_LEN = 8,
    PRUNE_COUNT = 1024, /* entries that leave in one transaction: the others wait for it */
    ARENA_SIZE = 4096,
    OBJECT_LEN = STORE_DIGEST_LEN + 4 + NUMBER_LEN,
    FRAME_LEN = 4096, /* of a list, more than all but its entries */
};

struct rpc_crl_maker {
    struct rpc_crl_desk desk;
    struct crypto *crypto;
    struct store_view *view;   /* the entries' */
    struct store_view *expiry; /* what the gate asks; of a later moment */
    struct ca_arena *arena;
    struct ca_bytes replaced; /* the file that the last list took the name of */
    int retired;              /* the reserve before that; -1: none */
};

enum ca_err rpc_crl_maker_open(const struct rpc_crl_desk *desk, struct rpc_crl_maker **maker_out)
{
    struct rpc_crl_maker *maker = calloc(1, sizeof(*maker));
    enum ca_err err;

    *maker_out = NULL;
    if (maker == NULL)
        return CA_ERR_NOMEM;
    maker->desk = *desk;
    maker->retired = -1;
    if ((err = crypto_open_beside(desk->crypto, &maker->crypto)) != CA_OK ||
        (err = ca_arena_new(ARENA_SIZE, ARENA_SIZE, &maker->arena)) != CA_OK ||
        (err = store_view_open(desk->store, &maker->view)) != CA_OK ||
        (err = store_view_open(desk->store, &maker->expiry)) != CA_OK) {
        rpc_crl_maker_close(maker);
        return err;
    }
    store_view_rest(maker->view);
    store_view_rest(maker->expiry);
    *maker_out = maker;
    return CA_OK;
}

void rpc_crl_maker_close(struct rpc_crl_maker *maker)
{
    if (maker == NULL)
        return;
    rpc_crl_maker_rest(maker);
    store_view_close(maker->expiry);
    store_view_close(maker->view);
    ca_arena_free(maker->arena);
    crypto_close(maker->crypto);
    free(maker);
}

/* ---- files */

static enum ca_err map_file(const char *path, struct ca_bytes *file_out)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    enum ca_err err = CA_ERR_CRL_UNKNOWN;

    *file_out = (struct ca_bytes){ 0 };
    if (fd < 0)
        return errno == ENOENT ? CA_ERR_NOT_FOUND : CA_ERR_CRL_UNKNOWN;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0) {
        void *memory = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (memory != MAP_FAILED) {
            *file_out = ca_bytes_of(memory, (size_t)status.st_size);
            err = CA_OK;
        }
    }
    close(fd);
    return err;
}

static void unmap_file(struct ca_bytes file)
{
    if (file.data != NULL)
        munmap((void *)(uintptr_t)file.data, file.len);
}

void rpc_crl_maker_rest(struct rpc_crl_maker *maker)
{
    unmap_file(maker->replaced);
    maker->replaced = (struct ca_bytes){ 0 };
    if (maker->retired >= 0)
        close(maker->retired);
    maker->retired = -1;
}

static bool is_recorded(struct ca_bytes file, const struct store_crl *record)
{
    uint8_t digest[CA_DIGEST_LEN];

    if (file.len != record->len)
        return false;
    crypto_sha256(&file, 1, digest);
    return ca_bytes_equal(ca_bytes_of(digest, sizeof(digest)),
                          ca_bytes_of(record->sha256, sizeof(record->sha256)));
}

enum ca_err rpc_crl_inspect(const char *path, const struct store_crl *record)
{
    struct ca_bytes file;
    enum ca_err err = map_file(path, &file);

    if (err == CA_OK && !is_recorded(file, record))
        err = CA_ERR_CRL_UNKNOWN;
    unmap_file(file);
    return err;
}

/* ---- one list */

struct making {
    struct rpc_crl_maker *maker;
    const struct rpc_crl_order *order;
    struct rpc_crl_made *made;
    struct ca_refusal *refusal;
    struct store_scope_info info; /* as it was when the work began */
    char path[RPC_CRL_PATH_SIZE];

    /* The list before, as it is published. */
    struct ca_bytes previous_file;
    struct x509_crl previous;
    bool has_previous;

    struct store_entries *entries;
    int64_t first_end_s; /* of a certificate whose entry is on the list */
    bool is_expiry_open;
};

static const struct store_crl *record_before(const struct making *making)
{
    return making->made->kind == RPC_CRL_DELTA ? &making->info.delta : &making->info.full;
}

/* Big endian without leading zeros, as forms and lists have it. */
static struct ca_bytes number_of(uint64_t number, uint8_t octets[NUMBER_LEN])
{
    size_t zeros = 0;

    ca_bytes_put_number(octets, number, NUMBER_LEN);
    while (zeros < NUMBER_LEN - 1 && octets[zeros] == 0)
        zeros++;
    return ca_bytes_of(octets + zeros, NUMBER_LEN - zeros);
}

static uint64_t number_read(struct ca_bytes octets)
{
    return octets.len > NUMBER_LEN ? UINT64_MAX : ca_bytes_get_number(octets.data, octets.len);
}

static struct ca_bytes url_of(const struct making *making)
{
    return rules_crl_url(&making->order->ca->issuer, making->order->scope.shard,
                         making->maker->arena);
}

/*
 * Is this the list to be compared with: the recorded one, or a later one of the same scope and
 * kind? That was renamed and never recorded, or the store is an older copy: then the gate sees
 * numbers that do not grow. A signature tells; that of the recorded one was checked before.
 */
static bool is_list_before(const struct making *making, const struct x509_crl *list)
{
    const struct store_crl *record = record_before(making);
    uint64_t number = number_read(list->number);

    if (number <= record->number)
        return number == record->number;
    return (list->base_number.len > 0) == (making->made->kind == RPC_CRL_DELTA) &&
           ca_bytes_equal(list->issuer, making->order->ca->issuer.subject) &&
           ca_bytes_equal(list->idp.url, url_of(making)) &&
           rules_crl_verify(making->maker->crypto, making->order->own, list) == CA_OK;
}

static void open_previous(struct making *making)
{
    const struct store_crl *record = record_before(making);
    struct ca_refusal refusal;
    enum ca_err err = map_file(making->path, &making->previous_file);

    making->has_previous = false;
    if (err == CA_ERR_NOT_FOUND && record->number == 0)
        return;
    if (err == CA_OK)
        err = x509_crl_parse(making->previous_file, &making->previous, &refusal);
    if (err == CA_OK && !is_list_before(making, &making->previous))
        err = CA_ERR_CRL_UNKNOWN;
    making->has_previous = err == CA_OK;
    if (!making->has_previous)
        log_warn("published CRL is gone or damaged, the new one is checked without it",
                 "file=%s number=%" PRIu64 " code=%s", making->path, record->number,
                 ca_err_name(err));
}

static void close_previous(struct making *making)
{
    unmap_file(making->previous_file);
    making->previous_file = (struct ca_bytes){ 0 };
    making->has_previous = false;
}

/* ---- what the store does for it */

static enum ca_err put_number(void *arg, struct store_batch *batch)
{
    struct making *making = arg;

    return store_put_crl_number(batch, &making->order->scope, &making->made->record.number);
}

static enum ca_err put_record(void *arg, struct store_batch *batch)
{
    struct making *making = arg;
    const struct store_scope *scope = &making->order->scope;
    uint8_t object[OBJECT_LEN];

    memcpy(object, scope->issuer.bytes, STORE_DIGEST_LEN);
    ca_bytes_put_number(object + STORE_DIGEST_LEN, scope->shard, 4);
    ca_bytes_put_number(object + STORE_DIGEST_LEN + 4, making->made->record.number, NUMBER_LEN);
    const struct store_audit audit = {
        .kind = STORE_AUDIT_CRL,
        .time_us = rpc_clock_last(making->maker->desk.clock),
        .actor = making->order->actor,
        .object = ca_bytes_of(object, sizeof(object)),
    };
    return store_put_crl(batch, scope, &making->made->record, &audit);
}

struct pruning {
    const struct making *making;
    struct ca_serial from;
    bool is_done;
};

static enum ca_err put_pruned(void *arg, struct store_batch *batch)
{
    struct pruning *pruning = arg;
    const struct store_crl *record = &pruning->making->made->record;

    return store_put_pruned(batch, &pruning->making->order->scope, record->this_update_s,
                            record->sequence, &pruning->from, PRUNE_COUNT, &pruning->is_done);
}

static enum ca_err write_store(const struct making *making,
                               enum ca_err (*put)(void *arg, struct store_batch *batch), void *arg)
{
    const struct rpc_crl_desk *desk = &making->maker->desk;

    return desk->write(desk->write_arg, put, arg);
}

static bool is_stopping(const struct making *making)
{
    const atomic_bool *flag = making->maker->desk.is_stopping;

    return flag != NULL && atomic_load(flag);
}

/*
 * Certificates that had ended when this list was made have now been on a list made after their
 * end: their entries leave. What is left over by a failure leaves behind the next list.
 */
static void prune(struct making *making)
{
    struct pruning pruning = { .making = making };
    enum ca_err err = CA_OK;

    if (making->made->kind != RPC_CRL_FULL ||
        making->first_end_s >= making->made->record.this_update_s)
        return;
    while (err == CA_OK && !pruning.is_done && !is_stopping(making))
        err = write_store(making, put_pruned, &pruning);
    if (err != CA_OK)
        log_warn("entries of ended certificates stay on the CRL for now", "ca=%s shard=%u code=%s",
                 making->order->ca->issuer.name, making->order->scope.shard, ca_err_name(err));
}

/* ---- entries */

static enum ca_err open_entries(struct making *making)
{
    struct store_view *view = making->maker->view;
    struct rpc_crl_made *made = making->made;
    enum ca_err err = store_view_renew(view);

    if (err == CA_OK)
        err = store_view_sequence(view, &made->record.sequence);
    if (err == CA_OK && made->kind == RPC_CRL_DELTA) {
        err = store_entries_open_since(view, &making->order->scope, making->info.full.sequence,
                                       &making->entries);
        if (err != CA_ERR_TOO_MANY_ITEMS)
            return err;
        made->kind = RPC_CRL_FULL; /* as long as a complete one, and of less use */
        err = CA_OK;
    }
    if (err == CA_OK)
        err = store_entries_open(view, &making->order->scope, &making->entries);
    return err;
}

static void close_entries(struct making *making)
{
    if (making->entries == NULL)
        return;
    making->first_end_s = store_entries_first_end(making->entries);
    store_entries_close(making->entries);
    making->entries = NULL;
    store_view_rest(making->maker->view);
}

static enum ca_err next_entries(void *arg, struct ca_bytes *chunk_out)
{
    struct making *making = arg;

    if (is_stopping(making))
        return CA_ERR_STOPPING;
    return store_entries_next(making->entries, chunk_out);
}

static enum ca_err rewind_entries(void *arg)
{
    return store_entries_rewind(((struct making *)arg)->entries);
}

/* The snapshot is let go before the list is checked and synced: the data file grows while it is
 * held. */
static void done_entries(void *arg)
{
    close_entries(arg);
}

static bool find_expiry(void *arg, struct ca_bytes serial, int64_t *not_after_s_out)
{
    struct making *making = arg;
    struct store_view *view = making->maker->expiry;
    struct ca_serial number;
    struct store_status status;

    if (!making->is_expiry_open && store_view_renew(view) != CA_OK)
        return false;
    making->is_expiry_open = true;
    if (ca_serial_from_bytes(serial, &number) != CA_OK ||
        store_find_status(view, &making->order->scope, &number, &status) != CA_OK)
        return false;
    *not_after_s_out = status.not_after_s;
    return true;
}

/* ---- putting it together */

static enum ca_err set_times(struct making *making)
{
    const struct rpc_crl_order *order = making->order;
    struct store_crl *record = &making->made->record;
    uint64_t now_us;
    enum ca_err err = rpc_clock_read(making->maker->desk.clock, &now_us);

    if (err != CA_OK)
        return err;
    int64_t this_update_s = (int64_t)(now_us / 1000000);
    if (this_update_s < making->info.full.this_update_s)
        this_update_s = making->info.full.this_update_s;
    if (this_update_s < making->info.delta.this_update_s)
        this_update_s = making->info.delta.this_update_s;
    if (making->has_previous && this_update_s < making->previous.this_update_s)
        this_update_s = making->previous.this_update_s;
    record->this_update_s = this_update_s;
    record->next_update_s =
        rpc_crl_next_update_s(&order->ca->crl, making->made->kind, this_update_s);
    return CA_OK;
}

/* Without the file before there is at least what was recorded about it. */
static enum ca_err check_record(const struct making *making)
{
    const struct store_crl *before = record_before(making), *now = &making->made->record;

    if (now->number <= before->number)
        return ca_refuse(making->refusal, CA_ERR_CRL_GATE, "crl.number", "grows from list to list");
    if (now->this_update_s < before->this_update_s)
        return ca_refuse(making->refusal, CA_ERR_CRL_GATE, "crl.this_update", "never goes back");
    return CA_OK;
}

static enum ca_err write_list(struct making *making)
{
    const struct rules_issuer *issuer = &making->order->ca->issuer;
    struct store_crl *record = &making->made->record;
    uint8_t number[NUMBER_LEN], base_number[NUMBER_LEN];
    const struct store_publish_options options = { .has_reserve = true,
                                                   .retired_out = &making->maker->retired };
    struct store_crl_made made;
    struct x509_crl_form form = {
        .sig = issuer->sig,
        .issuer = issuer->subject,
        .key_id = ca_bytes_of(issuer->key_id, sizeof(issuer->key_id)),
        .number = number_of(record->number, number),
        .this_update_s = record->this_update_s,
        .next_update_s = record->next_update_s,
        .url = url_of(making),
        .entries_len = store_entries_len(making->entries),
    };
    const struct store_crl_job job = {
        .form = &form,
        .source = { making, next_entries, rewind_entries, done_entries },
        .signer = making->order->ca->signer,
        .crypto = making->maker->crypto,
        .gate = { .previous = making->has_previous ? &making->previous : NULL,
                  .find_expiry = find_expiry,
                  .find_expiry_arg = making,
                  .key = making->order->own },
    };

    record->base_number = making->made->kind == RPC_CRL_DELTA ? making->info.full.number : 0;
    if (record->base_number > 0)
        form.base_number = number_of(record->base_number, base_number);
    if (making->made->kind == RPC_CRL_FULL)
        form.freshest_url =
            rules_crl_delta_url(issuer, making->order->scope.shard, making->maker->arena);
    if ((issuer->crl_url.len > 0 && form.url.len == 0) ||
        (making->made->kind == RPC_CRL_FULL && issuer->crl_delta_url.len > 0 &&
         form.freshest_url.len == 0))
        return CA_ERR_NOMEM;
    enum ca_err err = store_crl_write(making->path, &job, &options, &made, making->refusal);
    record->entry_count = made.difference.after;
    record->len = made.len;
    memcpy(record->sha256, made.sha256, sizeof(record->sha256));
    making->made->difference = made.difference;
    if (made.is_from_reserve)
        log_warn("disk is full, CRL was written into its reserve", "file=%s number=%" PRIu64,
                 making->path, record->number);
    return err;
}

/* From a snapshot taken after the number was reserved: what has a lower number knows no more. */
static enum ca_err attempt(struct making *making, bool uses_previous)
{
    const struct rules_issuer *issuer = &making->order->ca->issuer;
    enum ca_err err = open_entries(making);

    if (err == CA_OK)
        err = rpc_crl_path(making->maker->desk.folder, issuer, making->order->scope.shard,
                           making->made->kind, making->path);
    if (err == CA_OK && uses_previous)
        open_previous(making);
    if (err == CA_OK && (err = set_times(making)) == CA_OK && (err = check_record(making)) == CA_OK)
        err = write_list(making);
    close_entries(making);
    if (making->is_expiry_open)
        store_view_rest(making->maker->expiry);
    making->is_expiry_open = false;
    return err;
}

/* The gate refused: is that because the list before is not any more what it was? */
static bool is_previous_damaged(const struct making *making)
{
    const struct store_crl *record = record_before(making);

    if (!making->has_previous || number_read(making->previous.number) != record->number ||
        is_recorded(making->previous_file, record))
        return false;
    log_warn("published CRL is damaged, the new one is checked without it",
             "file=%s number=%" PRIu64, making->path, record->number);
    return true;
}

static enum ca_err make(struct making *making)
{
    struct store_view *view = making->maker->view;
    uint64_t now_us; /* read again once the entries stand still; no number is used up for CLOCK */
    enum ca_err err = rpc_clock_read(making->maker->desk.clock, &now_us);

    if (err == CA_OK)
        err = store_view_renew(view);
    if (err == CA_OK)
        err = store_find_scope(view, &making->order->scope, &making->info);
    store_view_rest(view);
    if (err != CA_OK)
        return err;
    making->made->kind = making->info.full.number == 0 ? RPC_CRL_FULL : making->order->kind;
    if ((err = write_store(making, put_number, making)) != CA_OK)
        return err;
    err = attempt(making, true);
    if ((err == CA_ERR_CRL_GATE || err == CA_ERR_CRL_PARSE) && is_previous_damaged(making)) {
        close_previous(making);
        err = attempt(making, false);
    }
    making->maker->replaced = making->previous_file;
    if (err == CA_OK)
        err = write_store(making, put_record, making);
    if (err == CA_OK)
        prune(making);
    return err;
}

enum ca_err rpc_crl_make(struct rpc_crl_maker *maker, const struct rpc_crl_order *order,
                         struct rpc_crl_made *made_out, struct ca_refusal *refusal)
{
    struct making *making = calloc(1, sizeof(*making));

    *made_out = (struct rpc_crl_made){ 0 };
    *refusal = (struct ca_refusal){ "", "" };
    if (making == NULL)
        return CA_ERR_NOMEM;
    making->maker = maker;
    making->order = order;
    making->made = made_out;
    making->refusal = refusal;
    ca_arena_reset(maker->arena);
    rpc_crl_maker_rest(maker);
    enum ca_err err = make(making);
    free(making);
    if (err != CA_OK)
        *made_out = (struct rpc_crl_made){ 0 };
    return err;
}

enum ca_err rpc_crl_keep_reserve(struct rpc_crl_maker *maker, const struct rpc_crl_order *order,
                                 bool *has_room_out)
{
    char path[RPC_CRL_PATH_SIZE];
    struct store_scope_info info;
    enum ca_err err =
        rpc_crl_path(maker->desk.folder, &order->ca->issuer, order->scope.shard, order->kind, path);

    *has_room_out = false;
    if (err == CA_OK)
        err = store_view_renew(maker->view);
    if (err == CA_OK)
        err = store_find_scope(maker->view, &order->scope, &info);
    store_view_rest(maker->view);
    if (err != CA_OK)
        return err;
    uint64_t len = order->kind == RPC_CRL_DELTA ? info.delta.len : info.full.len;
    if (order->kind == RPC_CRL_FULL && len < info.entries_len + FRAME_LEN)
        len = info.entries_len + FRAME_LEN;
    return store_reserve_keep(path, len, has_room_out);
}
