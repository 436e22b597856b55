/* SPDX-License-Identifier: Apache-2.0 */
/* What rules_life_compare() sees in two certificates made by hand. Vectors: test_life.c. */
#include "ca/rules/life.h"
#include "tests/support/draft.h"

static struct ca_arena *arena;
static struct rules_issuer issuer;
static struct ca_refusal refusal;

static void set_up(void)
{
    check_ok(ca_arena_new(1 << 20, 1 << 24, &arena));
    issuer = profiles_issuer(CRYPTO_SIG_ECDSA_SHA256, arena);
}

static void tear_down(void)
{
    ca_arena_free(arena);
}

TestSuite(life_compare, .init = set_up, .fini = tear_down);

/* Two certificates that say the same for two keys; a test then makes them differ. */
struct pair {
    struct rules_profile *profile;
    struct x509_cert cert;                   /* the old one */
    const struct crypto_public_key *old_key; /* NULL: the one in it */
    struct rules_successor successor;
    struct x509_csr csr;
    struct rules_draft draft; /* the new one */
    struct rules_fate fate;
};

static struct pair pair_of(struct rules_profile *profile, enum rules_operation operation)
{
    struct draft_case from = draft_case_of(profile, &issuer, arena);
    struct pair pair = {
        .profile = profile,
        .successor = { .operation = operation,
                       .cause =
                           operation == RULES_REPLACE ? RULES_CAUSE_DAMAGED : RULES_CAUSE_NONE },
    };
    const char *values = strcmp(profile->name, "enterprise") == 0
                             ? "O=Example Ltd;CN=Example;uscc=91350100M000100Y43"
                             : "dns=a.test.example";
    struct ca_bytes cells[2];

    for (size_t i = 0; i < 2; i++) { /* with a NUL behind, to be cut up */
        cells[i] = ca_arena_copy(arena, ca_bytes_of(values, strlen(values)));
        cr_assert_not_null(cells[i].data);
    }
    profiles_prepared(profile, arena);
    check_ok(draft_make(&from, (char *)(uintptr_t)cells[0].data, &pair.csr, &pair.draft, &refusal));
    check_ok(x509_tbs_parse(pair.draft.tbs, &pair.cert, &refusal));
    from.moment.operation = operation;
    from.moment.old_not_after_s = pair.cert.not_after_s;
    from.key = "rsa2048";
    check_ok(draft_make(&from, (char *)(uintptr_t)cells[1].data, &pair.csr, &pair.draft, &refusal));
    return pair;
}

static enum ca_err pair_compare(struct pair *pair, struct ca_arena *scratch)
{
    const struct rules_succession succession = {
        .profile = pair->profile,
        .old = { .cert = &pair->cert,
                 .key = pair->old_key == NULL ? &pair->cert.key : pair->old_key,
                 .is_head = true },
        .successor = &pair->successor,
        .issued_s = PROFILES_NOW_S,
    };

    return rules_life_compare(&succession, &pair->draft, &pair->csr.key, scratch, &pair->fate,
                              &refusal);
}

static void pair_add_attribute(struct pair *pair, struct x509_attribute attribute)
{
    pair->cert.subject.whole = CA_BYTES("longer");
    pair->cert.subject.attributes[pair->cert.subject.count++] = attribute;
}

/* As if the old certificate had not had it: another takes its place that nobody compares. */
static void pair_hide_extension(struct pair *pair, struct ca_bytes oid)
{
    for (size_t i = 0; i < pair->cert.extension_count; i++) {
        if (ca_bytes_equal(pair->cert.extensions[i].oid, oid))
            pair->cert.extensions[i].oid = X509_OID_AIA;
    }
}

static void pair_add_extension(struct pair *pair, struct ca_bytes oid, struct ca_bytes value)
{
    pair->cert.extensions[pair->cert.extension_count++] =
        (struct x509_extension){ .oid = oid, .value = value };
}

/* An extension or attribute that the profile has never heard of. */
static enum ca_err compare_with_stranger(enum rules_operation operation, bool is_extension,
                                         const char *may_differ)
{
    struct rules_profile *profile = profiles_enterprise_raw(arena);

    profile->life.renew_may_differ[0] = may_differ;
    struct pair pair = pair_of(profile, operation);
    if (is_extension)
        pair_add_extension(&pair, CA_BYTES("\x2a\x03\x04"), CA_BYTES("\x05\x00"));
    else
        pair_add_attribute(&pair, (struct x509_attribute){ CA_BYTES("\x55\x04\x2a"),
                                                           DER_UTF8_STRING, CA_BYTES("Given") });
    return pair_compare(&pair, arena);
}

