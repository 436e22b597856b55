/* SPDX-License-Identifier: Apache-2.0 */
#include "store/crl_file.h"

#include <pthread.h>
#include <stdlib.h>

#include "ca/crypto/digest.h"
#include "store/crl_reader.h"

enum {
    PAIR_LEN_MIN = 8, /* SEQUENCE of two INTEGERs of one octet */
    STAGE_LEN = 32768,
    THREAD_LEN_MIN = 1 << 20, /* octets of entries: a second thread takes some of the work */
};

/* What one list is made with. */
struct making {
    const struct store_crl_job *job;
    const struct x509_crl_form *form;
    struct store_publish *publish;
    struct x509_crl_parts parts;
    struct crypto_message signed_message, sha256_message;
    struct crypto_digest signed_digest, sha256;
    struct crypto_signature signature;
    size_t header_len;
    struct x509_crl list; /* as read back from the file */
    /* Entries come in small pieces; hashes are faster with large ones. */
    uint8_t stage[STAGE_LEN];
    size_t staged;
};

static bool is_streamed(const struct making *making)
{
    return making->form->sig != CRYPTO_SIG_ED25519;
}

/* Longest signature of the key; only those of ECDSA and SM2 differ in length. */
static void signature_bounds(const struct crypto_public_key *key, size_t *min_out, size_t *max_out)
{
    switch (key->type) {
    case CRYPTO_KEY_RSA: *min_out = *max_out = key->modulus.len; break;
    case CRYPTO_KEY_ED25519: *min_out = *max_out = 64; break;
    case CRYPTO_KEY_P384:
        *min_out = PAIR_LEN_MIN;
        *max_out = 104;
        break;
    default:
        *min_out = PAIR_LEN_MIN;
        *max_out = 72;
        break;
    }
}

/* Does SHA-256 come out of what is signed already? */
static bool signs_sha256(enum crypto_sig sig)
{
    return sig == CRYPTO_SIG_ECDSA_SHA256 || sig == CRYPTO_SIG_RSA_SHA256 ||
           sig == CRYPTO_SIG_PSS_SHA256;
}

static enum ca_err hash_begin(struct making *making)
{
    crypto_message_init_sha256(&making->sha256_message);
    if (!is_streamed(making))
        return CA_OK;
    return crypto_message_init(&making->signed_message, making->form->sig,
                               keys_signer_public(making->job->signer));
}

static void hash_end(struct making *making)
{
    if (is_streamed(making))
        crypto_message_final(&making->signed_message, &making->signed_digest);
    if (signs_sha256(making->form->sig))
        making->sha256 = making->signed_digest;
    else
        crypto_message_final(&making->sha256_message, &making->sha256);
}

/* Octets of TBSCertList: into the hashes, and into the file if it is to be written. */
static enum ca_err take(struct making *making, struct ca_bytes bytes, bool is_written)
{
    if (is_streamed(making))
        crypto_message_update(&making->signed_message, bytes);
    if (!signs_sha256(making->form->sig))
        crypto_message_update(&making->sha256_message, bytes);
    return is_written ? store_publish_append(making->publish, bytes) : CA_OK;
}

static enum ca_err take_stage(struct making *making, bool is_written)
{
    struct ca_bytes bytes = ca_bytes_of(making->stage, making->staged);

    making->staged = 0;
    return take(making, bytes, is_written);
}

static enum ca_err take_chunk(struct making *making, struct ca_bytes chunk, bool is_written)
{
    enum ca_err err;

    if (chunk.len > STAGE_LEN - making->staged && (err = take_stage(making, is_written)) != CA_OK)
        return err;
    if (chunk.len >= STAGE_LEN)
        return take(making, chunk, is_written);
    memcpy(making->stage + making->staged, chunk.data, chunk.len);
    making->staged += chunk.len;
    return CA_OK;
}

static enum ca_err next_entries(const struct making *making, struct store_crl_reader *reader,
                                struct ca_bytes *chunk_out)
{
    const struct store_crl_source *source = &making->job->source;

    return reader == NULL ? source->next(source->arg, chunk_out)
                          : store_crl_reader_next(reader, chunk_out);
}

static enum ca_err take_all(struct making *making, struct store_crl_reader *reader, bool is_written)
{
    uint64_t left = making->form->entries_len;
    struct ca_bytes chunk;
    enum ca_err err;

    for (;;) {
        if ((err = next_entries(making, reader, &chunk)) != CA_OK)
            return err;
        if (chunk.len > left || (chunk.len == 0 && left > 0))
            return CA_ERR_STORAGE_CORRUPT;
        if (chunk.len == 0)
            return take_stage(making, is_written);
        left -= chunk.len;
        if ((err = take_chunk(making, chunk, is_written)) != CA_OK)
            return err;
    }
}

static enum ca_err take_entries(struct making *making, bool is_written)
{
    struct store_crl_reader *reader = NULL;
    enum ca_err err = CA_OK;

