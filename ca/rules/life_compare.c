/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/rules/life.h"

#include "ca/rules/subject.h"

enum { USCC_LEN = 18, USCC_ORG_AT = 8, USCC_ORG_LEN = 9 };

/* Two certificates side by side. */
struct comparison {
    const struct rules_succession *succession;
    const struct rules_profile *profile;
    const struct x509_cert *old, *new; /* new: the to-be-signed part alone */
    struct ca_arena *arena;
    struct ca_refusal *refusal;
};

/* ---- values */

/* The same characters, in whatever string type. Values of other types: the same octets. */
static enum ca_err texts_differ(const struct x509_attribute *a, const struct x509_attribute *b,
                                struct ca_arena *arena, bool *differs_out)
{
    struct ca_bytes a_text, b_text;
    enum ca_err err;

    *differs_out = a->tag != b->tag || !ca_bytes_equal(a->value, b->value);
    if (a->tag == b->tag)
        return CA_OK;
    if ((err = rules_string_decode(a->tag, a->value, arena, &a_text)) == CA_OK &&
        (err = rules_string_decode(b->tag, b->value, arena, &b_text)) == CA_OK)
        *differs_out = !ca_bytes_equal(a_text, b_text);
    return err == CA_ERR_BUSY ? err : CA_OK; /* what is no text differs */
}

/* The n-th value of that type in a name. */
static const struct x509_attribute *attribute_at(const struct x509_name *name, struct ca_bytes oid,
                                                 size_t n)
{
    for (size_t i = 0; i < name->count; i++) {
        if (ca_bytes_equal(name->attributes[i].oid, oid) && n-- == 0)
            return &name->attributes[i];
    }
    return NULL;
}

/* Values of one type, in their order. Where there are none on either side, nothing differs. */
static enum ca_err names_differ(const struct comparison *comparison, struct ca_bytes oid,
                                bool *differs_out)
{
    const struct x509_attribute *a, *b;
    enum ca_err err;

    *differs_out = false;
    for (size_t n = 0; !*differs_out; n++) {
        a = attribute_at(&comparison->old->subject, oid, n);
        b = attribute_at(&comparison->new->subject, oid, n);
        if (a == NULL && b == NULL)
            return CA_OK;
        if (a == NULL || b == NULL)
            *differs_out = true;
        else if ((err = texts_differ(a, b, comparison->arena, differs_out)) != CA_OK)
            return err;
    }
    return CA_OK;
}

/* An extension whose value is one string, or anything else. */
static struct x509_attribute value_of(struct ca_bytes extension)
{
    struct der_reader reader = der_reader_of(extension);
    struct der_value value;

    if (der_check(extension) != CA_OK || der_read_any(&reader, &value) != CA_OK)
        return (struct x509_attribute){ .value = extension };
    return (struct x509_attribute){ .tag = value.tag, .value = value.content };
}

static enum ca_err extensions_differ(const struct comparison *comparison, struct ca_bytes oid,
                                     bool *differs_out)
{
    const struct x509_extension *a = x509_cert_extension(comparison->old, oid);
    const struct x509_extension *b = x509_cert_extension(comparison->new, oid);

    *differs_out = (a == NULL) != (b == NULL);
    if (a == NULL || b == NULL)
        return CA_OK;
    const struct x509_attribute a_value = value_of(a->value), b_value = value_of(b->value);
    return texts_differ(&a_value, &b_value, comparison->arena, differs_out);
}

/* ---- alternative names, in any order */

static bool has_name(struct der_reader names, const struct der_value *wanted)
{
    struct der_value name;

    while (!der_reader_at_end(&names) && der_read_any(&names, &name) == CA_OK) {
        if (name.tag == wanted->tag && ca_bytes_equal(name.content, wanted->content))
            return true;
    }
    return false;
}

static bool has_all_names(struct der_reader names, struct der_reader wanted)
{
    struct der_value name;

    while (!der_reader_at_end(&wanted)) {
        if (der_read_any(&wanted, &name) != CA_OK || !has_name(names, &name))
            return false;
    }
    return true;
}

