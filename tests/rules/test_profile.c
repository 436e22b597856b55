/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/draft.h"

static struct ca_arena *arena;
static struct rules_profile *profile;
static struct ca_refusal refusal;
static regex_t pattern;

static void set_up(void)
{
    check_ok(ca_arena_new(1 << 16, 1 << 20, &arena));
    profile = profiles_enterprise_raw(arena);
}

static void tear_down(void)
{
    ca_arena_free(arena);
}

TestSuite(profile, .init = set_up, .fini = tear_down);

static void check_refused(const char *field)
{
    refusal = (struct ca_refusal){ "-", "-" };
    check_err(rules_profile_prepare(profile, arena, &refusal), CA_ERR_CONFIG);
    cr_assert_str_eq(refusal.field, field, "%s: %s", refusal.field, refusal.rule);
    tear_down();
    set_up();
}

Test(profile, those_shipped_fit_together)
{
    check_ok(rules_profile_prepare(profile, arena, &refusal));
    check_ok(rules_profile_prepare(profiles_tls_raw(arena), arena, &refusal));
    check_ok(rules_profile_prepare(profiles_person_raw(arena, &pattern), arena, &refusal));
    regfree(&pattern);
}

Test(profile, fields_are_named_by_place_and_name)
{
    check_ok(rules_profile_prepare(profile, arena, &refusal));
    cr_assert_str_eq(profile->attributes[5].field, "subject.CN");
    cr_assert_str_eq(profile->attributes[6].field, "extension.uscc");
}

Test(profile, keys_are_at_least_one_and_no_type_twice)
{
    profile->key_count = 0;
    check_refused("keys");
    profile->keys[1].type = CRYPTO_KEY_SM2;
    check_refused("keys");
    profile->keys[0].type = CRYPTO_KEY_NONE;
    check_refused("key_usage");
}

Test(profile, rsa_sizes_stay_within_the_engines)
{
    profile->keys[2].bits_min = 1024;
    check_refused("keys.bits_min");
    profile->keys[2].bits_max = 8192;
    check_refused("keys.bits_min");
    profile->keys[2].bits_min = 3072;
    profile->keys[2].bits_max = 2048;
    check_refused("keys.bits_min");
}

Test(profile, key_usage_fits_every_key)
{
    profile->key_usage = 0;
    check_refused("key_usage");
    profile->key_usage |= X509_KU_KEY_ENCIPHERMENT; /* not with elliptic curves */
    check_refused("key_usage");
    profile->key_usage |= X509_KU_KEY_AGREEMENT; /* not with RSA, Ed25519 */
    check_refused("key_usage");
    profile->key_usage_rsa = X509_KU_KEY_CERT_SIGN;
    check_refused("key_usage");
    profile->key_usage |= X509_KU_CRL_SIGN;
    check_refused("key_usage");
    profile->key_usage_rsa = X509_KU_KEY_ENCIPHERMENT;
    check_ok(rules_profile_prepare(profile, arena, &refusal));
}

Test(profile, an_sm2_key_signs_or_enciphers_but_not_both)
{
    profile->key_count = 1;
    profile->key_usage = X509_KU_KEY_ENCIPHERMENT | X509_KU_DATA_ENCIPHERMENT;
    check_ok(rules_profile_prepare(profile, arena, &refusal));
    profile->key_usage |= X509_KU_DIGITAL_SIGNATURE;
    check_refused("key_usage");
    profile->key_count = 1;
    profile->key_usage = X509_KU_KEY_ENCIPHERMENT | X509_KU_ENCIPHER_ONLY;
    check_refused("key_usage");
}

Test(profile, attributes_are_told_apart)
{
    profile->attributes[1].name = "L";
    check_refused("subject.L");
    profile->attributes[2].oid = profile->attributes[1].oid;
    check_refused("subject.L");
    profile->attributes[0].name = "uscc";
    check_refused("extension.uscc");
}

Test(profile, an_attribute_has_one_place)
{
    profile->attributes[1].is_extension = true;
    check_refused("subject.ST");
    profile->attributes[6].is_extension = false;
    check_refused("extension.uscc");
    profile->attributes[1].is_critical = true;
    check_refused("subject.ST");
}

