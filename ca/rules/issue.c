/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/rules/issue.h"

#include <assert.h>

#include "ca/crypto/digest.h"
#include "ca/rules/san.h"
#include "ca/rules/subject.h"
#include "ca/x509/lint.h"

enum { SHARD_DIGITS_MAX = 10 };

/* Everything about one certificate, while it is being made. */
struct making {
    const struct rules_profile *profile;
    const struct rules_issuer *issuer;
    const struct x509_csr *csr;
    const struct rules_moment *moment;
    struct ca_arena *arena;
    struct rules_subject subject;
    struct rules_names names;
    struct ca_bytes names_der;
    struct rules_validity validity;
    uint8_t key_id[20];
    struct ca_bytes crl_url, crl_delta_url;
};

uint32_t rules_crl_shard(const struct rules_issuer *issuer, const struct ca_serial *serial)
{
    assert(issuer->crl_shard_count > 0);
    /* of the random octets */
    return (uint32_t)(ca_bytes_get_number(serial->bytes + CA_SERIAL_LEN - 8, 8) %
                      issuer->crl_shard_count);
}

static struct ca_bytes url_of_shard(struct ca_bytes url, uint32_t shard, struct ca_arena *arena)
{
    char digits[SHARD_DIGITS_MAX];
    size_t digit_count = 0;
    size_t at = 0;

    while (at + 1 < url.len && !(url.data[at] == '%' && url.data[at + 1] == 's'))
        at++;
    if (at + 1 >= url.len)
        return url;
    do {
        digits[SHARD_DIGITS_MAX - ++digit_count] = (char)('0' + shard % 10);
        shard /= 10;
    } while (shard > 0);

    size_t tail_len = url.len - at - 2;
    uint8_t *text = ca_arena_alloc_raw(arena, at + digit_count + tail_len);
    if (text == NULL)
        return (struct ca_bytes){ 0 };
    memcpy(text, url.data, at);
    memcpy(text + at, digits + SHARD_DIGITS_MAX - digit_count, digit_count);
    memcpy(text + at + digit_count, url.data + at + 2, tail_len);
    return ca_bytes_of(text, at + digit_count + tail_len);
}

struct ca_bytes rules_crl_url(const struct rules_issuer *issuer, uint32_t shard,
                              struct ca_arena *arena)
{
    return url_of_shard(issuer->crl_url, shard, arena);
}

struct ca_bytes rules_crl_delta_url(const struct rules_issuer *issuer, uint32_t shard,
                                    struct ca_arena *arena)
{
    return url_of_shard(issuer->crl_delta_url, shard, arena);
}

/* By name, then by value. */
static bool sorts_before(const struct rules_value *a, const struct rules_value *b)
{
    int order = ca_bytes_compare(a->name, b->name);

    return order != 0 ? order < 0 : ca_bytes_compare(a->value, b->value) < 0;
}

