/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/keys/pkcs11_session.h"

#include <dlfcn.h>
#include <stdlib.h>

#include "ca/crypto/signature.h"

enum { SLOTS_MAX = 256, ID_LEN_MAX = 256 };

enum ca_err pkcs11_error(CK_RV rv)
{
    switch (rv) {
    case CKR_OK: return CA_OK;
    case CKR_HOST_MEMORY: return CA_ERR_NOMEM;
    case CKR_PIN_INCORRECT:
    case CKR_PIN_INVALID:
    case CKR_PIN_LEN_RANGE:
    case CKR_PIN_EXPIRED:
    case CKR_PIN_LOCKED:
    case CKR_USER_PIN_NOT_INITIALIZED: return CA_ERR_PASSPHRASE;
    case CKR_MECHANISM_INVALID:
    case CKR_MECHANISM_PARAM_INVALID:
    case CKR_KEY_TYPE_INCONSISTENT:
    case CKR_KEY_FUNCTION_NOT_PERMITTED:
    case CKR_KEY_SIZE_RANGE:
    case CKR_DATA_INVALID:
    case CKR_DATA_LEN_RANGE:
    case CKR_FUNCTION_NOT_SUPPORTED:
    case CKR_CURVE_NOT_SUPPORTED: return CA_ERR_KEY_UNUSABLE;
    default: return CA_ERR_BUSY;
    }
}

/* ---- the place */

static enum ca_err place_find_uri(struct pkcs11_place *place, const char *text,
                                  struct ca_refusal *refusal)
{
    if ((place->uri = p11_kit_uri_new()) == NULL)
        return CA_ERR_NOMEM;
    if (p11_kit_uri_parse(text, P11_KIT_URI_FOR_ANY, place->uri) != P11_KIT_URI_OK)
        return ca_refuse(refusal, CA_ERR_CONFIG, "key", "not an URI of RFC 7512");
    if (p11_kit_uri_any_unrecognized(place->uri))
        return ca_refuse(refusal, CA_ERR_CONFIG, "key", "the URI has a part that is not known");
    if (p11_kit_uri_get_pin_value(place->uri) != NULL ||
        p11_kit_uri_get_pin_source(place->uri) != NULL ||
        p11_kit_uri_get_module_path(place->uri) != NULL ||
        p11_kit_uri_get_module_name(place->uri) != NULL)
        return ca_refuse(refusal, CA_ERR_CONFIG, "key",
                         "PIN and module have settings of their own, not the URI's query");
    return CA_OK;
}

CK_ULONG pkcs11_place_names(const struct pkcs11_place *place, CK_ATTRIBUTE attributes[2])
{
    static const CK_ATTRIBUTE_TYPE types[] = { CKA_LABEL, CKA_ID };
    CK_ULONG count = 0;

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        const CK_ATTRIBUTE *attribute = p11_kit_uri_get_attribute(place->uri, types[i]);
        if (attribute != NULL)
            attributes[count++] = *attribute;
    }
    return count;
}

bool pkcs11_place_names_key(const struct pkcs11_place *place)
{
    CK_ATTRIBUTE attributes[2];

    return pkcs11_place_names(place, attributes) > 0;
}

static enum ca_err module_initialize(CK_FUNCTION_LIST *module)
{
    CK_C_INITIALIZE_ARGS arguments = { .flags = CKF_OS_LOCKING_OK };
    CK_RV rv = module->C_Initialize(&arguments);

    return rv == CKR_CRYPTOKI_ALREADY_INITIALIZED ? CA_OK : pkcs11_error(rv);
}

