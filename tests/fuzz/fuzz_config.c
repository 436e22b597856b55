/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_config: a profile's file. Refused with one line that names file and line, or taken; and
 * what was taken keeps its identity when the same text is read again.
 */
#include <assert.h>
#include <stdlib.h>

#include "tools/config_profile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
const char *__lsan_default_suppressions(void);

/* libconfig 1.5 loses the text of a string that a syntax error ends. */
const char *__lsan_default_suppressions(void)
{
    return "leak:strbuf_append\nleak:libconfig_yylex\n"; /* the second if it is empty */
}

static enum ca_err parse(struct ca_bytes text, struct ca_arena *arena,
                         struct rules_profile *profile)
{
    struct config_pattern *patterns = NULL;
    char *said = NULL;
    size_t said_len = 0;
    FILE *talk = open_memstream(&said, &said_len);
    struct config_source source = { "fuzz", text, arena, talk };

    assert(talk != NULL);
    enum ca_err err = config_profile_parse(&source, profile, &patterns);
    config_patterns_free(patterns);
    fclose(talk);
    if (err == CA_ERR_CONFIG)
        assert(strncmp(said, "fuzz:", 5) == 0 && strchr(said, '\n') == said + said_len - 1);
    else
        assert(said_len == 0);
    free(said);
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct rules_profile profile, again;
    struct ca_arena *arena;

    if (len > 1 << 16 || ca_arena_new(1 << 16, 1 << 24, &arena) != CA_OK)
        return 0;
    enum ca_err err = parse(ca_bytes_of(data, len), arena, &profile);
    assert(err == CA_OK || err == CA_ERR_CONFIG || err == CA_ERR_NOMEM);
    if (err == CA_OK) {
        assert(parse(ca_bytes_of(data, len), arena, &again) == CA_OK);
        assert(ca_bytes_equal(ca_bytes_of(profile.id, RULES_PROFILE_ID_LEN),
                              ca_bytes_of(again.id, RULES_PROFILE_ID_LEN)));
    }
    ca_arena_free(arena);
    return 0;
}