void rules_identity(const struct rules_value *values, size_t count, uint8_t identity[CA_DIGEST_LEN])
{
    const struct rules_value *sorted[CA_ATTRIBUTE_COUNT_MAX];
    struct ca_bytes parts[3 * CA_ATTRIBUTE_COUNT_MAX];
    uint8_t lengths[CA_ATTRIBUTE_COUNT_MAX][8];

    assert(count <= CA_ATTRIBUTE_COUNT_MAX);
    for (size_t i = 0; i < count; i++) {
        size_t at = i;
        for (; at > 0 && sorts_before(&values[i], sorted[at - 1]); at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = &values[i];
    }
    /* Lengths in front, so that no two lists of pairs read alike. */
    for (size_t i = 0; i < count; i++) {
        const struct rules_value *value = sorted[i];
        ca_bytes_put_number(lengths[i], value->name.len, 4);
        ca_bytes_put_number(lengths[i] + 4, value->value.len, 4);
        parts[3 * i] = ca_bytes_of(lengths[i], sizeof(lengths[i]));
        parts[3 * i + 1] = value->name;
        parts[3 * i + 2] = value->value;
    }
    crypto_sha256(parts, 3 * count, identity);
}

static bool is_in_identity(const struct rules_profile *profile,
                           const struct rules_attribute *attribute)
{
    if (profile->identity_count == 0)
        return attribute->is_in_subject;
    for (size_t i = 0; i < profile->identity_count; i++) {
        if (strcmp(profile->identity[i], attribute->name) == 0)
            return true;
    }
    return false;
}

static const struct rules_san *first_dns_of_identity(const struct making *making)
{
    bool is_wanted = false;

    for (size_t i = 0; i < making->profile->identity_count; i++)
        is_wanted = is_wanted || strcmp(making->profile->identity[i], "dns") == 0;
    for (size_t i = 0; is_wanted && i < making->names.count; i++) {
        if (making->names.names[i].kind == RULES_SAN_DNS)
            return &making->names.names[i];
    }
    return NULL;
}

static void make_identity(const struct making *making, uint8_t identity[CA_DIGEST_LEN])
{
    struct rules_value pairs[CA_ATTRIBUTE_COUNT_MAX];
    const struct rules_san *dns = first_dns_of_identity(making);
    size_t count = 0;

    for (size_t i = 0; i < making->profile->attribute_count; i++) {
        const struct rules_attribute *attribute = &making->profile->attributes[i];
        if (making->subject.values[i].data != NULL && is_in_identity(making->profile, attribute))
            pairs[count++] = (struct rules_value){ ca_bytes_of_text(attribute->name),
                                                   making->subject.values[i] };
    }
    if (dns != NULL && count < CA_ATTRIBUTE_COUNT_MAX)
        pairs[count++] = (struct rules_value){ CA_BYTES("dns"), dns->value };
    if (count == 0) /* alone, rather than one of many that have nothing in common */
        pairs[count++] =
            (struct rules_value){ CA_BYTES("serial"), ca_serial_bytes(&making->moment->serial) };
    rules_identity(pairs, count, identity);
}

static enum ca_err check_key_usage(struct ca_bytes value, uint32_t given)
{
    struct der_reader reader = der_reader_of(value);
    struct der_value bits;

    if (der_check(value) != CA_OK || der_read(&reader, DER_BIT_STRING, &bits) != CA_OK)
        return CA_ERR_EXTENSION;
    for (size_t i = 0; i + 1 < bits.content.len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            size_t number = 8 * i + bit;
            bool is_asked = (bits.content.data[i + 1] & 0x80 >> bit) != 0;
            if (is_asked && (number >= 32 || (given & 1U << number) == 0))
                return CA_ERR_EXTENSION;
        }
    }
    return CA_OK;
}

static enum ca_err check_ext_key_usage(struct ca_bytes value, const struct rules_profile *profile)
{
    struct der_reader outer = der_reader_of(value);
    struct der_reader inner;
    struct der_value oid;

    if (der_check(value) != CA_OK || der_read_into(&outer, DER_SEQUENCE, &inner) != CA_OK)
        return CA_ERR_EXTENSION;
    while (!der_reader_at_end(&inner)) {
        bool is_given = false;
        if (der_read(&inner, DER_OID, &oid) != CA_OK)
            return CA_ERR_EXTENSION;
        for (size_t i = 0; i < profile->ext_key_usage_count; i++)
            is_given = is_given || ca_bytes_equal(oid.content, profile->ext_key_usages[i]);
        if (!is_given)
            return CA_ERR_EXTENSION;
    }
    return CA_OK;
}

/* The empty SEQUENCE: cA false is the default, and DER does not encode defaults. */
static enum ca_err check_basic_constraints(struct ca_bytes value)
{
    return ca_bytes_equal(value, CA_BYTES("\x30\x00")) ? CA_OK : CA_ERR_EXTENSION;
}

