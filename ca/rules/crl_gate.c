/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/rules/crl_gate.h"

#include "ca/crypto/digest.h"

static enum ca_err refuse(struct ca_refusal *refusal, const char *field, const char *rule)
{
    return ca_refuse(refusal, CA_ERR_CRL_GATE, field, rule);
}

static enum ca_err check_scope(const struct rules_crl_gate *gate, const struct x509_crl *list,
                               struct ca_refusal *refusal)
{
    const struct x509_crl_idp *idp = &list->idp;
    bool has_idp = gate->url.len > 0 || gate->only_user_certs;

    if (!ca_bytes_equal(list->issuer, gate->issuer))
        return refuse(refusal, "crl.issuer", "byte for byte the issuer's subject");
    if (!ca_bytes_equal(list->key_id, gate->key_id))
        return refuse(refusal, "crl.authority_key_id", "RFC 5280 5.2.1");
    if (idp->is_present != has_idp || !ca_bytes_equal(idp->url, gate->url) ||
        idp->only_user_certs != gate->only_user_certs || idp->only_ca_certs ||
        idp->only_attribute_certs || idp->only_some_reasons || idp->is_indirect)
        return refuse(refusal, "crl.issuing_distribution_point",
                      "byte for byte that of the certificates");
    if (has_idp && !idp->is_critical)
        return refuse(refusal, "crl.issuing_distribution_point", "RFC 5280 5.2.5: critical");
    if (list->freshest.is_present != (gate->freshest_url.len > 0) || list->freshest.is_critical ||
        !ca_bytes_equal(list->freshest.url, gate->freshest_url))
        return refuse(refusal, "crl.freshest_crl", "RFC 5280 5.2.6");
    if (list->has_unknown_critical)
        return refuse(refusal, "crl.extensions", "critical and unknown");
    return CA_OK;
}

static enum ca_err check_numbers(const struct rules_crl_gate *gate, const struct x509_crl *list,
                                 struct ca_refusal *refusal)
{
    const struct x509_crl *previous = gate->previous;

    if (list->number.len == 0 || list->is_number_critical)
        return refuse(refusal, "crl.number", "RFC 5280 5.2.3");
    if ((list->base_number.len > 0) != gate->is_delta)
        return refuse(refusal, "crl.base_number", "delta or complete, as asked for");
    if (gate->is_delta &&
        (!list->is_base_critical || ca_bytes_compare_numbers(list->base_number, list->number) >= 0))
        return refuse(refusal, "crl.base_number", "RFC 5280 5.2.4");
    if (!list->has_next_update || list->next_update_s <= list->this_update_s)
        return refuse(refusal, "crl.next_update", "RFC 5280 5.1.2.5");
    if (list->has_entries && list->entries.len == 0)
        return refuse(refusal, "crl.entries", "RFC 5280 5.1.2.6: absent when there are none");
    if (previous == NULL)
        return CA_OK;
    if ((previous->base_number.len > 0) != gate->is_delta)
        return refuse(refusal, "previous.base_number", "compared with a list of its kind");
    if (!ca_bytes_equal(previous->issuer, list->issuer))
        return refuse(refusal, "previous.issuer", "compared with a list of its issuer");
    if (ca_bytes_compare_numbers(list->number, previous->number) <= 0)
        return refuse(refusal, "crl.number", "grows from list to list");
    if (list->this_update_s < previous->this_update_s)
        return refuse(refusal, "crl.this_update", "never goes back");
    return CA_OK;
}

/* ---- entries */

static enum ca_err check_entry(const struct rules_crl_gate *gate, const struct x509_crl *list,
                               const struct x509_crl_entry *entry, struct ca_refusal *refusal)
{
    if (entry->has_critical || entry->has_unknown)
        return refuse(refusal, "crl.entry.extensions", "reason and invalidity date, not critical");
    if (entry->has_reason && entry->reason == X509_CRL_UNSPECIFIED)
        return refuse(refusal, "crl.entry.reason", "RFC 5280 5.3.1: unspecified is left out");
    if (entry->reason == X509_CRL_REMOVE_FROM_CRL && !gate->is_delta)
        return refuse(refusal, "crl.entry.reason", "RFC 5280 5.3.1: in delta lists only");
    if (entry->revoked_s > list->this_update_s)
        return refuse(refusal, "crl.entry.date", "not after this update");
    return CA_OK;
}

/* An entry stays until it was on one list made after the certificate's end (RFC 5280, section 3.3).
 * Releasing a hold is the other way out. */
static enum ca_err check_removed(const struct rules_crl_gate *gate,
                                 const struct x509_crl_entry *entry, struct ca_refusal *refusal)
{
    int64_t not_after_s;

    if (entry->reason == X509_CRL_CERTIFICATE_HOLD)
        return CA_OK;
    if (gate->find_expiry == NULL ||
        !gate->find_expiry(gate->find_expiry_arg, entry->serial, &not_after_s) ||
        not_after_s >= gate->previous->this_update_s)
        return refuse(refusal, "crl.entries", "RFC 5280 3.3: an entry left early");
    return CA_OK;
}

