/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store: the durable record of every certificate this CA has issued.
 *
 * Any thread may read, each through views of its own. One thread, the writer, owns the only
 * batch. A batch is all or nothing: once store_commit() answers CA_OK, everything put into it
 * survives power loss. NOMEM, of any step, ends the batch too, and nothing of it is there: memory
 * is taken before the first octet is written. The next batch may succeed. After any other answer
 * the outcome is unknown until the next start (a failed flush may still have reached the disk), and
 * the store is latched: every later begin answers STORAGE. What a batch put is seen by views opened
 * after its commit.
 *
 * Look-ups by identity, key and request go through sorted runs that are derived from the
 * appended tables and rebuilt from them if they are missing: docs/STORAGE.md.
 */
#pragma once

#include <stddef.h>

#include "ca/base/bytes.h"
#include "ca/base/err.h"
#include "ca/base/limits.h"
#include "ca/base/serial.h"

struct keys_signed_head; /* ca/keys/head.h */
struct store;
struct store_batch;
struct store_view;

enum {
    STORE_DIGEST_LEN = 16, /* digests are kept to 128 bits */
    STORE_ACTOR_LEN_MAX = 64,
    STORE_PROFILES_MAX = 1 << 16, /* ever introduced */
};

/* The first 16 octets of a SHA-256 digest: what look-ups go by. */
struct store_digest {
    uint8_t bytes[STORE_DIGEST_LEN];
};

static inline bool store_digest_equal(const struct store_digest *a, const struct store_digest *b)
{
    return ca_bytes_equal(ca_bytes_of(a->bytes, STORE_DIGEST_LEN),
                          ca_bytes_of(b->bytes, STORE_DIGEST_LEN));
}

/* Zeros are the defaults. */
struct store_options {
    size_t map_size;     /* address space for the data file, default 1 TiB; on disk it grows */
    size_t grow_size;    /* the data file gets space on disk in such steps; default 64 MiB */
    size_t reserve_size; /* kept free in it for revocation: intents are refused before; 64 MiB */
    size_t run_entries;  /* certificates in memory before they become a run; default 65536 */
    /*
     * No batch, no lock, nothing written: for looking at data, also while a daemon has it open,
     * but never in the process that has. The files must be writable by the user all the same:
     * readers are registered in one of them.
     */
    bool is_read_only;
};

struct store_info {
    uint8_t instance; /* first octet of serial numbers, 1 to 127 */
    uint8_t id[16];   /* its own, random: which audit log this is */
    uint64_t schema;  /* version of the layout */
    uint64_t certificate_count;
    uint64_t intent_count;    /* without a result */
    uint64_t change_sequence; /* last used */
    uint64_t audit_sequence;
    uint8_t audit_head[32];          /* chain digest of the last audit record */
    uint64_t clock_us;               /* latest time used in any record: never go below */
    uint64_t bytes_used, bytes_free; /* of the data file's pages, of the disk */
    bool is_full;                    /* intents are refused until there is room again */
    bool is_latched;                 /* storage failed: restart needed */
    size_t run_count;
};

/*
 * create makes the store in the new directory `path`, complete or not at all; EXISTS when there is
 * something already. open takes an exclusive lock first (IN_USE when another process has it;
 * read-only opens take none) and refuses damaged, truncated or foreign data with STORAGE_CORRUPT,
 * a network file system with CONFIG, a directory that is not there with NOT_FOUND, files that may
 * not be opened, or a file system that is read-only, with DENIED. The time it takes does not depend
 * on the number of certificates, unless files of the index were lost: they are made again first,
 * some seconds for ten million certificates.
 */
CA_MUST_CHECK enum ca_err store_create(const char *path, uint8_t instance);
CA_MUST_CHECK enum ca_err store_open(const char *path, const struct store_options *options,
                                     struct store **store_out);
void store_close(struct store *store); /* NULL is fine, here and in every close */
void store_info(struct store *store, struct store_info *info_out);
/* Blocks until the index has nothing left to write or merge: for tools, tests and measurements. */
void store_rest(struct store *store);
/*
 * Between batches, by their thread, when it has time: a commit flushes a third faster into blocks
 * that were written before. While commits are small it writes some ahead; it is never needed.
 */
