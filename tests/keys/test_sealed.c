/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/crypto.h>
#include <signal.h>
#include <sys/resource.h>

#include "tests/support/check.h"

#include "ca/keys/sealed.c"

/* Most cases are about one octet of many: Argon2id at its very least makes them quick. */
static const struct limits quick = {
    .passes_min = 1, .passes_max = 4, .memory_min = 8192, .memory_max = 1 << 20
};
static const struct keys_sealed_options quick_options = { .passes = 1, .memory = 8192 };
static const struct keys_sealed_options floor_options = { .passes = KEYS_SEALED_PASSES_MIN,
                                                          .memory = KEYS_SEALED_MEMORY_MIN };

static char folder[64];
static char path[96];
static struct keys_secret passphrase;
static struct crypto_private_key *key;

static struct keys_secret secret_of(const char *text)
{
    struct keys_secret secret;

    check_ok(keys_secret_new(strlen(text), &secret));
    memcpy(secret.data, text, strlen(text));
    return secret;
}

static void open_folder(void)
{
    check_ok(keys_harden_process());
    snprintf(folder, sizeof(folder), "/tmp/certmill-test-%s",
             "XX"
             "XX"
             "XX");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/ca.key", folder);
    passphrase = secret_of("correct horse battery staple");
    check_ok(crypto_private_key_generate(CRYPTO_KEY_P256, 0, &key));
}

static void remove_folder(void)
{
    (void)unlink(path);
    cr_assert_eq(rmdir(folder), 0, "something was left behind in %s", folder);
    crypto_private_key_free(key);
    keys_secret_wipe(&passphrase);
}

TestSuite(sealed, .init = open_folder, .fini = remove_folder, .timeout = 120);
TestSuite(privileged, .init = open_folder, .fini = remove_folder, .timeout = 120);

static void check_same_key(const struct crypto_private_key *a, const struct crypto_private_key *b)
{
    uint8_t one[CRYPTO_PKCS8_LEN_MAX], other[CRYPTO_PKCS8_LEN_MAX];
    size_t one_len, other_len;

    check_ok(crypto_private_key_encode(a, one, sizeof(one), &one_len));
    check_ok(crypto_private_key_encode(b, other, sizeof(other), &other_len));
    check_bytes(ca_bytes_of(one, one_len), ca_bytes_of(other, other_len));
}

Test(sealed, every_kind_of_key_comes_back_from_its_file)
{
    static const struct {
        enum crypto_key_type type;
        uint32_t rsa_bits;
    } kinds[] = { { CRYPTO_KEY_P256, 0 }, { CRYPTO_KEY_P384, 0 },   { CRYPTO_KEY_ED25519, 0 },
                  { CRYPTO_KEY_SM2, 0 },  { CRYPTO_KEY_RSA, 2048 }, { CRYPTO_KEY_RSA, 4096 } };

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct crypto_private_key *made, *loaded;
        check_ok(crypto_private_key_generate(kinds[i].type, kinds[i].rsa_bits, &made));
        check_ok(keys_sealed_save_with(path, made, &passphrase, &floor_options));
        check_ok(keys_sealed_load(path, &passphrase, &loaded));
        check_same_key(made, loaded);
        crypto_private_key_free(made);
        crypto_private_key_free(loaded);
        cr_assert_eq(unlink(path), 0);
    }
}

Test(sealed, the_usual_parameters_are_moderate_and_the_file_is_private)
{
    struct crypto_private_key *loaded;
    struct stat status;
    uint8_t header[HEADER_LEN];

    check_ok(keys_sealed_save(path, key, &passphrase));
    check_ok(keys_sealed_load(path, &passphrase, &loaded));
    check_same_key(key, loaded);
    crypto_private_key_free(loaded);
    cr_assert_eq(stat(path, &status), 0);
    cr_assert_eq(status.st_mode & 07777, 0600);
    int fd = open(path, O_RDONLY);
    cr_assert_eq(read(fd, header, sizeof(header)), HEADER_LEN);
    close(fd);
    cr_assert_eq(ca_bytes_get_number(header + AT_PASSES, 4),
                 crypto_pwhash_argon2id_OPSLIMIT_MODERATE);
    cr_assert_eq(ca_bytes_get_number(header + AT_MEMORY, 8),
                 crypto_pwhash_argon2id_MEMLIMIT_MODERATE);
}