/* Once revoked, a certificate keeps its date; the reason may still become keyCompromise. A hold
 * may become anything. */
static enum ca_err check_changed(const struct x509_crl_entry *before,
                                 const struct x509_crl_entry *after, struct ca_refusal *refusal)
{
    if (before->reason == X509_CRL_CERTIFICATE_HOLD)
        return CA_OK;
    if (before->revoked_s != after->revoked_s)
        return refuse(refusal, "crl.entry.date", "keeps the first date");
    if (before->reason != after->reason && after->reason != X509_CRL_KEY_COMPROMISE)
        return refuse(refusal, "crl.entry.reason", "changes to keyCompromise only");
    return CA_OK;
}

struct entry_check {
    const struct rules_crl_gate *gate;
    const struct x509_crl *list;
};

static enum ca_err on_entry(void *arg, const struct rules_crl_change *change,
                            struct ca_refusal *refusal)
{
    const struct entry_check *check = arg;
    const struct rules_crl_gate *gate = check->gate;
    enum ca_err err = CA_OK;

    if (gate->tell != NULL)
        err = gate->tell(gate->tell_arg, change, refusal);
    if (err == CA_OK && change->after != NULL)
        err = check_entry(gate, check->list, change->after, refusal);
    /* A delta list is what has changed since its base: entries come and go. */
    if (err != CA_OK || gate->is_delta)
        return err;
    if (change->kind == RULES_CRL_REMOVED)
        return check_removed(gate, change->before, refusal);
    if (change->kind == RULES_CRL_CHANGED)
        return check_changed(change->before, change->after, refusal);
    return CA_OK;
}

static enum ca_err check_entries(const struct rules_crl_gate *gate, const struct x509_crl *list,
                                 struct rules_crl_difference *difference,
                                 struct ca_refusal *refusal)
{
    struct entry_check check = { gate, list };
    const struct rules_crl_side before = { .crl = gate->previous }, after = { .crl = list };

    return rules_crl_compare(&before, &after, on_entry, &check, difference, refusal);
}

/* ---- signature */

enum ca_err rules_crl_verify(struct crypto *crypto, const struct crypto_own_key *key,
                             const struct x509_crl *list)
{
    const struct crypto_public_key *public = crypto_own_key_public(key);
    struct crypto_message message;
    struct crypto_digest digest;
    struct crypto_signature signature;

    if (!crypto_sig_fits(list->sig, public->type) || list->signature.len > CA_SIGNATURE_LEN_MAX)
        return CA_ERR_SIGNATURE_WRONG;
    if (list->sig == CRYPTO_SIG_ED25519) {
        signature.len = list->signature.len;
        memcpy(signature.bytes, list->signature.data, list->signature.len);
        return crypto_verify_own_many(crypto, key, list->sig, &list->tbs, 1, &signature);
    }
    if (crypto_message_init(&message, list->sig, public) != CA_OK)
        return CA_ERR_SIGNATURE_WRONG;
    crypto_message_update(&message, list->tbs);
    crypto_message_final(&message, &digest);
    return crypto_verify_own_digest(crypto, key, list->sig, &digest, list->signature);
}

static enum ca_err check_signature(const struct rules_crl_gate *gate, const struct x509_crl *list)
{
    uint8_t sha256[CA_DIGEST_LEN];

    if (gate->signed_digest == NULL)
        return rules_crl_verify(gate->crypto, gate->key, list);
    if (gate->hash_tbs != NULL)
        gate->hash_tbs(gate->hash_tbs_arg, sha256);
    else
        crypto_sha256(&list->tbs, 1, sha256);
    if (!ca_bytes_equal(ca_bytes_of(sha256, sizeof(sha256)),
                        ca_bytes_of(gate->sha256->bytes, gate->sha256->len)))
        return CA_ERR_SIGNATURE_WRONG;
    return crypto_verify_own_digest(gate->crypto, gate->key, list->sig, gate->signed_digest,
                                    list->signature);
}

enum ca_err rules_crl_gate_check(const struct rules_crl_gate *gate, const struct x509_crl *list,
                                 struct rules_crl_difference *difference_out,
                                 struct ca_refusal *refusal)
{
    enum ca_err err;

    *difference_out = (struct rules_crl_difference){ 0 };
    if ((err = check_scope(gate, list, refusal)) != CA_OK ||
        (err = check_numbers(gate, list, refusal)) != CA_OK ||
        (err = check_entries(gate, list, difference_out, refusal)) != CA_OK)
        return err;
    if ((err = check_signature(gate, list)) != CA_OK)
        return ca_refuse(refusal, err, "crl.signature", "RFC 5280 6.3.3");
    return CA_OK;
}