void store_smooth(struct store *store);

/* ---- records. Everything borrowed; a put copies. */

/* How a certificate came about, and whether its holder is known to have it. */
enum store_operation { STORE_NEW, STORE_RENEW, STORE_REPLACE, STORE_CHANGE, STORE_OPERATION_COUNT };
enum store_delivery {
    STORE_DELIVERED, /* acknowledged, or nobody has to */
    STORE_DELIVERY_WAITING,
    STORE_DELIVERY_ABANDONED, /* revoked, and no longer of its line */
    STORE_DELIVERY_COUNT
};

/* What is known before signing: kept until the certificate is put. */
struct store_intent {
    struct ca_serial serial;     /* also tells the moment of issue */
    struct store_digest request; /* digest of caller and request id */
    struct store_digest body;    /* digest of what was asked */
    struct store_digest profile;
    struct store_digest issuer; /* digest of the CA's public key */
    uint8_t tbs_digest[32];     /* SHA-256 of the to-be-signed bytes */
    int64_t not_after_s;
    uint32_t crl_shard;
    uint64_t predecessor, lineage; /* as in the certificate */
    bool is_damaged;               /* in a list only: see there */
};

struct store_certificate {
    struct ca_serial serial;
    struct store_digest request, body, profile, issuer;
    struct store_digest identity; /* whom it is for */
    struct store_digest key;      /* digest of its SubjectPublicKeyInfo */
    int64_t not_before_s, not_after_s;
    uint64_t predecessor; /* locator of the certificate it renews, replaces or changes; 0: none */
    uint64_t lineage;     /* locator of the first of that line; 0: itself */
    enum store_operation operation;
    enum store_delivery delivery; /* at issue: WAITING, or DELIVERED when nobody acknowledges */
    uint8_t fate_reason; /* CRLReason for the predecessor when this is acknowledged; 0: kept */
    uint32_t crl_shard;
    struct ca_bytes der;
    bool is_damaged; /* in a list only: see there */
};

enum store_audit_kind {
    STORE_AUDIT_ISSUED = 1,  /* object: the serial number */
    STORE_AUDIT_REFUSED = 2, /* object: a request id used again with another body */
    STORE_AUDIT_STARTED = 3, /* the daemon; object: digest of its configuration */
    STORE_AUDIT_STOPPED = 4,
    STORE_AUDIT_REVOKED = 5, /* object from here on: the serial number, unless said otherwise */
    STORE_AUDIT_HELD = 6,
    STORE_AUDIT_RELEASED = 7,
    STORE_AUDIT_ACKNOWLEDGED = 8,
    STORE_AUDIT_ABANDONED = 9,
    STORE_AUDIT_CRL = 10,     /* published; object: issuer, shard, number */
    STORE_AUDIT_PROFILE = 11, /* introduced; object: its identity */
    STORE_AUDIT_LAST = STORE_AUDIT_PROFILE,
};

struct store_audit {
    enum store_audit_kind kind;
    uint64_t time_us;
    struct ca_bytes actor;  /* at most STORE_ACTOR_LEN_MAX octets */
    struct ca_bytes object; /* at most 64 octets */
    struct store_digest request, body;
};

/* ---- writing */

/* Exactly one of commit or abort ends a batch, and frees it. STORAGE once latched, NOMEM. */
CA_MUST_CHECK enum ca_err store_begin(struct store *store, struct store_batch **batch_out);
CA_MUST_CHECK enum ca_err store_commit(struct store_batch *batch);
void store_abort(struct store_batch *batch);

/*
 * Every put: STORAGE and NOMEM end the batch's usefulness: abort. Any other refusal leaves it as it
 * was. A serial number is never used twice (EXISTS), neither as intent nor as certificate, nor is
 * its locator. Only intents are refused with STORAGE_FULL: what else is put goes into the reserve.
 */
