/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/rules/issue.h"

#include <openssl/x509v3.h>

#include "tests/support/draft.h"
#include "tests/support/tsv.h"

static struct ca_arena *arena;
static const struct rules_profile *enterprise, *tls, *person;
static struct rules_issuer issuer;
static struct ca_refusal refusal;
static regex_t pattern;

static const struct rules_value USCC[] = {
    { CA_BYTES("uscc"), CA_BYTES("91350100M000100Y43") },
};
static const struct rules_request WITH_USCC = { .values = USCC, .value_count = 1 };

static void set_up(void)
{
    check_ok(ca_arena_new(1 << 20, 1 << 24, &arena));
    enterprise = profiles_prepared(profiles_enterprise_raw(arena), arena);
    tls = profiles_prepared(profiles_tls_raw(arena), arena);
    person = profiles_prepared(profiles_person_raw(arena, &pattern), arena);
    issuer = profiles_issuer(CRYPTO_SIG_ECDSA_SHA256, arena);
}

static void tear_down(void)
{
    regfree(&pattern);
    ca_arena_free(arena);
}

TestSuite(issue, .init = set_up, .fini = tear_down);

static enum ca_err draft_of(const struct rules_profile *profile,
                            const struct rules_request *request, const struct x509_csr *csr,
                            struct rules_draft *draft)
{
    const struct rules_order order = { profile, &issuer, request, csr, profiles_moment() };

    refusal = (struct ca_refusal){ "-", "-" };
    return rules_draft(&order, arena, draft, &refusal);
}

static const struct rules_profile *profile_of(const char *name)
{
    if (strcmp(name, "enterprise") == 0)
        return enterprise;
    if (strcmp(name, "tls") == 0)
        return tls;
    cr_assert_str_eq(name, "person");
    return person;
}

static void check_nothing_drafted(const struct rules_draft *draft)
{
    static const struct rules_draft nothing;

    cr_assert(
        ca_bytes_equal(ca_bytes_of(draft, sizeof(*draft)), ca_bytes_of(&nothing, sizeof(nothing))));
}

/* The subject as text, then the names. */
static const char *summary(struct ca_bytes tbs)
{
    static const char *const kinds[] = { [1] = "email", [2] = "dns", [6] = "uri", [7] = "ip" };
    static char text[8192];
    struct x509_cert cert;
    struct der_reader outer, names;
    struct der_value name;
    char hex[64];

    check_ok(x509_tbs_parse(tbs, &cert, &refusal));
    struct ca_bytes subject = x509_name_format(&cert.subject, arena);
    int len = snprintf(text, sizeof(text), "%.*s", (int)subject.len, (const char *)subject.data);
    const struct x509_extension *san = x509_cert_extension(&cert, X509_OID_SAN);
    if (san == NULL)
        return text;
    outer = der_reader_of(san->value);
    check_ok(der_read_into(&outer, DER_SEQUENCE, &names));
    while (!der_reader_at_end(&names)) {
        check_ok(der_read_any(&names, &name));
        struct ca_bytes value = name.content;
        if (name.tag == DER_CONTEXT(7)) {
            ca_text_hex(value, hex);
            value = ca_bytes_of_text(hex);
        }
        len += snprintf(text + len, sizeof(text) - (size_t)len, " %s=%.*s", kinds[name.tag & 7],
                        (int)value.len, (const char *)value.data);
    }
    return text;
}

