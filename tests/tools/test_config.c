/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ca/base/text.h"
#include "tests/support/check.h"
#include "tests/support/profiles.h"
#include "tools/config.h"
#include "tools/config_profile.h"
#include "tools/file.h"
#include "tools/instance.h"

/*
 * tests/vectors/config_refusals.txt and profile_refusals.txt: cases divided by lines "====".
 * First the message, without the file: "LINE: text"; then a line "----"; then the file.
 */

static char dir[64];
static struct ca_arena *arena;

static void put(const char *name, struct ca_bytes text)
{
    char path[160];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    check_ok(file_save(path, text, 0644, true));
}

/* An instance to try configurations in: a self-signed P-256 root and the profiles shipped. */
static void open_instance(void)
{
    struct keys_secret passphrase;
    struct instance_plan plan = { .path = dir,
                                  .ca_count = 2,
                                  .years = 1,
                                  .instance = 1,
                                  .now_us = 1795000000000000,
                                  .has_audit_key = true,
                                  .passphrase = &passphrase };

    check_ok(keys_harden_process());
    check_ok(ca_arena_new(1 << 16, 16 << 20, &arena));
    snprintf(dir, sizeof(dir), "/tmp/certmill-config.XXXXXX");
    cr_assert(mkdtemp(dir) != NULL);
    cr_assert(instance_ca_parse("main=p256", &plan.cas[0]));
    cr_assert(instance_ca_parse("other=ed25519", &plan.cas[1]));
    check_ok(keys_secret_new(8, &passphrase));
    check_ok(instance_create(&plan));
    keys_secret_wipe(&passphrase);
}

static void close_instance(void)
{
    file_drop_tree(dir);
    ca_arena_free(arena);
}

TestSuite(config, .init = open_instance, .fini = close_instance, .timeout = 60);

/* What config_load says about certmill.conf, with the folder taken off. */
static enum ca_err load(char **said_out)
{
    struct config *config;
    size_t len;
    char path[160], *said;
    FILE *talk = open_memstream(&said, &len);

    snprintf(path, sizeof(path), "%s/certmill.conf", dir);
    enum ca_err err = config_load(path, talk, &config);
    config_free(config);
    fclose(talk);
    *said_out = said;
    return err;
}

/* Without the folder and the newline. */
static const char *strip(char *said)
{
    size_t len = strlen(dir);

    said[strcspn(said, "\n")] = '\0';
    return strncmp(said, dir, len) == 0 ? said + len + 1 : said;
}

struct refusal_case {
    struct ca_bytes message, text;
};

/* The next case; false at the end. */
static bool next_case(char **at, struct refusal_case *out)
{
    if (*at == NULL || **at == '\0')
        return false;
    char *middle = strstr(*at, "\n----\n"), *end = strstr(*at, "\n====\n");
    cr_assert(middle != NULL && (end == NULL || middle < end), "a case without ----");
    out->message = ca_bytes_of(*at, (size_t)(middle - *at));
    middle += strlen("\n----\n");
    out->text =
        end == NULL ? ca_bytes_of_text(middle) : ca_bytes_of(middle, (size_t)(end + 1 - middle));
    *at = end == NULL ? NULL : end + strlen("\n====\n");
    return true;
}

static char *load_cases(const char *name)
{
    char path[256];
    uint8_t *data;
    size_t len;

    snprintf(path, sizeof(path), "%s/vectors/%s", TESTS_DIR, name);
    check_ok(file_load(path, 1 << 20, &data, &len));
    return (char *)data;
}

Test(config, what_is_wrong_is_refused_with_file_and_line)
{
    char *cases = load_cases("config_refusals.txt"), *at = cases;
    struct refusal_case refusal;
    size_t count = 0;

    put("blocked.txt", CA_BYTES("# one\n00\n"));
    for (; next_case(&at, &refusal); count++) {
        char want[512], *said;
        put("certmill.conf", refusal.text);
        snprintf(want, sizeof(want), "%.*s", (int)refusal.message.len,
                 (const char *)refusal.message.data);
        enum ca_err err = load(&said);
        cr_assert(err == CA_ERR_CONFIG, "not refused: %s", want);
        cr_assert_str_eq(strip(said), want);
        free(said);
    }
    cr_assert(count > 30);
    free(cases);
}

