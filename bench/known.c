/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/known.h"

#include <sys/random.h>

#include "bench/bench.h"

void bench_known_save(const char *path, const struct bench_known_list *list)
{
    FILE *file = fopen(path, "wb");

    if (file == NULL ||
        fwrite(list->items, sizeof(*list->items), list->count, file) != list->count ||
        fclose(file) != 0)
        bench_die("%s cannot be written", path);
}

static void shuffle(struct bench_known_list *list)
{
    uint64_t state;

    if (getrandom(&state, sizeof(state), 0) != sizeof(state))
        bench_die("no random numbers");
    for (size_t i = list->count; i > 1; i--) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        size_t j = (size_t)((state >> 20) % i);
        struct bench_known item = list->items[j];

        list->items[j] = list->items[i - 1];
        list->items[i - 1] = item;
    }
}

void bench_known_load(const char *path, struct bench_known_list *list_out)
{
    struct bench_known_list list = { 0 };
    FILE *file = fopen(path, "rb");
    long size;

    if (file == NULL || fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) <= 0)
        bench_die("%s cannot be read", path);
    rewind(file);
    list.count = (size_t)size / sizeof(*list.items);
    list.items = malloc(list.count * sizeof(*list.items));
    if (list.items == NULL ||
        fread(list.items, sizeof(*list.items), list.count, file) != list.count)
        bench_die("%s cannot be read", path);
    fclose(file);
    shuffle(&list);
    *list_out = list;
}

void bench_known_free(struct bench_known_list *list)
{
    free(list->items);
    *list = (struct bench_known_list){ 0 };
}