/* The rows of the table in docs/SECURITY.md: offset, length, name. */
Test(sealed, the_layout_is_the_one_in_the_documentation)
{
    static const struct {
        const char *name;
        unsigned int offset, len;
    } fields[] = {
        { "magic", AT_MAGIC, 8 },    { "version", AT_VERSION, 1 }, { "kdf", AT_KDF, 1 },
        { "cipher", AT_CIPHER, 1 },  { "zero", AT_ZERO, 1 },       { "passes", AT_PASSES, 4 },
        { "memory", AT_MEMORY, 8 },  { "salt", AT_SALT, 16 },      { "nonce", AT_NONCE, 24 },
        { "salt_2", AT_SALT_2, 16 },
    };
    FILE *file = fopen(TESTS_DIR "/../docs/SECURITY.md", "r");
    char line[256];
    size_t found = 0;

    cr_assert_not_null(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        unsigned int offset, len;
        char name[32];
        if (sscanf(line, "| %u | %u | %31s |", &offset, &len, name) != 3)
            continue;
        cr_assert_lt(found, sizeof(fields) / sizeof(fields[0]));
        cr_assert_str_eq(name, fields[found].name);
        cr_assert_eq(offset, fields[found].offset, "%s", name);
        cr_assert_eq(len, fields[found].len, "%s", name);
        found++;
    }
    fclose(file);
    cr_assert_eq(found, sizeof(fields) / sizeof(fields[0]));
}

static size_t seal_quickly(uint8_t sealed[FILE_LEN_MAX])
{
    size_t len;

    check_ok(seal(key, &passphrase, &quick, &quick_options, sealed, &len));
    return len;
}

Test(sealed, a_change_to_any_bit_is_noticed)
{
    uint8_t sealed[FILE_LEN_MAX];
    size_t len = seal_quickly(sealed);
    struct crypto_private_key *loaded;

    for (size_t bit = 0; bit < 8 * len; bit++) {
        sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
        check_err(unseal(ca_bytes_of(sealed, len), &passphrase, &quick, &loaded),
                  CA_ERR_PASSPHRASE);
        cr_assert_null(loaded);
        sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    check_ok(unseal(ca_bytes_of(sealed, len), &passphrase, &quick, &loaded));
    crypto_private_key_free(loaded);
}

Test(sealed, a_file_cut_short_or_longer_is_noticed)
{
    uint8_t sealed[FILE_LEN_MAX + 1] = { 0 };
    size_t len = seal_quickly(sealed);
    struct crypto_private_key *loaded;

    for (size_t cut = 0; cut <= sizeof(sealed); cut++) {
        if (cut != len)
            check_err(unseal(ca_bytes_of(sealed, cut), &passphrase, &quick, &loaded),
                      CA_ERR_PASSPHRASE);
    }
}

Test(sealed, a_wrong_passphrase_gets_the_same_answer_as_an_altered_file)
{
    static const char *const wrong[] = { "Correct horse battery staple",
                                         "correct horse battery stapl",
                                         "correct horse battery staple ", "x" };
    uint8_t sealed[FILE_LEN_MAX];
    size_t len = seal_quickly(sealed);
    struct crypto_private_key *loaded;

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct keys_secret other = secret_of(wrong[i]);
        check_err(unseal(ca_bytes_of(sealed, len), &other, &quick, &loaded), CA_ERR_PASSPHRASE);
        cr_assert_null(loaded);
        keys_secret_wipe(&other);
    }
}

Test(sealed, parameters_below_the_floor_or_above_the_ceiling_are_refused)
{
    static const struct keys_sealed_options options[] = {
        { KEYS_SEALED_PASSES_MIN - 1, KEYS_SEALED_MEMORY_MIN },
        { KEYS_SEALED_PASSES_MIN, KEYS_SEALED_MEMORY_MIN - 1 },
        { 0, KEYS_SEALED_MEMORY_MIN },
        { KEYS_SEALED_PASSES_MIN, 0 },
        { 17, KEYS_SEALED_MEMORY_MIN },
        { UINT32_MAX, KEYS_SEALED_MEMORY_MIN },
        { KEYS_SEALED_PASSES_MIN, (UINT64_C(4) << 30) + 1 },
        { KEYS_SEALED_PASSES_MIN, UINT64_MAX },
    };
    uint8_t sealed[FILE_LEN_MAX];
    struct crypto_private_key *loaded;
    size_t len;

    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        check_err(keys_sealed_save_with(path, key, &passphrase, &options[i]), CA_ERR_CONFIG);
        len = seal_quickly(sealed);
        ca_bytes_put_number(sealed + AT_PASSES, options[i].passes, 4);
        ca_bytes_put_number(sealed + AT_MEMORY, options[i].memory, 8);
        check_err(unseal(ca_bytes_of(sealed, len), &passphrase, &limits, &loaded),
                  CA_ERR_PASSPHRASE);
    }
    /* Sealed with a weak key from the start, and true to itself: refused all the same. */
    len = seal_quickly(sealed);
    check_err(unseal(ca_bytes_of(sealed, len), &passphrase, &limits, &loaded), CA_ERR_PASSPHRASE);
}

