/* SPDX-License-Identifier: Apache-2.0 */
/* declassify: included before our sources where valgrind tracks secrets as undefined memory. */
#pragma once

#include <valgrind/memcheck.h>

#define EC_DECLASSIFY(pointer, size) ((void)VALGRIND_MAKE_MEM_DEFINED(pointer, size))