static enum ca_err place_load_module(struct pkcs11_place *place, const char *path,
                                     struct ca_refusal *refusal)
{
    if (path[0] != '/')
        return ca_refuse(refusal, CA_ERR_CONFIG, "module", "not an absolute path");
    /* Never unloaded: see the header. */
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (library == NULL)
        return ca_refuse(refusal, CA_ERR_NOT_FOUND, "module", "cannot be loaded");
    CK_C_GetFunctionList get_list;
    *(void **)&get_list = dlsym(library, "C_GetFunctionList");
    if (get_list == NULL || get_list(&place->module) != CKR_OK || place->module == NULL) {
        dlclose(library);
        return ca_refuse(refusal, CA_ERR_NOT_FOUND, "module", "not a PKCS#11 module");
    }
    dlclose(library);
    enum ca_err err = module_initialize(place->module);
    return err == CA_OK ? CA_OK : ca_refuse(refusal, err, "module", "does not start");
}

enum ca_err pkcs11_place_open(struct pkcs11_place *place, const struct keys_pkcs11_options *options,
                              const struct crypto_public_key *public, struct ca_refusal *refusal)
{
    enum ca_err err;

    *place = (struct pkcs11_place){ 0 };
    if (public != NULL && public->type == CRYPTO_KEY_SM2)
        return ca_refuse(refusal, CA_ERR_KEY_TYPE, "key",
                         "PKCS#11 has no mechanism for SM2: such a key must be a file");
    err = public == NULL ? CA_OK : crypto_own_key_new(public, &place->own);
    if (err == CA_OK)
        err = place_find_uri(place, options->uri, refusal);
    if (err == CA_OK && public != NULL && !pkcs11_place_names_key(place))
        err = ca_refuse(refusal, CA_ERR_CONFIG, "key", "the URI names no object and no id");
    if (err == CA_OK)
        err = place_load_module(place, options->module, refusal);
    if (err == CA_OK && (place->pin_file = strdup(options->pin_file)) == NULL)
        err = CA_ERR_NOMEM;
    if (err != CA_OK)
        pkcs11_place_close(place);
    return err;
}

void pkcs11_place_close(struct pkcs11_place *place)
{
    if (place->uri != NULL)
        p11_kit_uri_free(place->uri);
    free(place->pin_file);
    crypto_own_key_free(place->own);
    *place = (struct pkcs11_place){ 0 };
}

/* ---- token and login */

static bool token_matches(const struct pkcs11_place *place, CK_SLOT_ID slot)
{
    CK_SLOT_ID wanted = p11_kit_uri_get_slot_id(place->uri);
    CK_TOKEN_INFO info;

    if (wanted != (CK_SLOT_ID)-1 && wanted != slot)
        return false;
    return place->module->C_GetTokenInfo(slot, &info) == CKR_OK &&
           (info.flags & CKF_TOKEN_INITIALIZED) != 0 &&
           p11_kit_uri_match_token_info(place->uri, &info) == 1;
}

static enum ca_err find_token(const struct pkcs11_place *place, CK_SLOT_ID *slot_out,
                              struct ca_refusal *refusal)
{
    CK_SLOT_ID slots[SLOTS_MAX];
    CK_ULONG count = SLOTS_MAX;
    size_t found = 0;

    CK_RV rv = place->module->C_GetSlotList(CK_TRUE, slots, &count);
    if (rv == CKR_CRYPTOKI_NOT_INITIALIZED && module_initialize(place->module) == CA_OK) {
        count = SLOTS_MAX;
        rv = place->module->C_GetSlotList(CK_TRUE, slots, &count);
    }
    if (rv != CKR_OK)
        return ca_refuse(refusal, CA_ERR_BUSY, "module", "does not tell its tokens");
    for (CK_ULONG i = 0; i < count && i < SLOTS_MAX; i++) {
        if (!token_matches(place, slots[i]))
            continue;
        *slot_out = slots[i];
        found++;
    }
    if (found > 1)
        return ca_refuse(refusal, CA_ERR_KEY_UNUSABLE, "key", "several tokens fit the URI");
    return found == 1 ? CA_OK : ca_refuse(refusal, CA_ERR_BUSY, "key", "no token fits the URI");
}

static enum ca_err login(const struct pkcs11_place *place, CK_SESSION_HANDLE handle,
                         struct ca_refusal *refusal)
{
    CK_SESSION_INFO info;
    struct keys_secret pin = { 0 };
    enum ca_err err;

