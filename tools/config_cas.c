/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <unistd.h>

#include "ca/base/text.h"
#include "tools/chain.h"
#include "tools/config_build.h"

/* ---- CRLs */

/* Would files of the one, "one.crl", be taken for lists of the other: "NAME-1", "NAME-delta"? */
static bool is_list_of(const char *one, const struct config_ca_settings *other)
{
    size_t len = strlen(other->name.text);

    if (strncmp(one, other->name.text, len) != 0 || one[len] != '-')
        return false;
    const char *rest = one + len + 1;
    size_t digits = other->crl_shards.value > 1 ? strspn(rest, "0123456789") : 0;
    if (digits > 0 && rest[digits] == '\0')
        return true;
    return strcmp(rest + digits + (digits > 0 && rest[digits] == '-'), "delta") == 0;
}

/* Names of CAs become names of files. */
static enum ca_err check_ca_names(const struct config_builder *builder)
{
    const struct config_ca_settings *settings = builder->settings.cas.items;
    size_t count = builder->settings.cas.count;

    for (size_t i = 0; i < count; i++) {
        const struct config_text *name = &settings[i].name;
        if (name->text[0] == '.' || strchr(name->text, '/') != NULL ||
            !ca_text_is_visible_ascii(ca_bytes_of_text(name->text)))
            return config_complain(
                builder->source, name->line,
                "\"%s\" names the files of its CRLs: visible characters, no / and"
                " no . in front",
                name->text);
        for (size_t k = 0; k < count; k++) {
            if (is_list_of(name->text, &settings[k]))
                return config_complain(builder->source, name->line,
                                       "a CRL of \"%s\" would be taken for one of \"%s\"",
                                       name->text, settings[k].name.text);
        }
    }
    return CA_OK;
}

static uint32_t seconds(struct config_number minutes)
{
    return (uint32_t)minutes.value * 60;
}

static enum ca_err build_schedule(const struct config_builder *builder,
                                  const struct config_ca_settings *settings,
                                  struct rpc_crl_schedule *schedule)
{
    *schedule = (struct rpc_crl_schedule){
        .validity_s = seconds(settings->crl_validity),
        .overlap_s = seconds(settings->crl_overlap),
        .interval_s = seconds(settings->crl_interval),
        .delta_s = seconds(settings->crl_delta),
        .delta_validity_s = seconds(settings->crl_delta_validity),
    };
    if (schedule->delta_validity_s == 0)
        schedule->delta_validity_s = 2 * schedule->delta_s;
    if (schedule->overlap_s >= schedule->validity_s)
        return config_complain(builder->source, settings->line,
                               "\"crl_overlap_minutes\" is not below \"crl_validity_minutes\"");
    if (schedule->delta_s > 0 && schedule->delta_validity_s <= schedule->delta_s)
        return config_complain(builder->source, settings->line,
                               "\"crl_delta_validity_minutes\" is not above \"crl_delta_minutes\"");
    return CA_OK;
}

/* ---- CAs */

/* The certificate's own subjectKeyIdentifier, so that those below it match whatever made it. */
static void build_key_id(const struct x509_cert *cert, uint8_t key_id[20])
{
    const struct x509_extension *ext = x509_cert_extension(cert, X509_OID_SKI);
    struct der_value octets;

    x509_key_id(&cert->key, key_id);
    if (ext == NULL)
        return;
    struct der_reader reader = der_reader_of(ext->value);
    if (der_read(&reader, DER_OCTET_STRING, &octets) != CA_OK || octets.content.len != 20)
        return;
    for (size_t i = 0; i < 20; i++)
        key_id[i] = octets.content.data[i];
}

/* A list of one shard tells relying parties so by its URL (IssuingDistributionPoint), or not at
 * all. */
static enum ca_err check_shards(const struct config_builder *builder,
                                const struct config_ca_settings *settings)
{
    if (settings->crl_shards.value == 1 || settings->crl_url.line != 0)
        return CA_OK;
    return config_complain(builder->source, settings->crl_shards.line,
                           "several shards need \"crl_url\": without it each list would claim to"
                           " be complete (RFC 5280, 5.2.5)");
}

