/* SPDX-License-Identifier: Apache-2.0 */
/*
 * profiles: profiles and an issuer for tests and benchmarks, filled in by hand.
 *
 * profile_enterprise() and profile_tls() say what tools/profiles/ says; profile_person() has
 * what those two leave out.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include "ca/rules/issue.h"
#include "ca/x509/name.h"

/* 2026-11-22T10:30:00Z */
static const int64_t PROFILES_NOW_S = 1795343400;

static inline void profiles_must(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "profiles: %s\n", what);
    abort();
}

static inline struct ca_bytes profiles_oid(const char *dotted, struct ca_arena *arena)
{
    struct ca_bytes oid;

    profiles_must(x509_oid_parse(dotted, arena, &oid) == CA_OK, dotted);
    return oid;
}

/* An optional attribute of the subject, as the configuration would default it. */
static inline struct rules_attribute *profiles_add(struct rules_profile *profile, const char *name,
                                                   enum rules_source source)
{
    const struct x509_attribute_type *type = x509_attribute_type_by_name(name);
    struct rules_attribute *attribute = &profile->attributes[profile->attribute_count++];

    *attribute = (struct rules_attribute){
        .name = name,
        .oid = type == NULL ? (struct ca_bytes){ 0 } : type->oid,
        .tag = type == NULL ? DER_UTF8_STRING : type->default_tag,
        .source = source,
        .presence = RULES_OPTIONAL,
        .len_min = 1,
        .len_max = type == NULL ? 255 : type->upper_bound,
        .is_in_subject = true,
    };
    return attribute;
}

static inline struct rules_attribute *profiles_add_extension(struct rules_profile *profile,
                                                             const char *name, struct ca_bytes oid,
                                                             enum rules_source source)
{
    struct rules_attribute *attribute = profiles_add(profile, name, source);

    attribute->oid = oid;
    attribute->is_in_subject = false;
    attribute->is_extension = true;
    return attribute;
}

static inline struct rules_profile *profiles_new(const char *name, struct ca_arena *arena)
{
    struct rules_profile *profile = ca_arena_alloc(arena, sizeof(*profile));

    profiles_must(profile != NULL, "memory");
    profile->name = name;
    profile->key_usage_is_critical = true;
    profile->san.from_request = true;
    profile->san.count_max = 100;
    return profile;
}

static inline const struct rules_profile *profiles_prepared(struct rules_profile *profile,
                                                            struct ca_arena *arena)
{
    struct ca_refusal refusal = { "?", "?" };

    if (rules_profile_prepare(profile, arena, &refusal) != CA_OK) {
        fprintf(stderr, "%s: %s\n", refusal.field, refusal.rule);
        profiles_must(false, profile->name);
    }
    return profile;
}

static inline void profiles_allow_key(struct rules_profile *profile, enum crypto_key_type type)
{
    profile->keys[profile->key_count++] = (struct rules_key_allowed){
        .type = type,
        .bits_min = CA_RSA_BITS_MIN,
        .bits_max = CA_RSA_BITS_MAX,
    };
}

static inline struct rules_profile *profiles_enterprise_raw(struct ca_arena *arena)
{
    static const uint32_t months[] = { 12, 24, 36, 48, 60, 3 };
    struct rules_profile *profile = profiles_new("enterprise", arena);

    profiles_allow_key(profile, CRYPTO_KEY_SM2);
    profiles_allow_key(profile, CRYPTO_KEY_P256);
    profiles_allow_key(profile, CRYPTO_KEY_RSA);
    profiles_allow_key(profile, CRYPTO_KEY_ED25519);
    profiles_add(profile, "C", RULES_FIXED)->fixed_value = "CN";
    profiles_add(profile, "ST", RULES_FROM_EITHER);
    profiles_add(profile, "L", RULES_FROM_EITHER);
    profiles_add(profile, "O", RULES_FROM_EITHER)->presence = RULES_REQUIRED;
    profiles_add(profile, "OU", RULES_FROM_EITHER);
    profiles_add(profile, "CN", RULES_FROM_EITHER)->presence = RULES_REQUIRED;
    struct rules_attribute *uscc = profiles_add_extension(
        profile, "uscc", profiles_oid("1.2.156.10260.4.1.4", arena), RULES_FROM_CALLER);
    uscc->presence = RULES_REQUIRED;
    uscc->len_min = uscc->len_max = 18;
    uscc->check = RULES_CHECK_USCC;
    profile->identity[profile->identity_count++] = "uscc";
    profile->key_usage = X509_KU_DIGITAL_SIGNATURE | X509_KU_NON_REPUDIATION;
    profile->validity = RULES_VALIDITY_CIVIL;
    profile->term_count = sizeof(months) / sizeof(months[0]);
    memcpy(profile->terms, months, sizeof(months));
    profile->life = (struct rules_life){
        .allows_renew = true,
        .allows_replace = true,
        .allows_change = true,
        .renew_after_days = 365,
        .total_months_max = 61,
        .renew_key = RULES_OLD_KEY_MUST_NOT,
        .replace_key = RULES_OLD_KEY_MUST_NOT,
        .change_key = RULES_OLD_KEY_MUST_NOT,
        .change_old = RULES_OLD_REVOKE_ACKNOWLEDGED,
        .renew_may_differ = { "*" },
        .renew_may_differ_count = 1,
        .holder_name = "O",
        .holder_code = "uscc",
        .reasons = RULES_REASONS_DEFAULT,
    };
    return profile;
}

