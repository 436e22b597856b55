/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit_chain: the chain of an audit log, computed once more from what its records say:
 * docs/PROTOCOL.md, audit. Believes nobody: neither the daemon nor the store.
 */
#pragma once

#include "ca/base/limits.h"
#include "store/store.h"

/* What one answer tells. Borrowed. */
struct audit_page {
    const struct store_audit_entry *entries;
    size_t count;
    bool has_before; /* false: the log ends before the place that was asked for */
    struct store_audit_head before, last;
    const struct keys_signed_head *heads; /* that were signed of these entries */
    size_t head_count;
};

enum audit_verdict {
    AUDIT_HOLDS,
    AUDIT_SHORT,    /* the log ends before the first record that was to be checked */
    AUDIT_CUT,      /* it ends before the place that was kept */
    AUDIT_LOST,     /* a record is missing */
    AUDIT_PARTED,   /* what comes next continues something else */
    AUDIT_ALTERED,  /* a record says something else than what was chained */
    AUDIT_REPLACED, /* another record is at the place that was kept */
    AUDIT_HEADLESS, /* the last record is not what the head says */
};

struct audit_chain {
    const struct store_audit_head *kept; /* somebody wrote them down earlier; ascending */
    size_t kept_count;

    /* Filled in. */
    bool is_begun;
    size_t kept_met;                /* of those kept, how many were there */
    struct store_audit_head before; /* what the first record checked continues */
    struct store_audit_head at;     /* the last record that holds */
    struct store_audit_head end;    /* the head when checking began: so far it goes */
};

/* Behind record `since`, up to the head. kept: count of them, borrowed, none before since; 0:
 * nothing to compare with. */
void audit_chain_init(struct audit_chain *chain, uint64_t since,
                      const struct store_audit_head *kept, size_t count);
/* The page that begins behind chain->at. What fails is chain->at + 1, unless said otherwise. */
CA_MUST_CHECK enum audit_verdict audit_chain_check(struct audit_chain *chain,
                                                   const struct audit_page *page);
bool audit_chain_is_done(const struct audit_chain *chain);
/* For a person: which record, and what is wrong. */
enum { AUDIT_VERDICT_TEXT_LEN = 160 };
void audit_chain_text(const struct audit_chain *chain, enum audit_verdict verdict,
                      char text[AUDIT_VERDICT_TEXT_LEN + 1]);

/* "NUMBER:DIGEST", the digest in hexadecimal: as an auditor keeps a head. */
enum { AUDIT_PLACE_TEXT_LEN = 20 + 1 + 2 * CA_DIGEST_LEN };
void audit_place_format(const struct store_audit_head *place, char text[AUDIT_PLACE_TEXT_LEN + 1]);
bool audit_place_parse(const char *text, struct store_audit_head *place_out);