    /* Sessions of one process share their login. */
    if ((err = pkcs11_error(place->module->C_GetSessionInfo(handle, &info))) != CA_OK)
        return ca_refuse(refusal, err, "key", "the token gave a session that does not work");
    if (info.state == CKS_RO_USER_FUNCTIONS || info.state == CKS_RW_USER_FUNCTIONS)
        return CA_OK;
    if ((err = keys_secret_read_file(place->pin_file, &pin)) != CA_OK)
        return ca_refuse(refusal, err, "pin_file", "cannot be read, or not by its owner alone");
    CK_RV rv = place->module->C_Login(handle, CKU_USER, pin.data, pin.len);
    keys_secret_wipe(&pin);
    if (rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN)
        return CA_OK;
    return ca_refuse(refusal, pkcs11_error(rv), "pin_file", "the token refused the login");
}

/* ---- the key */

/* NOT_FOUND, or KEY_UNUSABLE if there are several. */
static enum ca_err find_object(const struct pkcs11_place *place, CK_SESSION_HANDLE session,
                               CK_ATTRIBUTE *attributes, CK_ULONG count,
                               CK_OBJECT_HANDLE *object_out)
{
    CK_OBJECT_HANDLE objects[2];
    CK_ULONG found = 0;

    CK_RV rv = place->module->C_FindObjectsInit(session, attributes, count);
    if (rv != CKR_OK)
        return pkcs11_error(rv);
    rv = place->module->C_FindObjects(session, objects, 2, &found);
    CK_RV rv_final = place->module->C_FindObjectsFinal(session);
    if (rv != CKR_OK || rv_final != CKR_OK)
        return pkcs11_error(rv != CKR_OK ? rv : rv_final);
    *object_out = objects[0];
    return found == 1 ? CA_OK : found == 0 ? CA_ERR_NOT_FOUND : CA_ERR_KEY_UNUSABLE;
}

static enum ca_err find_private(const struct pkcs11_place *place, struct pkcs11_session *session)
{
    static const CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_ATTRIBUTE attributes[3] = { { CKA_CLASS, (void *)(uintptr_t) & class, sizeof(class) } };

    return find_object(place, session->handle, attributes,
                       1 + pkcs11_place_names(place, attributes + 1), &session->key);
}

/* By the id of the private one, which is how a pair belongs together; by its names if it has
 * none. */
enum ca_err pkcs11_session_find_public(struct pkcs11_session *session,
                                       const struct pkcs11_place *place,
                                       CK_OBJECT_HANDLE *object_out)
{
    static const CK_OBJECT_CLASS class = CKO_PUBLIC_KEY;
    CK_ATTRIBUTE attributes[3] = { { CKA_CLASS, (void *)(uintptr_t) & class, sizeof(class) } };
    uint8_t id[ID_LEN_MAX];
    CK_ATTRIBUTE ask = { CKA_ID, id, sizeof(id) };
    CK_ULONG count = 1;

    CK_RV rv = place->module->C_GetAttributeValue(session->handle, session->key, &ask, 1);
    if (rv != CKR_OK && rv != CKR_ATTRIBUTE_TYPE_INVALID)
        return pkcs11_error(rv);
    if (rv == CKR_OK && ask.ulValueLen > 0 && ask.ulValueLen <= sizeof(id))
        attributes[count++] = ask;
    else
        count += pkcs11_place_names(place, attributes + 1);
    return find_object(place, session->handle, attributes, count, object_out);
}

enum ca_err pkcs11_session_read(const struct pkcs11_session *session,
                                const struct pkcs11_place *place, CK_OBJECT_HANDLE object,
                                CK_ATTRIBUTE_TYPE type, uint8_t buffer[PKCS11_VALUE_LEN_MAX],
                                struct ca_bytes *value_out)
{
    CK_ATTRIBUTE attribute = { type, buffer, PKCS11_VALUE_LEN_MAX };
    CK_RV rv = place->module->C_GetAttributeValue(session->handle, object, &attribute, 1);

