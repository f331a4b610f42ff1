/* All levels that this program was compiled with, the fastest first. */

#include "kernel.h"

const Level *const vq_levels[] = {
#ifdef VQ_X86
    &vq_avx512vnni,
    &vq_avxvnni,
    &vq_avx2,
#endif
#ifdef VQ_SSE2
    &vq_sse2,
#endif
#ifdef VQ_ARM64
    &vq_neondot,
#endif
    &vq_portable,
};

const int vq_level_count = sizeof vq_levels / sizeof vq_levels[0];
