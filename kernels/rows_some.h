// Some rows times 8-bit weights: arithmetic and memory set the pace together. Blocks of weights are laid for the arithmetic
// once for all rows, and while they are multiplied, the lines of the next block are asked for one by one, as they lie.
//
// Sixteen bits are enough for four products: those of two pairs, each within 255 · 128, are added up modulo 2^16, and so is
// what takes out the activations' zero; then the sum is one of signed activations, and fits (127 · 256).
#pragma once

#include "rows_few.h"

enum { SOME_ROWS = 16 };
// Rows that are multiplied at a time: their sums stay in registers.
enum { GROUP_ROWS = 8 };
// Inputs of a block. Larger ones are multiplied with fewer loads and stores of sums; but the first of a matrix is waited
// for, as nothing asked for it, and lines must not leave the cache before their turn: with 64, eight rows took 5 % longer.
enum { LAID_INPUTS = 32, LAID_STEPS = LAID_INPUTS / STEP_INPUTS };
enum { LINE = 64, VECTORS = FEW_OUTPUTS / 8 };

// Eight inputs of eight outputs: in each 32-bit lane four inputs of one output; and for both fours of it 128 · Σ w.
typedef struct {
  __m256i fours[2], zeros;
} Laid;

// Four rows of inputs of FEW_OUTPUTS outputs, in the order that unpacking leaves: that of `add_step`.
static inline void lay_four(const RowWeights* w, const int8_t* at, __m256i to[VECTORS]) {
  __m256i row[4];
  for (size_t i = 0; i < 4; i++) row[i] = _mm256_loadu_si256((const __m256i*)(at + i * w->outputs));
  __m256i low01 = _mm256_unpacklo_epi8(row[0], row[1]), low23 = _mm256_unpacklo_epi8(row[2], row[3]);
  __m256i high01 = _mm256_unpackhi_epi8(row[0], row[1]), high23 = _mm256_unpackhi_epi8(row[2], row[3]);
  to[0] = _mm256_unpacklo_epi16(low01, low23);
  to[1] = _mm256_unpackhi_epi16(low01, low23);
  to[2] = _mm256_unpacklo_epi16(high01, high23);
  to[3] = _mm256_unpackhi_epi16(high01, high23);
}

static inline void lay_outputs(const RowWeights* w, const int8_t* at, size_t steps, Laid* to) {
  const __m256i zero = _mm256_set1_epi8((char)128);
  for (size_t step = 0; step < steps; step++) {
    __m256i fours[2][VECTORS];
    for (size_t i = 0; i < 2; i++) lay_four(w, at + (step * STEP_INPUTS + 4 * i) * w->outputs, fours[i]);
    for (size_t i = 0; i < VECTORS; i++) {
      __m256i zeros = _mm256_add_epi16(_mm256_maddubs_epi16(zero, fours[0][i]), _mm256_maddubs_epi16(zero, fours[1][i]));
      to[i * LAID_STEPS + step] = (Laid){{fours[0][i], fours[1][i]}, zeros};
    }
  }
}

// Adds up `rows` rows of FEW_OUTPUTS outputs; laid [VECTORS, LAID_STEPS], x [steps, rows, STEP_INPUTS], sums [rows, FEW_OUTPUTS].
// With each step a line is asked for, from `ahead` on: as many as these outputs have in a block.
static inline __attribute__((always_inline)) void add_rows(const Laid* laid, size_t steps, const uint8_t* x, const size_t rows,
                                                           int32_t* sums, const char* ahead) {
  for (size_t i = 0; i < VECTORS; i++, laid += LAID_STEPS, sums += 8) {
    __m256i total[GROUP_ROWS];
    for (size_t r = 0; r < rows; r++) total[r] = *(const __m256i*)(sums + r * FEW_OUTPUTS);
    for (size_t step = 0; step < steps; step++, ahead += LINE) {
      _mm_prefetch(ahead, _MM_HINT_T0);
#pragma GCC unroll 8
      for (size_t r = 0; r < rows; r++) {
        const uint8_t* at = x + (step * rows + r) * STEP_INPUTS;
        __m256i four = _mm256_maddubs_epi16(broadcast4(at), laid[step].fours[0]);
        four = _mm256_add_epi16(four, _mm256_maddubs_epi16(broadcast4(at + 4), laid[step].fours[1]));
        total[r] = _mm256_add_epi32(total[r], _mm256_madd_epi16(_mm256_sub_epi16(four, laid[step].zeros), ONES));
      }
    }
    for (size_t r = 0; r < rows; r++) *(__m256i*)(sums + r * FEW_OUTPUTS) = total[r];
  }
}