static enum ca_err check_subject_key_id(struct ca_bytes value, const uint8_t key_id[20])
{
    if (value.len != 22 || value.data[0] != DER_OCTET_STRING || value.data[1] != 20)
        return CA_ERR_EXTENSION;
    return ca_bytes_equal(ca_bytes_of(value.data + 2, 20), ca_bytes_of(key_id, 20))
               ? CA_OK
               : CA_ERR_EXTENSION;
}

static bool is_value_extension(const struct rules_profile *profile, struct ca_bytes oid)
{
    for (size_t i = 0; i < profile->attribute_count; i++) {
        if (profile->attributes[i].is_extension && ca_bytes_equal(profile->attributes[i].oid, oid))
            return true;
    }
    return false;
}

/* Would the certificate fulfil what this extension asks for? */
static enum ca_err check_requested(const struct making *making, const struct x509_extension *asked,
                                   struct ca_refusal *refusal)
{
    uint32_t usage = rules_key_usage(making->profile, making->csr->key.type);
    const char *field = "csr.extensions";
    enum ca_err err = CA_ERR_EXTENSION;

    if (ca_bytes_equal(asked->oid, X509_OID_SAN)) {
        field = "csr.subjectAltName";
        err = rules_names_are_from_request(making->profile) ? CA_OK : CA_ERR_EXTENSION;
    } else if (ca_bytes_equal(asked->oid, X509_OID_KEY_USAGE)) {
        field = "csr.keyUsage";
        err = check_key_usage(asked->value, usage);
    } else if (ca_bytes_equal(asked->oid, X509_OID_EXT_KEY_USAGE)) {
        field = "csr.extKeyUsage";
        err = check_ext_key_usage(asked->value, making->profile);
    } else if (ca_bytes_equal(asked->oid, X509_OID_BASIC_CONSTRAINTS)) {
        field = "csr.basicConstraints";
        err = check_basic_constraints(asked->value);
    } else if (ca_bytes_equal(asked->oid, X509_OID_SKI)) {
        field = "csr.subjectKeyIdentifier";
        err = check_subject_key_id(asked->value, making->key_id);
    } else if (is_value_extension(making->profile, asked->oid)) {
        err = CA_OK; /* compared with the value written already */
    }
    return err == CA_OK ? CA_OK : ca_refuse(refusal, err, field, "profile extensions");
}

static enum ca_err check_extensions(const struct making *making, struct ca_refusal *refusal)
{
    enum ca_err err;

    if (making->profile->ignores_request_extensions)
        return CA_OK;
    for (size_t i = 0; i < making->csr->extension_count; i++) {
        if ((err = check_requested(making, &making->csr->extensions[i], refusal)) != CA_OK)
            return err;
    }
    return CA_OK;
}

static enum ca_err check_common_name(const struct making *making, struct ca_refusal *refusal)
{
    const struct rules_profile *profile = making->profile;

    for (size_t i = 0; profile->san.includes_cn && i < profile->attribute_count; i++) {
        const struct rules_attribute *attribute = &profile->attributes[i];
        struct ca_bytes value = making->subject.values[i];
        if (attribute->is_in_subject && strcmp(attribute->name, "CN") == 0 && value.data != NULL &&
            !rules_names_include(&making->names, value))
            return ca_refuse(refusal, CA_ERR_FIELD_NOT_ALLOWED, attribute->field,
                             "profile subject_alt_names.include_cn");
    }
    return CA_OK;
}

/* The profile's default for 0; REPLACE and CHANGE keep the old end and ask for no term. */
static enum ca_err choose_term(const struct rules_profile *profile, enum rules_operation operation,
                               uint32_t asked, uint32_t *term_out, struct ca_refusal *refusal)
{
    *term_out = asked == 0 ? profile->terms[0] : asked;
    if (operation == RULES_REPLACE || operation == RULES_CHANGE)
        return asked == 0 ? CA_OK : ca_refuse(refusal, CA_ERR_TERM, "term", "end date is kept");
    for (size_t i = 0; i < profile->term_count; i++) {
        if (profile->terms[i] == *term_out)
            return CA_OK;
    }
    return ca_refuse(refusal, CA_ERR_TERM, "term", "profile validity");
}

