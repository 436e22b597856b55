/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/keys/token.h"

#include <stdlib.h>

#include "ca/keys/pkcs11_session.h"

enum { OBJECTS_MAX = 1024, RANDOM_ID_LEN = 8, TEMPLATE_MAX = 12 };

struct visit {
    struct pkcs11_place place;
    struct pkcs11_session session;
    struct ca_refusal *refusal;
};

static enum ca_err visit_begin(struct visit *visit, const struct keys_pkcs11_options *options,
                               CK_FLAGS flags, struct ca_refusal *refusal)
{
    *visit = (struct visit){ .refusal = refusal };
    ca_refuse(refusal, CA_OK, "key", "the token failed");
    enum ca_err err = pkcs11_place_open(&visit->place, options, NULL, refusal);
    if (err != CA_OK)
        return err;
    err = pkcs11_session_login(&visit->session, &visit->place, CKF_SERIAL_SESSION | flags, refusal);
    if (err != CA_OK)
        pkcs11_place_close(&visit->place);
    return err;
}

static void visit_end(struct visit *visit)
{
    pkcs11_session_drop(&visit->session, &visit->place);
    pkcs11_place_close(&visit->place);
}

static CK_FUNCTION_LIST *module_of(const struct visit *visit)
{
    return visit->place.module;
}

/* ---- kinds of keys */

/* clang-format off */
static const uint8_t p256[] = { 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07 };
static const uint8_t p384[] = { 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22 };
/* As RFC 8410 has it, and as older tokens want it: a PrintableString. */
static const uint8_t ed25519[] = { 0x06, 0x03, 0x2b, 0x65, 0x70 };
static const uint8_t ed25519_name[] = { 0x13, 0x0c, 'e', 'd', 'w', 'a', 'r', 'd', 's', '2', '5',
                                        '5', '1', '9' };
static const struct curve {
    enum crypto_key_type type;
    CK_MECHANISM_TYPE mechanism; /* that makes a pair */
    uint32_t bits;
    size_t point_len;
    struct ca_bytes parameters;
} curves[] = {
    { CRYPTO_KEY_P256, CKM_EC_KEY_PAIR_GEN, 256, 65, { p256, sizeof(p256) } },
    { CRYPTO_KEY_P384, CKM_EC_KEY_PAIR_GEN, 384, 97, { p384, sizeof(p384) } },
    { CRYPTO_KEY_ED25519, CKM_EC_EDWARDS_KEY_PAIR_GEN, 255, 32, { ed25519, sizeof(ed25519) } },
    { CRYPTO_KEY_ED25519, CKM_EC_EDWARDS_KEY_PAIR_GEN, 255, 32,
      { ed25519_name, sizeof(ed25519_name) } },
};
/* clang-format on */
enum { CURVE_COUNT = sizeof(curves) / sizeof(curves[0]) };

/* ---- what a key is */

static enum ca_err read_value(const struct visit *visit, CK_OBJECT_HANDLE object,
                              CK_ATTRIBUTE_TYPE type, uint8_t *buffer, struct ca_bytes *value_out)
{
    return pkcs11_session_read(&visit->session, &visit->place, object, type, buffer, value_out);
}

static bool read_flag(const struct visit *visit, CK_ATTRIBUTE_TYPE type)
{
    uint8_t buffer[PKCS11_VALUE_LEN_MAX];
    struct ca_bytes value;

    return read_value(visit, visit->session.key, type, buffer, &value) == CA_OK && value.len == 1 &&
           value.data[0] == CK_TRUE;
}

static enum ca_err read_rsa(const struct visit *visit, CK_OBJECT_HANDLE object,
                            struct keys_token_key *key)
{
    uint8_t buffer[PKCS11_VALUE_LEN_MAX];
    struct ca_bytes modulus, exponent;
    enum ca_err err;