CA_MUST_CHECK enum ca_err store_put_intent(struct store_batch *batch,
                                           const struct store_intent *intent);
/*
 * Drops its intent, and writes change and audit records. The intent must be there (NOT_FOUND), and
 * say the same as the certificate wherever both say something (INTENT_CHANGED). A certificate with
 * a predecessor joins its line: the predecessor must be the head (CERT_NOT_HEAD; NOT_FOUND for a
 * lineage that is no certificate's), and the line short enough (TOO_MANY_ITEMS).
 */
CA_MUST_CHECK enum ca_err store_put_certificate(struct store_batch *batch,
                                                const struct store_certificate *certificate,
                                                const struct store_audit *audit);
CA_MUST_CHECK enum ca_err store_put_audit(struct store_batch *batch,
                                          const struct store_audit *audit);

/* ---- writing: revocation. docs/STORAGE.md, "Status" */

enum store_state { STORE_STATE_NONE, STORE_STATE_VALID, STORE_STATE_REVOKED, STORE_STATE_HELD };

/* One list of a CA: what its CRLs are made for. Shard 0 where a CA has only one. */
struct store_scope {
    struct store_digest issuer;
    uint32_t shard;
};

/* What is known of a certificate or intent that is revoked or held. */
struct store_status {
    enum store_state state;
    uint8_t reason;    /* CRLReason */
    int64_t revoked_s; /* when it was first revoked or held: kept by later changes */
    bool has_invalidity;
    int64_t invalidity_s;
    int64_t not_after_s;
    uint64_t sequence; /* of its last change */
};

struct store_status_change {
    struct ca_serial serial;
    struct store_scope scope;
    struct store_digest request, body; /* as in a certificate; zeros: not asked for on its own */
    enum store_state old_state;        /* for the change record */
    struct store_status status; /* new; VALID: released, its entry leaves. sequence is set by put */
};

/*
 * Writes the CRL entry, the scope's totals, change and audit record. The caller has decided that
 * the change may be made, with what the two finds below tell of the batch as it stands. STATE when
 * old_state is not what is so, FIELD_FORMAT for what no CRL entry says: a hold is certificateHold
 * and nothing else is, removeFromCRL is no reason here. What has left the list stays off it.
 */
CA_MUST_CHECK enum ca_err store_put_status(struct store_batch *batch,
                                           const struct store_status_change *change,
                                           const struct store_audit *audit);
/*
 * DELIVERED or ABANDONED for a member of a line that waited: NOT_FOUND when it is no member, STATE
 * when it did not wait. lineage as in the certificate. Its change record has its state twice.
 */
CA_MUST_CHECK enum ca_err
store_put_delivery(struct store_batch *batch, const struct ca_serial *serial, uint64_t lineage,
                   enum store_delivery delivery, const struct store_digest *request,
                   const struct store_digest *body, const struct store_audit *audit);

static inline bool store_scope_equal(const struct store_scope *a, const struct store_scope *b)
{
    return a->shard == b->shard && store_digest_equal(&a->issuer, &b->issuer);
}

/* ---- writing: CRLs */

/* A CRL that was published. */
struct store_crl {
    uint64_t number;
    uint64_t base_number; /* of the list a delta list builds on; 0: complete */
    int64_t this_update_s, next_update_s;
    uint64_t sequence; /* the last change it knows */
    uint64_t entry_count;
    uint64_t len; /* of the file */
    uint8_t sha256[32];
    bool is_damaged; /* in a list only: see there */
};

/* The next number of a scope, used up whatever becomes of it once this batch is committed. */
CA_MUST_CHECK enum ca_err store_put_crl_number(struct store_batch *batch,
                                               const struct store_scope *scope,
                                               uint64_t *number_out);
/* After the file is there. Its number must have been given out (NOT_FOUND), and be above those
 * recorded (EXISTS). */
CA_MUST_CHECK enum ca_err store_put_crl(struct store_batch *batch, const struct store_scope *scope,
                                        const struct store_crl *crl,
                                        const struct store_audit *audit);