static bool alt_names_differ(const struct comparison *comparison)
{
    const struct x509_extension *a = x509_cert_extension(comparison->old, X509_OID_SAN);
    const struct x509_extension *b = x509_cert_extension(comparison->new, X509_OID_SAN);
    struct der_reader a_outer, b_outer, a_names, b_names;

    if (a == NULL || b == NULL)
        return a != b;
    a_outer = der_reader_of(a->value);
    b_outer = der_reader_of(b->value);
    if (der_read_into(&a_outer, DER_SEQUENCE, &a_names) != CA_OK ||
        der_read_into(&b_outer, DER_SEQUENCE, &b_names) != CA_OK)
        return true;
    return !has_all_names(a_names, b_names) || !has_all_names(b_names, a_names);
}

/* ---- what differs at all */

/* Fields of refusals; NULL: none. */
struct differing {
    const char *first;
    const char *refused; /* the first that may not differ after a renewal */
};

static bool may_differ(const struct rules_profile *profile, const char *name)
{
    const struct rules_life *life = &profile->life;

    for (size_t i = 0; i < life->renew_may_differ_count; i++) {
        if (strcmp(life->renew_may_differ[i], "*") == 0 ||
            (name != NULL && strcmp(life->renew_may_differ[i], name) == 0))
            return true;
    }
    return false;
}

static void note(const struct comparison *comparison, const char *name, const char *field,
                 struct differing *differing)
{
    if (differing->first == NULL)
        differing->first = field;
    if (differing->refused == NULL && !may_differ(comparison->profile, name))
        differing->refused = field;
}

static const struct rules_attribute *attribute_of(const struct rules_profile *profile,
                                                  struct ca_bytes oid, bool is_in_subject)
{
    for (size_t i = 0; i < profile->attribute_count; i++) {
        const struct rules_attribute *attribute = &profile->attributes[i];
        if (attribute->is_in_subject == is_in_subject && ca_bytes_equal(attribute->oid, oid))
            return attribute;
    }
    return NULL;
}

/* Types that stand in a certificate; what the profile does not know has no name of its own. */
static enum ca_err compare_subject(const struct comparison *comparison,
                                   const struct x509_name *subject, struct differing *differing)
{
    if (ca_bytes_equal(comparison->old->subject.whole, comparison->new->subject.whole))
        return CA_OK; /* nearly always so */
    for (size_t i = 0; i < subject->count; i++) {
        struct ca_bytes oid = subject->attributes[i].oid;
        const struct rules_attribute *known = attribute_of(comparison->profile, oid, true);
        bool differs;
        enum ca_err err = names_differ(comparison, oid, &differs);
        if (err != CA_OK)
            return err;
        if (differs)
            note(comparison, known == NULL ? NULL : known->name,
                 known == NULL ? "subject" : known->field, differing);
    }
    return CA_OK;
}

static enum ca_err compare_extensions(const struct comparison *comparison,
                                      const struct x509_cert *cert, struct differing *differing)
{
    for (size_t i = 0; i < cert->extension_count; i++) {
        struct ca_bytes oid = cert->extensions[i].oid;
        const struct rules_attribute *known = attribute_of(comparison->profile, oid, false);
        bool differs;
        if (rules_is_own_extension(oid))
            continue; /* of the profile, the CA or the key, not of the holder */
        enum ca_err err = extensions_differ(comparison, oid, &differs);
        if (err != CA_OK)
            return err;
        if (differs)
            note(comparison, known == NULL ? NULL : known->name,
                 known == NULL ? "extensions" : known->field, differing);
    }
    return CA_OK;
}

static enum ca_err compare_all(const struct comparison *comparison, struct differing *differing)
{
    const struct x509_cert *const both[] = { comparison->old, comparison->new };
    enum ca_err err;

    *differing = (struct differing){ 0 };
    for (size_t i = 0; i < 2; i++) {
        if ((err = compare_subject(comparison, &both[i]->subject, differing)) != CA_OK)
            return err;
    }
    if (alt_names_differ(comparison))
        note(comparison, "alt_names", "alt_names", differing);
    for (size_t i = 0; i < 2; i++) {
        if ((err = compare_extensions(comparison, both[i], differing)) != CA_OK)
            return err;
    }
    return CA_OK;
}