Test(profile, an_extension_has_an_oid_that_the_engine_does_not_write_itself)
{
    profile->attributes[6].oid = (struct ca_bytes){ 0 };
    check_refused("extension.uscc");
    profile->attributes[6].oid = X509_OID_KEY_USAGE;
    check_refused("extension.uscc");
}

Test(profile, lengths_types_and_fixed_values_make_sense)
{
    profile->attributes[1].len_min = 0;
    check_refused("subject.ST");
    profile->attributes[1].len_min = 200;
    check_refused("subject.ST");
    profile->attributes[1].len_max = 1025;
    check_refused("subject.ST");
    profile->attributes[1].tag = DER_BMP_STRING;
    check_refused("subject.ST");
    profile->attributes[1].fixed_value = "Guangxi";
    check_refused("subject.ST");
    profile->attributes[0].fixed_value = NULL;
    check_refused("subject.C");
    profile->attributes[0].fixed_value = "CHN";
    check_refused("subject.C");
    profile->attributes[0].fixed_value = "中国";
    check_refused("subject.C");
}

Test(profile, identity_names_what_is_there)
{
    profile->identity[0] = "serialNumber";
    check_refused("identity");
    profile->identity[0] = "dns"; /* no such names in this profile */
    check_refused("identity");
    profile->identity[0] = "O";
    check_ok(rules_profile_prepare(profile, arena, &refusal));
}

Test(profile, alternative_names_have_sensible_limits)
{
    profile->san.count_max = CA_SAN_COUNT_MAX + 1;
    check_refused("subject_alt_names.count_max");
    profile->san.count_min = 101;
    check_refused("subject_alt_names.count_max");
    profile->san.allows_wildcard = true;
    check_refused("subject_alt_names.wildcard");
    profile->san.allows_dns = true;
    profile->san.count_min = 1;
    profile->san.from_request = false;
    check_refused("subject_alt_names.from");
}

Test(profile, terms_are_within_their_range)
{
    profile->term_count = 0;
    check_refused("validity");
    profile->terms[1] = 0;
    check_refused("validity.months");
    profile->terms[1] = 1201;
    check_refused("validity.months");
    profile->validity = RULES_VALIDITY_DURATION; /* 12 seconds */
    check_refused("validity.days");
    profile->validity = RULES_VALIDITY_DURATION;
    profile->term_count = 1;
    profile->terms[0] = 36500U * 86400;
    check_ok(rules_profile_prepare(profile, arena, &refusal));
    profile->terms[0]++;
    check_refused("validity.days");
}

Test(profile, key_encipherment_is_added_for_rsa_only)
{
    struct rules_profile *tls = profiles_tls_raw(arena);

    cr_assert_eq(rules_key_usage(tls, CRYPTO_KEY_P256), X509_KU_DIGITAL_SIGNATURE);
    cr_assert_eq(rules_key_usage(tls, CRYPTO_KEY_RSA),
                 X509_KU_DIGITAL_SIGNATURE | X509_KU_KEY_ENCIPHERMENT);
}

Test(profile, of_the_life_of_certificates_only_what_makes_sense)
{
    profile->life.renew_may_differ[1] = "OU";
    profile->life.renew_may_differ_count = 2;
    check_ok(rules_profile_prepare(profile, arena, &refusal));
    profile->life.renew_may_differ[1] = "title";
    profile->life.renew_may_differ_count = 2;
    check_refused("life.renew.may_differ");
    profile->life.holder_code = "title";
    check_refused("life.holder");
    profile->life.holder_code = NULL;
    check_refused("life.holder");
    profile->life.holder_code = "O";
    check_refused("life.holder");
    profile->life.replace_key = RULES_OLD_KEY_MUST;
    check_refused("life.replace.key");
    profile->life.total_months_max = 2;
    check_refused("life.renew.months_max");
    profile->life.total_months_max = 1201;
    check_refused("life.renew.months_max");
    profile->life.renew_after_days = 36501;
    check_refused("life.renew.before_days");
}

Test(profile, reasons_are_those_of_end_entities)
{
    for (unsigned bit = 0; bit < 32; bit++) {
        bool is_good = bit == 1 || (bit >= 3 && bit <= 5) || bit == 9 || bit == 10;
        profile->life.reasons = 1U << bit;
        if (is_good)
            check_ok(rules_profile_prepare(profile, arena, &refusal));
        else
            check_refused("life.revoke.reasons");
    }
}