static enum ca_err take_validity(struct making *making, uint32_t asked, struct ca_refusal *refusal)
{
    const struct rules_moment *moment = making->moment;
    bool renews = moment->operation == RULES_RENEW;
    enum rules_operation from =
        renews && making->profile->life.renews_from_issue ? RULES_NEW : moment->operation;
    uint32_t term;
    enum ca_err err = choose_term(making->profile, moment->operation, asked, &term, refusal);

    if (err != CA_OK)
        return err;
    /* The start of a civil day may lie before the issuer's; the moment of issue may not. */
    if (moment->issued_s < making->issuer->not_before_s)
        return ca_refuse(refusal, CA_ERR_CA_END, "issuer.notBefore", "RFC 5280 6.1.3");
    making->validity = rules_validity(making->profile->validity, from, moment->issued_s,
                                      moment->old_not_after_s, term);
    if (making->validity.not_after_s > making->issuer->not_after_s)
        return ca_refuse(refusal, renews ? CA_ERR_RENEW_ISSUER_END : CA_ERR_CA_END,
                         "issuer.notAfter", "RFC 5280 6.1.3");
    return CA_OK;
}

static enum ca_err take_urls(struct making *making, uint32_t shard, struct ca_refusal *refusal)
{
    const struct rules_issuer *issuer = making->issuer;

    making->crl_url = rules_crl_url(issuer, shard, making->arena);
    if (issuer->crl_url.len > 0 && making->crl_url.data == NULL)
        return ca_refuse(refusal, CA_ERR_BUSY, "issuer.crl_url", "memory");
    if (!making->profile->has_freshest_crl || issuer->crl_delta_url.len == 0)
        return CA_OK;
    making->crl_delta_url = rules_crl_delta_url(issuer, shard, making->arena);
    if (making->crl_delta_url.data == NULL)
        return ca_refuse(refusal, CA_ERR_BUSY, "issuer.crl_delta_url", "memory");
    return CA_OK;
}

/* Backwards, so the first extension of the certificate is the last one here. */
static void write_extensions(struct der_writer *writer, const struct making *making)
{
    const struct rules_profile *profile = making->profile;
    const struct rules_issuer *issuer = making->issuer;

    rules_subject_write_extensions(writer, profile, &making->subject);
    if (issuer->ocsp_url.len > 0 || issuer->ca_issuers_url.len > 0)
        x509_ext_write_authority_info_access(writer, issuer->ocsp_url, issuer->ca_issuers_url);
    if (making->crl_delta_url.len > 0)
        x509_ext_write_freshest_crl(writer, making->crl_delta_url);
    if (making->crl_url.len > 0)
        x509_ext_write_crl_distribution_point(writer, making->crl_url);
    if (profile->policy_count > 0)
        x509_ext_write_policies(writer, profile->policies, profile->policy_count);
    if (making->names.count > 0)
        x509_ext_write_alt_names(writer, making->names_der,
                                 rules_subject_is_empty(profile, &making->subject));
    x509_ext_write_authority_key_id(writer, ca_bytes_of(issuer->key_id, sizeof(issuer->key_id)));
    x509_ext_write_subject_key_id(writer, making->key_id);
    if (profile->ext_key_usage_count > 0)
        x509_ext_write_ext_key_usage(writer, profile->ext_key_usages, profile->ext_key_usage_count,
                                     false);
    x509_ext_write_key_usage(writer, rules_key_usage(profile, making->csr->key.type),
                             profile->key_usage_is_critical);
    if (profile->has_basic_constraints)
        x509_ext_write_basic_constraints(writer, false, -1, true);
}

static enum ca_err write_and_lint(const struct x509_tbs *tbs,
                                  const struct x509_lint_context *context, struct ca_arena *arena,
                                  struct ca_bytes *tbs_out, struct ca_refusal *refusal)
{
    uint8_t buffer[CA_TBS_LEN_MAX];
    struct der_writer writer;
    enum ca_err err;