Test(sealed, an_empty_passphrase_is_refused)
{
    const struct keys_secret empty = { 0 };
    uint8_t sealed[FILE_LEN_MAX];
    size_t len = seal_quickly(sealed);
    struct crypto_private_key *loaded;

    check_err(keys_sealed_save_with(path, key, &empty, &floor_options), CA_ERR_FIELD_LENGTH);
    check_err(unseal(ca_bytes_of(sealed, len), &empty, &quick, &loaded), CA_ERR_PASSPHRASE);
}

Test(sealed, two_files_of_one_key_share_no_salt_nonce_or_body)
{
    uint8_t one[FILE_LEN_MAX], other[FILE_LEN_MAX];
    size_t len = seal_quickly(one);

    cr_assert_eq(seal_quickly(other), len);
    cr_assert_not(ca_bytes_equal(ca_bytes_of(one + AT_SALT, 16), ca_bytes_of(other + AT_SALT, 16)));
    cr_assert_not(
        ca_bytes_equal(ca_bytes_of(one + AT_NONCE, 24), ca_bytes_of(other + AT_NONCE, 24)));
    for (size_t at = HEADER_LEN; at + 16 <= len; at += 16)
        cr_assert_not(ca_bytes_equal(ca_bytes_of(one + at, 16), ca_bytes_of(other + at, 16)));
}

Test(sealed, a_file_that_is_there_is_not_replaced)
{
    struct crypto_private_key *other, *loaded;

    check_ok(keys_sealed_save_with(path, key, &passphrase, &floor_options));
    check_ok(crypto_private_key_generate(CRYPTO_KEY_P256, 0, &other));
    check_err(keys_sealed_save_with(path, other, &passphrase, &floor_options), CA_ERR_EXISTS);
    check_err(file_create(path, CA_BYTES("x")), CA_ERR_EXISTS); /* lost a race */
    check_ok(keys_sealed_load(path, &passphrase, &loaded));
    check_same_key(key, loaded);
    crypto_private_key_free(loaded);
    crypto_private_key_free(other);
}

Test(sealed, a_file_open_to_others_is_not_read)
{
    struct crypto_private_key *loaded;
    const mode_t modes[] = { 0640, 0604, 0660, 0620, 0610, 0601, 0644 };

    check_ok(keys_sealed_save_with(path, key, &passphrase, &floor_options));
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        cr_assert_eq(chmod(path, modes[i]), 0);
        check_err(keys_sealed_load(path, &passphrase, &loaded), CA_ERR_DENIED);
    }
    cr_assert_null(loaded);
}

Test(privileged, a_file_of_another_user_is_not_read)
{
    struct crypto_private_key *loaded;

    if (geteuid() != 0)
        cr_skip("only root gives files away");
    check_ok(keys_sealed_save_with(path, key, &passphrase, &floor_options));
    cr_assert_eq(chown(path, 65534, 65534), 0);
    check_err(keys_sealed_load(path, &passphrase, &loaded), CA_ERR_DENIED);
    cr_assert_null(loaded);
    cr_assert_eq(chown(path, 0, 0), 0);
    check_ok(keys_sealed_load(path, &passphrase, &loaded));
    crypto_private_key_free(loaded);
}

Test(sealed, what_is_missing_or_no_file_is_told)
{
    struct crypto_private_key *loaded;
    char nowhere[128];

    check_err(keys_sealed_load(path, &passphrase, &loaded), CA_ERR_NOT_FOUND);
    check_err(keys_sealed_load(folder, &passphrase, &loaded), CA_ERR_DENIED);
    snprintf(nowhere, sizeof(nowhere), "%s/missing/ca.key", folder);
    check_err(keys_sealed_save_with(nowhere, key, &passphrase, &floor_options), CA_ERR_NOT_FOUND);
    check_err(keys_sealed_load(nowhere, &passphrase, &loaded), CA_ERR_NOT_FOUND);
}

/* ---- divided passphrases */

