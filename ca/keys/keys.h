/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keys: a CA's signing keys and where they live.
 *
 * A signer signs batches with one key. Signers are const after they are opened and may be
 * used by many threads, each with its own struct crypto. Every signature is verified with
 * the public key before keys_sign() hands it out (the check can be switched off for
 * soft elliptic-curve keys only).
 */
#pragma once

#include "ca/base/arena.h"
#include "ca/crypto/message.h"
#include "ca/keys/secret.h"
#include "ca/keys/ticket.h"

struct keys_signer;

/*
 * A sealed key file: PKCS#8 under XChaCha20-Poly1305 with a key from Argon2id; header, with
 * parameters and salt, is authenticated; parameters below the floor are refused. save makes a
 * new file (0600, synced, renamed; EXISTS when there is one). Byte layout: docs/SECURITY.md.
 *
 * A divided passphrase (keys_secret_join()) makes a file that needs both halves, in their order:
 * its key is the XOR of what Argon2id makes of each. FIELD_FORMAT if the halves are equal.
 */
CA_MUST_CHECK enum ca_err keys_sealed_save(const char *path, const struct crypto_private_key *key,
                                           const struct keys_secret *passphrase);
struct keys_sealed_options {
    uint32_t passes; /* of Argon2id; from KEYS_SEALED_PASSES_MIN to 16 */
    uint64_t memory; /* in bytes, from KEYS_SEALED_MEMORY_MIN to 4 GiB */
};
/* What keys_sealed_save() takes, and the floor: CONFIG below it, or above the ceiling. */
enum {
    KEYS_SEALED_PASSES = 3,
    KEYS_SEALED_MEMORY = 256 << 20,
    KEYS_SEALED_PASSES_MIN = 2,
    KEYS_SEALED_MEMORY_MIN = 64 << 20,
};
CA_MUST_CHECK enum ca_err keys_sealed_save_with(const char *path,
                                                const struct crypto_private_key *key,
                                                const struct keys_secret *passphrase,
                                                const struct keys_sealed_options *options);
/*
 * PASSPHRASE for a wrong passphrase and for every alteration alike. DENIED if the file is not
 * this user's (or root's) or open to anybody else.
 */
CA_MUST_CHECK enum ca_err keys_sealed_load(const char *path, const struct keys_secret *passphrase,
                                           struct crypto_private_key **key_out);

/*
 * Several files of one passphrase, one after the other: what Argon2id makes of it is kept from one
 * to the next, and made anew only where a file has other parameters or another salt. Those saved
 * with a memo share both where they can, so that all of them open in the time of one. Empty to
 * start with, and of no other passphrase. As save and load above; memo may be NULL.
 */
struct keys_sealed_memo {
    uint8_t header[80];
    struct keys_secret file_key;
};
void keys_sealed_memo_wipe(struct keys_sealed_memo *memo);
CA_MUST_CHECK enum ca_err keys_sealed_save_next(struct keys_sealed_memo *memo, const char *path,
                                                const struct crypto_private_key *key,
                                                const struct keys_secret *passphrase,
                                                const struct keys_sealed_options *options);
CA_MUST_CHECK enum ca_err keys_sealed_load_next(struct keys_sealed_memo *memo, const char *path,
                                                const struct keys_secret *passphrase,
                                                struct crypto_private_key **key_out);

/* What its header says, which nobody vouches for before the file is opened. */
struct keys_sealed_info {
    struct keys_sealed_options options;
    bool is_divided;
};
/* As load, without opening it: PASSPHRASE for what is no sealed key file. */
CA_MUST_CHECK enum ca_err keys_sealed_inspect(const char *path, struct keys_sealed_info *info_out);
/*
 * The same key under another passphrase, divided or not, and other parameters. The new file is
 * written beside, synced, read back, opened and compared before it takes the place of the old one,
 * which is as it was after any error (but STORAGE may come after the exchange, when the folder
 * could not be synced). Errors as from load and save.
 */
CA_MUST_CHECK enum ca_err keys_sealed_rewrap(const char *path, const struct keys_secret *passphrase,
                                             const struct keys_secret *new_passphrase,
                                             const struct keys_sealed_options *options);

struct keys_signer_options {
    bool is_unchecked; /* do not verify what a soft elliptic-curve key signed */
    bool signs_heads;  /* and nothing else (ca/keys/head.h): of a soft key in this process */
};
/* Takes the key over, also on failure. CONFIG for an unchecked RSA key, and for one to sign heads
 * that is not Ed25519. */