/* shards 0: it is the same for all. */
static enum ca_err check_url(const struct config_builder *builder, const char *name,
                             const struct config_text *url, uint64_t shards)
{
    const char *percent = strchr(url->text, '%');
    bool has_shard = percent != NULL && percent[1] == 's';

    if (url->line == 0)
        return CA_OK;
    if (!ca_text_is_visible_ascii(ca_bytes_of_text(url->text)) || strchr(url->text, ' ') != NULL ||
        strstr(url->text, "://") == NULL)
        return config_complain(builder->source, url->line, "\"%s\" is not an URL", url->text);
    if (percent != NULL && shards > 0 && (!has_shard || strchr(percent + 1, '%') != NULL))
        return config_complain(builder->source, url->line, "\"%s\" takes one %%s and no other %%",
                               name);
    if (shards > 1 && !has_shard)
        return config_complain(builder->source, url->line,
                               "\"%s\" needs %%s where there are several shards", name);
    return CA_OK;
}

static enum ca_err check_urls(const struct config_builder *builder,
                              const struct config_ca_settings *settings)
{
    const uint64_t shards = settings->crl_shards.value;
    enum ca_err err;

    if ((err = check_url(builder, "crl_url", &settings->crl_url, shards)) != CA_OK ||
        (err = check_url(builder, "crl_delta_url", &settings->crl_delta_url, shards)) != CA_OK ||
        (err = check_url(builder, "ocsp_url", &settings->ocsp_url, 0)) != CA_OK ||
        (err = check_url(builder, "ca_issuers_url", &settings->ca_issuers_url, 0)) != CA_OK)
        return err;
    if (settings->crl_delta_url.line > 0 && settings->crl_delta.value == 0)
        return config_complain(builder->source, settings->crl_delta_url.line,
                               "\"crl_delta_url\" without \"crl_delta_minutes\"");
    return CA_OK;
}

static enum ca_err load_chain(const struct config_builder *builder,
                              const struct config_ca_settings *settings, struct chain **chain_out)
{
    struct ca_refusal refusal = { "", "" };
    const struct config_text *name = &settings->certificate;
    struct ca_arena *arena = builder->config->arena;
    struct ca_bytes text;
    const char *path;
    enum ca_err err;

    *chain_out = NULL;
    if ((path = config_resolve(builder, name->text)) == NULL)
        return CA_ERR_NOMEM;
    if (access(path, F_OK) != 0 && errno == ENOENT)
        return config_complain(builder->source, name->line,
                               "%s: not there yet; certmill ca import brings it", name->text);
    if ((err = config_load_named(builder, name, CHAIN_FILE_LEN_MAX, &path, &text)) != CA_OK)
        return err;
    struct chain *chain = ca_arena_alloc(arena, sizeof(*chain));
    if (chain == NULL)
        return CA_ERR_NOMEM;
    if ((err = chain_parse(text, arena, chain, &refusal)) != CA_OK ||
        (err = chain_check(chain, builder->config->crypto, arena, &refusal)) != CA_OK)
        return config_complain(builder->source, name->line, "%s: %s: %s", name->text, refusal.field,
                               refusal.rule);
    *chain_out = chain;
    return CA_OK;
}

static enum ca_err build_ca(const struct config_builder *builder,
                            const struct config_ca_settings *settings, struct rpc_ca *ca)
{
    struct chain *chain = NULL;
    enum ca_err err;

    if ((err = check_shards(builder, settings)) != CA_OK ||
        (err = check_urls(builder, settings)) != CA_OK ||
        (err = load_chain(builder, settings, &chain)) != CA_OK)
        return err;
    const struct x509_cert *own = &chain->certs[0];
    ca->issuer = (struct rules_issuer){
        .name = settings->name.text,
        .subject = own->subject.whole,
        .key = &own->key,
        .not_before_s = own->not_before_s,
        .not_after_s = own->not_after_s,
        .sig = crypto_sig_usual(own->key.type),
        .ocsp_url = ca_bytes_of_text(settings->ocsp_url.text),
        .ca_issuers_url = ca_bytes_of_text(settings->ca_issuers_url.text),
        .crl_url = ca_bytes_of_text(settings->crl_url.text),
        .crl_shard_count = (uint32_t)settings->crl_shards.value,
        .crl_delta_url = ca_bytes_of_text(settings->crl_delta_url.text),
    };
    build_key_id(own, ca->issuer.key_id);
    if ((err = build_schedule(builder, settings, &ca->crl)) != CA_OK)
        return err;
    if (settings->signature.index != CONFIG_CHOICE_NONE)
        ca->issuer.sig = CONFIG_SIGNATURE_OF[settings->signature.index];
    if (!crypto_sig_fits(ca->issuer.sig, own->key.type))
        return config_complain(builder->source, settings->signature.line,
                               "\"signature\" does not fit a key of type %s",
                               crypto_key_type_name(own->key.type));
    for (size_t i = 0; i < chain->count; i++)
        ca->chain[ca->chain_count++] = chain->certs[i].whole;
    return CA_OK;
}

