/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/rules/crl_gate.h"

/* One list on its way through its entries. */
struct walk {
    const struct rules_crl_side *side;
    struct x509_crl_cursor cursor;
    size_t order_at;
    struct x509_crl_entry entry;
    bool is_over;
    uint64_t count;
};

static struct walk walk_begin(const struct rules_crl_side *side)
{
    struct walk walk = { .side = side };

    if (side->crl != NULL)
        walk.cursor = x509_crl_entries(side->crl);
    return walk;
}

static bool walk_place(struct walk *walk)
{
    const struct rules_crl_side *side = walk->side;

    if (side->crl == NULL)
        return false;
    if (side->order == NULL)
        return !x509_crl_at_end(&walk->cursor);
    if (walk->order_at == side->order_count)
        return false;
    walk->cursor.at = side->crl->entries.data + side->order[walk->order_at++];
    return true;
}

static enum ca_err walk_next(struct walk *walk, struct ca_refusal *refusal)
{
    if (!walk_place(walk)) {
        walk->is_over = true;
        return CA_OK;
    }
    struct ca_bytes last = walk->entry.serial;
    enum ca_err err = x509_crl_next(&walk->cursor, &walk->entry, refusal);
    if (err != CA_OK)
        return err;
    if (walk->count > 0) {
        int order = x509_crl_serial_compare(last, walk->entry.serial);
        if (order == 0)
            return ca_refuse(refusal, CA_ERR_CRL_GATE, "crl.entry.serial", "number is there twice");
        if (order > 0)
            return ca_refuse(refusal, CA_ERR_CRL_GATE, "crl.entries", "ascending serial numbers");
    }
    walk->count++;
    return CA_OK;
}

/* The octets of the next entry if they are few and there: most entries are the same in both. */
static struct ca_bytes next_short(const struct walk *walk)
{
    const struct x509_crl_cursor *cursor = &walk->cursor;
    size_t left = (size_t)(cursor->end - cursor->at);

    if (walk->side->crl == NULL || walk->side->order != NULL || left < 2 || cursor->at[1] >= 0x80 ||
        left < 2u + cursor->at[1])
        return (struct ca_bytes){ 0 };
    return ca_bytes_of(cursor->at, 2u + cursor->at[1]);
}

/*
 * Entries that are the same octet for octet are passed over, all of a run but the last: it is read
 * as any other, so that what follows is held against it. They were read when the list before was
 * checked.
 */
static void skip_same(struct walk *before, struct walk *after)
{
    const uint8_t *at = after->cursor.at, *old = before->cursor.at, *last = at;
    size_t left = (size_t)(after->cursor.end - at), old_left = (size_t)(before->cursor.end - old);
    uint64_t count = 0;

    if (before->side->crl == NULL || before->side->order != NULL || after->side->order != NULL)
        return;
    if (left > old_left)
        left = old_left;
    while (left >= 2 && at[1] < 0x80 && left >= 2u + at[1]) {
        size_t len = 2u + at[1];
        if (!ca_bytes_equal(ca_bytes_of(at, len), ca_bytes_of(old, len)))
            break;
        last = at;
        at += len;
        old += len;
        left -= len;
        count++;
    }
    if (count < 2)
        return;
    before->cursor.at += last - after->cursor.at;
    after->cursor.at = last;
    before->count += count - 1;
    after->count += count - 1;
}

/* Both move on. Equal octets are read once; their entries are then the same. */
static enum ca_err both_next(struct walk *before, struct walk *after, struct ca_refusal *refusal)
{
    skip_same(before, after);
    struct ca_bytes octets = next_short(before);
    enum ca_err err = walk_next(after, refusal);

    if (err != CA_OK)
        return err;
    if (after->is_over || octets.len == 0 || !ca_bytes_equal(octets, after->entry.whole))
        return walk_next(before, refusal);
    before->entry = after->entry;
    before->cursor.at += octets.len;
    before->count++;
    return CA_OK;
}

static bool is_changed(const struct x509_crl_entry *a, const struct x509_crl_entry *b)
{
    return a->reason != b->reason || a->revoked_s != b->revoked_s ||
           a->has_invalidity != b->has_invalidity || a->invalidity_s != b->invalidity_s;
}

struct comparison {
    struct walk before, after;
    rules_crl_tell *tell;
    void *arg;
    struct rules_crl_difference *difference;
};

static enum ca_err tell(const struct comparison *comparison, struct rules_crl_change change,
                        struct ca_refusal *refusal)
{
    struct rules_crl_difference *difference = comparison->difference;

    switch (change.kind) {
    case RULES_CRL_ADDED: difference->added++; break;
    case RULES_CRL_REMOVED: difference->removed++; break;
    case RULES_CRL_CHANGED: difference->changed++; break;
    case RULES_CRL_KEPT: break;
    }
    if (comparison->tell == NULL)
        return CA_OK;
    return comparison->tell(comparison->arg, &change, refusal);
}

/* The lower of the two, or both; then the next of each that was used. */
static enum ca_err step(struct comparison *comparison, struct ca_refusal *refusal)
{
    struct walk *before = &comparison->before, *after = &comparison->after;
    struct rules_crl_change change = { RULES_CRL_KEPT, &before->entry, &after->entry };
    int order = before->is_over ? 1
                : after->is_over
                    ? -1
                    : x509_crl_serial_compare(before->entry.serial, after->entry.serial);

    if (order < 0)
        change = (struct rules_crl_change){ RULES_CRL_REMOVED, &before->entry, NULL };
    else if (order > 0)
        change = (struct rules_crl_change){ RULES_CRL_ADDED, NULL, &after->entry };
    else if (is_changed(&before->entry, &after->entry))
        change.kind = RULES_CRL_CHANGED;

    enum ca_err err = tell(comparison, change, refusal);
    if (err == CA_OK && order == 0)
        return both_next(before, after, refusal);
    if (err == CA_OK && order < 0)
        err = walk_next(before, refusal);
    if (err == CA_OK && order > 0)
        err = walk_next(after, refusal);
    return err;
}

enum ca_err rules_crl_compare(const struct rules_crl_side *before,
                              const struct rules_crl_side *after, rules_crl_tell *tell_fn,
                              void *arg, struct rules_crl_difference *difference_out,
                              struct ca_refusal *refusal)
{
    struct comparison comparison = { walk_begin(before), walk_begin(after), tell_fn, arg,
                                     difference_out };
    enum ca_err err;

    *difference_out = (struct rules_crl_difference){ 0 };
    if ((err = walk_next(&comparison.before, refusal)) != CA_OK ||
        (err = walk_next(&comparison.after, refusal)) != CA_OK)
        return err;
    while (err == CA_OK && !(comparison.before.is_over && comparison.after.is_over))
        err = step(&comparison, refusal);
    difference_out->before = comparison.before.count;
    difference_out->after = comparison.after.count;
    return err;
}