    if ((err = read_value(visit, object, CKA_MODULUS, key->memory, &modulus)) != CA_OK ||
        (err = read_value(visit, object, CKA_PUBLIC_EXPONENT, buffer, &exponent)) != CA_OK)
        return err;
    modulus = ca_bytes_shortest_number(modulus);
    exponent = ca_bytes_shortest_number(exponent);
    if (modulus.len == 0 || exponent.len == 0 || exponent.len > 16)
        return CA_OK;
    uint8_t *after = key->memory + KEYS_TOKEN_VALUE_LEN_MAX;
    memcpy(after, exponent.data, exponent.len);
    key->public = (struct crypto_public_key){ .type = CRYPTO_KEY_RSA,
                                              .bits = (uint32_t)(8 * modulus.len),
                                              .modulus = modulus,
                                              .exponent = ca_bytes_of(after, exponent.len) };
    return CA_OK;
}

static enum ca_err read_point(const struct visit *visit, CK_OBJECT_HANDLE object,
                              struct keys_token_key *key)
{
    uint8_t buffer[PKCS11_VALUE_LEN_MAX];
    struct ca_bytes parameters, point;
    enum ca_err err;

    if ((err = read_value(visit, object, CKA_EC_PARAMS, buffer, &parameters)) != CA_OK ||
        (err = read_value(visit, object, CKA_EC_POINT, key->memory, &point)) != CA_OK)
        return err;
    for (size_t i = 0; i < CURVE_COUNT; i++) {
        size_t len = curves[i].point_len;
        if (!ca_bytes_equal(parameters, curves[i].parameters))
            continue;
        /* Wrapped as an OCTET STRING by most. */
        if (point.len == len + 2 && point.data[0] == 0x04 && point.data[1] == len)
            point = ca_bytes_of(point.data + 2, len);
        if (point.len == len)
            key->public = (struct crypto_public_key){ .type = curves[i].type,
                                                      .bits = curves[i].bits,
                                                      .point = point };
    }
    return CA_OK;
}

static enum ca_err read_public(const struct visit *visit, CK_OBJECT_HANDLE object,
                               struct keys_token_key *key)
{
    CK_KEY_TYPE type = 0;
    CK_ATTRIBUTE ask = { CKA_KEY_TYPE, &type, sizeof(type) };

    key->public = (struct crypto_public_key){ .type = CRYPTO_KEY_NONE };
    CK_RV rv = module_of(visit)->C_GetAttributeValue(visit->session.handle, object, &ask, 1);
    if (rv != CKR_OK)
        return pkcs11_error(rv);
    if (type == CKK_RSA)
        return read_rsa(visit, object, key);
    return type == CKK_EC || type == CKK_EC_EDWARDS ? read_point(visit, object, key) : CA_OK;
}

/* token, object, id and type: what finds it again, and nothing that a PIN is. */
static enum ca_err write_uri(const struct visit *visit, CK_SLOT_ID slot, struct keys_token_key *key)
{
    static const CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    static const CK_ATTRIBUTE_TYPE types[] = { CKA_LABEL, CKA_ID };
    CK_ATTRIBUTE is_private = { CKA_CLASS, (void *)(uintptr_t) & class, sizeof(class) };
    uint8_t buffer[PKCS11_VALUE_LEN_MAX];
    P11KitUri *uri = p11_kit_uri_new();
    CK_TOKEN_INFO info;
    char *text = NULL;

    if (uri == NULL)
        return CA_ERR_NOMEM;
    enum ca_err err = pkcs11_error(module_of(visit)->C_GetTokenInfo(slot, &info));
    if (err == CA_OK)
        memcpy(p11_kit_uri_get_token_info(uri)->label, info.label, sizeof(info.label));
    for (size_t i = 0; err == CA_OK && i < sizeof(types) / sizeof(types[0]); i++) {
        struct ca_bytes value;
        err = read_value(visit, visit->session.key, types[i], buffer, &value);
        CK_ATTRIBUTE attribute = { types[i], buffer, value.len };
        if (err == CA_OK && value.len > 0 &&
            p11_kit_uri_set_attribute(uri, &attribute) != P11_KIT_URI_OK)
            err = CA_ERR_NOMEM;
    }
    if (err == CA_OK &&
        (p11_kit_uri_set_attribute(uri, &is_private) != P11_KIT_URI_OK ||
         p11_kit_uri_format(uri, P11_KIT_URI_FOR_OBJECT_ON_TOKEN, &text) != P11_KIT_URI_OK))
        err = CA_ERR_NOMEM;
    if (err == CA_OK && strlen(text) > KEYS_TOKEN_URI_LEN_MAX)
        err = CA_ERR_FIELD_LENGTH;
    if (err == CA_OK)
        memcpy(key->uri, text, strlen(text) + 1);
    free(text);
    p11_kit_uri_free(uri);
    return err;
}