static struct keys_secret join(const char *first, const char *second)
{
    struct keys_secret one = secret_of(first), other = secret_of(second), joined;

    check_ok(keys_secret_join(&one, &other, &joined));
    keys_secret_wipe(&one);
    keys_secret_wipe(&other);
    return joined;
}

static void divide_passphrase(void)
{
    keys_secret_wipe(&passphrase);
    passphrase = join("half of Alice", "half of Bob");
}

Test(sealed, a_divided_passphrase_opens_its_file_and_the_file_says_so)
{
    struct crypto_private_key *loaded;
    struct keys_sealed_info info;

    divide_passphrase();
    check_ok(keys_sealed_save_with(path, key, &passphrase, &floor_options));
    check_ok(keys_sealed_inspect(path, &info));
    cr_assert(info.is_divided && info.options.passes == floor_options.passes &&
              info.options.memory == floor_options.memory);
    check_ok(keys_sealed_load(path, &passphrase, &loaded));
    check_same_key(key, loaded);
    crypto_private_key_free(loaded);
}

Test(sealed, a_missing_wrong_or_swapped_half_gets_the_answer_of_an_altered_file)
{
    static const char *const pairs[][2] = {
        { "half of Bob", "half of Alice" },   { "half of Alice", "half of Alice" },
        { "half of Bob", "half of Bob" },     { "half of Alice", "half of bob" },
        { "half of alice", "half of Bob" },   { "half of Alic", "e\0half of Bob" },
        { "half of Alice", "half of Bob\n" },
    };
    static const char *const singles[] = { "half of Alice", "half of Bob",
                                           "half of Alicehalf of Bob" };
    uint8_t sealed[FILE_LEN_MAX];
    struct crypto_private_key *loaded;

    divide_passphrase();
    size_t len = seal_quickly(sealed), used = CRYPTO_secure_used();
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        struct keys_secret other = join(pairs[i][0], pairs[i][1]);
        check_err(unseal(ca_bytes_of(sealed, len), &other, &quick, &loaded), CA_ERR_PASSPHRASE);
        cr_assert_null(loaded);
        keys_secret_wipe(&other);
    }
    for (size_t i = 0; i < sizeof(singles) / sizeof(singles[0]); i++) {
        struct keys_secret other = secret_of(singles[i]);
        check_err(unseal(ca_bytes_of(sealed, len), &other, &quick, &loaded), CA_ERR_PASSPHRASE);
        keys_secret_wipe(&other);
    }
    cr_assert_eq(CRYPTO_secure_used(), used, "something of a key was left");
    check_ok(unseal(ca_bytes_of(sealed, len), &passphrase, &quick, &loaded));
    crypto_private_key_free(loaded);
}

Test(sealed, half_of_a_passphrase_with_an_empty_other_half_opens_nothing)
{
    struct crypto_private_key *loaded;
    uint8_t sealed[FILE_LEN_MAX];

    divide_passphrase();
    size_t len = seal_quickly(sealed);
    for (size_t missing = 0; missing < 2; missing++) {
        struct keys_secret odd = secret_of(missing == 0 ? " half of Bob" : "half of Alice ");
        odd.data[missing == 0 ? 0 : odd.len - 1] = 0;
        check_err(unseal(ca_bytes_of(sealed, len), &odd, &quick, &loaded), CA_ERR_PASSPHRASE);
        check_err(keys_sealed_save_with(path, key, &odd, &floor_options), CA_ERR_FIELD_LENGTH);
        keys_secret_wipe(&odd);
    }
}

Test(sealed, a_file_of_one_passphrase_takes_no_divided_one)
{
    uint8_t sealed[FILE_LEN_MAX];
    struct crypto_private_key *loaded;
    size_t len = seal_quickly(sealed);
    struct keys_secret more = join("correct horse battery staple", "half of Bob");

    check_err(unseal(ca_bytes_of(sealed, len), &more, &quick, &loaded), CA_ERR_PASSPHRASE);
    keys_secret_wipe(&more);
}

Test(sealed, a_change_to_any_bit_of_a_divided_file_is_noticed)
{
    uint8_t sealed[FILE_LEN_MAX];
    struct crypto_private_key *loaded;

    divide_passphrase();
    size_t len = seal_quickly(sealed);
    for (size_t bit = 0; bit < 8 * len; bit++) {
        sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
        check_err(unseal(ca_bytes_of(sealed, len), &passphrase, &quick, &loaded),
                  CA_ERR_PASSPHRASE);
        sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t cut = 0; cut < len; cut++)
        check_err(unseal(ca_bytes_of(sealed, cut), &passphrase, &quick, &loaded),
                  CA_ERR_PASSPHRASE);
}

