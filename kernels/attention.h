// Attention of one sequence's queries to its keys, a group of heads at a time.
//
// Keys are taken in chunks that begin at fixed positions, and what a query sees of a chunk is added up in one order, so a row
// comes out the same to the bit whichever other rows share its step, and whichever steps came before, where values are finite.
#pragma once

#include <math.h>
#include <string.h>

#include "activations.h"
#include "norms.h"

enum { CHUNK_KEYS = 128 };
// Query rows of one call: rows of the step times heads of the group, at least one row.
enum { QUERIES = 96 };

// One sequence and one group: `heads` query heads that share a head of keys and values.
typedef struct {
  const float* queries;        // [step, heads, width], rotated and divided by √width
  const float *keys, *values;  // [positions, width]
  float* context;              // [step, heads, width] with `stride` from row to row
  size_t heads, width, past, stride;
} Heads;

// c[4 or fewer rows, 16] += a[rows, depth] · b[depth, 16]. `fresh`: c counts as zero.
static inline __attribute__((always_inline)) void add_products(const float* a, size_t a_stride, const float* b, size_t b_stride,
                                                               float* c, size_t c_stride, size_t depth, const int rows,
                                                               int fresh) {
  __m256 sums[4][2];
#pragma GCC unroll 4
  for (int r = 0; r < rows; r++)
    for (int i = 0; i < 2; i++) sums[r][i] = fresh ? _mm256_setzero_ps() : _mm256_loadu_ps(c + r * c_stride + 8 * i);
  for (size_t k = 0; k < depth; k++) {
    __m256 b0 = _mm256_loadu_ps(b + k * b_stride), b1 = _mm256_loadu_ps(b + k * b_stride + 8);
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) {
      __m256 by = _mm256_broadcast_ss(a + r * a_stride + k);
      sums[r][0] = _mm256_fmadd_ps(by, b0, sums[r][0]);
      sums[r][1] = _mm256_fmadd_ps(by, b1, sums[r][1]);
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < rows; r++)
    for (int i = 0; i < 2; i++) _mm256_storeu_ps(c + r * c_stride + 8 * i, sums[r][i]);
}