/* Of the private key that the session has. */
static enum ca_err describe(struct visit *visit, CK_OBJECT_HANDLE public,
                            struct keys_token_key *key)
{
    CK_SESSION_INFO info;
    enum ca_err err;

    if ((err = pkcs11_error(module_of(visit)->C_GetSessionInfo(visit->session.handle, &info))) !=
            CA_OK ||
        (err = write_uri(visit, info.slotID, key)) != CA_OK)
        return err;
    key->is_sensitive = read_flag(visit, CKA_SENSITIVE);
    key->is_extractable = read_flag(visit, CKA_EXTRACTABLE);
    key->public.type = CRYPTO_KEY_NONE;
    return public == CK_INVALID_HANDLE ? CA_OK : read_public(visit, public, key);
}

/* ---- list and find */

static enum ca_err find_objects(const struct visit *visit, CK_ATTRIBUTE *attributes, CK_ULONG count,
                                CK_OBJECT_HANDLE objects[OBJECTS_MAX], CK_ULONG *found_out)
{
    CK_FUNCTION_LIST *module = module_of(visit);
    CK_RV rv = module->C_FindObjectsInit(visit->session.handle, attributes, count);

    *found_out = 0;
    if (rv != CKR_OK)
        return pkcs11_error(rv);
    rv = module->C_FindObjects(visit->session.handle, objects, OBJECTS_MAX, found_out);
    CK_RV rv_final = module->C_FindObjectsFinal(visit->session.handle);
    return pkcs11_error(rv != CKR_OK ? rv : rv_final);
}

static enum ca_err list_all(struct visit *visit, keys_token_visit_fn *each, void *arg)
{
    static const CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_ATTRIBUTE attributes[3] = { { CKA_CLASS, (void *)(uintptr_t) & class, sizeof(class) } };
    CK_OBJECT_HANDLE objects[OBJECTS_MAX];
    CK_ULONG found;

    CK_ULONG count = 1 + pkcs11_place_names(&visit->place, attributes + 1);
    enum ca_err err = find_objects(visit, attributes, count, objects, &found);
    for (CK_ULONG i = 0; err == CA_OK && i < found; i++) {
        CK_OBJECT_HANDLE public;
        struct keys_token_key key;
        visit->session.key = objects[i];
        err = pkcs11_session_find_public(&visit->session, &visit->place, &public);
        if (err == CA_ERR_NOT_FOUND || err == CA_ERR_KEY_UNUSABLE)
        public = CK_INVALID_HANDLE;
        else if (err != CA_OK) break;
        if ((err = describe(visit, public, &key)) == CA_OK)
            each(arg, &key);
    }
    return err;
}

enum ca_err keys_token_list(const struct keys_pkcs11_options *options, keys_token_visit_fn *visit,
                            void *arg, struct ca_refusal *refusal)
{
    struct visit own;
    enum ca_err err = visit_begin(&own, options, 0, refusal);

    if (err != CA_OK)
        return err;
    err = list_all(&own, visit, arg);
    visit_end(&own);
    return err;
}

enum ca_err keys_token_find(const struct keys_pkcs11_options *options,
                            struct keys_token_key *key_out, struct ca_refusal *refusal)
{
    CK_OBJECT_HANDLE public;
    struct visit visit;
    enum ca_err err = visit_begin(&visit, options, 0, refusal);

    if (err != CA_OK)
        return err;
    if ((err = pkcs11_session_find(&visit.session, &visit.place, &public, refusal)) == CA_OK)
        err = describe(&visit, public, key_out);
    if (err == CA_OK && key_out->public.type == CRYPTO_KEY_NONE)
        err = ca_refuse(refusal, CA_ERR_KEY_TYPE, "key", "of a kind that is not used here");
    visit_end(&visit);
    return err;
}

/* ---- generate */

struct template
{
    CK_ATTRIBUTE attributes[TEMPLATE_MAX];
    CK_ULONG count;
};

static void template_put(struct template *template, CK_ATTRIBUTE_TYPE type, const void *value,
                         size_t len)
{
    template->attributes[template->count++] =
        (CK_ATTRIBUTE){ type, (void *)(uintptr_t)value, (CK_ULONG)len };
}

