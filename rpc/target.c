/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/target.h"

#include "ca/crypto/digest.h"

struct rpc_target rpc_target_of(const struct store_certificate *record)
{
    return (struct rpc_target){
        .serial = record->serial,
        .scope = { record->issuer, record->crl_shard },
        .not_before_s = record->not_before_s,
        .not_after_s = record->not_after_s,
        .lineage = record->lineage != 0 ? record->lineage : ca_serial_locator(&record->serial),
        .self = { record->serial, record->operation, record->delivery, record->fate_reason },
    };
}

struct rpc_target rpc_target_of_intent(const struct store_intent *record)
{
    return (struct rpc_target){
        .serial = record->serial,
        .scope = { record->issuer, record->crl_shard },
        .not_after_s = record->not_after_s,
        .lineage = record->lineage != 0 ? record->lineage : ca_serial_locator(&record->serial),
        .self = { .serial = record->serial },
        .is_intent = true,
    };
}

/* ---- reading */

enum rules_state rpc_rules_state(enum store_state state)
{
    switch (state) {
    case STORE_STATE_REVOKED: return RULES_STATE_REVOKED;
    case STORE_STATE_HELD: return RULES_STATE_HELD;
    default: return RULES_STATE_VALID;
    }
}

enum store_state rpc_store_state(enum rules_state state)
{
    switch (state) {
    case RULES_STATE_REVOKED: return STORE_STATE_REVOKED;
    case RULES_STATE_HELD: return STORE_STATE_HELD;
    default: return STORE_STATE_VALID;
    }
}

enum ca_err rpc_target_standing(const struct rpc_source *source, const struct rpc_target *target,
                                struct rules_standing *standing_out)
{
    struct store_status status;
    enum ca_err err =
        source->batch != NULL
            ? store_batch_find_status(source->batch, &target->scope, &target->serial, &status)
            : store_find_status(source->view, &target->scope, &target->serial, &status);

    *standing_out = (struct rules_standing){
        .state = RULES_STATE_VALID,
        .not_before_s = target->not_before_s,
        .not_after_s = target->not_after_s,
    };
    if (err == CA_ERR_NOT_FOUND)
        return CA_OK;
    if (err != CA_OK)
        return err;
    standing_out->state = rpc_rules_state(status.state);
    standing_out->reason = (enum x509_crl_reason)status.reason;
    standing_out->revoked_s = status.revoked_s;
    standing_out->has_invalidity = status.has_invalidity;
    standing_out->invalidity_s = status.invalidity_s;
    return CA_OK;
}

enum ca_err rpc_target_check(const struct rpc_source *source, const struct rpc_target *target,
                             struct ca_refusal *refusal)
{
    struct rules_standing standing;
    enum ca_err err = rpc_target_standing(source, target, &standing);

    if (err == CA_OK && standing.state == RULES_STATE_REVOKED)
        return ca_refuse(refusal, CA_ERR_CERT_REVOKED, "request_id", "its intent was revoked");
    return err;
}

enum ca_err rpc_target_line(const struct rpc_source *source, const struct rpc_target *target,
                            struct store_line *line_out)
{
    enum ca_err err = source->batch != NULL
                          ? store_batch_find_line(source->batch, target->lineage, line_out)
                          : store_find_line(source->view, target->lineage, line_out);

    if (err != CA_ERR_NOT_FOUND)
        return err;
    line_out->count = 1;
    line_out->members[0] = target->self;
    return CA_OK;
}

const struct store_member *rpc_line_find(const struct store_line *line, uint64_t locator)
{
    for (size_t i = 0; i < line->count; i++) {
        if (ca_serial_locator(&line->members[i].serial) == locator)
            return &line->members[i];
    }
    return NULL;
}

struct store_digest rpc_line_digest(uint64_t lineage)
{
    uint8_t digest[CA_DIGEST_LEN];
    struct store_digest claim;
    struct ca_bytes parts[] = { CA_BYTES("line"), ca_bytes_of(&lineage, sizeof(lineage)) };

    crypto_sha256(parts, 2, digest);
    memcpy(claim.bytes, digest, STORE_DIGEST_LEN);
    return claim;
}

/* ---- writing */

static enum store_audit_kind audit_kind(enum rules_state state)
{
    switch (state) {
    case RULES_STATE_REVOKED: return STORE_AUDIT_REVOKED;
    case RULES_STATE_HELD: return STORE_AUDIT_HELD;
    default: return STORE_AUDIT_RELEASED;
    }
}

enum ca_err rpc_target_put(struct store_batch *batch, const struct rpc_target *target,
                           enum rules_state old_state, const struct rules_standing *standing,
                           const struct rpc_wish *wish)
{
    const struct store_audit audit = {
        .kind = audit_kind(standing->state),
        .time_us = wish->now_us,
        .actor = wish->actor,
        .object = ca_serial_bytes(&target->serial),
        .request = wish->request,
        .body = wish->body,
    };
    bool was_nothing = target->is_intent && old_state == RULES_STATE_VALID;
    const struct store_status_change change = {
        .serial = target->serial,
        .scope = target->scope,
        .request = wish->request,
        .body = wish->body,
        .old_state = was_nothing ? STORE_STATE_NONE : rpc_store_state(old_state),
        .status = {
            .state = rpc_store_state(standing->state),
            .reason = (uint8_t)standing->reason,
            .revoked_s = standing->revoked_s,
            .has_invalidity = standing->has_invalidity,
            .invalidity_s = standing->invalidity_s,
            .not_after_s = standing->not_after_s,
        },
    };

    return store_put_status(batch, &change, &audit);
}

enum ca_err rpc_target_end(struct store_batch *batch, const struct rpc_target *target,
                           const struct rules_fate *fate, const struct rpc_wish *wish,
                           bool *is_changed_out)
{
    const struct rules_life any = { .reasons = RULES_REASONS_POSSIBLE };
    const struct rpc_source source = { .batch = batch };
    const struct rules_act_request request = {
        .act = RULES_REVOKE,
        .reason = fate->reason,
        .invalidity_s = fate->has_invalidity ? fate->invalidity_s : 0,
        .now_s = (int64_t)(wish->now_us / 1000000),
    };
    struct rules_standing standing;
    struct ca_refusal refusal;
    enum ca_err err = rpc_target_standing(&source, target, &standing);

    *is_changed_out = false;
    if (err != CA_OK)
        return err;
    enum rules_state old_state = standing.state;
    err = rules_life_act(&any, &request, &standing, is_changed_out, &refusal);
    if (err == CA_ERR_CERT_EXPIRED)
        return CA_OK;
    if (err != CA_OK || !*is_changed_out)
        return err;
    return rpc_target_put(batch, target, old_state, &standing, wish);
}
