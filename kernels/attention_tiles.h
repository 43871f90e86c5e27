// Products of a few rows and sixteen columns, in fp32, and the columns laid for them: what attention is made of.
#pragma once

#include <immintrin.h>
#include <stddef.h>

// Columns of a product that are taken at once: keys of a chunk, then channels of their values.
enum { PANEL = 16 };

// c[rows, PANEL] = a[rows, depth] · b[depth, PANEL], each sum in the order of its depth. Meanwhile `depth` lines from `next` on
// are asked for, which will be read soon; nothing need be there. Six rows: twelve sums keep both multipliers busy.
static inline __attribute__((always_inline)) void tile_product(const float* a, size_t a_stride, const float* b, size_t b_stride,
                                                               float* c, size_t c_stride, size_t depth, const float* next,
                                                               const int rows) {
  __m256 sums[6][2];
#pragma GCC unroll 6
  for (int r = 0; r < rows; r++) sums[r][0] = sums[r][1] = _mm256_setzero_ps();
  for (size_t k = 0; k < depth; k++) {
    __m256 b0 = _mm256_loadu_ps(b + k * b_stride), b1 = _mm256_loadu_ps(b + k * b_stride + 8);
    _mm_prefetch((const char*)(next + 16 * k), _MM_HINT_T0);
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++) {
      __m256 by = _mm256_broadcast_ss(a + r * a_stride + k);
      sums[r][0] = _mm256_fmadd_ps(by, b0, sums[r][0]);
      sums[r][1] = _mm256_fmadd_ps(by, b1, sums[r][1]);
    }
  }
#pragma GCC unroll 6
  for (int r = 0; r < rows; r++)
    for (int i = 0; i < 2; i++) _mm256_storeu_ps(c + r * c_stride + 8 * i, sums[r][i]);
}

// The same for any number of rows.
static void panel_product(const float* a, size_t a_stride, const float* b, size_t b_stride, float* c, size_t c_stride,
                          size_t rows, size_t depth, const float* next) {
  for (size_t row = 0; row < rows; row += 6) {
    const float* from = a + row * a_stride;
    float* to = c + row * c_stride;
    switch (rows - row) {
      case 1: tile_product(from, a_stride, b, b_stride, to, c_stride, depth, next, 1); break;
      case 2: tile_product(from, a_stride, b, b_stride, to, c_stride, depth, next, 2); break;
      case 3: tile_product(from, a_stride, b, b_stride, to, c_stride, depth, next, 3); break;
      case 4: tile_product(from, a_stride, b, b_stride, to, c_stride, depth, next, 4); break;
      case 5: tile_product(from, a_stride, b, b_stride, to, c_stride, depth, next, 5); break;
      default: tile_product(from, a_stride, b, b_stride, to, c_stride, depth, next, 6);
    }
  }
}

static inline void transpose8x8(const float* from, size_t from_stride, float* to, size_t to_stride) {
  __m256 r[8], t[8];
  for (size_t i = 0; i < 8; i++) r[i] = _mm256_loadu_ps(from + i * from_stride);
  for (int i = 0; i < 4; i++) {
    t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
  }
  for (int i = 0; i < 2; i++) {
    r[4 * i] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44);
    r[4 * i + 1] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0xEE);
    r[4 * i + 2] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
    r[4 * i + 3] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xEE);
  }
  for (size_t i = 0; i < 4; i++) {
    _mm256_storeu_ps(to + i * to_stride, _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
    _mm256_storeu_ps(to + (i + 4) * to_stride, _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
  }
}

// keys [count, width] → to [width, PANEL]; whoever reads further than `count` reads numbers that mean nothing.
static inline void lay_keys(const float* keys, size_t count, size_t width, float* to) {
  size_t k = 0;
  for (; k + 8 <= count; k += 8)
    for (size_t d = 0; d < width; d += 8) transpose8x8(keys + k * width + d, width, to + d * PANEL + k, PANEL);
  for (; k < count; k++)
    for (size_t d = 0; d < width; d++) to[d * PANEL + k] = keys[k * width + d];
}

// PANEL channels of values [count, width] → to [count, PANEL]
static inline void lay_values(const float* values, size_t count, size_t width, float* to) {
  for (size_t k = 0; k < count; k++)
    for (size_t i = 0; i < PANEL; i += 8) _mm256_storeu_ps(to + k * PANEL + i, _mm256_loadu_ps(values + k * width + i));
}