static enum ca_err build_token(const struct config_builder *builder,
                               const struct config_ca_settings *settings, struct config_key *key)
{
    if (settings->module.line == 0)
        return config_complain(builder->source, settings->key.line,
                               "a key in a token needs \"module\"");
    if (settings->module.text[0] != '/')
        return config_complain(builder->source, settings->module.line,
                               "\"module\" is not an absolute path");
    if (settings->pin_file.line == 0)
        return config_complain(builder->source, settings->key.line,
                               "a key in a token needs \"pin_file\"");
    key->token = (struct keys_pkcs11_options){
        .module = settings->module.text,
        .uri = settings->key.text,
        .pin_file = config_resolve(builder, settings->pin_file.text),
        .sessions = settings->sessions.value,
        .timeout_ms = (uint32_t)settings->timeout_ms.value,
    };
    return key->token.pin_file == NULL ? CA_ERR_NOMEM : CA_OK;
}

static enum ca_err build_key(const struct config_builder *builder,
                             const struct config_ca_settings *settings, struct config_key *key)
{
    const unsigned of_tokens[] = { settings->module.line, settings->pin_file.line };

    if (strncmp(settings->key.text, "pkcs11:", 7) == 0)
        return build_token(builder, settings, key);
    for (size_t i = 0; i < sizeof(of_tokens) / sizeof(of_tokens[0]); i++) {
        if (of_tokens[i] != 0)
            return config_complain(builder->source, of_tokens[i],
                                   "only for a key in a token: \"key\" names a file");
    }
    key->path = config_resolve(builder, settings->key.text);
    return key->path == NULL ? CA_ERR_NOMEM : CA_OK;
}

/* Lists and their numbers are kept by key: two CAs of one would take each other's. */
static enum ca_err check_own_key(const struct config_builder *builder,
                                 const struct config_text *certificate, size_t index)
{
    const struct rpc_ca *cas = builder->config->cas;

    for (size_t before = 0; before < index; before++) {
        if (crypto_public_key_equal(cas[before].issuer.key, cas[index].issuer.key))
            return config_complain(builder->source, certificate->line,
                                   "%s: the key of CA \"%s\" again; each needs its own",
                                   certificate->text, cas[before].issuer.name);
    }
    return CA_OK;
}

enum ca_err config_build_cas(const struct config_builder *builder)
{
    const struct config_ca_settings *settings = builder->settings.cas.items;
    size_t count = builder->settings.cas.count;
    struct config *config = builder->config;
    enum ca_err err = check_ca_names(builder);

    if (err != CA_OK)
        return err;
    config->cas = ca_arena_alloc(config->arena, count * sizeof(*config->cas));
    config->keys = ca_arena_alloc(config->arena, count * sizeof(*config->keys));
    if (config->cas == NULL || config->keys == NULL)
        return CA_ERR_NOMEM;
    for (size_t i = 0; i < count; i++) {
        for (size_t before = 0; before < i; before++) {
            if (strcmp(settings[before].name.text, settings[i].name.text) == 0)
                return config_complain(builder->source, settings[i].name.line,
                                       "CA \"%s\" is there twice", settings[i].name.text);
        }
        if ((err = build_ca(builder, &settings[i], &config->cas[i])) != CA_OK ||
            (err = check_own_key(builder, &settings[i].certificate, i)) != CA_OK ||
            (err = build_key(builder, &settings[i], &config->keys[i])) != CA_OK)
            return err;
    }
    config->rpc.cas = config->cas;
    config->rpc.ca_count = count;
    return CA_OK;
}