/* ---- the holder: name and code */

static struct ca_bytes value_in(const struct x509_cert *cert,
                                const struct rules_attribute *attribute)
{
    if (attribute->is_in_subject) {
        const struct x509_attribute *found = attribute_at(&cert->subject, attribute->oid, 0);
        return found == NULL ? (struct ca_bytes){ 0 } : found->value;
    }
    const struct x509_extension *found = x509_cert_extension(cert, attribute->oid);
    return found == NULL ? (struct ca_bytes){ 0 } : value_of(found->value).value;
}

/* Inside a unified social credit code (GB 32100) characters 9 to 17 are the organisation's own
 * code; those around them change when it is registered elsewhere. */
static bool is_same_organisation(const struct comparison *comparison,
                                 const struct rules_attribute *attribute)
{
    struct ca_bytes a = value_in(comparison->old, attribute);
    struct ca_bytes b = value_in(comparison->new, attribute);

    return attribute->check == RULES_CHECK_USCC && a.len == USCC_LEN && b.len == USCC_LEN &&
           ca_bytes_equal(ca_bytes_of(a.data + USCC_ORG_AT, USCC_ORG_LEN),
                          ca_bytes_of(b.data + USCC_ORG_AT, USCC_ORG_LEN));
}

static enum ca_err holder_part_differs(const struct comparison *comparison, const char *name,
                                       bool *differs_out)
{
    const struct rules_profile *profile = comparison->profile;
    const struct rules_attribute *attribute = NULL;

    for (size_t i = 0; i < profile->attribute_count; i++) {
        if (strcmp(profile->attributes[i].name, name) == 0)
            attribute = &profile->attributes[i];
    }
    if (attribute == NULL) /* rules_profile_prepare() has seen to that */
        return CA_ERR_INTERNAL;
    enum ca_err err = attribute->is_in_subject
                          ? names_differ(comparison, attribute->oid, differs_out)
                          : extensions_differ(comparison, attribute->oid, differs_out);
    if (err == CA_OK && *differs_out)
        *differs_out = !is_same_organisation(comparison, attribute);
    return err;
}

static enum ca_err check_holder(const struct comparison *comparison)
{
    const struct rules_life *life = &comparison->profile->life;
    bool name_differs, code_differs;
    enum ca_err err;

    if (comparison->succession->successor->operation == RULES_REPLACE || life->holder_name == NULL)
        return CA_OK;
    if ((err = holder_part_differs(comparison, life->holder_name, &name_differs)) != CA_OK ||
        (err = holder_part_differs(comparison, life->holder_code, &code_differs)) != CA_OK)
        return err;
    if (name_differs && code_differs)
        return ca_refuse(comparison->refusal, CA_ERR_RENEW_IDENTITY_CHANGED, "predecessor",
                         "profile life.holder");
    return CA_OK;
}

/* ---- the key */

static enum ca_err check_key(const struct rules_succession *succession,
                             const struct crypto_public_key *key, struct ca_refusal *refusal)
{
    const struct rules_life *life = &succession->profile->life;
    const struct rules_successor *successor = succession->successor;
    bool is_same = crypto_public_key_equal(succession->old.key, key);
    enum rules_old_key wanted = successor->operation == RULES_RENEW     ? life->renew_key
                                : successor->operation == RULES_REPLACE ? life->replace_key
                                                                        : life->change_key;

    if (is_same && successor->cause == RULES_CAUSE_LOST)
        return ca_refuse(refusal, CA_ERR_RENEW_KEY, "csr.key", "a lost key is not used again");
    if ((is_same && wanted == RULES_OLD_KEY_MUST_NOT) || (!is_same && wanted == RULES_OLD_KEY_MUST))
        return ca_refuse(refusal, CA_ERR_RENEW_KEY, "csr.key", "profile life: key");
    return CA_OK;
}

/* ---- all of it */