/* One row of rules_draft.tsv against a request with a P-256 key. */
static void check_row(struct tsv *tsv)
{
    struct x509_csr csr;
    struct rules_value values[CA_ATTRIBUTE_COUNT_MAX];
    struct rules_san names[16];
    struct rules_request request = { .values = values, .sans = names };
    struct rules_draft draft;
    char **cells = tsv->fields;

    draft_load_csr("p256", &csr);
    csr.extension_count = 0;
    request.value_count = draft_values(cells[1], values);
    draft_subject(cells[2], &csr, arena);
    draft_request_names(cells[3], &csr, arena);
    request.san_count = draft_names(cells[4], names, arena);
    draft_extensions(cells[5], &csr, arena);
    request.term = strcmp(cells[6], "-") == 0 ? 0 : (uint32_t)strtoul(cells[6], NULL, 10);

    enum ca_err err = draft_of(profile_of(cells[0]), &request, &csr, &draft);
    cr_assert_str_eq(ca_err_name(err), cells[7], "line %u: %s %s %s", tsv->line, ca_err_name(err),
                     refusal.field, refusal.rule);
    const char *result = err == CA_OK ? summary(draft.tbs) : refusal.field;
    cr_assert_str_eq(result, cells[8], "line %u: %s (%s)", tsv->line, result, refusal.rule);
    if (err != CA_OK)
        check_nothing_drafted(&draft);
}

Test(issue, every_row_of_the_vectors_is_drafted_or_refused_as_written)
{
    struct tsv tsv = tsv_open("rules_draft.tsv");

    while (tsv_next(&tsv, 10))
        check_row(&tsv);
    cr_assert_geq(tsv.count, 60);
}

static const struct {
    const char *key;
    enum crypto_sig sig;
} kinds[] = {
    { "p256", CRYPTO_SIG_ECDSA_SHA256 },
    { "rsa2048", CRYPTO_SIG_RSA_SHA256 },
    { "ed25519", CRYPTO_SIG_ED25519 },
    { "sm2", CRYPTO_SIG_SM2_SM3 },
};
static const size_t kind_count = sizeof(kinds) / sizeof(kinds[0]);

static void draft_enterprise(size_t kind, struct rules_draft *draft)
{
    struct x509_csr csr;

    issuer = profiles_issuer(kinds[kind].sig, arena);
    draft_load_csr(kinds[kind].key, &csr);
    csr.extension_count = 0;
    check_ok(draft_of(enterprise, &WITH_USCC, &csr, draft));
}

Test(issue, drafts_are_the_golden_bytes)
{
    struct rules_draft draft;
    char name[64];

    for (size_t i = 0; i < kind_count; i++) {
        draft_enterprise(i, &draft);
        snprintf(name, sizeof(name), "rules/tbs_enterprise_%s", kinds[i].key);
        check_golden(name, draft.tbs);
    }
}

Test(issue, tls_drafts_are_the_golden_bytes)
{
    static const char *const keys[] = { "p256", "p384", "rsa2048" };
    const struct rules_request request = { 0 };
    struct rules_draft draft;
    struct x509_csr csr;
    char name[64];

    for (size_t i = 0; i < 3; i++) {
        draft_load_csr(keys[i], &csr);
        check_ok(draft_of(tls, &request, &csr, &draft));
        snprintf(name, sizeof(name), "rules/tbs_tls_%s", keys[i]);
        check_golden(name, draft.tbs);
    }
}

static struct rules_ca_request ca_request(const struct crypto_public_key *key)
{
    static const struct x509_attribute subject[] = {
        { CA_BYTES("\x55\x04\x06"), DER_PRINTABLE_STRING, CA_BYTES("CN") },
        { CA_BYTES("\x55\x04\x03"), DER_UTF8_STRING, CA_BYTES("Root") },
    };

    return (struct rules_ca_request){
        .subject = subject,
        .subject_count = 2,
        .key = key,
        .sig = CRYPTO_SIG_ECDSA_SHA256,
        .not_before_s = PROFILES_NOW_S,
        .not_after_s = PROFILES_NOW_S + 10LL * 365 * 86400,
        .path_len = -1,
        .serial = profiles_serial(),
    };
}

Test(issue, certificates_of_cas_are_the_golden_bytes)
{
    struct x509_csr csr;
    struct ca_bytes tbs;

    draft_load_csr("p256", &csr);
    struct rules_ca_request request = ca_request(&csr.key);
    check_ok(rules_root_draft(&request, arena, &tbs, &refusal));
    check_golden("rules/tbs_root_p256", tbs);
    request.issuer = &issuer;
    request.path_len = 0;
    check_ok(rules_root_draft(&request, arena, &tbs, &refusal));
    check_golden("rules/tbs_lower_p256", tbs);
}