    *value_out = ca_bytes_of(NULL, 0);
    if (rv == CKR_OK && attribute.ulValueLen <= PKCS11_VALUE_LEN_MAX)
        *value_out = ca_bytes_of(buffer, attribute.ulValueLen);
    /* It has none: then it is not the key. */
    if (rv == CKR_ATTRIBUTE_TYPE_INVALID || rv == CKR_ATTRIBUTE_SENSITIVE)
        return CA_OK;
    return pkcs11_error(rv);
}

/* number has no leading zeros; the token's may. */
static bool is_number(struct ca_bytes value, struct ca_bytes number)
{
    return ca_bytes_equal(ca_bytes_shortest_number(value), number);
}

/* The token's may be wrapped as an OCTET STRING. */
static bool is_point(struct ca_bytes value, struct ca_bytes point)
{
    if (value.len == point.len + 2 && value.data[0] == 0x04 && value.data[1] == point.len)
        value = ca_bytes_of(value.data + 2, value.len - 2);
    return ca_bytes_equal(value, point);
}

static CK_KEY_TYPE type_of(const struct crypto_public_key *key)
{
    return key->type == CRYPTO_KEY_RSA       ? CKK_RSA
           : key->type == CRYPTO_KEY_ED25519 ? CKK_EC_EDWARDS
                                             : CKK_EC;
}

static enum ca_err compare(const struct pkcs11_place *place, const struct pkcs11_session *session,
                           CK_OBJECT_HANDLE public, bool *is_same_out)
{
    const struct crypto_public_key *key = crypto_own_key_public(place->own);
    CK_KEY_TYPE type = 0;
    CK_ATTRIBUTE ask = { CKA_KEY_TYPE, &type, sizeof(type) };
    uint8_t buffer[PKCS11_VALUE_LEN_MAX];
    struct ca_bytes value;
    enum ca_err err;

    *is_same_out = false;
    CK_RV rv = place->module->C_GetAttributeValue(session->handle, session->key, &ask, 1);
    if (rv != CKR_OK || type != type_of(key))
        return pkcs11_error(rv);
    if (key->type != CRYPTO_KEY_RSA) {
        err = pkcs11_session_read(session, place, public, CKA_EC_POINT, buffer, &value);
        *is_same_out = err == CA_OK && is_point(value, key->point);
        return err;
    }
    err = pkcs11_session_read(session, place, public, CKA_MODULUS, buffer, &value);
    if (err != CA_OK || !is_number(value, key->modulus))
        return err;
    err = pkcs11_session_read(session, place, public, CKA_PUBLIC_EXPONENT, buffer, &value);
    *is_same_out = err == CA_OK && is_number(value, key->exponent);
    return err;
}

enum ca_err pkcs11_session_find(struct pkcs11_session *session, const struct pkcs11_place *place,
                                CK_OBJECT_HANDLE *public_out, struct ca_refusal *refusal)
{
    if (!pkcs11_place_names_key(place))
        return ca_refuse(refusal, CA_ERR_CONFIG, "key", "the URI names no object and no id");
    enum ca_err err = find_private(place, session);
    if (err != CA_OK)
        return ca_refuse(refusal, err, "key",
                         err == CA_ERR_NOT_FOUND ? "the token has no such private key"
                                                 : "several private keys fit the URI");
    if ((err = pkcs11_session_find_public(session, place, public_out)) != CA_OK)
        return ca_refuse(refusal, err, "key",
                         err == CA_ERR_NOT_FOUND ? "the token does not have its public key"
                                                 : "several public keys fit");
    return CA_OK;
}

static enum ca_err find_key(const struct pkcs11_place *place, struct pkcs11_session *session,
                            struct ca_refusal *refusal)
{
    CK_OBJECT_HANDLE public;
    bool is_same;