Test(config, a_profile_that_is_wrong_is_refused_with_file_and_line)
{
    char *cases = load_cases("profile_refusals.txt"), *at = cases;
    struct refusal_case refusal;
    size_t count = 0;

    for (; next_case(&at, &refusal); count++) {
        struct config_pattern *patterns = NULL;
        struct rules_profile profile;
        char want[512], *said;
        size_t len;
        FILE *talk = open_memstream(&said, &len);
        struct config_source source = { "profile", refusal.text, arena, talk };
        snprintf(want, sizeof(want), "profile%s%.*s", refusal.message.data[0] == ':' ? "" : ":",
                 (int)refusal.message.len, (const char *)refusal.message.data);
        enum ca_err err = config_profile_parse(&source, &profile, &patterns);
        fclose(talk);
        config_patterns_free(patterns);
        cr_assert(err == CA_ERR_CONFIG, "not refused: %s", want);
        said[strcspn(said, "\n")] = '\0';
        cr_assert_str_eq(said, want);
        free(said);
        ca_arena_reset(arena);
    }
    cr_assert(count > 30);
    free(cases);
}

Test(config, the_first_configuration_is_as_reviewed_and_loads)
{
    char path[256], *said;
    uint8_t *want, *got;
    size_t want_len, got_len;

    check_ok(load(&said));
    cr_assert_str_eq(said, "");
    free(said);
    snprintf(path, sizeof(path), "%s/certmill.conf", dir);
    check_ok(file_load(path, 1 << 20, &got, &got_len));
    snprintf(path, sizeof(path), "%s/vectors/certmill.conf", TESTS_DIR);
    check_ok(file_load(path, 1 << 20, &want, &want_len));
    check_bytes(ca_bytes_of(got, got_len), ca_bytes_of(want, want_len));
    free(got);
    free(want);
}

Test(config, every_default_shown_in_the_first_configuration_is_a_good_setting)
{
    char path[256], *said;
    uint8_t *data;
    size_t len;

    snprintf(path, sizeof(path), "%s/certmill.conf", dir);
    check_ok(file_load(path, 1 << 20, &data, &len));
    /* "# name = value;" to "name = value;", but not where the value is empty. */
    for (char *line = (char *)data; line != NULL && *line != '\0';) {
        char *end = strchr(line, '\n'), *hash = line + strspn(line, " ");
        size_t line_len = end == NULL ? strlen(line) : (size_t)(end - line);
        bool is_setting = *hash == '#' && line[line_len - 1] == ';';
        if (is_setting && strncmp(line + line_len - 3, "\"\";", 3) != 0 &&
            strncmp(line + line_len - 4, "[ ];", 4) != 0)
            *hash = ' ';
        line = end == NULL ? NULL : end + 1;
    }
    put("certmill.conf", ca_bytes_of(data, len));
    free(data);
    enum ca_err err = load(&said);
    cr_assert(err == CA_OK, "%s", said);
    free(said);
}

Test(config, the_reference_in_docs_is_what_the_daemon_prints)
{
    char *said;
    uint8_t *want;
    size_t len, want_len;
    FILE *to = open_memstream(&said, &len);

    config_print_reference(to);
    fclose(to);
    check_ok(file_load(TESTS_DIR "/../docs/CONFIG.md", 1 << 20, &want, &want_len));
    cr_assert_str_eq(said, (char *)want);
    free(said);
    free(want);
}

/* The identity of a profile with that text behind its name. */
static void profile_id(const char *text, uint8_t id[RULES_PROFILE_ID_LEN])
{
    struct config_pattern *patterns = NULL;
    struct rules_profile profile;
    struct config_source source = { "profile", ca_bytes_of_text(text), arena, stderr };

    check_ok(config_profile_parse(&source, &profile, &patterns));
    config_patterns_free(patterns);
    for (size_t i = 0; i < RULES_PROFILE_ID_LEN; i++)
        id[i] = profile.id[i];
}

#define MINIMAL                                       \
    "name = \"x\"; keys = ( { type = \"p256\"; } ); " \
    "attributes = ( { name = \"CN\"; } ); "           \
    "key_usage = [ \"digitalSignature\" ]; validity = { days = [ 1 ]; };"