Test(issue, a_lower_ca_never_outlives_its_issuer)
{
    struct x509_csr csr;
    struct ca_bytes tbs;

    draft_load_csr("p256", &csr);
    struct rules_ca_request request = ca_request(&csr.key);
    request.issuer = &issuer;
    request.not_after_s = issuer.not_after_s;
    check_ok(rules_root_draft(&request, arena, &tbs, &refusal));
    request.not_after_s++;
    check_err(rules_root_draft(&request, arena, &tbs, &refusal), CA_ERR_CA_END);
    cr_assert_null(tbs.data);
    request.not_after_s--;
    request.not_before_s = issuer.not_before_s - 1;
    check_err(rules_root_draft(&request, arena, &tbs, &refusal), CA_ERR_CA_END);
}

Test(issue, a_ca_without_a_name_is_refused)
{
    struct x509_csr csr;
    struct ca_bytes tbs;

    draft_load_csr("p256", &csr);
    struct rules_ca_request request = ca_request(&csr.key);
    request.subject_count = 0;
    check_err(rules_root_draft(&request, arena, &tbs, &refusal), CA_ERR_LINT);
    cr_assert_null(tbs.data);
}

/* Signs the draft with a fresh key and has OpenSSL read and verify the result. */
static void check_openssl_takes(struct ca_bytes tbs, size_t kind)
{
    static const enum crypto_key_type types[] = { CRYPTO_KEY_P256, CRYPTO_KEY_RSA,
                                                  CRYPTO_KEY_ED25519, CRYPTO_KEY_SM2 };
    struct crypto *crypto;
    struct crypto_private_key *key;
    struct crypto_signature signature;
    static uint8_t buffer[CA_CERTIFICATE_LEN_MAX], spki[1024];
    struct der_writer writer;

    check_ok(crypto_open(&crypto));
    check_ok(crypto_private_key_generate(types[kind], 2048, &key));
    check_ok(crypto_sign_many(crypto, key, kinds[kind].sig, &tbs, 1, &signature));
    der_writer_init(&writer, spki, sizeof(spki));
    x509_spki_write(&writer, crypto_private_key_public(key));
    const uint8_t *at = der_writer_bytes(&writer).data;
    EVP_PKEY *public_key = d2i_PUBKEY(NULL, &at, (long)der_writer_bytes(&writer).len);
    cr_assert_not_null(public_key);

    der_writer_init(&writer, buffer, sizeof(buffer));
    x509_signed_write(&writer, tbs, kinds[kind].sig, ca_bytes_of(signature.bytes, signature.len));
    struct ca_bytes der = der_writer_bytes(&writer);
    at = der.data;
    X509 *cert = d2i_X509(NULL, &at, (long)der.len);
    cr_assert_not_null(cert);
    cr_assert_eq(at, der.data + der.len);
    if (types[kind] == CRYPTO_KEY_SM2) {
        ASN1_OCTET_STRING *id = ASN1_OCTET_STRING_new();
        ASN1_OCTET_STRING_set(id, (const unsigned char *)"1234567812345678", 16);
        X509_set0_distinguishing_id(cert, id);
    }
    cr_assert_eq(X509_verify(cert, public_key), 1);
    cr_assert_eq(X509_get_extension_flags(cert) & EXFLAG_INVALID, 0);
    X509_free(cert);
    EVP_PKEY_free(public_key);
    crypto_private_key_free(key);
    crypto_close(crypto);
}

Test(issue, openssl_reads_and_verifies_what_was_drafted_and_signed)
{
    struct rules_draft draft;

    cr_assert_eq(CRYPTO_secure_malloc_init(1 << 18, 32), 1); /* where private keys live */
    for (size_t i = 0; i < kind_count; i++) {
        draft_enterprise(i, &draft);
        check_openssl_takes(draft.tbs, i);
    }
}