/*
 * Takes entries off the list that a complete CRL of this_update_s and sequence had, and whose
 * certificates had ended by then: at most count_max, from the serial number `from` on (zeros to
 * start), which moves on. Looks at 64 times as many at most, so that a call is short. Their status
 * stays known. *is_done_out: there are no more.
 */
CA_MUST_CHECK enum ca_err store_put_pruned(struct store_batch *batch,
                                           const struct store_scope *scope, int64_t this_update_s,
                                           uint64_t sequence, struct ca_serial *from,
                                           size_t count_max, bool *is_done_out);

/* ---- writing: profiles */

/* What the profile of a certificate said, when it was introduced. */
struct store_profile {
    struct store_digest id; /* as certificates have it */
    uint64_t introduced_us; /* set by put */
    uint32_t reasons;       /* what may become of its certificates: struct rules_life */
    bool allows_hold;
    struct ca_bytes name;    /* 1 to CA_NAME_LEN_MAX octets */
    struct ca_bytes content; /* what the identity is the digest of; at most CA_PROFILE_LEN_MAX */
    bool is_damaged;         /* in a list only: see there */
};
/* EXISTS: it is remembered already. TOO_MANY_ITEMS: STORE_PROFILES_MAX are. */
CA_MUST_CHECK enum ca_err store_put_profile(struct store_batch *batch,
                                            const struct store_profile *profile,
                                            const struct store_audit *audit);

/* ---- writing: signed heads of the audit log */

/* Of this store's log, and of a record that is in it or comes with this batch: NOT_FOUND. STATE:
 * the record's chain is another. EXISTS: not above the one put last. The signature is the caller's
 * to check. */
CA_MUST_CHECK enum ca_err store_put_signed_head(struct store_batch *batch,
                                                const struct keys_signed_head *head);

/* Raises the latest used time; times in what is put do so by themselves. */
CA_MUST_CHECK enum ca_err store_put_clock(struct store_batch *batch, uint64_t time_us);

/* ---- reading: the last commit, frozen. What is lent lives until the view is closed or renewed. */

CA_MUST_CHECK enum ca_err store_view_open(struct store *store, struct store_view **view_out);
/* Moves to the latest commit; cheaper than close and open. Keep views short: an open view keeps old
 * pages. */
CA_MUST_CHECK enum ca_err store_view_renew(struct store_view *view);
/* Lets go of the snapshot until the next renew, so that old pages can be used again. */
void store_view_rest(struct store_view *view);
void store_view_close(struct store_view *view);

/*
 * NOT_FOUND; STORAGE_CORRUPT when the record's own digest does not match, or a damaged file of the
 * index had to be asked, which is then made again: the answer comes with a later try.
 */
CA_MUST_CHECK enum ca_err store_find_serial(struct store_view *view, const struct ca_serial *serial,
                                            struct store_certificate *certificate_out);
CA_MUST_CHECK enum ca_err store_find_intent(struct store_view *view, const struct ca_serial *serial,
                                            struct store_intent *intent_out);
/* By digest of caller and request id: the certificate that answered it, the oldest of several. */
CA_MUST_CHECK enum ca_err store_find_request(struct store_view *view,
                                             const struct store_digest *request,
                                             struct store_certificate *certificate_out);

/*
 * Lists of certificates, intents, CRLs and profiles: a damaged record hides none of the others. It
 * is in its place, with is_damaged, and nothing else is known of it but the serial number, number
 * or identity that it goes by. Whoever decides by a list must look. STORAGE_CORRUPT as above, and
 * for a record that not even goes by such a thing.
 */
enum store_index { STORE_BY_IDENTITY, STORE_BY_KEY };
/*
 * Certificates of one identity or key, oldest first. after: the locator (ca_serial_locator) of the
 * last one seen, 0 to start. Writes up to count_max; fewer means there are no more.
 */
CA_MUST_CHECK enum ca_err store_find_digest(struct store_view *view, enum store_index index,
                                            const struct store_digest *digest, uint64_t after,
                                            struct store_certificate *certificates_out,
                                            size_t count_max, size_t *count_out);
