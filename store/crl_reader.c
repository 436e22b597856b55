/* SPDX-License-Identifier: Apache-2.0 */
#include "store/crl_reader.h"

#include <pthread.h>
#include <stdlib.h>

enum { SLOT_LEN = 128 * 1024, SLOT_COUNT = 4 };

struct slot {
    uint8_t bytes[SLOT_LEN];
    size_t len; /* 0: nothing comes behind it */
};

struct store_crl_reader {
    const struct store_crl_source *source;
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    size_t filled, taken; /* slots so far; the one lent is not yet taken */
    bool is_lent, is_closing;
    enum ca_err err; /* behind what was filled */
    struct slot slots[SLOT_COUNT];
};

/* Waits for an empty slot; NULL when nobody wants more. */
static struct slot *slot_wait(struct store_crl_reader *reader)
{
    pthread_mutex_lock(&reader->lock);
    while (reader->filled - reader->taken == SLOT_COUNT && !reader->is_closing)
        pthread_cond_wait(&reader->changed, &reader->lock);
    bool is_closing = reader->is_closing;
    pthread_mutex_unlock(&reader->lock);
    return is_closing ? NULL : &reader->slots[reader->filled % SLOT_COUNT];
}

static void slot_fill(struct store_crl_reader *reader, enum ca_err err)
{
    pthread_mutex_lock(&reader->lock);
    reader->err = err;
    reader->filled++;
    pthread_cond_signal(&reader->changed);
    pthread_mutex_unlock(&reader->lock);
}

static void *reader_run(void *arg)
{
    struct store_crl_reader *reader = arg;
    struct ca_bytes chunk = { 0 };
    enum ca_err err = CA_OK;
    bool is_over = false;

    while (!is_over) {
        struct slot *slot = slot_wait(reader);
        if (slot == NULL)
            break;
        if (chunk.len == 0)
            err = reader->source->next(reader->source->arg, &chunk);
        if (err != CA_OK)
            chunk.len = 0;
        slot->len = chunk.len < SLOT_LEN ? chunk.len : SLOT_LEN;
        is_over = slot->len == 0;
        if (!is_over)
            memcpy(slot->bytes, chunk.data, slot->len);
        chunk = ca_bytes_of(chunk.data + slot->len, chunk.len - slot->len);
        slot_fill(reader, err);
    }
    return NULL;
}

enum ca_err store_crl_reader_open(const struct store_crl_source *source,
                                  struct store_crl_reader **reader_out)
{
    struct store_crl_reader *reader = malloc(sizeof(*reader)); /* the slots need no zeros */

    *reader_out = NULL;
    if (reader == NULL)
        return CA_ERR_NOMEM;
    memset(reader, 0, offsetof(struct store_crl_reader, slots));
    reader->source = source;
    pthread_mutex_init(&reader->lock, NULL);
    pthread_cond_init(&reader->changed, NULL);
    if (pthread_create(&reader->thread, NULL, reader_run, reader) != 0) {
        pthread_cond_destroy(&reader->changed);
        pthread_mutex_destroy(&reader->lock);
        free(reader);
        return CA_ERR_NOMEM;
    }
    *reader_out = reader;
    return CA_OK;
}

enum ca_err store_crl_reader_next(struct store_crl_reader *reader, struct ca_bytes *chunk_out)
{
    pthread_mutex_lock(&reader->lock);
    reader->taken += reader->is_lent;
    pthread_cond_signal(&reader->changed);
    while (reader->filled == reader->taken)
        pthread_cond_wait(&reader->changed, &reader->lock);
    const struct slot *slot = &reader->slots[reader->taken % SLOT_COUNT];
    reader->is_lent = slot->len > 0; /* the last one stays: it is the answer from now on */
    enum ca_err err = slot->len > 0 ? CA_OK : reader->err;
    pthread_mutex_unlock(&reader->lock);
    *chunk_out = ca_bytes_of(slot->bytes, slot->len);
    return err;
}

void store_crl_reader_close(struct store_crl_reader *reader)
{
    if (reader == NULL)
        return;
    pthread_mutex_lock(&reader->lock);
    reader->is_closing = true;
    pthread_cond_signal(&reader->changed);
    pthread_mutex_unlock(&reader->lock);
    pthread_join(reader->thread, NULL);
    pthread_cond_destroy(&reader->changed);
    pthread_mutex_destroy(&reader->lock);
    free(reader);
}
