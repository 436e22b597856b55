/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_draft: whatever a request and its caller say, a draft is refused by name and empty, or
 * it parses back and is the same a second time.
 *
 * Input: an octet for the profile, then records of kind, choice, length, content.
 */
#include <assert.h>

#include "tests/support/profiles.h"

enum { VALUES_MAX = 40, NAMES_MAX = 300 };
enum record_kind { SUBJECT, VALUE, EXTENSION, CALLER_NAME, RECORD_KINDS };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t POINT[65] = { 4 };

struct world {
    struct x509_csr csr;
    struct rules_value values[VALUES_MAX];
    struct rules_san names[NAMES_MAX];
    struct rules_request request;
};

static const char *const attribute_names[] = {
    "C", "ST", "L", "O", "OU", "CN", "title", "uscc", "serialNumber", "emailAddress", "id", "org"
};
static const char *const extension_oids[] = { "2.5.29.17",           "2.5.29.15",
                                              "2.5.29.37",           "2.5.29.19",
                                              "2.5.29.14",           "1.2.156.10260.4.1.4",
                                              "1.2.156.10260.4.1.1", "1.2.3.4" };
static const uint8_t tags[] = { DER_UTF8_STRING, DER_PRINTABLE_STRING, DER_IA5_STRING,
                                DER_BMP_STRING,  DER_TELETEX_STRING,   DER_OCTET_STRING };

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static void add_record(struct world *world, unsigned kind, uint8_t choice, struct ca_bytes content,
                       struct ca_arena *arena)
{
    struct x509_csr *csr = &world->csr;
    const char *name = attribute_names[choice % COUNT_OF(attribute_names)];
    const struct x509_attribute_type *type = x509_attribute_type_by_name(name);

    if (kind == SUBJECT && csr->subject.count < CA_ATTRIBUTE_COUNT_MAX)
        csr->subject.attributes[csr->subject.count++] = (struct x509_attribute){
            .oid = type == NULL ? CA_BYTES("\x2a\x03") : type->oid,
            .tag = tags[choice / 16 % COUNT_OF(tags)],
            .value = content,
        };
    else if (kind == VALUE && world->request.value_count < VALUES_MAX)
        world->values[world->request.value_count++] =
            (struct rules_value){ ca_bytes_of_text(name), content };
    else if (kind == EXTENSION && csr->extension_count < CA_EXTENSION_COUNT_MAX)
        csr->extensions[csr->extension_count++] = (struct x509_extension){
            .oid = profiles_oid(extension_oids[choice % COUNT_OF(extension_oids)], arena),
            .value = content,
        };
    else if (kind == CALLER_NAME && world->request.san_count < NAMES_MAX)
        world->names[world->request.san_count++] =
            (struct rules_san){ (enum rules_san_kind)(choice % 4), content };
}

static void read_world(struct world *world, const uint8_t *data, size_t size,
                       struct ca_arena *arena)
{
    static uint8_t spki[128];
    struct der_writer writer;

    world->csr.key = (struct crypto_public_key){
        .type = CRYPTO_KEY_P256,
        .bits = 256,
        .point = ca_bytes_of(POINT, sizeof(POINT)),
    };
    der_writer_init(&writer, spki, sizeof(spki));
    x509_spki_write(&writer, &world->csr.key);
    world->csr.spki = der_writer_bytes(&writer);
    world->request.values = world->values;
    world->request.sans = world->names;
    while (size >= 3) {
        size_t len = data[2];
        if (len > size - 3)
            len = size - 3;
        /* Copies of exactly that length, so that reading beyond it is seen. */
        uint8_t *copy = ca_arena_alloc_raw(arena, len + 1);
        assert(copy != NULL);
        memcpy(copy, data + 3, len);
        add_record(world, data[0] % RECORD_KINDS, data[1], ca_bytes_of(copy, len), arena);
        data += 3 + len;
        size -= 3 + len;
    }
}

static const struct rules_profile *choose(uint8_t choice, struct ca_arena *arena, regex_t *pattern)
{
    struct rules_profile *profile = choice % 3 == 0   ? profiles_enterprise_raw(arena)
                                    : choice % 3 == 1 ? profiles_tls_raw(arena)
                                                      : profiles_person_raw(arena, pattern);

    profile->ignores_request_subject ^= (choice & 0x40) != 0;
    profile->ignores_request_extensions ^= (choice & 0x80) != 0;
    return profiles_prepared(profile, arena);
}

static void check(const struct world *world, const struct rules_profile *profile,
                  struct ca_arena *arena)
{
    const struct rules_issuer issuer = profiles_issuer(CRYPTO_SIG_SM2_SM3, arena);
    const struct rules_order order = { profile, &issuer, &world->request, &world->csr,
                                       profiles_moment() };
    struct ca_refusal refusal = { NULL, NULL };
    struct rules_draft draft, again;
    struct x509_cert cert;

    enum ca_err err = rules_draft(&order, arena, &draft, &refusal);
    if (err != CA_OK) {
        assert(refusal.field != NULL && refusal.rule != NULL && draft.tbs.data == NULL);
        assert(err != CA_ERR_INTERNAL);
        return;
    }
    err = x509_tbs_parse(draft.tbs, &cert, &refusal);
    assert(err == CA_OK);
    err = rules_draft(&order, arena, &again, &refusal);
    assert(err == CA_OK && ca_bytes_equal(draft.tbs, again.tbs));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world *world = calloc(1, sizeof(*world));
    struct ca_arena *arena;
    regex_t pattern = { 0 };

    if (world == NULL || size == 0 || ca_arena_new(1 << 16, 1 << 22, &arena) != CA_OK) {
        free(world);
        return 0;
    }
    read_world(world, data + 1, size - 1, arena);
    check(world, choose(data[0], arena, &pattern), arena);
    if (data[0] % 3 == 2)
        regfree(&pattern);
    ca_arena_free(arena);
    free(world);
    return 0;
}
