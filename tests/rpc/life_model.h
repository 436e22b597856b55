/* SPDX-License-Identifier: Apache-2.0 */
/*
 * life_model: what certificates have become of, in plain memory and without a thought for how the
 * engine does it. One request after the other; time is an argument.
 */
#pragma once

#include "tests/support/life.h"

enum { MODEL_THINGS_MAX = 8192 };

/* A certificate, or an intent without a result: numbered in the order they came about. */
struct model_thing {
    struct ca_serial serial;
    Certmill__Operation operation;
    Certmill__Cause cause;
    int64_t lost_at;
    int predecessor, root; /* numbers; no predecessor: -1, and its own root */
    int cn, key;           /* whom it is for, and which key */
    int64_t issued, not_before, not_after;
    bool is_intent;
    Certmill__Delivery delivery;
    uint32_t fate_reason; /* for the predecessor, when this is acknowledged */
    Certmill__State state;
    uint32_t reason;
    int64_t revoked_at, invalidity;
};

struct model {
    struct rules_life life; /* of the one profile: windows, cap, fates, acknowledgement */
    int64_t ca_end;
    uint64_t sequence; /* of the last change */
    int count;
    struct model_thing things[MODEL_THINGS_MAX];
};

/* May this be made now? Its dates are filled in as far as they are known. */
const char *model_admit(struct model *model, struct model_thing *new, int64_t now);
/* It has been admitted, and its intent is on disk; then it is signed and recorded. */
int model_reserve(struct model *model, const struct model_thing *new, int64_t now);
const char *model_record(struct model *model, int number, int64_t now);

struct model_act {
    Certmill__Act act;
    int number;
    uint32_t reason;
    int64_t invalidity;
};
/* sequence_out: of the change; 0: none. */
const char *model_act(struct model *model, const struct model_act *act, int64_t now,
                      uint64_t *sequence_out);

/* Numbers; -1: none. */
int model_head(const struct model *model, int root);
int model_successor(const struct model *model, int number);
