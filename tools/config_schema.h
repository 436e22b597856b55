/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_schema: settings as tables.
 *
 * A section is a table of items: name, kind, bounds, default, help, and where in a struct the
 * value goes. Reading, checking, the reference and the digest of the content all come from
 * the table. Every value remembers its line, so that later checks can point at it; line 0
 * means that the file did not say and the default holds. Texts are in the arena.
 */
#pragma once

#include <stdio.h>

#include "ca/base/arena.h"
#include "ca/base/limits.h"

struct config_text {
    const char *text;
    unsigned line;
};

struct config_number {
    uint64_t value;
    unsigned line;
};

struct config_flag {
    bool value;
    unsigned line;
};

#define CONFIG_CHOICE_NONE ((size_t)-1)
struct config_choice {
    size_t index; /* into the item's choices; NONE where there is no default and no value */
    unsigned line;
};

struct config_texts {
    const struct config_text *items;
    size_t count;
    unsigned line;
};

struct config_numbers {
    const struct config_number *items;
    size_t count;
    unsigned line;
};

/* Groups of one kind: an array of the section's struct. */
struct config_groups {
    const void *items;
    size_t count;
    unsigned line;
};

enum config_kind {
    CONFIG_KIND_TEXT,
    CONFIG_KIND_NUMBER,
    CONFIG_KIND_FLAG,
    CONFIG_KIND_CHOICE,
    CONFIG_KIND_TEXTS,   /* name = [ "a", "b" ] */
    CONFIG_KIND_NUMBERS, /* name = [ 1, 2 ] */
    CONFIG_KIND_GROUP,   /* name = { ... }, its struct in place */
    CONFIG_KIND_GROUPS,  /* name = ( { ... }, { ... } ) */
};

struct config_item {
    const char *name;
    enum config_kind kind;
    uint64_t min, max; /* of a number; octets of a text; elements of a list */
    /* What holds where the file is silent. NULL: the item must be given. "": nothing (the only
     * default of lists). */
    const char *fallback;
    const char *help;
    size_t offset;
    const char *const *choices;           /* of CHOICE, ended by NULL */
    const struct config_section *section; /* of GROUP and GROUPS */
};

struct config_section {
    const struct config_item *items;
    size_t count;
    size_t size; /* of its struct */
    /* Where the struct keeps its own line (an unsigned), for groups. */
    size_t line_offset;
};

/* One file being read. */
struct config_source {
    const char *path; /* as messages name it */
    struct ca_bytes text;
    struct ca_arena *arena;
    FILE *talk; /* one line for the first thing that is wrong: "path:line: message" */
};

/*
 * Fills `out`, a zeroed struct of the section. CONFIG after saying why: not in the grammar,
 * unknown name, twice the same, wrong kind, out of bounds, missing. A file cannot include
 * another. NOMEM when the arena is exhausted.
 */
CA_MUST_CHECK enum ca_err config_schema_parse(const struct config_source *source,
                                              const struct config_section *section, void *out);

/* Says "path:line: message" and answers CONFIG: for checks beyond a table. */
__attribute__((format(printf, 3, 4))) CA_MUST_CHECK enum ca_err
config_complain(const struct config_source *source, unsigned line, const char *format, ...);

/*
 * What the settings say, not how they are written: comments, order, spaces and settings that equal
 * their default do not matter. Pieces of octets, each behind its length (4 octets, big endian): for
 * every other setting its name and its value, numbers and flags in decimal digits, before the
 * elements of a list their count; an empty piece ends a group and the whole. NOMEM.
 */
CA_MUST_CHECK enum ca_err config_schema_content(const struct config_section *section,
                                                const void *record, struct ca_arena *arena,
                                                struct ca_bytes *content_out);
/* From 32 zeros on, for each piece SHA-256 over what was before, the length and the piece. False:
 * this is no content. */
bool config_schema_digest(struct ca_bytes content, uint8_t digest[CA_DIGEST_LEN]);

/* The reference, as a Markdown table for the section and one for each section inside. */
void config_schema_print(const struct config_section *section, const char *title, FILE *to);