// The same for any number of rows, and a number of columns that is a multiple of 16.
static void matrix_product(const float* a, size_t a_stride, const float* b, size_t b_stride, float* c, size_t c_stride,
                           size_t rows, size_t columns, size_t depth, int fresh) {
  for (size_t n = 0; n < columns; n += 16)
    for (size_t row = 0; row < rows; row += 4) {
      const float* from = a + row * a_stride;
      float* to = c + row * c_stride + n;
      switch (rows - row) {
        case 1: add_products(from, a_stride, b + n, b_stride, to, c_stride, depth, 1, fresh); break;
        case 2: add_products(from, a_stride, b + n, b_stride, to, c_stride, depth, 2, fresh); break;
        case 3: add_products(from, a_stride, b + n, b_stride, to, c_stride, depth, 3, fresh); break;
        default: add_products(from, a_stride, b + n, b_stride, to, c_stride, depth, 4, fresh);
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

// keys [count, width] → to [width, CHUNK_KEYS]; whoever reads further than `count` reads numbers that mean nothing.
static void lay_keys(const float* keys, size_t count, size_t width, float* to) {
  size_t k = 0;
  for (; k + 8 <= count; k += 8)
    for (size_t d = 0; d < width; d += 8) transpose8x8(keys + k * width + d, width, to + d * CHUNK_KEYS + k, CHUNK_KEYS);
  for (; k < count; k++)
    for (size_t d = 0; d < width; d++) to[d * CHUNK_KEYS + k] = keys[k * width + d];
}

// Scores of `seen` keys → their weights e^(score − largest), zeros behind them up to `count`; returns the weights' sum. `count`
// is a multiple of 8.
static inline float weigh(float* scores, size_t seen, size_t count, float largest) {
  const __m256 most = _mm256_set1_ps(largest);
  __m256 sum = _mm256_setzero_ps();
  for (size_t i = seen; i < count; i++) scores[i] = -INFINITY;
  for (size_t i = 0; i < count; i += 8) {
    __m256 score = _mm256_loadu_ps(scores + i);
    __m256 weight = exponential(_mm256_sub_ps(score, most));
    weight = _mm256_and_ps(weight, _mm256_cmp_ps(score, _mm256_set1_ps(-INFINITY), _CMP_NEQ_UQ));
    _mm256_storeu_ps(scores + i, weight);
    sum = _mm256_add_ps(sum, weight);
  }
  return sum_of(sum);
}

static inline float largest_score(const float* scores, size_t seen) {
  __m256 found = _mm256_set1_ps(-INFINITY);
  size_t i = 0;
  for (; i + 8 <= seen; i += 8) found = _mm256_max_ps(found, _mm256_loadu_ps(scores + i));
  float largest = largest_of(found);
  for (; i < seen; i++) largest = scores[i] > largest ? scores[i] : largest;
  return largest;
}

static inline float exponential1(float x) { return _mm256_cvtss_f32(exponential(_mm256_set1_ps(x))); }

// Rows [begin, end) of the step. `laid` has room for [width, CHUNK_KEYS].
static void attend(const Heads* h, size_t begin, size_t end, float* laid) {
  const size_t width = h->width, queries = (end - begin) * h->heads, last = h->past + end;
  float scores[queries][CHUNK_KEYS], sums[queries][width], largest[queries], totals[queries];
  memset(sums, 0, sizeof sums);
  for (size_t q = 0; q < queries; q++) {
    largest[q] = -INFINITY;
    totals[q] = 0;
  }
  for (size_t start = 0; start < last; start += CHUNK_KEYS) {
    const size_t count = last - start < CHUNK_KEYS ? last - start : CHUNK_KEYS;
    const size_t sixteens = (count + 15) / 16 * 16;
    // The first row that sees any of this chunk.
    const size_t row = start > h->past + begin ? start - h->past - begin : 0, first = row * h->heads;
    lay_keys(h->keys + start * width, count, width, laid);
    matrix_product(h->queries + begin * h->heads * width + first * width, width, laid, CHUNK_KEYS, scores[first], CHUNK_KEYS,
                   queries - first, sixteens, width, 1);
    for (size_t q = first; q < queries; q++) {
      const size_t limit = h->past + begin + q / h->heads + 1 - start, seen = limit < count ? limit : count;
      const float found = largest_score(scores[q], seen), before = largest[q];
      largest[q] = found > before ? found : before;
      const float total = weigh(scores[q], seen, sixteens, largest[q]);
      if (largest[q] == before) {
        totals[q] += total;
        continue;
      }
      const float fade = exponential1(before - largest[q]);
      totals[q] = fmaf(totals[q], fade, total);
      const __m256 by = _mm256_set1_ps(fade);
      for (size_t d = 0; d < width; d += 8)
        _mm256_storeu_ps(sums[q] + d, _mm256_mul_ps(_mm256_loadu_ps(sums[q] + d), by));
    }
    matrix_product(scores[first], CHUNK_KEYS, h->values + start * width, width, sums[first], width, queries - first, width,
                   count, 0);
  }
  for (size_t q = 0; q < queries; q++) {
    const __m256 by = _mm256_set1_ps(1.0f / totals[q]);
    float* to = h->context + (begin + q / h->heads) * h->stride + q % h->heads * width;
    for (size_t d = 0; d < width; d += 8) _mm256_storeu_ps(to + d, _mm256_mul_ps(_mm256_loadu_ps(sums[q] + d), by));
  }
}

// x[width] → rotated by the position's angles, times `scale`; halves are rotated against each other, as Llama does.
static inline void rotate(const float* x, const float* cosines, const float* sines, size_t width, float scale, float* to) {
  const size_t half = width / 2;
  const __m256 by = _mm256_set1_ps(scale);
  for (size_t i = 0; i < half; i += 8) {
    __m256 a = _mm256_loadu_ps(x + i), b = _mm256_loadu_ps(x + half + i);
    __m256 c = _mm256_loadu_ps(cosines + i), s = _mm256_loadu_ps(sines + i);
    _mm256_storeu_ps(to + i, _mm256_mul_ps(_mm256_fmsub_ps(a, c, _mm256_mul_ps(b, s)), by));
    _mm256_storeu_ps(to + half + i, _mm256_mul_ps(_mm256_fmadd_ps(b, c, _mm256_mul_ps(a, s)), by));
  }
}