Test(life_compare, what_the_profile_no_longer_knows_is_not_dropped_in_silence)
{
    check_err(compare_with_stranger(RULES_REPLACE, true, "*"), CA_ERR_CERT_CHANGED);
    cr_assert_str_eq(refusal.field, "extensions");
    check_err(compare_with_stranger(RULES_REPLACE, false, "*"), CA_ERR_CERT_CHANGED);
    cr_assert_str_eq(refusal.field, "subject");
    check_err(compare_with_stranger(RULES_RENEW, true, "O"), CA_ERR_CERT_CHANGED);
    check_err(compare_with_stranger(RULES_RENEW, false, "O"), CA_ERR_CERT_CHANGED);
    check_ok(compare_with_stranger(RULES_RENEW, false, "*"));
    check_ok(compare_with_stranger(RULES_CHANGE, true, "O"));
}

Test(life_compare, alternative_names_that_come_or_go_altogether_differ)
{
    static const char name[] = "\x30\x10\x82\x0e"
                               "a.test.example";
    struct rules_profile *tls = profiles_tls_raw(arena);
    struct pair pair = pair_of(profiles_enterprise_raw(arena), RULES_REPLACE);

    check_ok(pair_compare(&pair, arena));
    pair_add_extension(&pair, X509_OID_SAN, ca_bytes_of(name, sizeof(name) - 1));
    check_err(pair_compare(&pair, arena), CA_ERR_CERT_CHANGED);
    cr_assert_str_eq(refusal.field, "alt_names");

    pair = pair_of(tls, RULES_REPLACE);
    check_ok(pair_compare(&pair, arena));
    pair_hide_extension(&pair, X509_OID_SAN);
    check_err(pair_compare(&pair, arena), CA_ERR_CERT_CHANGED);
    cr_assert_str_eq(refusal.field, "alt_names");
}

/* A name of another kind that has the same octets. */
Test(life_compare, alternative_names_of_different_kinds_differ)
{
    static const char mail[] = "\x30\x10\x81\x0e"
                               "a.test.example";
    struct pair pair = pair_of(profiles_tls_raw(arena), RULES_REPLACE);

    pair_hide_extension(&pair, X509_OID_SAN);
    pair_add_extension(&pair, X509_OID_SAN, ca_bytes_of(mail, sizeof(mail) - 1));
    check_err(pair_compare(&pair, arena), CA_ERR_CERT_CHANGED);
    cr_assert_str_eq(refusal.field, "alt_names");
}

Test(life_compare, a_value_that_the_old_certificate_did_not_have_differs)
{
    struct pair pair = pair_of(profiles_enterprise_raw(arena), RULES_REPLACE);

    pair_hide_extension(&pair, pair.profile->attributes[6].oid);
    check_err(pair_compare(&pair, arena), CA_ERR_CERT_CHANGED);
    cr_assert_str_eq(refusal.field, "extension.uscc");
}

/* Code and name both new, but for the organisation's own code inside: also in the subject. */
Test(life_compare, a_credit_code_in_the_subject_is_looked_into_as_well)
{
    struct rules_profile *profile = profiles_enterprise_raw(arena);
    struct rules_attribute *uscc = &profile->attributes[6];

    uscc->is_extension = false;
    uscc->is_in_subject = true;
    struct pair pair = pair_of(profile, RULES_CHANGE);
    pair.cert.subject.whole = CA_BYTES("other");
    pair.cert.subject.attributes[1].value = CA_BYTES("Old Ltd");
    cr_assert(ca_bytes_equal(pair.cert.subject.attributes[3].oid, uscc->oid));
    pair.cert.subject.attributes[3].value = CA_BYTES("91440300M000100Y40");
    check_ok(pair_compare(&pair, arena));
    pair.cert.subject.attributes[3].value = CA_BYTES("91110108722619411A");
    check_err(pair_compare(&pair, arena), CA_ERR_RENEW_IDENTITY_CHANGED);
}

