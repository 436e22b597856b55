/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scarcity: memory that runs out when it is told to. Every allocation of the program goes through
 * here: those of libraries too, but under the sanitizers only ours and OpenSSL's (--wrap).
 */
#pragma once

#include <stdbool.h>

/* The allocation behind so many others fails, and for good: all after it. In every thread but
 * those that are spared. */
void scarcity_begin(unsigned after, bool is_for_good);
/* There is memory again. Did it run out meanwhile? */
bool scarcity_end(void);

/* This thread has memory. May be nested. */
void scarcity_spare(void);
void scarcity_unspare(void);