static inline struct rules_profile *profiles_tls_raw(struct ca_arena *arena)
{
    static const uint32_t days[] = { 200, 90, 47 };
    struct rules_profile *profile = profiles_new("tls-server", arena);

    profiles_allow_key(profile, CRYPTO_KEY_P256);
    profiles_allow_key(profile, CRYPTO_KEY_P384);
    profiles_allow_key(profile, CRYPTO_KEY_RSA);
    profiles_add(profile, "CN", RULES_FROM_REQUEST);
    profile->ignores_request_subject = true;
    profile->identity[profile->identity_count++] = "dns";
    profile->san.allows_dns = profile->san.allows_wildcard = profile->san.allows_ip = true;
    profile->san.from_caller = true;
    profile->san.count_min = 1;
    profile->san.includes_cn = true;
    profile->key_usage = X509_KU_DIGITAL_SIGNATURE;
    profile->key_usage_rsa = X509_KU_KEY_ENCIPHERMENT;
    profile->ext_key_usages[profile->ext_key_usage_count++] =
        profiles_oid("1.3.6.1.5.5.7.3.1", arena);
    profile->policies[profile->policy_count++].oid = profiles_oid("2.23.140.1.2.1", arena);
    profile->has_basic_constraints = true;
    profile->validity = RULES_VALIDITY_DURATION;
    for (size_t i = 0; i < sizeof(days) / sizeof(days[0]); i++)
        profile->terms[profile->term_count++] = days[i] * 86400;
    profile->life = (struct rules_life){
        .allows_renew = true,
        .renew_before_days = 30,
        .renews_from_issue = true,
        .replace_key = RULES_OLD_KEY_MUST_NOT,
        .change_key = RULES_OLD_KEY_MUST_NOT,
        .change_old = RULES_OLD_REVOKE_ACKNOWLEDGED,
        .reasons = RULES_REASONS_DEFAULT,
    };
    return profile;
}

/* pattern: of serialNumber; lives as long as the profile. */
static inline struct rules_profile *profiles_person_raw(struct ca_arena *arena, regex_t *pattern)
{
    struct rules_profile *profile = profiles_new("person", arena);

    profiles_must(regcomp(pattern, "^([A-Z]{2}[0-9]{4})$", REG_EXTENDED | REG_NOSUB) == 0, "regex");
    profiles_allow_key(profile, CRYPTO_KEY_P256);
    profiles_add(profile, "CN", RULES_FROM_REQUEST)->len_max = 8;
    profile->attributes[0].len_min = 2;
    profile->attributes[0].presence = RULES_REQUIRED;
    profiles_add(profile, "serialNumber", RULES_FROM_CALLER)->pattern = pattern;
    profiles_add(profile, "emailAddress", RULES_FROM_EITHER);
    struct rules_attribute *id = profiles_add_extension(
        profile, "id", profiles_oid("1.2.156.10260.4.1.1", arena), RULES_FROM_EITHER);
    id->tag = DER_PRINTABLE_STRING;
    id->check = RULES_CHECK_ID;
    struct rules_attribute *org = profiles_add_extension(
        profile, "org", profiles_oid("1.2.156.10260.4.1.3", arena), RULES_FROM_REQUEST);
    org->check = RULES_CHECK_ORG;
    profile->san.allows_email = profile->san.allows_uri = true;
    profile->san.from_request = false;
    profile->san.from_caller = true;
    profile->san.count_max = 3;
    profile->key_usage = X509_KU_DIGITAL_SIGNATURE | X509_KU_KEY_AGREEMENT;
    profile->ext_key_usages[profile->ext_key_usage_count++] =
        profiles_oid("1.3.6.1.5.5.7.3.4", arena);
    profile->ext_key_usages[profile->ext_key_usage_count++] =
        profiles_oid("1.3.6.1.5.5.7.3.2", arena);
    profile->validity = RULES_VALIDITY_DURATION;
    profile->terms[profile->term_count++] = 86400;
    return profile;
}

/* CN=Test CA, valid for 20 years, with every address and eight shards. */
static inline struct rules_issuer profiles_issuer(enum crypto_sig sig, struct ca_arena *arena)
{
    const struct x509_attribute subject[] = {
        { CA_BYTES("\x55\x04\x06"), DER_PRINTABLE_STRING, CA_BYTES("CN") },
        { CA_BYTES("\x55\x04\x0a"), DER_UTF8_STRING, CA_BYTES("Test") },
        { CA_BYTES("\x55\x04\x03"), DER_UTF8_STRING, CA_BYTES("Test CA") },
    };
    struct rules_issuer issuer = {
        .name = "test",
        .not_before_s = PROFILES_NOW_S - 3600,
        .not_after_s = PROFILES_NOW_S + 20LL * 366 * 86400,
        .sig = sig,
        .ocsp_url = CA_BYTES("http://ocsp.test.example/"),
        .ca_issuers_url = CA_BYTES("http://pki.test.example/ca.cer"),
        .crl_url = CA_BYTES("http://pki.test.example/crl/%s.crl"),
        .crl_shard_count = 8,
    };
    uint8_t buffer[256];
    struct der_writer writer;

    memset(issuer.key_id, 0x5a, sizeof(issuer.key_id));
    der_writer_init(&writer, buffer, sizeof(buffer));
    x509_name_write(&writer, subject, sizeof(subject) / sizeof(subject[0]));
    issuer.subject = ca_arena_copy(arena, der_writer_bytes(&writer));
    profiles_must(issuer.subject.data != NULL, "memory");
    return issuer;
}

static inline struct ca_serial profiles_serial(void)
{
    static const uint8_t random[CA_SERIAL_RANDOM_LEN] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 };

    return ca_serial_make(1, (uint64_t)PROFILES_NOW_S * 1000000, random);
}

static inline struct rules_moment profiles_moment(void)
{
    return (struct rules_moment){
        .operation = RULES_NEW,
        .issued_s = PROFILES_NOW_S,
        .serial = profiles_serial(),
    };
}
