/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring: io_uring over one file with registered buffers, and nothing more than publish.c needs.
 *
 * Errors are errno values, 0 for none. The first failed write is kept and answered by every
 * later call.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct store_ring;

enum { STORE_RING_BUFFER_MAX = 8 };

/* memory: count buffers of len octets each. NULL where io_uring is not there, not allowed or
 * has no memory to lock: nothing to complain about, plain writes do. */
struct store_ring *store_ring_open(int fd, uint8_t *memory, size_t count, size_t len);
/* Waits for everything in flight first. NULL is fine. */
void store_ring_close(struct store_ring *ring);

/* Starts writing a buffer, and its way to the disk. It belongs to the ring until it has settled. */
int store_ring_write(struct store_ring *ring, size_t buffer, size_t len, uint64_t at);
/* Waits for a buffer from first on that is not in flight. */
int store_ring_wait_buffer(struct store_ring *ring, size_t first, size_t *buffer_out);
/* Waits until nothing is in flight. */
int store_ring_settle(struct store_ring *ring);
/* The last write (nothing else in flight), linked to a sync of the file; waits for both. */
int store_ring_write_synced(struct store_ring *ring, size_t buffer, size_t len, uint64_t at);
