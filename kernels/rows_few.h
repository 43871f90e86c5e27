// Few rows times 8-bit weights: memory sets the pace. The weights are read once, by four readers at a time, each of which goes
// from pair to pair of inputs through a quarter of them, as they lie; the sums stay in the first cache. One reader of eight
// neighbouring inputs was a third slower: the processor foresees four long ways better than eight short ones.
#pragma once

#include "rows.h"

// Outputs that are added up at a time: the kernel does whole ones.
enum { FEW_OUTPUTS = 32 };
enum { READERS = STEP_INPUTS / 2 };
// For so many rows memory sets the pace.
enum { FEW_ROWS = 3 };

// Two activations, as many times as there are.
static inline __m256i signed_pair(const uint8_t* at) {
  int16_t two;
  memcpy(&two, at, 2);
  return _mm256_xor_si256(_mm256_set1_epi16(two), _mm256_set1_epi8((char)128));
}

static inline __m256i times_pair(__m256i weights, __m256i x) {
  return _mm256_maddubs_epi16(_mm256_abs_epi8(x), _mm256_sign_epi8(weights, x));
}

// Adds up four pairs' products for FEW_OUTPUTS outputs of one row, in the order that unpacking leaves: `low` has the
// first and the third eight outputs, `high` the others.
static inline void add_step(const __m256i low[READERS], const __m256i high[READERS], const __m256i x[READERS], __m256i* sums) {
  __m256i first = _mm256_add_epi16(times_pair(low[0], x[0]), times_pair(low[1], x[1]));
  __m256i second = _mm256_add_epi16(times_pair(low[2], x[2]), times_pair(low[3], x[3]));
  sums[0] = _mm256_add_epi32(sums[0], _mm256_madd_epi16(_mm256_unpacklo_epi16(first, second), ONES));
  sums[1] = _mm256_add_epi32(sums[1], _mm256_madd_epi16(_mm256_unpackhi_epi16(first, second), ONES));
  first = _mm256_add_epi16(times_pair(high[0], x[0]), times_pair(high[1], x[1]));
  second = _mm256_add_epi16(times_pair(high[2], x[2]), times_pair(high[3], x[3]));
  sums[2] = _mm256_add_epi32(sums[2], _mm256_madd_epi16(_mm256_unpacklo_epi16(first, second), ONES));
  sums[3] = _mm256_add_epi32(sums[3], _mm256_madd_epi16(_mm256_unpackhi_epi16(first, second), ONES));
}

static inline size_t few_outputs(const RowWeights* w) { return w->outputs / FEW_OUTPUTS * FEW_OUTPUTS; }

// Sums [few_outputs / FEW_OUTPUTS, rows, FEW_OUTPUTS] over the inputs [begin, end), of which begin is a multiple of
// STEP_INPUTS, and end too or the last.
static inline __attribute__((always_inline)) void sum_rows(const RowWeights* w, const RowActivations* x, const size_t rows,
                                                           size_t begin, size_t end, int32_t* sums) {
  const size_t outputs = few_outputs(w), quarter = stride_of(end - begin) / READERS;
  memset(sums, 0, sizeof(int32_t) * rows * outputs);
  for (size_t step = 0; step < quarter; step += 2) {
    const int8_t* at[READERS][2];
    __m256i pairs[FEW_ROWS][READERS];
    for (size_t i = 0; i < READERS; i++) {
      const size_t k = begin + i * quarter + step;
      // Beyond the last input activations are zeros: any row of weights will do.
      for (size_t j = 0; j < 2; j++) at[i][j] = w->values + (k + j < w->inputs ? k + j : w->inputs - 1) * w->outputs;
      for (size_t r = 0; r < rows; r++) pairs[r][i] = signed_pair(x->integers + r * x->stride + k);
    }
    for (size_t n = 0; n < outputs; n += FEW_OUTPUTS) {
      __m256i low[READERS], high[READERS];
      for (size_t i = 0; i < READERS; i++) {
        // The reader's next pair, line by line, into the second cache: the first would not hold those of wide rows.
        _mm_prefetch((const char*)at[i][0] + 2 * w->outputs + 2 * n, _MM_HINT_T1);
        __m256i even = _mm256_loadu_si256((const __m256i*)(at[i][0] + n));
        __m256i odd = _mm256_loadu_si256((const __m256i*)(at[i][1] + n));
        low[i] = _mm256_unpacklo_epi8(even, odd);
        high[i] = _mm256_unpackhi_epi8(even, odd);
      }
      for (size_t r = 0; r < rows; r++) add_step(low, high, pairs[r], (__m256i*)(sums + n * rows + r * FEW_OUTPUTS));
    }
  }
}

static void sum_few_rows(const RowWeights* w, const RowActivations* x, size_t rows, size_t begin, size_t end, int32_t* sums) {
  if (rows == 1) sum_rows(w, x, 1, begin, end, sums);
  if (rows == 2) sum_rows(w, x, 2, begin, end, sums);
  if (rows == 3) sum_rows(w, x, 3, begin, end, sums);
}

// Adds up `shares` of one row's sums, puts them in order and scales them into y[few_outputs].
static void finish_few_outputs(const RowWeights* w, size_t rows, size_t row, const int32_t* sums, size_t shares, float step,
                               float* y) {
  const size_t outputs = few_outputs(w);
  for (size_t n = 0; n < outputs; n += FEW_OUTPUTS) {
    __m256i s[4];
    for (size_t i = 0; i < 4; i++) {
      s[i] = _mm256_setzero_si256();
      for (size_t share = 0; share < shares; share++)
        s[i] = _mm256_add_epi32(s[i], *(const __m256i*)(sums + share * rows * outputs + n * rows + row * FEW_OUTPUTS + 8 * i));
    }
    const __m256i ordered[4] = {_mm256_permute2x128_si256(s[0], s[1], 0x20), _mm256_permute2x128_si256(s[2], s[3], 0x20),
                                _mm256_permute2x128_si256(s[0], s[1], 0x31), _mm256_permute2x128_si256(s[2], s[3], 0x31)};
    for (size_t i = 0; i < 4; i++)
      _mm256_storeu_ps(y + n + 8 * i, scaled(ordered[i], _mm256_loadu_ps(w->scales + n + 8 * i), step));
  }
}