/* The key of the file is the XOR of both outputs, computed here from the words of the table. */
Test(sealed, the_file_key_is_the_xor_of_what_argon2id_makes_of_each_half)
{
    uint8_t sealed[FILE_LEN_MAX], one[KEY_LEN], other[KEY_LEN], der[CRYPTO_PKCS8_LEN_MAX];
    unsigned long long der_len;

    divide_passphrase();
    size_t len = seal_quickly(sealed);
    cr_assert_eq(crypto_pwhash(one, KEY_LEN, "half of Alice", 13, sealed + 24, 1, 8192,
                               crypto_pwhash_ALG_ARGON2ID13),
                 0);
    cr_assert_eq(crypto_pwhash(other, KEY_LEN, "half of Bob", 11, sealed + 64, 1, 8192,
                               crypto_pwhash_ALG_ARGON2ID13),
                 0);
    /* Neither output opens the file. */
    for (int i = 0; i < 2; i++)
        cr_assert_neq(crypto_aead_xchacha20poly1305_ietf_decrypt(der, &der_len, NULL, sealed + 80,
                                                                 len - 80, sealed, 80, sealed + 40,
                                                                 i == 0 ? one : other),
                      0);
    for (size_t i = 0; i < KEY_LEN; i++)
        one[i] ^= other[i];
    cr_assert_eq(crypto_aead_xchacha20poly1305_ietf_decrypt(der, &der_len, NULL, sealed + 80,
                                                            len - 80, sealed, 80, sealed + 40, one),
                 0);
}

Test(sealed, equal_halves_are_refused)
{
    struct keys_secret twice = join("half of Alice", "half of Alice");

    check_err(keys_sealed_save_with(path, key, &twice, &floor_options), CA_ERR_FIELD_FORMAT);
    keys_secret_wipe(&twice);
}

Test(sealed, files_written_before_passphrases_could_be_divided_are_read)
{
    struct keys_secret old = secret_of("fuzz");
    struct crypto_private_key *loaded;
    uint8_t bytes[FILE_LEN_MAX + 1];
    FILE *file = fopen(TESTS_DIR "/fuzz/fuzz_sealed.in/file_p256", "rb");

    cr_assert_not_null(file);
    size_t len = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    check_ok(unseal(ca_bytes_of(bytes + 1, len - 1), &old, &quick, &loaded));
    crypto_private_key_free(loaded);
    keys_secret_wipe(&old);
}

/* ---- another passphrase */

static size_t read_file(uint8_t *bytes)
{
    FILE *file = fopen(path, "rb");

    cr_assert_not_null(file);
    size_t len = fread(bytes, 1, FILE_LEN_MAX, file);
    fclose(file);
    return len;
}

Test(sealed, a_key_gets_another_passphrase_whole_or_divided_and_back)
{
    struct keys_sealed_options more = { floor_options.passes + 1, floor_options.memory + 4096 };
    struct keys_secret divided = join("half of Alice", "half of Bob");
    struct crypto_private_key *loaded;
    struct keys_sealed_info info;

    check_ok(keys_sealed_save_with(path, key, &passphrase, &floor_options));
    check_ok(keys_sealed_rewrap(path, &passphrase, &divided, &more));
    check_ok(keys_sealed_inspect(path, &info));
    cr_assert(info.is_divided && info.options.passes == more.passes &&
              info.options.memory == more.memory);
    check_err(keys_sealed_load(path, &passphrase, &loaded), CA_ERR_PASSPHRASE);
    check_ok(keys_sealed_load(path, &divided, &loaded));
    check_same_key(key, loaded);
    crypto_private_key_free(loaded);

    check_ok(keys_sealed_rewrap(path, &divided, &passphrase, &floor_options));
    check_ok(keys_sealed_inspect(path, &info));
    cr_assert(!info.is_divided);
    check_ok(keys_sealed_load(path, &passphrase, &loaded));
    check_same_key(key, loaded);
    crypto_private_key_free(loaded);
    keys_secret_wipe(&divided);
}