static void template_flag(struct template *template, CK_ATTRIBUTE_TYPE type, bool is_set)
{
    static const CK_BBOOL yes = CK_TRUE, no = CK_FALSE;

    template_put(template, type, is_set ? &yes : &no, 1);
}

/* What names both halves; the id is made up where the URI has none. */
static enum ca_err names_of(const struct visit *visit, uint8_t random_id[RANDOM_ID_LEN],
                            CK_ATTRIBUTE names[2])
{
    const CK_ATTRIBUTE *label = p11_kit_uri_get_attribute(visit->place.uri, CKA_LABEL);
    const CK_ATTRIBUTE *id = p11_kit_uri_get_attribute(visit->place.uri, CKA_ID);

    if (label == NULL || label->ulValueLen == 0)
        return ca_refuse(visit->refusal, CA_ERR_CONFIG, "key",
                         "the URI of a new key names it: object=");
    names[0] = *label;
    names[1] = (CK_ATTRIBUTE){ CKA_ID, random_id, RANDOM_ID_LEN };
    if (id != NULL && id->ulValueLen > 0)
        names[1] = *id;
    return crypto_random(random_id, RANDOM_ID_LEN);
}

static enum ca_err check_free(const struct visit *visit, CK_ATTRIBUTE names[2])
{
    CK_OBJECT_HANDLE objects[OBJECTS_MAX];
    CK_ULONG found;

    for (size_t i = 0; i < 2; i++) {
        enum ca_err err = find_objects(visit, &names[i], 1, objects, &found);
        if (err != CA_OK)
            return err;
        if (found > 0)
            return ca_refuse(visit->refusal, CA_ERR_EXISTS, "key",
                             i == 0 ? "the token has an object of this label"
                                    : "the token has an object of this id");
    }
    return CA_OK;
}

static void fill_templates(CK_ATTRIBUTE names[2], bool is_rsa, struct template *public,
                           struct template *private)
{
    *public = *private = (struct template){ .count = 0 };
    for (size_t i = 0; i < 2; i++) {
        template_put(public, names[i].type, names[i].pValue, names[i].ulValueLen);
        template_put(private, names[i].type, names[i].pValue, names[i].ulValueLen);
    }
    template_flag(public, CKA_TOKEN, true);
    template_flag(public, CKA_VERIFY, true);
    template_flag(private, CKA_TOKEN, true);
    template_flag(private, CKA_PRIVATE, true);
    template_flag(private, CKA_SIGN, true);
    template_flag(private, CKA_SENSITIVE, true);
    template_flag(private, CKA_EXTRACTABLE, false);
    if (is_rsa) { /* a key that signs does nothing else */
        template_flag(private, CKA_DECRYPT, false);
        template_flag(private, CKA_UNWRAP, false);
        template_flag(public, CKA_ENCRYPT, false);
        template_flag(public, CKA_WRAP, false);
    }
}

static bool token_makes(const struct visit *visit, CK_SLOT_ID slot, CK_MECHANISM_TYPE type)
{
    CK_MECHANISM_INFO info;

    return module_of(visit)->C_GetMechanismInfo(slot, type, &info) == CKR_OK &&
           (info.flags & CKF_GENERATE_KEY_PAIR) != 0;
}

static enum ca_err make_rsa(struct visit *visit, CK_ATTRIBUTE names[2], uint32_t rsa_bits,
                            CK_OBJECT_HANDLE *public_out)
{
    static const uint8_t exponent[] = { 1, 0, 1 };
    CK_MECHANISM mechanism = { CKM_RSA_PKCS_KEY_PAIR_GEN, NULL, 0 };
    CK_ULONG bits = rsa_bits;
    struct template public, private;

    fill_templates(names, true, &public, &private);
    template_put(&public, CKA_MODULUS_BITS, &bits, sizeof(bits));
    template_put(&public, CKA_PUBLIC_EXPONENT, exponent, sizeof(exponent));
    return pkcs11_error(module_of(visit)->C_GenerateKeyPair(
        visit->session.handle, &mechanism, public.attributes, public.count, private.attributes,
        private.count, public_out, &visit->session.key));
}

