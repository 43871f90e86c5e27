// The elementwise parts of a layer, row by row: root-mean-square norms and SiLU.
#pragma once

#include <immintrin.h>
#include <math.h>
#include <stddef.h>

#include "activations.h"

// What stands before a product: sum = base + added, normed = sum / rms(sum) · weight. `width` is a multiple of 8.
typedef struct {
  const float *base, *added, *weight;  // [rows, width], the same, [width]
  float* sum;                          // [rows, width]
  float epsilon;
} Norm;

static void norm_row(const Norm* norm, size_t row, size_t width, float* normed) {
  const float *base = norm->base + row * width, *added = norm->added + row * width;
  float* sum = norm->sum + row * width;
  __m256 squares[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
  for (size_t i = 0; i < width; i += 8) {
    __m256 s = _mm256_add_ps(_mm256_loadu_ps(base + i), _mm256_loadu_ps(added + i));
    _mm256_storeu_ps(sum + i, s);
    squares[i / 8 % 2] = _mm256_fmadd_ps(s, s, squares[i / 8 % 2]);
  }
  const float mean = sum_of(_mm256_add_ps(squares[0], squares[1])) / (float)width;
  const __m256 by = _mm256_set1_ps(1.0f / sqrtf(mean + norm->epsilon));
  for (size_t i = 0; i < width; i += 8) {
    __m256 scaled = _mm256_mul_ps(_mm256_loadu_ps(sum + i), by);
    _mm256_storeu_ps(normed + i, _mm256_mul_ps(scaled, _mm256_loadu_ps(norm->weight + i)));
  }
}

// e^x to about one unit in the last place: 2^n · e^r with |r| <= ln 2 / 2, and e^r by its Taylor polynomial to r^7.
static inline __m256 exponential(__m256 x) {
  // Beyond these the result is infinite, or too small for a float's full precision.
  x = _mm256_min_ps(_mm256_max_ps(x, _mm256_set1_ps(-87.3f)), _mm256_set1_ps(88.7f));
  __m256 n = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(1.44269504f)), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  // ln 2 in two parts, so that the subtraction loses nothing.
  __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0.693359375f), x);
  r = _mm256_fnmadd_ps(n, _mm256_set1_ps(-2.12194440e-4f), r);
  __m256 p = _mm256_set1_ps(1.0f / 5040);
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 720));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 120));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 24));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 6));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 2));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f));
  // 2^n in two steps: n is 128 at most, and one exponent alone reaches 127.
  __m256i whole = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(whole, 1);
  __m256i rest = _mm256_sub_epi32(whole, half);
  const __m256i bias = _mm256_set1_epi32(127);
  p = _mm256_mul_ps(p, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23)));
  return _mm256_mul_ps(p, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23)));
}

// gate[i] = silu(gate[i]) · up[i], `count` a multiple of 8.
static inline void gate_row(float* gate, const float* up, size_t count) {
  const __m256 one = _mm256_set1_ps(1.0f), sign = _mm256_set1_ps(-0.0f);
  for (size_t i = 0; i < count; i += 8) {
    __m256 g = _mm256_loadu_ps(gate + i);
    __m256 silu = _mm256_div_ps(g, _mm256_add_ps(one, exponential(_mm256_xor_ps(g, sign))));
    _mm256_storeu_ps(gate + i, _mm256_mul_ps(silu, _mm256_loadu_ps(up + i)));
  }
}
