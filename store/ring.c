/* SPDX-License-Identifier: Apache-2.0 */
#include "store/ring.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    SYNC_TAG = STORE_RING_BUFFER_MAX,
    IGNORED_TAG,
};

struct flight {
    bool is_on;
    size_t len;
    uint64_t at;
};

struct store_ring {
    struct io_uring uring;
    int fd;
    uint8_t *memory;
    size_t count;
    size_t buffer_len;
    struct flight flights[STORE_RING_BUFFER_MAX];
    size_t pending; /* completions to come, of writes and of others */
    int sync_result;
    int failed;
};

/* The file is not registered: a ring that was closed keeps what it has for a while, and a file that
 * it has is not one that nobody writes any more (store/reserve.h). */
static bool ring_register(struct store_ring *ring)
{
    struct iovec buffers[STORE_RING_BUFFER_MAX];

    for (size_t i = 0; i < ring->count; i++)
        buffers[i] = (struct iovec){ ring->memory + i * ring->buffer_len, ring->buffer_len };
    return io_uring_register_buffers(&ring->uring, buffers, (unsigned int)ring->count) == 0;
}

struct store_ring *store_ring_open(int fd, uint8_t *memory, size_t count, size_t len)
{
    struct store_ring *ring = calloc(1, sizeof(*ring));

    assert(count <= STORE_RING_BUFFER_MAX);
    if (ring == NULL)
        return NULL;
    /* A write and the start of its write-back for each buffer; one write and one sync. */
    if (io_uring_queue_init(2 * STORE_RING_BUFFER_MAX, &ring->uring, 0) < 0) {
        free(ring);
        return NULL;
    }
    ring->fd = fd;
    ring->memory = memory;
    ring->count = count;
    ring->buffer_len = len;
    if (!ring_register(ring)) {
        io_uring_queue_exit(&ring->uring);
        free(ring);
        return NULL;
    }
    return ring;
}

static void fail(struct store_ring *ring, int number)
{
    if (ring->failed == 0)
        ring->failed = number;
}

/* A write that stopped short is finished here: rare, and simpler than sending it again. */
static void finish_write(struct store_ring *ring, size_t buffer, size_t written)
{
    const struct flight *flight = &ring->flights[buffer];
    const uint8_t *bytes = ring->memory + buffer * ring->buffer_len;

    while (written < flight->len) {
        ssize_t more =
            pwrite(ring->fd, bytes + written, flight->len - written, (off_t)(flight->at + written));
        if (more < 0 && errno == EINTR)
            continue;
        if (more <= 0) {
            fail(ring, more == 0 ? EIO : errno);
            return;
        }
        written += (size_t)more;
    }
}

static void take(struct store_ring *ring, const struct io_uring_cqe *cqe)
{
    uint64_t tag = cqe->user_data;

    ring->pending--;
    if (tag == SYNC_TAG)
        ring->sync_result = cqe->res;
    if (tag >= STORE_RING_BUFFER_MAX)
        return; /* the result of starting a write-back: the sync at the end tells */
    if (cqe->res >= 0 || cqe->res == -EINTR || cqe->res == -EAGAIN)
        finish_write(ring, tag, cqe->res < 0 ? 0 : (size_t)cqe->res);
    else
        fail(ring, -cqe->res);
    ring->flights[tag].is_on = false;
}

static int wait_one(struct store_ring *ring)
{
    struct io_uring_cqe *cqe;
    int result;

    while ((result = io_uring_wait_cqe(&ring->uring, &cqe)) == -EINTR) {
    }
    if (result < 0) {
        fail(ring, -result);
        return -result;
    }
    take(ring, cqe);
    io_uring_cqe_seen(&ring->uring, cqe);
    return 0;
}

/* Even after a failure: the kernel may still read from the buffers. */
static int wait_all(struct store_ring *ring)
{
    while (ring->pending > 0) {
        if (wait_one(ring) != 0)
            break;
    }
    return ring->failed;
}

static int submit(struct store_ring *ring)
{
    int result;

    while ((result = io_uring_submit(&ring->uring)) == -EINTR) {
    }
    if (result < 0) {
        fail(ring, -result);
        return ring->failed;
    }
    ring->pending += (size_t)result;
    return 0;
}

static struct io_uring_sqe *prepare_write(struct store_ring *ring, size_t buffer, size_t len,
                                          uint64_t at)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);

    assert(sqe != NULL && !ring->flights[buffer].is_on); /* the queue holds all there can be */
    ring->flights[buffer] = (struct flight){ true, len, at };
    io_uring_prep_write_fixed(sqe, ring->fd, ring->memory + buffer * ring->buffer_len,
                              (unsigned int)len, at, (int)buffer);
    sqe->user_data = buffer;
    return sqe;
}

int store_ring_write(struct store_ring *ring, size_t buffer, size_t len, uint64_t at)
{
    if (ring->failed != 0 || len == 0)
        return ring->failed;
    /* Room for both completions, whatever was not looked at yet. */
    while (ring->pending > STORE_RING_BUFFER_MAX) {
        if (wait_one(ring) != 0)
            return ring->failed;
    }
    prepare_write(ring, buffer, len, at)->flags |= IOSQE_IO_LINK;

    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
    assert(sqe != NULL);
    io_uring_prep_sync_file_range(sqe, ring->fd, (unsigned int)len, at, SYNC_FILE_RANGE_WRITE);
    sqe->user_data = IGNORED_TAG;
    return submit(ring);
}

int store_ring_wait_buffer(struct store_ring *ring, size_t first, size_t *buffer_out)
{
    *buffer_out = first;
    for (;;) {
        for (size_t i = first; i < ring->count; i++) {
            if (!ring->flights[i].is_on) {
                *buffer_out = i;
                return ring->failed;
            }
        }
        if (wait_one(ring) != 0)
            return ring->failed;
    }
}

int store_ring_settle(struct store_ring *ring)
{
    return wait_all(ring);
}

int store_ring_write_synced(struct store_ring *ring, size_t buffer, size_t len, uint64_t at)
{
    assert(ring->pending == 0);
    if (ring->failed != 0)
        return ring->failed;
    prepare_write(ring, buffer, len, at)->flags |= IOSQE_IO_LINK;

    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
    assert(sqe != NULL);
    io_uring_prep_fsync(sqe, ring->fd, 0);
    sqe->user_data = SYNC_TAG;
    if (submit(ring) != 0 || wait_all(ring) != 0)
        return ring->failed;
    /* A short write broke the link; it is finished by now, and the sync still to be done. */
    if (ring->sync_result == -ECANCELED && fsync(ring->fd) == 0)
        ring->sync_result = 0;
    if (ring->sync_result < 0)
        fail(ring, ring->sync_result == -ECANCELED ? errno : -ring->sync_result);
    return ring->failed;
}

void store_ring_close(struct store_ring *ring)
{
    if (ring == NULL)
        return;
    (void)wait_all(ring);
    io_uring_queue_exit(&ring->uring);
    free(ring);
}
