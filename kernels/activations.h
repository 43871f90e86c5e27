// Rows of activations in 8 bits, with a scale for each block of 32: what both block formats multiply by; and the small
// steps that all kernels share.
#pragma once

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { BLOCK = 32 };
// What is not larger counts as zeros: 127 divided by it must be a number.
#define FAINTEST 1e-30f

// Two neighbouring blocks: their integers (±127), as the weights lie that meet them, and for each block what its integers are
// multiplied by, the sum of the activations as they were, and the sum of the integers times 8, which is the zero of 4-bit weights.
typedef struct {
  union {
    int8_t channels[2][BLOCK];
    // For 4-bit weights, whose nibbles lie so: the even channels of both blocks before the odd ones.
    struct {
      int8_t even[2][BLOCK / 2];
      int8_t odd[2][BLOCK / 2];
    };
  };
  float steps[2];
  float sums[2];
  int32_t eights[2];
} Pair;

// [rows, pairs]; a block without a neighbour has one of zeros.
typedef struct {
  Pair* blocks;
  size_t pairs;
} Activations;

// Times these, neighbouring 16-bit lanes are added up in 32.
#define ONES _mm256_set1_epi16(1)

// Four activations, as many times as there are 32-bit lanes.
static inline __m256i broadcast4(const void* at) {
  int32_t four;
  memcpy(&four, at, 4);
  return _mm256_set1_epi32(four);
}

static inline float largest_of(__m256 v) {
  __m128 m = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  m = _mm_max_ps(m, _mm_movehl_ps(m, m));
  m = _mm_max_ss(m, _mm_shuffle_ps(m, m, 1));
  return _mm_cvtss_f32(m);
}

static inline float sum_of(__m256 v) {
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  s = _mm_add_ss(s, _mm_shuffle_ps(s, s, 1));
  return _mm_cvtss_f32(s);
}

// How a pair's integers lie.
typedef enum { IN_ORDER, APART } Lie;

// Rounds x[32] to the pair's first or second block.
static inline void quantize_block(const float* x, Lie lie, Pair* to, size_t which) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  __m256 v[4];
  for (int i = 0; i < 4; i++) v[i] = _mm256_loadu_ps(x + 8 * i);
  __m256 m01 = _mm256_max_ps(_mm256_andnot_ps(sign, v[0]), _mm256_andnot_ps(sign, v[1]));
  __m256 m23 = _mm256_max_ps(_mm256_andnot_ps(sign, v[2]), _mm256_andnot_ps(sign, v[3]));
  float largest = largest_of(_mm256_max_ps(m01, m23));
  float inverse = largest > FAINTEST ? 127.0f / largest : 0.0f;
  __m256 by = _mm256_set1_ps(inverse);
  __m256i n[4];
  for (int i = 0; i < 4; i++) n[i] = _mm256_cvtps_epi32(_mm256_mul_ps(v[i], by));
  __m256i total = _mm256_add_epi32(_mm256_add_epi32(n[0], n[1]), _mm256_add_epi32(n[2], n[3]));
  // 32 → 16 → 8 bits; both packs work in halves of 128 bits, which the permutation puts in order again.
  __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(n[0], n[1]), _mm256_packs_epi32(n[2], n[3]));
  bytes = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  const __m256i apart = _mm256_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15, 0, 2, 4, 6, 8, 10, 12, 14,
                                         1, 3, 5, 7, 9, 11, 13, 15);
  if (lie == APART) {
    bytes = _mm256_permute4x64_epi64(_mm256_shuffle_epi8(bytes, apart), 0xD8);
    _mm_storeu_si128((__m128i*)to->even[which], _mm256_castsi256_si128(bytes));
    _mm_storeu_si128((__m128i*)to->odd[which], _mm256_extracti128_si256(bytes, 1));
  } else {
    _mm256_storeu_si256((__m256i*)to->channels[which], bytes);
  }
  __m128i t = _mm_add_epi32(_mm256_castsi256_si128(total), _mm256_extracti128_si256(total, 1));
  t = _mm_add_epi32(t, _mm_shuffle_epi32(t, 0x4E));
  t = _mm_add_epi32(t, _mm_shuffle_epi32(t, 0xB1));
  to->eights[which] = 8 * _mm_cvtsi128_si32(t);
  const float sum = sum_of(_mm256_add_ps(_mm256_add_ps(v[0], v[1]), _mm256_add_ps(v[2], v[3])));
  to->sums[which] = sum;
  // What is no number, or infinite, makes the whole block none: integers cannot tell it.
  to->steps[which] = largest / 127.0f + 0.0f * sum;
}

static inline void quantize_row(const float* x, size_t blocks, Lie lie, Pair* to) {
  for (size_t b = 0; b < blocks; b++) quantize_block(x + b * BLOCK, lie, to + b / 2, b % 2);
  // Those that lie in order are read block by block.
  if (blocks % 2 && lie == APART) {
    Pair* last = to + blocks / 2;
    memset(last->even[1], 0, sizeof last->even[1]);
    memset(last->odd[1], 0, sizeof last->odd[1]);
    last->steps[1] = last->sums[1] = 0;
    last->eights[1] = 0;
  }
}