CA_MUST_CHECK enum ca_err keys_signer_open_soft(struct crypto_private_key *key,
                                                const struct keys_signer_options *options,
                                                struct keys_signer **signer_out);

/*
 * A key inside a PKCS#11 token. Its sessions have threads of their own; whoever asks for a
 * signature waits no longer than timeout_ms, also for a token that never answers: such a session
 * is left to itself, and replaced. docs/HSM.md tells what becomes of which failure.
 *
 * From keys_sign_many() and keys_sign_digest(): BUSY while the token is away, too much waits for
 * it, or it failed so often that it is left alone for a while; TIMEOUT; KEY_UNUSABLE when the key
 * is not there, is another one, may not sign so, or the PIN was refused (which is never tried
 * again: tokens lock themselves). Nothing of this needs a restart, apart from the PIN.
 */
enum { KEYS_SESSIONS_MAX = 64 };
struct keys_pkcs11_options {
    const char *module;     /* path of the vendor's library */
    const char *uri;        /* RFC 7512, with token and object or id; holds no PIN */
    const char *pin_file;   /* read at every login: keys_secret_read_file() */
    size_t sessions;        /* 1 to KEYS_SESSIONS_MAX */
    uint32_t timeout_ms;    /* for all signatures of one call together */
    uint32_t rest_ms;       /* how long a failing token is left alone; 0: 2 s */
    uint32_t keep_alive_ms; /* idle sessions are looked after so often; 0: 30 s */
};
/*
 * The token's public key must be this one, now and after every reconnection. refusal names the
 * option and why; CONFIG, NOT_FOUND (module or key), DENIED (the PIN file), PASSPHRASE (the PIN),
 * KEY_TYPE (SM2), KEY_UNUSABLE (another key), or BUSY when the token is away or fails.
 */
CA_MUST_CHECK enum ca_err keys_signer_open_pkcs11(const struct keys_pkcs11_options *options,
                                                  const struct crypto_public_key *public,
                                                  struct ca_refusal *refusal,
                                                  struct keys_signer **signer_out);
void keys_signer_close(struct keys_signer *signer);

/* Lent until the signer is closed. */
const struct crypto_public_key *keys_signer_public(const struct keys_signer *signer);
/* Its signatures come from another device: they may take long, without using this processor. */
bool keys_signer_is_remote(const struct keys_signer *signer);

/* Can it sign? BUSY: not now, but it will again by itself. KEY_UNUSABLE: not without somebody. */
CA_MUST_CHECK enum ca_err keys_signer_state(const struct keys_signer *signer);
/* What a signer process tells of this key, since the start; zeros for other signers. */
struct keys_signer_counts {
    uint64_t signatures; /* made */
    uint64_t refused;    /* asked for without a ticket that fits */
    uint64_t repeated;   /* made again, with a ticket that had served before */
};
void keys_signer_count(const struct keys_signer *signer, struct keys_signer_counts *counts_out);

/* Leave to have this signed. Only for what has its intent on disk; empty where nobody asks. */
void keys_ticket_make(const struct keys_signer *signer, const struct keys_intent *intent,
                      struct keys_ticket *ticket_out);

struct keys_order {
    enum crypto_sig sig;
    const struct ca_bytes *messages;
    size_t count;
    const struct crypto_digest *digest; /* instead of messages: what one was hashed to */
    const struct keys_ticket *tickets;  /* one for each; NULL where the signer asks for none */
};
/*
 * As below; whatever has an intent is signed with its tickets. DENIED without them where they are
 * asked for, UNKNOWN when the signer process died over it.
 */
CA_MUST_CHECK enum ca_err keys_sign(struct keys_signer *signer, struct crypto *crypto,
                                    const struct keys_order *order,
                                    struct crypto_signature *signatures);

/*
 * One signature per message, all or none: on an error the signatures are wiped. SIGNATURE_WRONG
 * latches the signer: it answers KEY_UNUSABLE from then on. RANDOM when the random source fails
 * or repeats itself.
 */
CA_MUST_CHECK enum ca_err keys_sign_many(struct keys_signer *signer, struct crypto *crypto,
                                         enum crypto_sig sig, const struct ca_bytes *messages,
                                         size_t count, struct crypto_signature *signatures);

/*
 * As above for one message that was hashed piece by piece (ca/crypto/message.h). KEY_TYPE for
 * Ed25519, which signs no digest: map the message and use keys_sign_many().
 */
CA_MUST_CHECK enum ca_err keys_sign_digest(struct keys_signer *signer, struct crypto *crypto,
                                           enum crypto_sig sig, const struct crypto_digest *digest,
                                           struct crypto_signature *signature);
