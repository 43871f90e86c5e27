// Products with 8-bit weights that have a scale per output, of activations in 8 bits that have a step per row.
//
// y[n] = step · scale[n] · Σ (x − 128) · w. The weights lie as MatMulIntegerToFloat takes them, none is −128, and the magnitudes
// of inputs 2i and 2i + 1 add up to 128 at most: the two products of such a pair fit 16 bits with an activation that has no sign
// (255 · 128), and the four of two pairs do with one that has (2 · 127 · 128). Sums of integers are exact: a row comes out the
// same to the bit however many there are, and whichever kernel adds it up.
#pragma once

#include "activations.h"

typedef struct {
  const int8_t* values;  // [inputs, outputs]
  const float* scales;   // [outputs]
  size_t inputs, outputs;
} RowWeights;

// `integers` [rows, stride]: 128 stands for 0, and fills the row up to the stride.
typedef struct {
  uint8_t* integers;
  float* steps;  // [rows]
  size_t stride;
} RowActivations;


// Inputs that a kernel takes at a time, at most: activations are filled up to a multiple of them.
enum { STEP_INPUTS = 8 };

static inline size_t stride_of(size_t inputs) { return (inputs + STEP_INPUTS - 1) / STEP_INPUTS * STEP_INPUTS; }

// Rounds x[inputs] to 127 steps to each side of 128. A row too faint to divide by counts as zeros.
static inline float round_to_bytes(const float* x, size_t inputs, uint8_t* to) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  const size_t whole = inputs / 8 * 8;
  float rest[8] = {0};
  memcpy(rest, x + whole, sizeof(float) * (inputs - whole));
  __m256 most = _mm256_andnot_ps(sign, _mm256_loadu_ps(rest));
  for (size_t k = 0; k < whole; k += 8) most = _mm256_max_ps(most, _mm256_andnot_ps(sign, _mm256_loadu_ps(x + k)));
  const float largest = largest_of(most);
  const __m256 by = _mm256_set1_ps(largest > FAINTEST ? 127.0f / largest : 0.0f);
  __m256 nothing = _mm256_setzero_ps();
  for (size_t k = 0; k < inputs; k += 8) {
    __m256 some = _mm256_loadu_ps(k < whole ? x + k : rest);
    nothing = _mm256_fmadd_ps(some, _mm256_setzero_ps(), nothing);
    __m256i n = _mm256_cvtps_epi32(_mm256_mul_ps(some, by));
    __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(n), _mm256_extracti128_si256(n, 1));
    __m128i bytes = _mm_xor_si128(_mm_packs_epi16(words, words), _mm_set1_epi8((char)128));
    _mm_storel_epi64((__m128i*)(to + k), bytes);
  }
  // What is no number, or infinite, makes the whole row none: integers cannot tell it.
  return largest / 127.0f + sum_of(nothing);
}

static inline __m256 scaled(__m256i sums, __m256 scales, float step) {
  return _mm256_mul_ps(_mm256_cvtepi32_ps(sums), _mm256_mul_ps(scales, _mm256_set1_ps(step)));
}