/* By every name that the curve has. */
static enum ca_err make_point(struct visit *visit, CK_ATTRIBUTE names[2], enum crypto_key_type type,
                              CK_OBJECT_HANDLE *public_out)
{
    enum ca_err err = CA_ERR_KEY_TYPE;

    for (size_t i = 0; i < CURVE_COUNT && err != CA_OK; i++) {
        CK_MECHANISM mechanism = { curves[i].mechanism, NULL, 0 };
        struct template public, private;
        if (curves[i].type != type)
            continue;
        fill_templates(names, false, &public, &private);
        template_put(&public, CKA_EC_PARAMS, curves[i].parameters.data, curves[i].parameters.len);
        err = pkcs11_error(module_of(visit)->C_GenerateKeyPair(
            visit->session.handle, &mechanism, public.attributes, public.count, private.attributes,
            private.count, public_out, &visit->session.key));
    }
    return err;
}

static CK_MECHANISM_TYPE maker_of(enum crypto_key_type type)
{
    for (size_t i = 0; i < CURVE_COUNT; i++) {
        if (curves[i].type == type)
            return curves[i].mechanism;
    }
    return CKM_RSA_PKCS_KEY_PAIR_GEN;
}

static enum ca_err make(struct visit *visit, enum crypto_key_type type, uint32_t rsa_bits,
                        CK_OBJECT_HANDLE *public_out)
{
    uint8_t random_id[RANDOM_ID_LEN];
    CK_SESSION_INFO info;
    CK_ATTRIBUTE names[2];
    enum ca_err err;

    if ((err = names_of(visit, random_id, names)) != CA_OK ||
        (err = check_free(visit, names)) != CA_OK ||
        (err = pkcs11_error(module_of(visit)->C_GetSessionInfo(visit->session.handle, &info))) !=
            CA_OK)
        return err;
    if (!token_makes(visit, info.slotID, maker_of(type)))
        return ca_refuse(visit->refusal, CA_ERR_KEY_TYPE, "key",
                         "the token does not make keys of this kind");
    ca_refuse(visit->refusal, CA_OK, "key", "the token did not make the key");
    return type == CRYPTO_KEY_RSA ? make_rsa(visit, names, rsa_bits, public_out)
                                  : make_point(visit, names, type, public_out);
}

/* A token that did something else than it was told is not to keep it. */
static enum ca_err check_made(struct visit *visit, CK_OBJECT_HANDLE public,
                              enum crypto_key_type type, uint32_t rsa_bits,
                              struct keys_token_key *key)
{
    enum ca_err err = describe(visit, public, key);

    if (err == CA_OK && (!key->is_sensitive || key->is_extractable || key->public.type != type ||
                         (type == CRYPTO_KEY_RSA && key->public.bits != rsa_bits)))
        err = ca_refuse(visit->refusal, CA_ERR_KEY_UNUSABLE, "key",
                        "the token made it otherwise than it was told");
    if (err != CA_OK) {
        (void)module_of(visit)->C_DestroyObject(visit->session.handle, visit->session.key);
        (void)module_of(visit)->C_DestroyObject(visit->session.handle, public);
    }
    return err;
}

enum ca_err keys_token_generate(const struct keys_pkcs11_options *options,
                                enum crypto_key_type type, uint32_t rsa_bits,
                                struct keys_token_key *key_out, struct ca_refusal *refusal)
{
    CK_OBJECT_HANDLE public;
    struct visit visit;

    if (type == CRYPTO_KEY_SM2 || type == CRYPTO_KEY_NONE)
        return ca_refuse(refusal, CA_ERR_KEY_TYPE, "key",
                         "PKCS#11 has no mechanism for SM2: such a key must be a file");
    if (type == CRYPTO_KEY_RSA && rsa_bits != 2048 && rsa_bits != 3072 && rsa_bits != 4096)
        return ca_refuse(refusal, CA_ERR_KEY_SIZE, "key", "2048, 3072 or 4096 bits");
    enum ca_err err = visit_begin(&visit, options, CKF_RW_SESSION, refusal);
    if (err != CA_OK)
        return err;
    if ((err = make(&visit, type, rsa_bits, &public)) == CA_OK)
        err = check_made(&visit, public, type, rsa_bits, key_out);
    visit_end(&visit);
    return err;
}