    *tbs_out = (struct ca_bytes){ 0 };
    der_writer_init(&writer, buffer, sizeof(buffer));
    x509_tbs_write(&writer, tbs);
    if (der_writer_bytes(&writer).data == NULL)
        return ca_refuse(refusal, CA_ERR_FIELD_LENGTH, "certificate", "16384 octets");
    struct ca_bytes bytes = ca_arena_copy(arena, der_writer_bytes(&writer));
    if (bytes.data == NULL)
        return ca_refuse(refusal, CA_ERR_BUSY, "certificate", "memory");
    if ((err = x509_lint(bytes, context, refusal)) != CA_OK)
        return err;
    *tbs_out = bytes;
    return CA_OK;
}

static enum ca_err build(const struct making *making, struct ca_bytes *tbs_out,
                         struct ca_refusal *refusal)
{
    const struct rules_issuer *issuer = making->issuer;
    uint8_t buffer[CA_TBS_LEN_MAX];
    struct der_writer writer;

    der_writer_init(&writer, buffer, sizeof(buffer));
    rules_subject_write(&writer, making->profile, &making->subject);
    struct ca_bytes subject = der_writer_bytes(&writer);
    write_extensions(&writer, making);
    if (der_writer_bytes(&writer).data == NULL)
        return ca_refuse(refusal, CA_ERR_FIELD_LENGTH, "certificate", "16384 octets");
    size_t extensions_len = der_writer_bytes(&writer).len - subject.len;
    const struct x509_tbs tbs = {
        .serial = ca_serial_bytes(&making->moment->serial),
        .sig = issuer->sig,
        .issuer = issuer->subject,
        .not_before_s = making->validity.not_before_s,
        .not_after_s = making->validity.not_after_s,
        .subject = subject,
        .spki = making->csr->spki,
        .extensions = ca_bytes_of(der_writer_bytes(&writer).data, extensions_len),
    };
    const struct x509_lint_context context = {
        .issuer_name = issuer->subject,
        .issuer_key_id = ca_bytes_of(issuer->key_id, sizeof(issuer->key_id)),
        .issuer_not_after_s = issuer->not_after_s,
        .sig = issuer->sig,
    };
    return write_and_lint(&tbs, &context, making->arena, tbs_out, refusal);
}

enum ca_err rules_draft(const struct rules_order *order, struct ca_arena *arena,
                        struct rules_draft *draft_out, struct ca_refusal *refusal)
{
    const struct rules_issuer *issuer = order->issuer;
    const struct rules_moment *moment = &order->moment;
    struct making making = {
        .profile = order->profile,
        .issuer = issuer,
        .csr = order->csr,
        .moment = moment,
        .arena = arena,
    };
    enum ca_err err;

    *draft_out = (struct rules_draft){ 0 };
    if ((err = rules_subject_take(order, arena, &making.subject, refusal)) != CA_OK)
        return err;
    if ((err = rules_names_take(order, arena, &making.names, refusal)) != CA_OK)
        return err;
    if ((err = check_common_name(&making, refusal)) != CA_OK)
        return err;
    if ((err = rules_names_encode(&making.names, arena, &making.names_der, refusal)) != CA_OK)
        return err;
    x509_key_id(&order->csr->key, making.key_id);
    if ((err = check_extensions(&making, refusal)) != CA_OK)
        return err;
    if ((err = take_validity(&making, order->request->term, refusal)) != CA_OK) {
        draft_out->validity = making.validity;
        return err;
    }

    uint32_t shard = rules_crl_shard(issuer, &moment->serial);
    if ((err = take_urls(&making, shard, refusal)) != CA_OK)
        return err;
    struct rules_draft draft = { .validity = making.validity, .crl_shard = shard };
    if ((err = build(&making, &draft.tbs, refusal)) != CA_OK)
        return err;
    make_identity(&making, draft.identity);
    *draft_out = draft;
    return CA_OK;
}