    if (making->form->entries_len >= THREAD_LEN_MIN)
        err = store_crl_reader_open(&making->job->source, &reader);
    if (err == CA_OK)
        err = take_all(making, reader, is_written);
    store_crl_reader_close(reader);
    return err;
}

static enum ca_err take_tbs(struct making *making, bool is_written)
{
    enum ca_err err;

    if ((err = hash_begin(making)) != CA_OK ||
        (err = take(making, making->parts.head, is_written)) != CA_OK ||
        (err = take_entries(making, is_written)) != CA_OK ||
        (err = take(making, making->parts.tail, is_written)) != CA_OK)
        return err;
    if (is_written && making->job->source.done != NULL)
        making->job->source.done(making->job->source.arg);
    hash_end(making);
    return CA_OK;
}

/* Its number was reserved before this list was begun: the caller's promise. */
static void make_ticket(struct making *making, const struct crypto_digest *digest,
                        struct keys_ticket *ticket_out)
{
    const struct keys_intent intent = {
        .kind = KEYS_TICKET_CRL,
        .number = making->form->number,
        .digest = ca_bytes_of(digest->bytes, digest->len),
    };

    keys_ticket_make(making->job->signer, &intent, ticket_out);
}

/* Ed25519 reads its message twice: from the file, which is mapped. */
static enum ca_err sign_mapped(struct making *making)
{
    const struct store_crl_job *job = making->job;
    struct keys_ticket ticket;
    struct ca_bytes file;
    enum ca_err err = store_publish_map(making->publish, &file);

    if (err != CA_OK)
        return err;
    struct ca_bytes tbs = ca_bytes_of(file.data + making->header_len, making->parts.tbs_len);
    make_ticket(making, &making->sha256, &ticket);
    const struct keys_order order = {
        .sig = making->form->sig, .messages = &tbs, .count = 1, .tickets = &ticket
    };
    return keys_sign(job->signer, job->crypto, &order, &making->signature);
}

static enum ca_err sign(struct making *making)
{
    const struct store_crl_job *job = making->job;
    struct keys_ticket ticket;

    if (!is_streamed(making))
        return sign_mapped(making);
    make_ticket(making, &making->signed_digest, &ticket);
    const struct keys_order order = { .sig = making->form->sig,
                                      .digest = &making->signed_digest,
                                      .tickets = &ticket };
    return keys_sign(job->signer, job->crypto, &order, &making->signature);
}

/* Room for the header; what is in it is known once there is a signature. */
static enum ca_err append_header(struct making *making, size_t signature_len)
{
    uint8_t header[X509_CRL_HEADER_LEN_MAX];

    making->header_len =
        x509_crl_header_write(making->parts.tbs_len, making->form->sig, signature_len, header);
    return store_publish_append(making->publish, ca_bytes_of(header, making->header_len));
}

/*
 * The usual case: the header has the same length whatever the signature's, so the list is
 * written first and the header filled in later.
 */
static enum ca_err write_then_sign(struct making *making, size_t signature_len_max)
{
    uint8_t header[X509_CRL_HEADER_LEN_MAX];
    enum ca_err err;

    if ((err = append_header(making, signature_len_max)) != CA_OK ||
        (err = take_tbs(making, true)) != CA_OK || (err = sign(making)) != CA_OK)
        return err;
    size_t len = x509_crl_header_write(making->parts.tbs_len, making->form->sig,
                                       making->signature.len, header);
    if (len != making->header_len)
        return CA_ERR_KEY_UNUSABLE; /* a signature of a length that its kind does not have */
    store_publish_patch(making->publish, 0, ca_bytes_of(header, len));
    return CA_OK;
}

/* The header may get one octet longer or not: hash and sign first, then write. */
static enum ca_err sign_then_write(struct making *making)
{
    const struct store_crl_source *source = &making->job->source;
    struct crypto_digest digest;
    enum ca_err err;

    if ((err = take_tbs(making, false)) != CA_OK || (err = sign(making)) != CA_OK ||
        (err = source->rewind(source->arg)) != CA_OK)
        return err;
    digest = making->signed_digest;
    if ((err = append_header(making, making->signature.len)) != CA_OK ||
        (err = take_tbs(making, true)) != CA_OK)
        return err;
    return ca_bytes_equal(ca_bytes_of(digest.bytes, digest.len),
                          ca_bytes_of(making->signed_digest.bytes, making->signed_digest.len))
               ? CA_OK
               : CA_ERR_STORAGE_CORRUPT;
}

static enum ca_err write_signature(struct making *making)
{
    uint8_t buffer[CA_SIGNATURE_LEN_MAX + 128];
    struct der_writer writer;

    der_writer_init(&writer, buffer, sizeof(buffer));
    x509_crl_signature_write(&writer, making->form->sig,
                             ca_bytes_of(making->signature.bytes, making->signature.len));
    return store_publish_append(making->publish, der_writer_bytes(&writer));
}

/* ---- the digests of what is in the file, meanwhile */

enum { FILE_DIGEST, TBS_DIGEST };

struct digesting {
    struct ca_bytes messages[2];
    uint8_t sha256[2][CA_DIGEST_LEN];
    bool has_tbs; /* otherwise the gate hashes that, if it wants to */
    pthread_t thread;
    bool is_started;
};

