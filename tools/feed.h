/* SPDX-License-Identifier: Apache-2.0 */
/*
 * feed: what the commands have in common that list what the daemon numbers: changes, audit.
 */
#pragma once

#include "tools/command.h"

/* The first options of such a command; its own come behind FEED_OPTION_COUNT. */
enum feed_option { FEED_SINCE, FEED_MAX, FEED_FOLLOW, FEED_OPTION_COUNT };

/* clang-format off */
#define FEED_OPTIONS                                                                           \
    [FEED_SINCE] = { "since", "N", "only those after this sequence number" },                  \
    [FEED_MAX] = { "max", "N", "stop after so many" },                                         \
    [FEED_FOLLOW] = { "follow", NULL, "go on as they happen; with --json an object a line" }
/* clang-format on */

enum { FEED_PAGE_MAX = 1000 };

struct feed {
    uint64_t since; /* the last one printed */
    uint64_t max, count;
    bool follows, is_json, is_at_end;
    struct json json;
};

/* False, and said why: no good value. */
bool feed_take(struct feed *feed, enum feed_option option, const char *value);

/* How many the next page may have. */
size_t feed_page(const struct feed *feed);

/*
 * Calls print_page until it comes to an end, all that was wanted is printed, whoever reads has
 * gone, or it fails, which is returned. It prints what follows upon since, moves that and count on,
 * and says whether it is at the end. In JSON all of it is one array, unless it follows.
 */
CA_MUST_CHECK enum ca_err feed_run(struct feed *feed, bool is_json,
                                   enum ca_err (*print_page)(void *arg, struct feed *feed),
                                   void *arg);