static void write_ca_extensions(struct der_writer *writer, const struct rules_ca_request *request,
                                struct ca_bytes crl_url)
{
    const struct rules_issuer *issuer = request->issuer;
    uint8_t key_id[20];

    if (issuer != NULL) {
        if (issuer->ocsp_url.len > 0 || issuer->ca_issuers_url.len > 0)
            x509_ext_write_authority_info_access(writer, issuer->ocsp_url, issuer->ca_issuers_url);
        if (crl_url.len > 0)
            x509_ext_write_crl_distribution_point(writer, crl_url);
        x509_ext_write_authority_key_id(writer,
                                        ca_bytes_of(issuer->key_id, sizeof(issuer->key_id)));
    }
    x509_key_id(request->key, key_id);
    x509_ext_write_subject_key_id(writer, key_id);
    x509_ext_write_key_usage(writer, X509_KU_KEY_CERT_SIGN | X509_KU_CRL_SIGN, true);
    x509_ext_write_basic_constraints(writer, true, request->path_len, true);
}

enum ca_err rules_root_draft(const struct rules_ca_request *request, struct ca_arena *arena,
                             struct ca_bytes *tbs_out, struct ca_refusal *refusal)
{
    const struct rules_issuer *issuer = request->issuer;
    struct ca_bytes crl_url = { 0 };
    uint8_t buffer[CA_TBS_LEN_MAX];
    struct der_writer writer;

    *tbs_out = (struct ca_bytes){ 0 };
    if (issuer != NULL && request->not_after_s > issuer->not_after_s)
        return ca_refuse(refusal, CA_ERR_CA_END, "issuer.notAfter", "RFC 5280 6.1.3");
    if (issuer != NULL && request->not_before_s < issuer->not_before_s)
        return ca_refuse(refusal, CA_ERR_CA_END, "issuer.notBefore", "RFC 5280 6.1.3");
    if (issuer != NULL) {
        crl_url = rules_crl_url(issuer, rules_crl_shard(issuer, &request->serial), arena);
        if (issuer->crl_url.len > 0 && crl_url.data == NULL)
            return ca_refuse(refusal, CA_ERR_BUSY, "issuer.crl_url", "memory");
    }

    der_writer_init(&writer, buffer, sizeof(buffer));
    x509_spki_write(&writer, request->key);
    struct ca_bytes spki = der_writer_bytes(&writer);
    x509_name_write(&writer, request->subject, request->subject_count);
    size_t name_len = der_writer_bytes(&writer).len - spki.len;
    struct ca_bytes subject = ca_bytes_of(der_writer_bytes(&writer).data, name_len);
    write_ca_extensions(&writer, request, crl_url);
    if (der_writer_bytes(&writer).data == NULL)
        return ca_refuse(refusal, CA_ERR_FIELD_LENGTH, "certificate", "16384 octets");
    size_t extensions_len = der_writer_bytes(&writer).len - name_len - spki.len;
    const struct x509_tbs tbs = {
        .serial = ca_serial_bytes(&request->serial),
        .sig = request->sig,
        .issuer = issuer == NULL ? subject : issuer->subject,
        .not_before_s = request->not_before_s,
        .not_after_s = request->not_after_s,
        .subject = subject,
        .spki = spki,
        .extensions = ca_bytes_of(der_writer_bytes(&writer).data, extensions_len),
    };
    const struct x509_lint_context context = {
        .issuer_name = tbs.issuer,
        .issuer_key_id = issuer == NULL ? (struct ca_bytes){ 0 }
                                        : ca_bytes_of(issuer->key_id, sizeof(issuer->key_id)),
        .issuer_not_after_s = issuer == NULL ? request->not_after_s : issuer->not_after_s,
        .sig = request->sig,
        .is_ca = true,
    };
    return write_and_lint(&tbs, &context, arena, tbs_out, refusal);
}
