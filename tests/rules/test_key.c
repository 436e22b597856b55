/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/crypto/digest.h"
#include "tests/support/draft.h"

enum { BLOCKED_MAX = 9 };

static struct ca_arena *arena;
static struct rules_profile *profile;
static struct ca_refusal refusal;
static uint8_t blocked_digests[BLOCKED_MAX][CA_DIGEST_LEN];
static struct rules_blocked_keys blocked = { (const uint8_t (*)[CA_DIGEST_LEN])blocked_digests, 0 };

static void set_up(void)
{
    check_ok(ca_arena_new(1 << 16, 1 << 20, &arena));
    profile = profiles_enterprise_raw(arena);
    profiles_prepared(profile, arena);
}

static void tear_down(void)
{
    ca_arena_free(arena);
}

TestSuite(key, .init = set_up, .fini = tear_down);

static enum ca_err check_csr(const struct x509_csr *csr)
{
    uint8_t digest[CA_DIGEST_LEN];

    crypto_sha256(&csr->spki, 1, digest);
    refusal = (struct ca_refusal){ "-", "-" };
    return rules_key_check(profile, csr, &blocked, digest, &refusal);
}

static enum ca_err check_key(const char *key)
{
    struct x509_csr csr;

    draft_load_csr(key, &csr);
    return check_csr(&csr);
}

Test(key, types_of_the_profile_pass)
{
    check_ok(check_key("p256"));
    check_ok(check_key("rsa2048"));
    check_ok(check_key("ed25519"));
    check_ok(check_key("sm2"));
}

Test(key, another_type_is_refused)
{
    check_err(check_key("p384"), CA_ERR_KEY_TYPE);
    cr_assert_str_eq(refusal.field, "csr.key");
}

Test(key, rsa_sizes_are_those_of_the_profile)
{
    struct x509_csr csr;

    draft_load_csr("rsa2048", &csr);
    profile->keys[2].bits_min = 2049;
    check_err(check_csr(&csr), CA_ERR_KEY_SIZE);
    profile->keys[2].bits_min = 2048;
    check_ok(check_csr(&csr));
    profile->keys[2].bits_max = 2047;
    check_err(check_csr(&csr), CA_ERR_KEY_SIZE);
    cr_assert_str_eq(refusal.field, "csr.key");
}

Test(key, a_short_rsa_key_is_refused_by_its_size)
{
    struct x509_csr csr;
    struct ca_bytes der = golden_load("rules/csr_rsa1024");
    enum ca_err err = x509_csr_parse(der, &csr, &refusal);

    cr_assert_eq(err == CA_OK ? check_csr(&csr) : err, CA_ERR_KEY_SIZE);
}

Test(key, a_weak_rsa_exponent_is_refused)
{
    struct x509_csr csr;

    draft_load_csr("rsa2048", &csr);
    csr.key.exponent = CA_BYTES("\x03");
    check_err(check_csr(&csr), CA_ERR_KEY_EXPONENT);
}

Test(key, a_weak_rsa_modulus_is_refused)
{
    uint8_t modulus[256];
    struct x509_csr csr;

    draft_load_csr("rsa2048", &csr);
    memset(modulus, 0xff, sizeof(modulus)); /* divisible by 3 */
    csr.key.modulus = ca_bytes_of(modulus, sizeof(modulus));
    check_err(check_csr(&csr), CA_ERR_KEY_WEAK);
}

Test(key, a_blocked_key_is_refused)
{
    struct x509_csr csr;

    draft_load_csr("p256", &csr);
    crypto_sha256(&csr.spki, 1, blocked_digests[0]);
    blocked.count = 1;
    check_err(check_csr(&csr), CA_ERR_KEY_BLOCKED);
    cr_assert_str_eq(refusal.field, "csr.key");
    check_ok(check_key("sm2"));
}

Test(key, a_blocked_key_is_found_wherever_it_stands_in_the_list)
{
    struct x509_csr csr;
    uint8_t digest[CA_DIGEST_LEN];

    draft_load_csr("p256", &csr);
    for (blocked.count = 1; blocked.count <= BLOCKED_MAX; blocked.count++) {
        for (unsigned i = 0; i < blocked.count; i++)
            memset(blocked_digests[i], (int)(2 * i + 1), CA_DIGEST_LEN);
        for (unsigned first = 0; first <= 2 * blocked.count; first++) {
            memset(digest, (int)first, sizeof(digest));
            check_err(rules_key_check(profile, &csr, &blocked, digest, &refusal),
                      first % 2 == 1 ? CA_ERR_KEY_BLOCKED : CA_OK);
        }
    }
}
