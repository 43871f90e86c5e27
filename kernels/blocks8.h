// Products with 8-bit weights in blocks of 32 that have a scale each, as MatMulNBits stores them: 128 stands for 0.
#pragma once

#include "blocks4.h"

typedef struct {
  const uint8_t* values;  // [outputs, blocks, 32]
  const float* scales;    // [outputs, blocks]
  size_t outputs, blocks;
} Weights8;

static inline __m256i dot8(const uint8_t* values, __m256i x) {
  __m256i w = _mm256_xor_si256(_mm256_loadu_si256((const __m256i*)values), _mm256_set1_epi8((char)128));
  // Magnitudes times signed activations: 2 · 128 · 127 fits 16 bits.
  __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
  return _mm256_madd_epi16(pairs, ONES);
}

static inline __m256i fold32(__m256i a, __m256i b) {
  __m256 x = _mm256_castsi256_ps(a), y = _mm256_castsi256_ps(b);
  return _mm256_add_epi32(_mm256_castps_si256(_mm256_shuffle_ps(x, y, 0x88)),
                          _mm256_castps_si256(_mm256_shuffle_ps(x, y, 0xDD)));
}

// One block's channels in their order: they lie in it as 4-bit weights want them.
static inline __m256i in_order(const Pair* pair, size_t which) {
  __m128i even = _mm_loadu_si128((const __m128i*)pair->even[which]);
  __m128i odd = _mm_loadu_si128((const __m128i*)pair->odd[which]);
  return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_unpacklo_epi8(even, odd)), _mm_unpackhi_epi8(even, odd), 1);
}

// Outputs [begin, end) of all rows, four at a time; both ends are multiples of four. Rows are few: those of the head.
static void some_rows8(const Weights8* w, const Activations* x, size_t rows, float* y, size_t begin, size_t end) {
  const size_t blocks = w->blocks;
  for (size_t n = begin; n < end; n += 4) {
    const uint8_t* v = w->values + n * blocks * 32;
    const float* s = w->scales + n * blocks;
    for (size_t row = 0; row < rows; row++) {
      __m128 sum = _mm_setzero_ps();
      for (size_t b = 0; b < blocks; b++) {
        const Pair* pair = x->blocks + row * x->pairs + b / 2;
        const uint8_t* at = v + b * 32;
        if (!row) {
          _mm_prefetch((const char*)v + b * 128 + AHEAD, _MM_HINT_T0);
          _mm_prefetch((const char*)v + b * 128 + AHEAD + 64, _MM_HINT_T0);
          if (b % 4 == 0) _mm_prefetch((const char*)s + b * 16 + AHEAD / 8, _MM_HINT_T0);
        }
        __m256i integers = in_order(pair, b % 2);
        __m256i d01 = fold32(dot8(at, integers), dot8(at + blocks * 32, integers));
        __m256i d23 = fold32(dot8(at + 2 * blocks * 32, integers), dot8(at + 3 * blocks * 32, integers));
        __m256i both = fold32(d01, d23);
        __m128i d = _mm_add_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
        __m128 scale = _mm_setr_ps(s[b], s[b + blocks], s[b + 2 * blocks], s[b + 3 * blocks]);
        sum = _mm_fmadd_ps(_mm_cvtepi32_ps(d), _mm_mul_ps(scale, _mm_set1_ps(pair->steps[b % 2])), sum);
      }
      _mm_storeu_ps(y + row * w->outputs + n, sum);
    }
  }
}
