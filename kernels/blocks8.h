// Products with 8-bit weights in blocks of 32 that have a scale each, as MatMulNBits stores them: 128 stands for 0.
//
// y[n] = Σ over blocks b: scale[n, b] · Σ (value − 128) · x, added up block by block in their order by both kernels, so a row
// comes out the same to the bit however many there are. Rows are few: those of the head.
#pragma once

#include "blocks4.h"

typedef struct {
  const uint8_t* values;  // [outputs, blocks, 32]
  const float* scales;    // [outputs, blocks]
  size_t outputs, blocks;
} Weights8;

static inline __m256i signed8(__m256i values) { return _mm256_xor_si256(values, _mm256_set1_epi8((char)128)); }

// Sums of four products each: magnitudes times signed activations, of which 2 · 128 · 127 fits 16 bits.
static inline __m256i dot8(__m256i w, __m256i x) {
  return _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w)), ONES);
}

// ---- one row or two: memory sets the pace

static inline __m256i fold32(__m256i a, __m256i b) {
  __m256 x = _mm256_castsi256_ps(a), y = _mm256_castsi256_ps(b);
  return _mm256_add_epi32(_mm256_castps_si256(_mm256_shuffle_ps(x, y, 0x88)),
                          _mm256_castps_si256(_mm256_shuffle_ps(x, y, 0xDD)));
}

enum { FEW_ROWS8 = 2 };

// Outputs [begin, end), four at a time.
static inline __attribute__((always_inline)) void few_rows8(const Weights8* w, const Activations* x, const size_t rows, float* y,
                                                            size_t begin, size_t end) {
  const size_t blocks = w->blocks;
  for (size_t n = begin; n < end; n += 4) {
    const uint8_t* v = w->values + n * blocks * 32;
    const float* s = w->scales + n * blocks;
    __m128 sums[FEW_ROWS8];
    for (size_t r = 0; r < rows; r++) sums[r] = _mm_setzero_ps();
    for (size_t b = 0; b < blocks; b++) {
      _mm_prefetch((const char*)v + b * 128 + AHEAD, _MM_HINT_T0);
      _mm_prefetch((const char*)v + b * 128 + AHEAD + 64, _MM_HINT_T0);
      if (b % 4 == 0) _mm_prefetch((const char*)s + b * 16 + AHEAD / 8, _MM_HINT_T0);
      __m256i values[4];
      for (size_t i = 0; i < 4; i++) values[i] = signed8(_mm256_loadu_si256((const __m256i*)(v + (i * blocks + b) * 32)));
      const __m128 scales = _mm_setr_ps(s[b], s[b + blocks], s[b + 2 * blocks], s[b + 3 * blocks]);
      for (size_t r = 0; r < rows; r++) {
        const Pair* pair = x->blocks + r * x->pairs + b / 2;
        const __m256i integers = _mm256_loadu_si256((const __m256i*)pair->channels[b % 2]);
        __m256i d01 = fold32(dot8(values[0], integers), dot8(values[1], integers));
        __m256i d23 = fold32(dot8(values[2], integers), dot8(values[3], integers));
        __m256i both = fold32(d01, d23);
        __m128i d = _mm_add_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
        sums[r] = _mm_fmadd_ps(_mm_cvtepi32_ps(d), _mm_mul_ps(scales, _mm_set1_ps(pair->steps[b % 2])), sums[r]);
      }
    }
    for (size_t r = 0; r < rows; r++) _mm_storeu_ps(y + r * w->outputs + n, sums[r]);
  }
}

// ---- more rows: they share what is laid of the weights

// Eight outputs of one block: in each 32-bit lane of a vector four channels of one output.
typedef struct {
  __m256i values[8];
  __m256 scales;
} Panel8;

enum { PANEL_OUTPUTS = 8 };