/* Certificates issued from from_us (included) until until_us (excluded), oldest first. */
CA_MUST_CHECK enum ca_err store_find_time(struct store_view *view, uint64_t from_us,
                                          uint64_t until_us, uint64_t after,
                                          struct store_certificate *certificates_out,
                                          size_t count_max, size_t *count_out);
/* Intents without a result, oldest first, as above. */
CA_MUST_CHECK enum ca_err store_find_intents(struct store_view *view, uint64_t after,
                                             struct store_intent *intents_out, size_t count_max,
                                             size_t *count_out);

/* ---- reading: status and lines */

/* NOT_FOUND: neither revoked nor held. What has left the list is found, too. */
CA_MUST_CHECK enum ca_err store_find_status(struct store_view *view,
                                            const struct store_scope *scope,
                                            const struct ca_serial *serial,
                                            struct store_status *status_out);

/* The certificates that follow upon each other, oldest first. */
enum { STORE_LINE_MAX = 128 };
struct store_member {
    struct ca_serial serial;
    enum store_operation operation;
    enum store_delivery delivery;
    uint8_t fate_reason; /* for its predecessor, while it waits */
};
struct store_line {
    size_t count; /* at least 1 */
    struct store_member members[STORE_LINE_MAX];
};
/*
 * One look-up. first: the certificate with the locator `lineage`, or itself; a certificate that
 * nothing follows upon has a line of one (NOT_FOUND here: the caller knows its serial number).
 */
CA_MUST_CHECK enum ca_err store_find_line(struct store_view *view, uint64_t lineage,
                                          struct store_line *line_out);
/* The last member that was not abandoned; the first when all were. */
const struct store_member *store_line_head(const struct store_line *line);

/* The same of a batch as it stands, for the writer's decisions. */
CA_MUST_CHECK enum ca_err store_batch_find_status(struct store_batch *batch,
                                                  const struct store_scope *scope,
                                                  const struct ca_serial *serial,
                                                  struct store_status *status_out);
CA_MUST_CHECK enum ca_err store_batch_find_line(struct store_batch *batch, uint64_t lineage,
                                                struct store_line *line_out);

/* A change of a certificate's state, in order of commit: reconciliation, indexes, delta CRLs. */
struct store_change {
    uint64_t sequence;
    uint64_t time_us;
    struct ca_serial serial;
    enum store_state old_state, new_state; /* the same: its delivery changed */
    uint8_t reason;                        /* CRLReason; 0 unless revoked or held */
};
/* The change that a request about status made, the first of several, by digest of caller and
 * request id, and the digest of what was asked: so that it is answered the same again. */
CA_MUST_CHECK enum ca_err store_find_request_change(struct store_view *view,
                                                    const struct store_digest *request,
                                                    struct store_change *change_out,
                                                    struct store_digest *body_out);
/* Those before a damaged or lost one are listed; STORAGE_CORRUPT when that is the first. So fewer
 * than count_max need not be the last. */
CA_MUST_CHECK enum ca_err store_find_changes(struct store_view *view, uint64_t after,
                                             struct store_change *changes_out, size_t count_max,
                                             size_t *count_out);

/* NOT_FOUND also where the store was made before profiles were remembered. */
CA_MUST_CHECK enum ca_err store_find_profile(struct store_view *view, const struct store_digest *id,
                                             struct store_profile *profile_out);
/* Ascending by identity, those above `after` (NULL: all). Fewer than count_max: no more. */
CA_MUST_CHECK enum ca_err store_find_profiles(struct store_view *view,
                                              const struct store_digest *after,
                                              struct store_profile *profiles_out, size_t count_max,
                                              size_t *count_out);

/* An audit record and its place in the chain. What is lent lives as long as the view. */
struct store_audit_entry {
    uint64_t sequence;
    struct store_audit audit;
    uint8_t chain[32]; /* SHA-256 over the chain digest before, the sequence number, the record */
};
/* As store_find_changes() does. */
CA_MUST_CHECK enum ca_err store_find_audit(struct store_view *view, uint64_t after,
                                           struct store_audit_entry *entries_out, size_t count_max,
                                           size_t *count_out);
