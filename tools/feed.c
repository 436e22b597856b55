/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/feed.h"

#include <time.h>

enum { PAUSE_S = 1 };

bool feed_take(struct feed *feed, enum feed_option option, const char *value)
{
    switch (option) {
    case FEED_SINCE: return command_number("since", value, 0, INT64_MAX, &feed->since);
    case FEED_MAX: return command_number("max", value, 1, UINT64_MAX, &feed->max);
    case FEED_FOLLOW: feed->follows = true; return true;
    case FEED_OPTION_COUNT: break;
    }
    return false;
}

size_t feed_page(const struct feed *feed)
{
    uint64_t left = feed->max - feed->count;

    return left < FEED_PAGE_MAX ? (size_t)left : FEED_PAGE_MAX;
}

enum ca_err feed_run(struct feed *feed, bool is_json,
                     enum ca_err (*print_page)(void *arg, struct feed *feed), void *arg)
{
    const struct timespec pause = { .tv_sec = PAUSE_S };
    bool is_array = is_json && !feed->follows;
    enum ca_err err = CA_OK;

    feed->is_json = is_json;
    json_init(&feed->json, stdout);
    feed->json.is_one_line = feed->follows;
    if (is_array)
        json_array(&feed->json, NULL);
    while (err == CA_OK && feed->count < feed->max) {
        if ((err = print_page(arg, feed)) != CA_OK || !feed->is_at_end)
            continue;
        if (!feed->follows)
            break;
        if (fflush(stdout) != 0) /* who reads has gone, as certmill.c tells */
            break;
        nanosleep(&pause, NULL);
    }
    if (is_array)
        json_end(&feed->json);
    return err;
}