static __attribute__((noinline)) void add_group(const Laid* laid, size_t steps, const uint8_t* x, size_t rows, int32_t* sums,
                                                const char* ahead) {
  if (rows == 1) add_rows(laid, steps, x, 1, sums, ahead);
  if (rows == 2) add_rows(laid, steps, x, 2, sums, ahead);
  if (rows == 3) add_rows(laid, steps, x, 3, sums, ahead);
  if (rows == 4) add_rows(laid, steps, x, 4, sums, ahead);
  if (rows == 5) add_rows(laid, steps, x, 5, sums, ahead);
  if (rows == 6) add_rows(laid, steps, x, 6, sums, ahead);
  if (rows == 7) add_rows(laid, steps, x, 7, sums, ahead);
  if (rows == 8) add_rows(laid, steps, x, 8, sums, ahead);
}

// Rows of activations side by side, STEP_INPUTS of each: [steps, rows, STEP_INPUTS].
static inline void interleave(const RowActivations* x, size_t row, size_t rows, size_t begin, size_t steps, uint8_t* to) {
  for (size_t step = 0; step < steps; step++)
    for (size_t r = 0; r < rows; r++, to += STEP_INPUTS)
      memcpy(to, x->integers + (row + r) * x->stride + begin + step * STEP_INPUTS, STEP_INPUTS);
}

// As `sum_few_rows`, and asks for what is to be read `next` at last. But the end too is a multiple of STEP_INPUTS: an input that
// is none has no weight that leaves its neighbour's product within 16 bits.
static void sum_some_rows(const RowWeights* w, const RowActivations* x, size_t rows, size_t begin, size_t end,
                          const int8_t* next, int32_t* sums) {
  const size_t outputs = few_outputs(w), inputs = end - begin;
  Laid laid[VECTORS * LAID_STEPS];
  uint8_t grouped[rows * inputs + 1];
  memset(sums, 0, sizeof(int32_t) * rows * outputs);
  for (size_t r = 0; r < rows; r += GROUP_ROWS)
    interleave(x, r, rows - r < GROUP_ROWS ? rows - r : GROUP_ROWS, begin, inputs / STEP_INPUTS, grouped + r * inputs);
  for (size_t k = 0; k < inputs; k += LAID_INPUTS) {
    const size_t steps = (inputs - k < LAID_INPUTS ? inputs - k : LAID_INPUTS) / STEP_INPUTS;
    const int8_t* at = w->values + (begin + k) * w->outputs;
    const char* ahead = (const char*)(k + LAID_INPUTS < inputs ? at + LAID_INPUTS * w->outputs : next);
    for (size_t n = 0; n < outputs; n += FEW_OUTPUTS, ahead += VECTORS * LAID_STEPS * LINE) {
      lay_outputs(w, at + n, steps, laid);
      for (size_t r = 0; r < rows; r += GROUP_ROWS) {
        const size_t group = rows - r < GROUP_ROWS ? rows - r : GROUP_ROWS;
        const uint8_t* some = grouped + r * inputs + k * group;
        add_group(laid, steps, some, group, sums + n * rows + r * FEW_OUTPUTS, ahead);
      }
    }
  }
}