/* A place in the chain. */
struct store_audit_head {
    uint64_t sequence;
    uint8_t chain[32];
};
/* Of the last record. */
CA_MUST_CHECK enum ca_err store_view_audit_head(struct store_view *view,
                                                struct store_audit_head *head_out);
/* What the record behind `sequence` continues; of 0: what the first one does. NOT_FOUND: the log
 * ends before that; STORAGE_CORRUPT: it does not, but has no such record. */
CA_MUST_CHECK enum ca_err store_find_audit_head(struct store_view *view, uint64_t sequence,
                                                struct store_audit_head *head_out);

/* The latest; NOT_FOUND: none was ever signed. */
CA_MUST_CHECK enum ca_err store_find_last_signed_head(struct store_view *view,
                                                      struct keys_signed_head *head_out);
/* Those of records above `after`, up to `until`, ascending; fewer than count_max: no more. */
CA_MUST_CHECK enum ca_err store_find_signed_heads(struct store_view *view, uint64_t after,
                                                  uint64_t until,
                                                  struct keys_signed_head *heads_out,
                                                  size_t count_max, size_t *count_out);

/*
 * Reads everything there is: digests of all records, the audit chain from its beginning to its
 * head, sequences without holes, certificates against changes, the files of the index.
 * STORAGE_CORRUPT at the first damage, with words for a person.
 */
struct store_damage {
    const char *table;
    char key[80]; /* hexadecimal; empty when it is not about one record */
};
CA_MUST_CHECK enum ca_err store_check(struct store_view *view, struct store_damage *damage_out);

/* ---- reading: CRLs */

struct store_scope_info {
    uint64_t entry_count, entries_len; /* octets: what a complete CRL made now would hold */
    uint64_t last_number;              /* given out */
    struct store_crl full, delta;      /* published last; number 0: none */
};
/* Zeros for a scope in which nothing has happened. */
CA_MUST_CHECK enum ca_err store_find_scope(struct store_view *view, const struct store_scope *scope,
                                           struct store_scope_info *info_out);
/* Published CRLs above `after`, ascending. */
CA_MUST_CHECK enum ca_err store_find_crls(struct store_view *view, const struct store_scope *scope,
                                          uint64_t after, struct store_crl *crls_out,
                                          size_t count_max, size_t *count_out);
/* Changes up to here are in the view. */
CA_MUST_CHECK enum ca_err store_view_sequence(struct store_view *view, uint64_t *sequence_out);

/*
 * Entries of a CRL, ready-encoded, ascending by serial number: what struct store_crl_source reads.
 * A complete one copies the list; one with since (a change sequence) has what changed after that:
 * entries, and removeFromCRL (with the time of the change) for what was released. Memory does not
 * depend on the number of entries, but for a delta's serial numbers, at most
 * STORE_DELTA_ENTRIES_MAX (TOO_MANY_ITEMS). The view stays open, and is used by nobody else.
 */
enum { STORE_DELTA_ENTRIES_MAX = 1 << 18 };
struct store_entries;
CA_MUST_CHECK enum ca_err store_entries_open(struct store_view *view,
                                             const struct store_scope *scope,
                                             struct store_entries **entries_out);
CA_MUST_CHECK enum ca_err store_entries_open_since(struct store_view *view,
                                                   const struct store_scope *scope, uint64_t since,
                                                   struct store_entries **entries_out);
void store_entries_close(struct store_entries *entries);
uint64_t store_entries_count(const struct store_entries *entries);
uint64_t store_entries_len(const struct store_entries *entries); /* octets in all */
/* The next octets, lent until the next call; empty: no more. STORAGE_CORRUPT: a damaged entry. */
CA_MUST_CHECK enum ca_err store_entries_next(void *entries, struct ca_bytes *chunk_out);
CA_MUST_CHECK enum ca_err store_entries_rewind(void *entries);
/* The earliest end of a certificate among those read: is there something to prune? */
int64_t store_entries_first_end(const struct store_entries *entries);