Test(config, a_profile_is_identified_by_what_it_says_not_by_how_it_is_written)
{
    uint8_t one[RULES_PROFILE_ID_LEN], other[RULES_PROFILE_ID_LEN];

    profile_id(MINIMAL, one);
    profile_id("# a comment\n" MINIMAL " key_usage_critical = true;\n", other);
    check_bytes(ca_bytes_of(other, sizeof(other)), ca_bytes_of(one, sizeof(one)));
    profile_id(MINIMAL " key_usage_critical = false;", other);
    cr_assert(!ca_bytes_equal(ca_bytes_of(other, sizeof(other)), ca_bytes_of(one, sizeof(one))));
}

/* Certificates have these: no version of the program may count otherwise. */
Test(config, the_identities_of_profiles_stay_what_they_are)
{
    static const struct {
        const char *name, *id;
    } shipped[] = { { "enterprise", "7c15d0531b8a18825310d3c693dc2a74" },
                    { "tls-server", "d95fb4bf099de3f1232310944491988b" } };
    uint8_t id[RULES_PROFILE_ID_LEN];
    char hex[2 * RULES_PROFILE_ID_LEN + 1];

    profile_id(MINIMAL, id);
    ca_text_hex(ca_bytes_of(id, sizeof(id)), hex);
    cr_assert_str_eq(hex, "5144e0d5bbf5a5d03f84b0da39b91aef");
    for (size_t i = 0; i < INSTANCE_PROFILE_COUNT; i++) {
        cr_assert_str_eq(INSTANCE_PROFILES[i].name, shipped[i].name);
        struct ca_bytes text = ca_bytes_of(INSTANCE_PROFILES[i].text, INSTANCE_PROFILES[i].len);
        profile_id((const char *)ca_arena_copy(arena, text).data, id);
        ca_text_hex(ca_bytes_of(id, sizeof(id)), hex);
        cr_assert_str_eq(hex, shipped[i].id, "%s", shipped[i].name);
    }
}

/* What the store keeps of a profile. */
Test(config, what_a_profile_says_is_what_its_identity_is_the_digest_of)
{
    static const char text[] =
        MINIMAL " ext_key_usage = [ ]; life = { revoke = { hold = true; }; };";
    static const char want[] = "\0\0\0\4name\0\0\0\1x"
                               "\0\0\0\4keys\0\0\0\1"
                               "1"
                               "\0\0\0\4type\0\0\0\4p256\0\0\0\0"
                               "\0\0\0\12attributes\0\0\0\1"
                               "1"
                               "\0\0\0\4name\0\0\0\2CN\0\0\0\0"
                               "\0\0\0\11key_usage\0\0\0\1"
                               "1"
                               "\0\0\0\20digitalSignature"
                               "\0\0\0\10validity"
                               "\0\0\0\4days\0\0\0\1"
                               "1\0\0\0\1"
                               "1\0\0\0\0"
                               "\0\0\0\4life\0\0\0\6revoke"
                               "\0\0\0\4hold\0\0\0\1"
                               "1\0\0\0\0\0\0\0\0"
                               "\0\0\0"; /* and the NUL of the text */
    struct config_pattern *patterns = NULL;
    struct rules_profile profile;
    struct config_source source = { "profile", ca_bytes_of_text(text), arena, stderr };
    uint8_t digest[CA_DIGEST_LEN];

    check_ok(config_profile_parse(&source, &profile, &patterns));
    config_patterns_free(patterns);
    check_bytes(profile.content, ca_bytes_of(want, sizeof(want)));
    cr_assert(config_schema_digest(profile.content, digest));
    check_bytes(ca_bytes_of(profile.id, sizeof(profile.id)),
                ca_bytes_of(digest, sizeof(profile.id)));
    for (size_t len = 1; len < 4; len++)
        cr_assert(!config_schema_digest(ca_bytes_of(want, sizeof(want) - len), digest));
}

/* What was written of a profile's content is read as the same profile; NULL: it cannot be. */
static char *written(struct ca_bytes content)
{
    char *text = NULL;
    size_t len;
    FILE *to = open_memstream(&text, &len);

    bool is_good = config_profile_write(content, to);
    fclose(to);
    if (is_good)
        return text;
    free(text);
    return NULL;
}