static void check_key(struct pair *pair, struct crypto_public_key key, enum ca_err want)
{
    pair->old_key = &key;
    check_err(pair_compare(pair, arena), want);
}

Test(life_compare, a_key_is_the_same_when_all_its_numbers_are)
{
    struct pair pair = pair_of(profiles_enterprise_raw(arena), RULES_RENEW);
    struct crypto_public_key key = pair.csr.key;

    check_key(&pair, key, CA_ERR_RENEW_KEY);
    key.modulus = ca_bytes_of(key.modulus.data + 1, key.modulus.len - 1);
    check_key(&pair, key, CA_OK);
    key = pair.csr.key;
    key.exponent = CA_BYTES("\x03");
    check_key(&pair, key, CA_OK);

    pair.csr.key = pair.cert.key; /* P-256 */
    key = pair.csr.key;
    check_key(&pair, key, CA_ERR_RENEW_KEY);
    key.point = ca_bytes_of(key.point.data, key.point.len - 1);
    check_key(&pair, key, CA_OK);
    key = pair.csr.key;
    key.type = CRYPTO_KEY_SM2;
    check_key(&pair, key, CA_OK);
}

/* A BMPString is converted in the arena. */
Test(life_compare, a_lack_of_memory_is_no_difference)
{
    enum { LEN = 2048, HEADER_LEN = 4 };
    static uint8_t bmp[HEADER_LEN + LEN] = { DER_BMP_STRING, 0x82, LEN >> 8, LEN & 0xff };
    const struct x509_attribute attribute = { CA_BYTES("\x55\x04\x0a"), DER_BMP_STRING,
                                              ca_bytes_of(bmp + HEADER_LEN, LEN) };
    struct rules_profile *profile = profiles_enterprise_raw(arena);
    struct pair pair = pair_of(profile, RULES_CHANGE);
    struct ca_arena *small;

    check_ok(ca_arena_new(256, 512, &small));
    pair.cert.subject.whole = CA_BYTES("other");
    pair.cert.subject.attributes[1] = attribute;
    check_err(pair_compare(&pair, small), CA_ERR_BUSY);
    check_ok(pair_compare(&pair, arena));
    cr_assert_eq(pair.fate.reason, X509_CRL_AFFILIATION_CHANGED);

    pair = pair_of(profiles_enterprise_raw(arena), RULES_CHANGE);
    for (size_t i = 0; i < pair.cert.extension_count; i++) {
        if (ca_bytes_equal(pair.cert.extensions[i].oid, profile->attributes[6].oid))
            pair.cert.extensions[i].value = ca_bytes_of(bmp, sizeof(bmp));
    }
    check_err(pair_compare(&pair, small), CA_ERR_BUSY);
    check_ok(pair_compare(&pair, arena));
    cr_assert_eq(pair.fate.reason, X509_CRL_AFFILIATION_CHANGED);
    ca_arena_free(small);
}

/* The same characters in another string type are the same information. */
Test(life_compare, a_string_type_is_no_information)
{
    struct pair pair = pair_of(profiles_enterprise_raw(arena), RULES_REPLACE);

    pair.cert.subject.whole = CA_BYTES("other");
    cr_assert_eq(pair.cert.subject.attributes[1].tag, DER_UTF8_STRING);
    pair.cert.subject.attributes[1].tag = DER_PRINTABLE_STRING;
    pair.cert.subject.attributes[2].tag = DER_BMP_STRING;
    pair.cert.subject.attributes[2].value = ca_bytes_of("\0E\0x\0a\0m\0p\0l\0e", 14);
    check_ok(pair_compare(&pair, arena));
    for (size_t i = 0; i < pair.cert.extension_count; i++) {
        if (ca_bytes_equal(pair.cert.extensions[i].oid, pair.profile->attributes[6].oid))
            pair.cert.extensions[i].value = CA_BYTES("\x13\x12"
                                                     "91350100M000100Y43");
    }
    check_ok(pair_compare(&pair, arena));
    pair.cert.subject.attributes[1].tag = DER_OCTET_STRING; /* what is no text differs */
    check_err(pair_compare(&pair, arena), CA_ERR_CERT_CHANGED);
    cr_assert_str_eq(refusal.field, "subject.O");
}