static void *digest_run(void *arg)
{
    struct digesting *digesting = arg;

    if (digesting->has_tbs)
        crypto_sha256_two(digesting->messages, digesting->sha256);
    else
        crypto_sha256(&digesting->messages[FILE_DIGEST], 1, digesting->sha256[FILE_DIGEST]);
    return NULL;
}

/* Without a thread it is done at once. */
static void digest_begin(struct digesting *digesting)
{
    digesting->is_started = digesting->messages[FILE_DIGEST].len >= THREAD_LEN_MIN &&
                            pthread_create(&digesting->thread, NULL, digest_run, digesting) == 0;
    if (!digesting->is_started)
        digest_run(digesting);
}

static void digest_end(struct digesting *digesting)
{
    if (digesting->is_started)
        pthread_join(digesting->thread, NULL);
    digesting->is_started = false;
}

static void hash_tbs(void *arg, uint8_t sha256[CA_DIGEST_LEN])
{
    struct digesting *digesting = arg;

    digest_end(digesting);
    memcpy(sha256, digesting->sha256[TBS_DIGEST], CA_DIGEST_LEN);
}

/* What stands in the file, not what was meant to. */
static enum ca_err pass_gate(struct making *making, struct store_crl_made *made,
                             struct ca_refusal *refusal)
{
    struct rules_crl_gate gate = making->job->gate;
    struct ca_bytes file;
    enum ca_err err;

    gate.issuer = making->form->issuer;
    gate.key_id = making->form->key_id;
    gate.url = making->form->url;
    gate.only_user_certs = making->form->only_user_certs;
    gate.freshest_url = making->form->freshest_url;
    gate.is_delta = making->form->base_number.len > 0;
    gate.crypto = making->job->crypto;
    gate.signed_digest = is_streamed(making) ? &making->signed_digest : NULL;
    gate.sha256 = &making->sha256;
    if ((err = store_publish_map(making->publish, &file)) != CA_OK)
        return err;
    if (x509_crl_parse(file, &making->list, refusal) != CA_OK)
        return CA_ERR_CRL_GATE;
    struct digesting digesting = {
        .messages = { [FILE_DIGEST] = file, [TBS_DIGEST] = making->list.tbs },
        .has_tbs = is_streamed(making) && crypto_sha256_has_pair(),
    };
    gate.hash_tbs = digesting.has_tbs ? hash_tbs : NULL;
    gate.hash_tbs_arg = &digesting;
    digest_begin(&digesting);
    err = rules_crl_gate_check(&gate, &making->list, &made->difference, refusal);
    digest_end(&digesting);
    memcpy(made->sha256, digesting.sha256[FILE_DIGEST], sizeof(made->sha256));
    return err;
}

static enum ca_err make(struct making *making, struct store_crl_made *made,
                        struct ca_refusal *refusal)
{
    size_t len_min, len_max;
    enum ca_err err;

    signature_bounds(keys_signer_public(making->job->signer), &len_min, &len_max);
    if (x509_crl_header_is_fixed(making->parts.tbs_len, making->form->sig, len_min, len_max))
        err = write_then_sign(making, len_max);
    else
        err = sign_then_write(making);
    if (err != CA_OK || (err = write_signature(making)) != CA_OK ||
        (err = pass_gate(making, made, refusal)) != CA_OK)
        return err;
    made->len = store_publish_len(making->publish);
    made->is_from_reserve = store_publish_is_reserve(making->publish);
    memcpy(made->tbs_sha256, making->sha256.bytes, sizeof(made->tbs_sha256));
    return CA_OK;
}

enum ca_err store_crl_write(const char *path, const struct store_crl_job *job,
                            const struct store_publish_options *options,
                            struct store_crl_made *made_out, struct ca_refusal *refusal)
{
    struct store_publish_options sized = *options;
    struct making *making = calloc(1, sizeof(*making));
    enum ca_err err;

    *made_out = (struct store_crl_made){ 0 };
    *refusal = (struct ca_refusal){ 0 };
    if (making == NULL)
        return CA_ERR_NOMEM;
    making->job = job;
    making->form = job->form;
    if ((err = x509_crl_parts_build(job->form, &making->parts, refusal)) != CA_OK)
        goto out;
    if (!crypto_sig_fits(job->form->sig, keys_signer_public(job->signer)->type)) {
        err = CA_ERR_KEY_UNUSABLE;
        goto out;
    }
    sized.len = making->parts.tbs_len + CA_SIGNATURE_LEN_MAX + X509_CRL_HEADER_LEN_MAX;
    if ((err = store_publish_begin(path, &sized, &making->publish)) != CA_OK ||
        (err = make(making, made_out, refusal)) != CA_OK)
        goto out;
    err = store_publish_commit(making->publish);
    making->publish = NULL;
out:
    if (err != CA_OK)
        *made_out = (struct store_crl_made){ 0 };
    store_publish_abort(making->publish);
    free(making);
    return err;
}