static struct ca_bytes content_of(const char *text)
{
    struct config_pattern *patterns = NULL;
    struct rules_profile profile;
    struct config_source source = { "profile", ca_bytes_of_text(text), arena, stderr };

    check_ok(config_profile_parse(&source, &profile, &patterns));
    config_patterns_free(patterns);
    return profile.content;
}

static const char ODD[] =
    "name = \"odd\"; keys = ( { type = \"p256\"; }, { type = \"rsa\"; bits_min = 3072; } );"
    "attributes = ( { name = \"O\"; from = \"fixed\"; value = \"a\\\"b\\\\c \xe4\xb8\xad\"; },"
    "{ name = \"CN\"; pattern = \"[a-z]+\\\\.\"; required = true; } );"
    "key_usage = [ \"digitalSignature\", \"nonRepudiation\" ]; key_usage_critical = false;"
    "validity = { seconds = [ 2147483647, 60 ]; };"
    "life = { revoke = { reasons = [ \"keyCompromise\", \"superseded\" ]; hold = true; }; };";

Test(config, a_profile_is_written_as_it_was_said)
{
    const char *texts[] = { MINIMAL, ODD, NULL, NULL };

    for (size_t i = 0; i < INSTANCE_PROFILE_COUNT; i++) {
        struct ca_bytes text = ca_bytes_of(INSTANCE_PROFILES[i].text, INSTANCE_PROFILES[i].len);
        texts[2 + i] = (const char *)ca_arena_copy(arena, text).data;
    }
    for (size_t i = 0; i < 4; i++) {
        struct ca_bytes content = content_of(texts[i]);
        char *text = written(content);
        cr_assert_not_null(text);
        check_bytes(content_of(text), content);
        free(text);
    }
}

Test(config, what_is_no_content_of_a_profile_is_not_written)
{
    struct ca_bytes content = content_of(ODD);
    uint8_t *changed = (uint8_t *)(uintptr_t)ca_arena_alloc(arena, content.len + 5);

    memcpy(changed, content.data, content.len);
    for (size_t len = 0; len < content.len; len++)
        cr_assert_null(written(ca_bytes_of(content.data, len)), "%zu octets", len);
    cr_assert_null(written(ca_bytes_of(changed, content.len + 4)), "a piece too many");
    for (size_t at = 0; at < content.len; at++) {
        changed[at] ^= 0x80; /* a length beyond the end, a name nobody knows, or another text */
        free(written(ca_bytes_of(changed, content.len)));
        changed[at] ^= 0x80;
    }
    changed[4] = 'N';
    cr_assert_null(written(ca_bytes_of(changed, content.len)), "a setting nobody knows");
}

/* Every text as long as its bound: of what a profile may say, nothing is longer. */
Test(config, the_longest_profile_fits_into_its_record)
{
    char *text = NULL, oid[256] = "1.2", value[CA_ATTRIBUTE_LEN_MAX + 1];
    size_t len;
    FILE *to = open_memstream(&text, &len);

    memset(value, 'v', CA_ATTRIBUTE_LEN_MAX);
    value[CA_ATTRIBUTE_LEN_MAX] = '\0';
    for (size_t at = 3; at + 2 < 2 * CA_OID_LEN_MAX; at += 2)
        snprintf(oid + at, sizeof(oid) - at, ".7");
    fputs("name = \"x\"; keys = ( { type = \"p256\"; } ); key_usage = [ \"digitalSignature\" ];"
          "validity = { days = [ 1 ]; }; attributes = (",
          to);
    for (unsigned i = 0; i < CA_ATTRIBUTE_COUNT_MAX; i++)
        fprintf(to,
                "%s{ name = \"%0*u\"; oid = \"%s.%u\"; place = \"extension\"; critical = true;"
                "from = \"fixed\"; value = \"%s\"; length_min = 2; length_max = 1024;"
                "pattern = \"%.240s+\"; required = true; type = \"printable\"; }",
                i == 0 ? "" : ", ", CA_NAME_LEN_MAX, i, oid, i, value, value);
    fputs("); identity = [", to);
    for (unsigned i = 0; i < CA_ATTRIBUTE_COUNT_MAX; i++)
        fprintf(to, "%s\"%0*u\"", i == 0 ? "" : ", ", CA_NAME_LEN_MAX, i);
    fputs("]; life = { renew = { may_differ = [", to);
    for (unsigned i = 0; i < CA_ATTRIBUTE_COUNT_MAX; i++)
        fprintf(to, "%s\"%0*u\"", i == 0 ? "" : ", ", CA_NAME_LEN_MAX, i);
    fputs("]; }; }; policies = (", to);
    for (unsigned i = 0; i < RULES_OID_MAX; i++)
        fprintf(to, "%s{ oid = \"%s.%u\"; cps = \"%.512s\"; }", i == 0 ? "" : ", ", oid, i, value);
    fputs(");", to);
    fclose(to);

    struct config_pattern *patterns = NULL;
    struct rules_profile profile;
    struct config_source source = { "profile", ca_bytes_of(text, len), arena, stderr };
    check_ok(config_profile_parse(&source, &profile, &patterns));
    cr_assert(profile.content.len > 50000 && profile.content.len < CA_PROFILE_LEN_MAX * 3 / 4);
    config_patterns_free(patterns);
    free(text);
}