    enum ca_err err = pkcs11_session_find(session, place, &public, refusal);
    if (err != CA_OK)
        return err;
    if ((err = compare(place, session, public, &is_same)) != CA_OK)
        return ca_refuse(refusal, err, "key", "the token does not tell its public key");
    return is_same
               ? CA_OK
               : ca_refuse(refusal, CA_ERR_KEY_UNUSABLE, "key", "not the key of the certificate");
}

/* ---- life */

enum ca_err pkcs11_session_login(struct pkcs11_session *session, const struct pkcs11_place *place,
                                 CK_FLAGS flags, struct ca_refusal *refusal)
{
    CK_SLOT_ID slot;
    enum ca_err err;

    *session = (struct pkcs11_session){ 0 };
    if ((err = find_token(place, &slot, refusal)) != CA_OK)
        return err;
    CK_RV rv = place->module->C_OpenSession(slot, flags, NULL, NULL, &session->handle);
    if (rv != CKR_OK)
        return ca_refuse(refusal, pkcs11_error(rv), "key", "the token opens no session");
    session->is_open = true;
    if ((err = login(place, session->handle, refusal)) != CA_OK)
        pkcs11_session_drop(session, place);
    return err;
}

enum ca_err pkcs11_session_open(struct pkcs11_session *session, const struct pkcs11_place *place,
                                struct ca_refusal *refusal)
{
    enum ca_err err = pkcs11_session_login(session, place, CKF_SERIAL_SESSION, refusal);

    if (err == CA_OK && (err = find_key(place, session, refusal)) != CA_OK)
        pkcs11_session_drop(session, place);
    return err;
}

void pkcs11_session_drop(struct pkcs11_session *session, const struct pkcs11_place *place)
{
    if (session->is_open)
        place->module->C_CloseSession(session->handle); /* it may be gone: so much the better */
    *session = (struct pkcs11_session){ 0 };
}

enum ca_err pkcs11_session_check(struct pkcs11_session *session, const struct pkcs11_place *place)
{
    CK_SESSION_INFO info;
    enum ca_err err = pkcs11_error(place->module->C_GetSessionInfo(session->handle, &info));

    if (err != CA_OK)
        return err;
    bool is_user = info.state == CKS_RO_USER_FUNCTIONS || info.state == CKS_RW_USER_FUNCTIONS;
    return is_user ? CA_OK : CA_ERR_BUSY;
}

/* ---- signing */

static const struct form {
    enum crypto_sig sig;
    CK_MECHANISM_TYPE mechanism;
    struct ca_bytes prefix; /* before the digest */
    size_t digest_len;
    CK_RSA_PKCS_PSS_PARAMS parameters; /* of PSS */
} forms[] = {
/* DigestInfo of RFC 8017, section 9.2, note 1 */
#define INFO(octets)                                  \
    {                                                 \
        (const uint8_t *)(octets), sizeof(octets) - 1 \
    }
#define SHA2_INFO(len, arc, hash_len)                                                 \
    INFO("\x30" len "\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02" arc "\x05\x00" \
         "\x04" hash_len)
    { CRYPTO_SIG_ECDSA_SHA256, CKM_ECDSA, { 0 }, 32, { 0 } },
    { CRYPTO_SIG_ECDSA_SHA384, CKM_ECDSA, { 0 }, 48, { 0 } },
    { CRYPTO_SIG_ECDSA_SHA512, CKM_ECDSA, { 0 }, 64, { 0 } },
    { CRYPTO_SIG_RSA_SHA256, CKM_RSA_PKCS, SHA2_INFO("\x31", "\x01", "\x20"), 32, { 0 } },
    { CRYPTO_SIG_RSA_SHA384, CKM_RSA_PKCS, SHA2_INFO("\x41", "\x02", "\x30"), 48, { 0 } },
    { CRYPTO_SIG_RSA_SHA512, CKM_RSA_PKCS, SHA2_INFO("\x51", "\x03", "\x40"), 64, { 0 } },
    { CRYPTO_SIG_PSS_SHA256, CKM_RSA_PKCS_PSS, { 0 }, 32, { CKM_SHA256, CKG_MGF1_SHA256, 32 } },
    { CRYPTO_SIG_PSS_SHA384, CKM_RSA_PKCS_PSS, { 0 }, 48, { CKM_SHA384, CKG_MGF1_SHA384, 48 } },
    { CRYPTO_SIG_PSS_SHA512, CKM_RSA_PKCS_PSS, { 0 }, 64, { CKM_SHA512, CKG_MGF1_SHA512, 64 } },
    { CRYPTO_SIG_ED25519, CKM_EDDSA, { 0 }, 0, { 0 } },
#undef SHA2_INFO
#undef INFO
};