static enum ca_err check_differences(const struct comparison *comparison,
                                     const struct differing *differing)
{
    enum rules_operation operation = comparison->succession->successor->operation;

    if (operation == RULES_REPLACE && differing->first != NULL)
        return ca_refuse(comparison->refusal, CA_ERR_CERT_CHANGED, differing->first,
                         "a replacement says what the old certificate said");
    if (operation == RULES_RENEW && differing->refused != NULL)
        return ca_refuse(comparison->refusal, CA_ERR_CERT_CHANGED, differing->refused,
                         "profile life.renew.may_differ");
    return CA_OK;
}

static enum ca_err check_cap(const struct rules_succession *succession,
                             const struct rules_draft *draft, struct ca_refusal *refusal)
{
    uint32_t months = succession->profile->life.total_months_max;

    if (succession->successor->operation != RULES_RENEW || months == 0)
        return CA_OK;
    struct rules_validity longest =
        rules_validity(RULES_VALIDITY_CIVIL, RULES_NEW, succession->issued_s, 0, months);
    if (draft->validity.not_after_s > longest.not_after_s)
        return ca_refuse(refusal, CA_ERR_RENEW_CAP, "notAfter", "profile life.renew.months_max");
    return CA_OK;
}

static enum rules_fate_time time_of(enum rules_old_fate fate)
{
    switch (fate) {
    case RULES_OLD_KEEP: return RULES_FATE_KEEP;
    case RULES_OLD_REVOKE: return RULES_FATE_WITH_NEW;
    case RULES_OLD_REVOKE_ACKNOWLEDGED: return RULES_FATE_ACKNOWLEDGED;
    }
    return RULES_FATE_KEEP;
}

static struct rules_fate fate_of(const struct rules_succession *succession, bool any_differs)
{
    const struct rules_life *life = &succession->profile->life;
    const struct rules_successor *successor = succession->successor;
    int64_t issued_s = succession->issued_s;
    struct rules_fate fate = { .time = RULES_FATE_KEEP, .reason = X509_CRL_SUPERSEDED };

    switch (successor->operation) {
    case RULES_NEW: break;
    case RULES_RENEW:
        if (issued_s <= succession->old.cert->not_after_s) /* what has expired is not revoked */
            fate.time = time_of(life->renew_old);
        break;
    case RULES_CHANGE:
        fate.time = time_of(life->change_old);
        if (any_differs)
            fate.reason = X509_CRL_AFFILIATION_CHANGED;
        break;
    case RULES_REPLACE:
        fate.time = RULES_FATE_WITH_NEW;
        if (successor->cause != RULES_CAUSE_LOST)
            break;
        fate.time = RULES_FATE_AT_ONCE;
        fate.reason = X509_CRL_KEY_COMPROMISE;
        fate.has_invalidity = true;
        fate.invalidity_s = successor->lost_s == 0 ? issued_s : successor->lost_s;
        break;
    }
    if (fate.time == RULES_FATE_KEEP)
        fate.reason = X509_CRL_UNSPECIFIED;
    return fate;
}

enum ca_err rules_life_compare(const struct rules_succession *succession,
                               const struct rules_draft *draft, const struct crypto_public_key *key,
                               struct ca_arena *arena, struct rules_fate *fate_out,
                               struct ca_refusal *refusal)
{
    struct x509_cert new;
    const struct comparison comparison = {
        .succession = succession,
        .profile = succession->profile,
        .old = succession->old.cert,
        .new = &new,
        .arena = arena,
        .refusal = refusal,
    };
    struct differing differing;
    enum ca_err err;

    *fate_out = (struct rules_fate){ .time = RULES_FATE_KEEP };
    if ((err = x509_tbs_parse(draft->tbs, &new, refusal)) != CA_OK ||
        (err = compare_all(&comparison, &differing)) != CA_OK ||
        (err = check_holder(&comparison)) != CA_OK ||
        (err = check_differences(&comparison, &differing)) != CA_OK ||
        (err = check_key(succession, key, refusal)) != CA_OK ||
        (err = check_cap(succession, draft, refusal)) != CA_OK)
        return err;
    *fate_out = fate_of(succession, differing.first != NULL);
    return CA_OK;
}
