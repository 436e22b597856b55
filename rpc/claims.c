/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/claims.h"

#include <pthread.h>
#include <stdlib.h>

enum { BUCKET_COUNT = 1 << 14 };

struct node {
    struct node *next;  /* in its bucket */
    struct node *later; /* in the order of being recorded */
    struct store_digest digest;
    struct rpc_claim claim;
    uint64_t recorded_at; /* commit */
};

struct rpc_claims {
    pthread_mutex_t lock; /* guards everything */
    struct node *buckets[BUCKET_COUNT];
    struct node *oldest, *newest; /* recorded claims */
    uint64_t commit;
    size_t orphan_count;
};

enum ca_err rpc_claims_new(struct rpc_claims **claims_out)
{
    struct rpc_claims *claims = calloc(1, sizeof(*claims));

    *claims_out = claims;
    if (claims == NULL)
        return CA_ERR_NOMEM;
    pthread_mutex_init(&claims->lock, NULL);
    return CA_OK;
}

void rpc_claims_free(struct rpc_claims *claims)
{
    if (claims == NULL)
        return;
    for (size_t i = 0; i < BUCKET_COUNT; i++) {
        for (struct node *node = claims->buckets[i]; node != NULL;) {
            struct node *next = node->next;
            free(node);
            node = next;
        }
    }
    pthread_mutex_destroy(&claims->lock);
    free(claims);
}

/* Where the pointer to the digest's node is, or would be. */
static struct node **place_of(struct rpc_claims *claims, const struct store_digest *digest)
{
    size_t bucket = (size_t)digest->bytes[0] << 8 | digest->bytes[1];
    struct node **place = &claims->buckets[bucket % BUCKET_COUNT];

    while (*place != NULL && !ca_bytes_equal(ca_bytes_of((*place)->digest.bytes, STORE_DIGEST_LEN),
                                             ca_bytes_of(digest->bytes, STORE_DIGEST_LEN)))
        place = &(*place)->next;
    return place;
}

void rpc_claims_find(struct rpc_claims *claims, const struct store_digest *const *digests,
                     size_t count, struct rpc_claim *claims_out)
{
    pthread_mutex_lock(&claims->lock);
    for (size_t i = 0; i < count; i++) {
        const struct node *node = *place_of(claims, digests[i]);
        claims_out[i] = node == NULL ? (struct rpc_claim){ 0 } : node->claim;
    }
    pthread_mutex_unlock(&claims->lock);
}

static void drop(struct node **place)
{
    struct node *node = *place;

    *place = node->next;
    free(node);
}

static void change(struct rpc_claims *claims, struct node *node, enum rpc_claim_state state)
{
    claims->orphan_count += state == RPC_CLAIM_ORPHAN;
    claims->orphan_count -= node->claim.state == RPC_CLAIM_ORPHAN;
    node->claim.state = state;
    if (state != RPC_CLAIM_RECORDED)
        return;
    node->recorded_at = claims->commit;
    if (claims->newest == NULL)
        claims->oldest = node;
    else
        claims->newest->later = node;
    claims->newest = node;
}

enum ca_err rpc_claims_put(struct rpc_claims *claims, const struct store_digest *digest,
                           enum rpc_claim_state state, const struct ca_serial *serial)
{
    enum ca_err err = CA_OK;

    pthread_mutex_lock(&claims->lock);
    struct node **place = place_of(claims, digest);
    if (*place == NULL && state != RPC_CLAIM_NONE) {
        *place = calloc(1, sizeof(**place));
        if (*place == NULL)
            err = CA_ERR_NOMEM;
        else
            (*place)->digest = *digest;
    }
    /* Only time ends a recorded claim: another batch's failure does not undo it. */
    bool is_recorded = *place != NULL && (*place)->claim.state == RPC_CLAIM_RECORDED;
    if (err == CA_OK && *place != NULL && !is_recorded) {
        struct node *node = *place;
        change(claims, node, state);
        if (serial != NULL)
            node->claim.serial = *serial;
        if (state == RPC_CLAIM_NONE)
            drop(place);
    }
    pthread_mutex_unlock(&claims->lock);
    return err;
}

void rpc_claims_tick(struct rpc_claims *claims)
{
    pthread_mutex_lock(&claims->lock);
    claims->commit++;
    while (claims->oldest != NULL &&
           claims->commit - claims->oldest->recorded_at > RPC_CLAIMS_KEPT_COMMITS) {
        struct node *node = claims->oldest;
        claims->oldest = node->later;
        if (claims->oldest == NULL)
            claims->newest = NULL;
        drop(place_of(claims, &node->digest));
    }
    pthread_mutex_unlock(&claims->lock);
}

size_t rpc_claims_orphan_count(struct rpc_claims *claims)
{
    pthread_mutex_lock(&claims->lock);
    size_t count = claims->orphan_count;
    pthread_mutex_unlock(&claims->lock);
    return count;
}