Test(config, what_becomes_of_certificates_belongs_to_the_identity_of_a_profile)
{
    static const char *const others[] = {
        MINIMAL " life = { renew = { allowed = true; }; };",
        MINIMAL " life = { renew = { after_days = 1; }; };",
        MINIMAL " life = { renew = { may_differ = [ \"CN\" ]; }; };",
        MINIMAL " life = { revoke = { reasons = [ \"superseded\" ]; }; };",
        MINIMAL " life = { revoke = { hold = true; }; };",
        MINIMAL " life = { acknowledge = true; };",
    };
    enum { COUNT = sizeof(others) / sizeof(others[0]) };
    uint8_t ids[COUNT + 1][RULES_PROFILE_ID_LEN], same[RULES_PROFILE_ID_LEN];

    profile_id(MINIMAL, ids[0]);
    profile_id(MINIMAL " life = { renew = { key = \"must_not\"; }; acknowledge = false; };", same);
    check_bytes(ca_bytes_of(same, sizeof(same)), ca_bytes_of(ids[0], sizeof(ids[0])));
    for (size_t i = 1; i <= COUNT; i++) {
        profile_id(others[i - 1], ids[i]);
        for (size_t k = 0; k < i; k++)
            cr_assert(!ca_bytes_equal(ca_bytes_of(ids[k], sizeof(ids[k])),
                                      ca_bytes_of(ids[i], sizeof(ids[i]))),
                      "%s", others[i - 1]);
    }
}

static void parse_life(const char *text, struct rules_life *life_out)
{
    struct config_pattern *patterns = NULL;
    struct rules_profile profile;
    struct config_source source = { "profile", ca_bytes_of_text(text), arena, stderr };

    check_ok(config_profile_parse(&source, &profile, &patterns));
    config_patterns_free(patterns);
    *life_out = profile.life;
}

Test(config, a_profile_that_says_nothing_of_life_only_lets_certificates_be_revoked)
{
    struct rules_life life;

    parse_life(MINIMAL, &life);
    cr_assert(!life.allows_renew && !life.allows_replace && !life.allows_change);
    cr_assert(!life.allows_hold && !life.wants_acknowledgement && !life.wants_old_key_signature);
    cr_assert_eq(life.reasons, RULES_REASONS_DEFAULT);
    cr_assert_eq(life.renew_key, RULES_OLD_KEY_MUST_NOT);
    cr_assert_eq(life.renew_old, RULES_OLD_KEEP);
    cr_assert_eq(life.change_old, RULES_OLD_REVOKE_ACKNOWLEDGED);
    cr_assert_null(life.holder_name);
}

static void check_names(const char *const *got, const char *const *want, size_t count)
{
    for (size_t i = 0; i < count; i++)
        cr_assert_str_eq(got[i], want[i]);
}