static enum ca_err draft_at(int64_t issued_s, enum rules_operation operation,
                            int64_t old_not_after_s, uint32_t term, struct rules_draft *draft)
{
    struct rules_request request = WITH_USCC;
    struct x509_csr csr;
    struct rules_order order = { enterprise, &issuer, &request, &csr, profiles_moment() };

    draft_load_csr("p256", &csr);
    csr.extension_count = 0;
    request.term = term;
    order.moment.issued_s = issued_s;
    order.moment.operation = operation;
    order.moment.old_not_after_s = old_not_after_s;
    return rules_draft(&order, arena, draft, &refusal);
}

Test(issue, no_certificate_outlives_its_issuer_by_a_second)
{
    struct rules_validity v =
        rules_validity(RULES_VALIDITY_CIVIL, RULES_NEW, PROFILES_NOW_S, 0, 24);
    struct rules_draft draft;

    issuer.not_after_s = v.not_after_s;
    check_ok(draft_at(PROFILES_NOW_S, RULES_NEW, 0, 24, &draft));
    cr_assert(draft.validity.not_after_s == issuer.not_after_s);
    issuer.not_after_s--;
    check_err(draft_at(PROFILES_NOW_S, RULES_NEW, 0, 24, &draft), CA_ERR_CA_END);
    cr_assert_str_eq(refusal.field, "issuer.notAfter");
    cr_assert(draft.validity.not_after_s == v.not_after_s); /* so that a person sees why */
    draft.validity = (struct rules_validity){ 0 };
    check_nothing_drafted(&draft);
}

Test(issue, nothing_is_issued_before_the_issuer_is_valid)
{
    struct rules_draft draft;

    issuer.not_before_s = PROFILES_NOW_S;
    check_ok(draft_at(PROFILES_NOW_S, RULES_NEW, 0, 0, &draft));
    cr_assert(draft.validity.not_before_s < issuer.not_before_s); /* the day began before */
    check_err(draft_at(PROFILES_NOW_S - 1, RULES_NEW, 0, 0, &draft), CA_ERR_CA_END);
    cr_assert_str_eq(refusal.field, "issuer.notBefore");
}

Test(issue, a_renewal_adds_to_the_old_end_and_a_change_keeps_it)
{
    struct rules_draft draft;
    const int64_t old_s = PROFILES_NOW_S + 100 * 86400;

    check_ok(draft_at(PROFILES_NOW_S, RULES_RENEW, old_s, 12, &draft));
    cr_assert(draft.validity.not_after_s > old_s + 364 * 86400);
    check_ok(draft_at(PROFILES_NOW_S, RULES_CHANGE, old_s, 0, &draft));
    cr_assert(draft.validity.not_after_s == old_s);
    check_err(draft_at(PROFILES_NOW_S, RULES_REPLACE, old_s, 12, &draft), CA_ERR_TERM);
}

Test(issue, the_same_arguments_give_the_same_bytes)
{
    struct rules_draft first, second;

    draft_enterprise(0, &first);
    draft_enterprise(0, &second);
    check_bytes(first.tbs, second.tbs);
}

Test(issue, a_draft_is_found_by_the_pairs_of_its_identity)
{
    struct rules_draft draft;
    uint8_t identity[CA_DIGEST_LEN];

    draft_enterprise(0, &draft);
    rules_identity(USCC, 1, identity);
    check_bytes(ca_bytes_of(draft.identity, CA_DIGEST_LEN), ca_bytes_of(identity, CA_DIGEST_LEN));
}

