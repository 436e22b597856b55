/* SPDX-License-Identifier: Apache-2.0 */
/*
 * err: the one list of ways things go wrong.
 *
 * The name of a code without its prefix ("CSR_PARSE") is what a caller over RPC
 * sees. It is part of the protocol: codes are added, never renamed or reused.
 * Blame decides what the edge does: CALLER is refused with the text, LOAD is told
 * to come again, US is logged, counted and alarmed.
 */
#pragma once

#define CA_MUST_CHECK __attribute__((warn_unused_result))

/* clang-format off */
/*    name               blame    what a person reads */
#define CA_ERRORS(X)                                                                      \
    /* the message */                                                                     \
    X(MESSAGE_MALFORMED,   CALLER, "message cannot be decoded")                           \
    X(METHOD_UNKNOWN,      CALLER, "no such method")                                      \
    X(TOO_MANY_ITEMS,      CALLER, "too many items in one message")                       \
    X(DENIED,              CALLER, "caller may not do this")                              \
    X(REQUEST_ID,          CALLER, "request id is not 16 to 64 visible characters") \
    X(IDEMPOTENCY_CONFLICT, CALLER, "request id was used before with another body")       \
    X(INTENT_CHANGED,      CALLER, "unfinished intent of this request cannot be rebuilt") \
    X(FIELD_REQUIRED,      CALLER, "a required field is missing")                         \
    X(FIELD_FORMAT,        CALLER, "field has the wrong form")                            \
    X(FIELD_LENGTH,        CALLER, "field is too short or too long")                      \
    X(FIELD_NOT_ALLOWED,   CALLER, "profile does not allow this field")                   \
    X(FIELD_REPEATED,      CALLER, "field appears more than once")                        \
    X(USCC_CHECK,          CALLER, "unified social credit code has a wrong check character") \
    X(ORG_CHECK,           CALLER, "organisation code has a wrong check character")       \
    X(ID_CHECK,            CALLER, "citizen identity number is not valid")                \
    X(PROFILE_UNKNOWN,     CALLER, "no such profile")                                     \
    X(CA_UNKNOWN,          CALLER, "no such CA")                                          \
    X(TERM,                CALLER, "profile does not allow this term")                    \
    X(CA_END,              CALLER, "certificate would outlive its issuer")                \
    X(NOT_FOUND,           CALLER, "no such record")                                      \
    X(EXISTS,              CALLER, "already there")                                       \
    X(CURSOR,              CALLER, "cursor was not given out by this service")            \
    /* the life of a certificate */                                                       \
    X(CERT_UNKNOWN,        CALLER, "no such certificate")                                 \
    X(CERT_REVOKED,        CALLER, "certificate is revoked")                              \
    X(CERT_HELD,           CALLER, "certificate is on hold")                              \
    X(CERT_EXPIRED,        CALLER, "certificate has expired")                             \
    X(CERT_NOT_HEAD,       CALLER, "another certificate has followed upon this one")      \
    X(CERT_CHANGED,        CALLER, "information differs from that of the old certificate") \
    X(CERT_BUSY,           CALLER, "another operation on this certificate is in flight")  \
    X(OPERATION,           CALLER, "profile does not allow this operation")               \
    X(RENEW_REVOKED,       CALLER, "a revoked certificate is not renewed")                \
    X(RENEW_HELD,          CALLER, "a certificate on hold is not renewed")                \
    X(RENEW_NOT_HEAD,      CALLER, "this certificate was renewed, replaced or changed before") \
    X(RENEW_IDENTITY_CHANGED, CALLER, "name and code of the organisation have both changed") \
    X(RENEW_TOO_EARLY,     CALLER, "too early for a renewal")                             \
    X(RENEW_TOO_OLD,       CALLER, "too late for a renewal")                              \
    X(RENEW_OPEN_ORDER,    CALLER, "another operation on this certificate is in flight")  \
    X(RENEW_ISSUER_END,    CALLER, "renewed certificate would outlive its issuer")        \
    X(RENEW_CAP,           CALLER, "renewed certificate would be valid for too long")     \
    X(RENEW_KEY,           CALLER, "profile wants another key, or the same one")          \
    X(OLD_KEY_SIG,         CALLER, "signature by the old key is missing or wrong")        \
    X(CAUSE,               CALLER, "a replacement needs a cause: lost or damaged")        \
    X(REASON,              CALLER, "reason is not allowed")                               \
    X(HOLD,                CALLER, "profile allows no hold")                              \
    X(STATE,               CALLER, "certificate is not in a state for this")              \
    X(CRL_UNKNOWN,         CALLER, "no such CRL")                                         \
    /* the certification request */                                                       \
    X(CSR_PARSE,           CALLER, "certification request is not strict DER of PKCS#10")  \
    X(CSR_ALGORITHM,       CALLER, "signature algorithm is unsupported or does not fit the key") \
    X(CSR_SIG,             CALLER, "signature of the request does not verify")            \
    X(CSR_POINT,           CALLER, "public key is not a point on its curve")              \
    X(CSR_KEY_REUSED,      CALLER, "key is already in use")                               \
    X(KEY_TYPE,            CALLER, "key type is not allowed")                             \
    X(KEY_SIZE,            CALLER, "key size is not allowed")                             \
    X(KEY_EXPONENT,        CALLER, "RSA public exponent is not allowed")                  \
    X(KEY_WEAK,            CALLER, "key is known to be weak")                             \
    X(KEY_BLOCKED,         CALLER, "key is blocked")                                      \
    X(KEY_OF_CA,           CALLER, "key belongs to a CA")                                 \
    X(EXTENSION,           CALLER, "requested extension is not allowed")                  \
    X(SAN_TYPE,            CALLER, "type of alternative name is not allowed")             \
    X(SAN_FORMAT,          CALLER, "alternative name has the wrong form")                 \
    X(SAN_COUNT,           CALLER, "too few or too many alternative names")               \
    X(LINT,                CALLER, "certificate would break a rule")                      \
    X(CERT_PARSE,          CALLER, "certificate is not strict DER of X.509 version 3")    \
    /* a revocation list */                                                               \
    X(CRL_PARSE,           CALLER, "CRL is not strict DER of a version 2 list")           \
    /* load */                                                                            \
    X(BUSY,                LOAD,   "queue is full, try again")                            \
    X(STOPPING,            LOAD,   "service is stopping, try again")                      \
    X(UNKNOWN,             LOAD,   "outcome unknown, ask again with the same request id") \
    /* ours */                                                                            \
    X(CLOCK,               US,     "clock is not to be trusted")                          \
    X(STORAGE,             US,     "storage failed")                                      \
    X(STORAGE_FULL,        US,     "storage is full")                                     \
    X(STORAGE_CORRUPT,     US,     "stored record is damaged")                            \
    X(KEY_UNUSABLE,        US,     "issuer key is unusable")                              \
    X(SIGNATURE_WRONG,     US,     "a signature just made does not verify")               \
    X(CRL_GATE,            US,     "CRL did not pass the check before publication")       \
    X(PASSPHRASE,          US,     "wrong passphrase, or the sealed key was altered")     \
    X(RANDOM,              US,     "random source failed")                                \
    X(CONFIG,              US,     "configuration is not usable")                         \
    X(IN_USE,              US,     "data is in use by another process")                   \
    X(TRANSPORT,           US,     "connection failed")                                   \
    X(TIMEOUT,             US,     "no answer in time")                                   \
    X(NOMEM,               US,     "out of memory")                                       \
    X(INTERNAL,            US,     "internal error")
/* clang-format on */

enum ca_err {
    CA_OK = 0,
#define X(name, blame, text) CA_ERR_##name,
    CA_ERRORS(X)
#undef X
        CA_ERR_COUNT
};

enum ca_blame { CA_BLAME_NOBODY, CA_BLAME_CALLER, CA_BLAME_LOAD, CA_BLAME_US };

const char *ca_err_name(enum ca_err err); /* "CSR_PARSE"; "OK" for CA_OK */
const char *ca_err_text(enum ca_err err);
enum ca_blame ca_err_blame(enum ca_err err);

/*
 * Why a request was refused, for a person: which field, and which rule (RFC section
 * or profile rule). Both are constant strings or live as long as the profile.
 */
struct ca_refusal {
    const char *field;
    const char *rule;
};

/* return ca_refuse(refusal, CA_ERR_KEY_SIZE, "csr.key", "profile key_types"); */
static inline enum ca_err ca_refuse(struct ca_refusal *refusal, enum ca_err err, const char *field,
                                    const char *rule)
{
    refusal->field = field;
    refusal->rule = rule;
    return err;
}