/* A profile that ships, and what the other tests take for it. */
static void check_shipped(const char *name, const struct rules_profile *tested)
{
    const struct rules_life *want = &tested->life;
    struct rules_life life;
    char path[256];
    uint8_t *text;
    size_t len;

    snprintf(path, sizeof(path), "%s/../tools/profiles/%s.conf", TESTS_DIR, name);
    check_ok(file_load(path, 1 << 20, &text, &len));
    parse_life((char *)text, &life);
    free(text);
    cr_assert_eq(life.renew_may_differ_count, want->renew_may_differ_count);
    check_names(life.renew_may_differ, want->renew_may_differ, want->renew_may_differ_count);
    cr_assert_eq(life.holder_name == NULL, want->holder_name == NULL);
    if (want->holder_name != NULL) {
        check_names(&life.holder_name, &want->holder_name, 1);
        check_names(&life.holder_code, &want->holder_code, 1);
    }
    cr_assert_eq(life.allows_renew, want->allows_renew);
    cr_assert_eq(life.allows_replace, want->allows_replace);
    cr_assert_eq(life.allows_change, want->allows_change);
    cr_assert_eq(life.allows_hold, want->allows_hold);
    cr_assert_eq(life.renew_before_days, want->renew_before_days);
    cr_assert_eq(life.renew_after_days, want->renew_after_days);
    cr_assert_eq(life.total_months_max, want->total_months_max);
    cr_assert_eq(life.renews_from_issue, want->renews_from_issue);
    cr_assert_eq(life.renew_key, want->renew_key);
    cr_assert_eq(life.replace_key, want->replace_key);
    cr_assert_eq(life.change_key, want->change_key);
    cr_assert_eq(life.renew_old, want->renew_old);
    cr_assert_eq(life.change_old, want->change_old);
    cr_assert_eq(life.wants_old_key_signature, want->wants_old_key_signature);
    cr_assert_eq(life.wants_acknowledgement, want->wants_acknowledgement);
    cr_assert_eq(life.reasons, want->reasons);
}

Test(config, the_profiles_that_ship_live_as_those_of_the_tests)
{
    check_shipped("enterprise", profiles_enterprise_raw(arena));
    check_shipped("tls-server", profiles_tls_raw(arena));
}

Test(config, every_setting_of_life_arrives)
{
    struct rules_life life;

    parse_life("name = \"x\"; keys = ( { type = \"p256\"; } ); "
               "attributes = ( { name = \"O\"; }, { name = \"CN\"; } ); "
               "key_usage = [ \"digitalSignature\" ]; validity = { days = [ 1 ]; }; life = { "
               "renew = { allowed = true; before_days = 1; after_days = 2; months_max = 3; "
               "from = \"issue\"; key = \"must\"; old = \"revoke\"; "
               "may_differ = [ \"CN\", \"alt_names\" ]; }; "
               "replace = { allowed = true; key = \"may\"; }; "
               "change = { allowed = true; key = \"may\"; old = \"keep\"; }; "
               "holder = { name = \"O\"; code = \"CN\"; }; "
               "revoke = { reasons = [ \"aACompromise\", \"keyCompromise\" ]; hold = true; }; "
               "acknowledge = true; old_key_signature = true; };",
               &life);
    cr_assert(life.allows_renew && life.allows_replace && life.allows_change && life.allows_hold);
    cr_assert(life.wants_acknowledgement && life.wants_old_key_signature && life.renews_from_issue);
    cr_assert_eq(life.renew_before_days, 1);
    cr_assert_eq(life.renew_after_days, 2);
    cr_assert_eq(life.total_months_max, 3);
    cr_assert_eq(life.renew_key, RULES_OLD_KEY_MUST);
    cr_assert_eq(life.replace_key, RULES_OLD_KEY_MAY);
    cr_assert_eq(life.change_key, RULES_OLD_KEY_MAY);
    cr_assert_eq(life.renew_old, RULES_OLD_REVOKE);
    cr_assert_eq(life.change_old, RULES_OLD_KEEP);
    cr_assert_eq(life.renew_may_differ_count, 2);
    cr_assert_str_eq(life.renew_may_differ[1], "alt_names");
    cr_assert_str_eq(life.holder_name, "O");
    cr_assert_str_eq(life.holder_code, "CN");
    cr_assert_eq(life.reasons, 1U << 1 | 1U << 10);
}