Test(issue, the_order_of_pairs_does_not_matter_to_identity_but_their_borders_do)
{
    const struct rules_value pairs[] = {
        { CA_BYTES("O"), CA_BYTES("Example") },
        { CA_BYTES("CN"), CA_BYTES("b") },
        { CA_BYTES("CN"), CA_BYTES("a") },
    };
    const struct rules_value turned[] = { pairs[1], pairs[2], pairs[0] };
    const struct rules_value shifted[] = {
        { CA_BYTES("OE"), CA_BYTES("xample") },
        { CA_BYTES("CN"), CA_BYTES("b") },
        { CA_BYTES("CN"), CA_BYTES("a") },
    };
    /* One pair whose value goes on as a second pair would, lengths of none in front; and both. */
    const struct rules_value joined[] = { { CA_BYTES("O"), CA_BYTES("a\0\0\0\1\0\0\0\0PQ") } };
    const struct rules_value parted[] = { { CA_BYTES("O"), CA_BYTES("a") },
                                          { CA_BYTES("P"), CA_BYTES("Q") } };
    uint8_t a[CA_DIGEST_LEN], b[CA_DIGEST_LEN], c[CA_DIGEST_LEN];

    rules_identity(pairs, 3, a);
    rules_identity(turned, 3, b);
    rules_identity(shifted, 3, c);
    check_bytes(ca_bytes_of(a, CA_DIGEST_LEN), ca_bytes_of(b, CA_DIGEST_LEN));
    cr_assert(!ca_bytes_equal(ca_bytes_of(a, CA_DIGEST_LEN), ca_bytes_of(c, CA_DIGEST_LEN)));
    rules_identity(joined, 1, a);
    rules_identity(parted, 2, b);
    cr_assert(!ca_bytes_equal(ca_bytes_of(a, CA_DIGEST_LEN), ca_bytes_of(b, CA_DIGEST_LEN)));
}

Test(issue, a_certificate_without_identity_shares_it_with_no_other)
{
    const uint8_t ip[] = { 127, 0, 0, 1 };
    const struct rules_san name = { RULES_SAN_IP, ca_bytes_of(ip, sizeof(ip)) };
    const struct rules_request request = { .sans = &name, .san_count = 1 };
    struct rules_draft first, second;
    struct x509_csr csr;
    struct rules_order order = { tls, &issuer, &request, &csr, profiles_moment() };

    draft_load_csr("p256", &csr);
    csr.extension_count = 0;
    csr.subject.count = 0;
    check_ok(rules_draft(&order, arena, &first, &refusal));
    order.moment.serial.bytes[CA_SERIAL_LEN - 1]++;
    check_ok(rules_draft(&order, arena, &second, &refusal));
    cr_assert(!ca_bytes_equal(ca_bytes_of(first.identity, CA_DIGEST_LEN),
                              ca_bytes_of(second.identity, CA_DIGEST_LEN)));
}

Test(issue, the_shard_comes_from_the_random_part_of_the_serial_and_names_the_crl)
{
    struct ca_serial serial = profiles_serial();

    issuer.crl_shard_count = 1000;
    /* 0x030405060708090a mod 1000 */
    cr_assert_eq(rules_crl_shard(&issuer, &serial), 0x030405060708090aULL % 1000);
    check_bytes(rules_crl_url(&issuer, 0, arena), CA_BYTES("http://pki.test.example/crl/0.crl"));
    check_bytes(rules_crl_url(&issuer, 4294967295u, arena),
                CA_BYTES("http://pki.test.example/crl/4294967295.crl"));
    issuer.crl_url = CA_BYTES("http://pki.test.example/100%.crl");
    check_bytes(rules_crl_url(&issuer, 7, arena), issuer.crl_url);
    issuer.crl_url = CA_BYTES("%s");
    check_bytes(rules_crl_url(&issuer, 70, arena), CA_BYTES("70"));
}

/* The value of an extension of a draft; empty: it has none. */
static struct ca_bytes extension_of(struct ca_bytes tbs, struct ca_bytes oid)
{
    static struct x509_cert cert;

    check_ok(x509_tbs_parse(tbs, &cert, &refusal));
    const struct x509_extension *extension = x509_cert_extension(&cert, oid);
    cr_assert(extension == NULL || !extension->is_critical);
    return extension == NULL ? (struct ca_bytes){ 0 } : extension->value;
}

