/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registers: leaves nothing in the vector registers. For files that are compiled for AVX-512; in
 * others there is nothing to be left. The stack is the caller's to wipe.
 */
#pragma once

static inline void crypto_registers_wipe(void)
{
#ifdef __AVX512F__
#define ZERO(number) "vpxord %%zmm" #number ", %%zmm" #number ", %%zmm" #number "\n\t"
    /* clang-format off */
    __asm__ volatile("vzeroall\n\t"
                     ZERO(16) ZERO(17) ZERO(18) ZERO(19) ZERO(20) ZERO(21) ZERO(22) ZERO(23)
                     ZERO(24) ZERO(25) ZERO(26) ZERO(27) ZERO(28) ZERO(29) ZERO(30) ZERO(31)
                     :
                     :
                     : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
                       "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "xmm16",
                       "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24",
                       "xmm25", "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31");
    /* clang-format on */
#undef ZERO
#endif
}