Test(sealed, a_rewrap_that_fails_leaves_the_file_as_it_was)
{
    const struct keys_sealed_options weak = { 1, 8192 };
    const struct rlimit nothing = { 0, RLIM_INFINITY }, all = { RLIM_INFINITY, RLIM_INFINITY };
    struct keys_secret new = secret_of("another passphrase"), empty = { 0 };
    uint8_t before[FILE_LEN_MAX], after[FILE_LEN_MAX];

    check_ok(keys_sealed_save_with(path, key, &passphrase, &floor_options));
    size_t len = read_file(before);
    check_err(keys_sealed_rewrap(path, &new, &new, &floor_options), CA_ERR_PASSPHRASE);
    check_err(keys_sealed_rewrap(path, &passphrase, &empty, &floor_options), CA_ERR_FIELD_LENGTH);
    check_err(keys_sealed_rewrap(path, &passphrase, &new, &weak), CA_ERR_CONFIG);
    (void)signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &nothing), 0);
    enum ca_err err = keys_sealed_rewrap(path, &passphrase, &new, &floor_options);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &all), 0);
    check_err(err, CA_ERR_STORAGE);
    cr_assert_eq(read_file(after), len);
    check_bytes(ca_bytes_of(after, len), ca_bytes_of(before, len));
    keys_secret_wipe(&new);
}

/* ---- several files of one passphrase */

/* Argon2id takes a hundred times what everything else does: whether it ran shows in the salts. */
static struct ca_bytes salt_of(const char *name, uint8_t octets[HEADER_LEN_MAX])
{
    int fd = open(name, O_RDONLY);

    cr_assert(fd >= 0 && read(fd, octets, HEADER_LEN_MAX) == HEADER_LEN_MAX);
    close(fd);
    return ca_bytes_of(octets + AT_SALT, AT_NONCE - AT_SALT);
}

Test(sealed, files_that_are_made_together_share_a_salt_and_no_nonce)
{
    uint8_t first[HEADER_LEN_MAX], second[HEADER_LEN_MAX], third[HEADER_LEN_MAX];
    const struct keys_sealed_options more = { floor_options.passes + 1, floor_options.memory };
    struct keys_sealed_memo memo = { 0 };
    struct crypto_private_key *loaded;

    cr_assert_eq(chdir(folder), 0);
    check_ok(keys_sealed_save_next(&memo, "first", key, &passphrase, &floor_options));
    check_ok(keys_sealed_save_next(&memo, "second", key, &passphrase, &floor_options));
    check_ok(keys_sealed_save_next(&memo, "third", key, &passphrase, &more));
    keys_sealed_memo_wipe(&memo);
    check_bytes(salt_of("first", first), salt_of("second", second));
    cr_assert_not(ca_bytes_equal(salt_of("first", first), salt_of("third", third)));
    cr_assert_not(ca_bytes_equal(ca_bytes_of(first + AT_NONCE, HEADER_LEN - AT_NONCE),
                                 ca_bytes_of(second + AT_NONCE, HEADER_LEN - AT_NONCE)));
    static const char *const names[] = { "first", "third", "second", "second" };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        check_ok(keys_sealed_load_next(&memo, names[i], &passphrase, &loaded));
        crypto_private_key_free(loaded);
        check_ok(keys_sealed_load(names[i], &passphrase, &loaded)); /* each for itself as well */
        crypto_private_key_free(loaded);
    }
    keys_sealed_memo_wipe(&memo);
    cr_assert_eq(memo.file_key.len, 0);
    cr_assert(unlink("first") == 0 && unlink("second") == 0 && unlink("third") == 0);
}

Test(sealed, what_was_kept_of_a_passphrase_opens_no_altered_file)
{
    struct keys_sealed_memo memo = { 0 };
    struct crypto_private_key *loaded;

    cr_assert_eq(chdir(folder), 0);
    check_ok(keys_sealed_save_next(&memo, "first", key, &passphrase, &floor_options));
    for (int at = AT_MAGIC; at < HEADER_LEN_MAX + 8; at += 9) {
        int fd = open("first", O_RDWR);
        uint8_t octet;
        cr_assert(fd >= 0 && pread(fd, &octet, 1, at) == 1);
        octet ^= 1;
        cr_assert(pwrite(fd, &octet, 1, at) == 1);
        check_err(keys_sealed_load_next(&memo, "first", &passphrase, &loaded), CA_ERR_PASSPHRASE);
        cr_assert_null(loaded);
        octet ^= 1;
        cr_assert(pwrite(fd, &octet, 1, at) == 1);
        close(fd);
    }
    check_ok(keys_sealed_load_next(&memo, "first", &passphrase, &loaded));
    crypto_private_key_free(loaded);
    keys_sealed_memo_wipe(&memo);
    cr_assert_eq(unlink("first"), 0);
}