Test(issue, delta_lists_are_named_where_profile_and_issuer_say_so)
{
    /* SEQUENCE { SEQUENCE { [0] { [0] { [6] ... } } } }: the distribution point with another URL */
    static const char want[] = "\x30\x29\x30\x27\xa0\x25\xa0\x23\x86\x21"
                               "http://pki.test.example/delta/2.x";
    struct ca_serial serial = profiles_serial();
    struct rules_draft plain, draft;
    struct ca_bytes tbs;

    cr_assert_eq(rules_crl_shard(&issuer, &serial), 2);
    check_ok(draft_at(PROFILES_NOW_S, RULES_NEW, 0, 0, &plain));
    issuer.crl_delta_url = CA_BYTES("http://pki.test.example/delta/%s.x");
    check_ok(draft_at(PROFILES_NOW_S, RULES_NEW, 0, 0, &draft));
    check_bytes(draft.tbs, plain.tbs);
    struct rules_profile with = *enterprise;
    with.has_freshest_crl = true;
    enterprise = &with;
    check_ok(draft_at(PROFILES_NOW_S, RULES_NEW, 0, 0, &draft));
    tbs = draft.tbs;
    check_bytes(extension_of(tbs, X509_OID_FRESHEST_CRL), CA_BYTES(want));
    check_bytes(extension_of(tbs, X509_OID_CRL_DISTRIBUTION_POINTS),
                extension_of(plain.tbs, X509_OID_CRL_DISTRIBUTION_POINTS));
    /* The extension is all that is more. */
    cr_assert_eq(tbs.len, plain.tbs.len + sizeof(want) - 1 + 9);
    issuer.crl_delta_url.len = 0;
    check_ok(draft_at(PROFILES_NOW_S, RULES_NEW, 0, 0, &draft));
    check_bytes(draft.tbs, plain.tbs);
}

Test(issue, shards_are_filled_evenly)
{
    enum { SHARDS = 8, ROUNDS = 8000 };
    unsigned counts[SHARDS] = { 0 };
    uint8_t random[CA_SERIAL_RANDOM_LEN];

    for (unsigned i = 0; i < ROUNDS; i++) {
        check_ok(crypto_random(random, sizeof(random)));
        struct ca_serial serial = ca_serial_make(1, 1, random);
        counts[rules_crl_shard(&issuer, &serial)]++;
    }
    for (unsigned i = 0; i < SHARDS; i++)
        cr_assert(counts[i] > 700 && counts[i] < 1300, "shard %u: %u", i, counts[i]);
}

Test(issue, a_draft_without_addresses_has_none_and_passes)
{
    struct rules_draft draft;
    struct x509_cert cert;

    issuer.crl_url = issuer.ocsp_url = issuer.ca_issuers_url = (struct ca_bytes){ 0 };
    check_ok(draft_at(PROFILES_NOW_S, RULES_NEW, 0, 0, &draft));
    check_ok(x509_tbs_parse(draft.tbs, &cert, &refusal));
    cr_assert_null(x509_cert_extension(&cert, X509_OID_AIA));
    cr_assert_null(x509_cert_extension(&cert, X509_OID_CRL_DISTRIBUTION_POINTS));
}

Test(issue, a_thousand_names_are_refused_by_their_count)
{
    enum { COUNT = 1000, SIZE = 16384 };
    const struct rules_request request = { 0 };
    struct der_writer writer;
    struct rules_draft draft;
    struct x509_csr csr;
    char name[16];

    draft_load_csr("p256", &csr);
    der_writer_init(&writer, ca_arena_alloc(arena, SIZE), SIZE);
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(name, sizeof(name), "n%u.example", i);
        der_write_value(&writer, DER_CONTEXT(2), ca_bytes_of_text(name));
    }
    der_write_header(&writer, DER_SEQUENCE, 0);
    csr.extensions[0].value = der_writer_bytes(&writer);
    check_err(draft_of(tls, &request, &csr, &draft), CA_ERR_SAN_COUNT);
    check_nothing_drafted(&draft);
}

Test(issue, an_exhausted_arena_is_busy_and_drafts_nothing)
{
    struct ca_arena *small;
    struct rules_draft draft;
    struct x509_csr csr;
    const struct rules_order order = { enterprise, &issuer, &WITH_USCC, &csr, profiles_moment() };

    draft_load_csr("p256", &csr);
    csr.extension_count = 0;
    check_ok(ca_arena_new(64, 64, &small));
    check_err(rules_draft(&order, small, &draft, &refusal), CA_ERR_BUSY);
    check_nothing_drafted(&draft);
    ca_arena_free(small);
}