static inline void lay_panel8(const Weights8* w, size_t n, Panel8* panel) {
  const size_t k = w->blocks;
  for (size_t b = 0; b < k; b++, panel++) {
    const size_t start = n * k + b;
    for (size_t half = 0; half < 2; half++) {
      __m256i four[4];
      transpose8(w->values + start * 32 + 16 * half, k * 32, four);
      for (size_t j = 0; j < 4; j++) panel->values[4 * half + j] = signed8(four[j]);
    }
    const float* s = w->scales + start;
    panel->scales = _mm256_setr_ps(s[0], s[k], s[2 * k], s[3 * k], s[4 * k], s[5 * k], s[6 * k], s[7 * k]);
  }
}

// Up to TILE_ROWS rows times the panel. Meanwhile memory is asked for the next panel's weights: asked for at once, they would
// be more lines than a core can wait for.
static inline __attribute__((always_inline)) void tile8(const Panel8* panel, const Weights8* next, const Activations* x,
                                                        const size_t rows, float* y) {
  __m256 sums[TILE_ROWS];
  for (size_t r = 0; r < rows; r++) sums[r] = _mm256_setzero_ps();
  for (size_t b = 0; b < next->blocks; b++, panel++) {
    for (size_t line = 0; line < 4; line++)
      _mm_prefetch((const char*)(next->values + (b * 4 + line) * 64), _MM_HINT_T0);
    if (b % 2 == 0) _mm_prefetch((const char*)(next->scales + b * PANEL_OUTPUTS), _MM_HINT_T0);
    __m256i d[TILE_ROWS];
    for (size_t r = 0; r < rows; r++) d[r] = _mm256_setzero_si256();
#pragma GCC unroll 8
    for (size_t j = 0; j < 8; j++) {
      const __m256i values = panel->values[j];
#pragma GCC unroll 4
      for (size_t r = 0; r < rows; r++) {
        const Pair* pair = x->blocks + r * x->pairs + b / 2;
        d[r] = _mm256_add_epi32(d[r], dot8(values, broadcast4(pair->channels[b % 2] + 4 * j)));
      }
    }
#pragma GCC unroll 4
    for (size_t r = 0; r < rows; r++) {
      const __m256 step = _mm256_set1_ps(x->blocks[r * x->pairs + b / 2].steps[b % 2]);
      sums[r] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(d[r]), _mm256_mul_ps(panel->scales, step), sums[r]);
    }
  }
  for (size_t r = 0; r < rows; r++) _mm256_storeu_ps(y + r * next->outputs, sums[r]);
}

// Outputs [begin, end) of all rows; both ends are multiples of four. `laid` has room for the blocks.
static void some_rows8(const Weights8* w, const Activations* x, size_t rows, float* y, size_t begin, size_t end, Panel8* laid) {
  const size_t whole = rows <= FEW_ROWS8 ? begin : end - (end - begin) % PANEL_OUTPUTS;
  for (size_t n = begin; n < whole; n += PANEL_OUTPUTS) {
    lay_panel8(w, n, laid);
    const size_t after = n + PANEL_OUTPUTS;
    const Weights8 next = {w->values + after * w->blocks * 32, w->scales + after * w->blocks, w->outputs, w->blocks};
    for (size_t row = 0; row < rows; row += TILE_ROWS) {
      const Activations from = {x->blocks + row * x->pairs, x->pairs};
      float* to = y + row * w->outputs + n;
      switch (rows - row) {
        case 1: tile8(laid, &next, &from, 1, to); break;
        case 2: tile8(laid, &next, &from, 2, to); break;
        case 3: tile8(laid, &next, &from, 3, to); break;
        default: tile8(laid, &next, &from, TILE_ROWS, to);
      }
    }
  }
  for (size_t row = 0; row < rows; row += FEW_ROWS8) {
    const Activations from = {x->blocks + row * x->pairs, x->pairs};
    float* to = y + row * w->outputs;
    if (rows - row == 1) few_rows8(w, &from, 1, to, whole, end);
    else few_rows8(w, &from, FEW_ROWS8, to, whole, end);
  }
}