static const struct form *form_find(enum crypto_sig sig)
{
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (forms[i].sig == sig)
            return &forms[i];
    }
    return NULL;
}

/* Octets of a coordinate; 0 for keys without. */
static size_t half_len(const struct crypto_public_key *key)
{
    bool is_curve = key->type == CRYPTO_KEY_P256 || key->type == CRYPTO_KEY_P384;
    return is_curve ? (key->point.len - 1) / 2 : 0;
}

enum ca_err pkcs11_input_set(struct pkcs11_input *input, const struct crypto_public_key *public,
                             enum crypto_sig sig, const struct crypto_digest *digest)
{
    const struct form *form = form_find(sig);
    size_t half = half_len(public), len = digest->len;

    if (form == NULL || !crypto_sig_fits(sig, public->type) || len != form->digest_len)
        return CA_ERR_KEY_UNUSABLE;
    /* FIPS 186-5, section 6.4.1: its leftmost bits. Not every token cuts by itself. */
    if (half != 0 && len > half)
        len = half;
    *input = (struct pkcs11_input){ .len = form->prefix.len + len };
    for (size_t i = 0; i < form->prefix.len; i++)
        input->bytes[i] = form->prefix.data[i];
    memcpy(input->bytes + form->prefix.len, digest->bytes, len);
    return CA_OK;
}

static enum ca_err take_signature(const struct crypto_public_key *key, const uint8_t *raw,
                                  size_t len, struct crypto_signature *signature)
{
    size_t half = half_len(key);
    size_t expected = key->type == CRYPTO_KEY_RSA ? key->modulus.len : half != 0 ? 2 * half : 64;

    if (len != expected || len > sizeof(signature->bytes))
        return CA_ERR_SIGNATURE_WRONG;
    if (half != 0) {
        signature->len = crypto_pair_encode(raw, half, signature->bytes);
        return CA_OK;
    }
    memcpy(signature->bytes, raw, len);
    signature->len = len;
    return CA_OK;
}

enum ca_err pkcs11_session_sign(struct pkcs11_session *session, const struct pkcs11_place *place,
                                enum crypto_sig sig, const struct pkcs11_input *input,
                                struct crypto_signature *signature)
{
    const struct form *form = form_find(sig);
    CK_RSA_PKCS_PSS_PARAMS parameters = form->parameters;
    CK_MECHANISM mechanism = { form->mechanism, NULL, 0 };
    struct ca_bytes in = ca_bytes_of(input->bytes, input->len);
    uint8_t raw[CA_SIGNATURE_LEN_MAX];
    CK_ULONG len = sizeof(raw);

    if (mechanism.mechanism == CKM_RSA_PKCS_PSS) {
        mechanism.pParameter = &parameters;
        mechanism.ulParameterLen = sizeof(parameters);
    }
    if (sig == CRYPTO_SIG_ED25519)
        in = input->message;
    CK_RV rv = place->module->C_SignInit(session->handle, &mechanism, session->key);
    if (rv == CKR_OK)
        rv = place->module->C_Sign(session->handle, (CK_BYTE_PTR)(uintptr_t)in.data, in.len, raw,
                                   &len);
    if (rv == CKR_BUFFER_TOO_SMALL)
        return CA_ERR_SIGNATURE_WRONG;
    if (rv != CKR_OK)
        return pkcs11_error(rv);
    return take_signature(crypto_own_key_public(place->own), raw, len, signature);
}
