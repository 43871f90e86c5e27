// Products with 4-bit weights in blocks of 32 that have a scale and an offset each.
//
// y[n] = Σ over blocks b: scale[n, b] · Σ (value − 8) · x + offset[b, n] · Σ x. The values are MatMulNBits' own: 16 bytes a
// block, the even channel in the lower nibble. Both kernels add the same numbers in the same order, the even blocks and the
// odd ones each for themselves and those two sums last, so a row comes out the same to the bit however many there are.
#pragma once

#include "activations.h"

typedef struct {
  const uint8_t* values;  // [outputs, blocks, 16]
  const float* scales;    // [outputs, blocks]
  const float* offsets;   // [blocks, outputs]
  size_t outputs, blocks;
} Weights4;

#define NIBBLES _mm256_set1_epi8(15)

// How far ahead of the product memory is asked for, in bytes.
enum { AHEAD = 4096 };

// Two blocks of one output, unpacked: the even channels and the odd ones.
typedef struct {
  __m256i even, odd;
} Unpacked;

static inline Unpacked unpack(__m256i packed) {
  return (Unpacked){_mm256_and_si256(packed, NIBBLES), _mm256_and_si256(_mm256_srli_epi16(packed, 4), NIBBLES)};
}

// … times one row: sixteen sums in 16 bits, of which eight belong to each block; 4 · 15 · 127 at most.
static inline __m256i dot4(Unpacked w, __m256i even, __m256i odd) {
  return _mm256_add_epi16(_mm256_maddubs_epi16(w.even, even), _mm256_maddubs_epi16(w.odd, odd));
}

// Neighbouring 32-bit lanes added up as pairs of 16 bits, a's before b's in each half.
static inline __m256i fold(__m256i a, __m256i b) {
  __m256 x = _mm256_castsi256_ps(a), y = _mm256_castsi256_ps(b);
  return _mm256_add_epi16(_mm256_castps_si256(_mm256_shuffle_ps(x, y, 0x88)),
                          _mm256_castps_si256(_mm256_shuffle_ps(x, y, 0xDD)));
}

// Two blocks of four outputs, from the first of them on: `lone` reads one block, and zeros for the other.
typedef struct {
  Unpacked values[4];
  __m256 scales, offsets;  // [2 blocks, 4 outputs]
} Quad4;

static inline __m256i read_values(const uint8_t* at, int lone) {
  return lone ? _mm256_zextsi128_si256(_mm_loadu_si128((const __m128i*)at)) : _mm256_loadu_si256((const __m256i*)at);
}

static inline __m128 read_scales(const float* at, int lone) {
  return lone ? _mm_load_ss(at) : _mm_castpd_ps(_mm_load_sd((const double*)at));
}

static inline Quad4 read_quad4(const Weights4* w, size_t n, size_t b, int lone) {
  const size_t blocks = w->blocks;
  const uint8_t* v = w->values + (n * blocks + b) * 16;
  const float *s = w->scales + n * blocks + b, *o = w->offsets + b * w->outputs + n;
  Quad4 quad;
  for (size_t i = 0; i < 4; i++) quad.values[i] = unpack(read_values(v + i * blocks * 16, lone));
  __m128 s01 = _mm_unpacklo_ps(read_scales(s, lone), read_scales(s + blocks, lone));
  __m128 s23 = _mm_unpacklo_ps(read_scales(s + 2 * blocks, lone), read_scales(s + 3 * blocks, lone));
  __m256d scales = _mm256_castps_pd(_mm256_insertf128_ps(_mm256_castps128_ps256(s01), s23, 1));
  quad.scales = _mm256_castpd_ps(_mm256_permute4x64_pd(scales, 0xD8));
  __m128 second = lone ? _mm_setzero_ps() : _mm_loadu_ps(o + w->outputs);
  quad.offsets = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(o)), second, 1);
  return quad;
}

// Two numbers of a pair, four times each.
static inline __m256i four_each(const void* two) {
  __m256i both = _mm256_castpd_si256(_mm256_broadcast_sd((const double*)two));
  return _mm256_permutevar8x32_epi32(both, _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1));
}

static inline __m256 add_quad4(__m256 sum, const Quad4* quad, const Pair* x) {
  __m256i even = _mm256_loadu_si256((const __m256i*)x->even), odd = _mm256_loadu_si256((const __m256i*)x->odd);
  __m256i d01 = fold(dot4(quad->values[0], even, odd), dot4(quad->values[1], even, odd));
  __m256i d23 = fold(dot4(quad->values[2], even, odd), dot4(quad->values[3], even, odd));
  // Sixteen products in each 16 bits: 16 · 15 · 127 fits.
  __m256i d = _mm256_madd_epi16(fold(d01, d23), ONES);
  __m256 integers = _mm256_cvtepi32_ps(_mm256_sub_epi32(d, four_each(x->eights)));
  sum = _mm256_fmadd_ps(integers, _mm256_mul_ps(quad->scales, _mm256_castsi256_ps(four_each(x->steps))), sum);
  return _mm256_fmadd_ps(quad->offsets, _mm256_castsi256_ps(four_each(x->sums)), sum);
}

static inline void store_quad4(float* y, __m256 sum) {
  _mm_storeu_ps(y, _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps(sum, 1)));
}

// So many rows share an unpacked quad, for which there are registers. For more the weights are laid anew.
enum { FEW_ROWS4 = 3 };

// Outputs [begin, end), four outputs at a time. Both ends are multiples of four, and near enough for the weights to stay in the
// cache.
static inline __attribute__((always_inline)) void few_rows(const Weights4* w, const Activations* x, const size_t rows, float* y,
                                                           size_t begin, size_t end) {
  const size_t whole = w->blocks / 2;
  for (size_t n = begin; n < end; n += 4) {
    // The four outputs' values, and their scales, lie in one piece: that is what is asked for, line by line.
    const char* values = (const char*)(w->values + n * w->blocks * 16) + AHEAD;
    const char* scales = (const char*)(w->scales + n * w->blocks) + AHEAD / 4;
    __m256 sums[FEW_ROWS4];
    for (size_t r = 0; r < rows; r++) sums[r] = _mm256_setzero_ps();
    for (size_t p = 0; p < whole; p++) {
      _mm_prefetch(values + p * 128, _MM_HINT_T0);
      _mm_prefetch(values + p * 128 + 64, _MM_HINT_T0);
      if (p % 2 == 0) _mm_prefetch(scales + p * 32, _MM_HINT_T0);
      if (n % 16 == 0) {
        _mm_prefetch((const char*)(w->offsets + 2 * p * w->outputs + n + 32), _MM_HINT_T0);
        _mm_prefetch((const char*)(w->offsets + (2 * p + 1) * w->outputs + n + 32), _MM_HINT_T0);
      }
      const Quad4 quad = read_quad4(w, n, 2 * p, 0);
      for (size_t r = 0; r < rows; r++) sums[r] = add_quad4(sums[r], &quad, x->blocks + r * x->pairs + p);
    }
    if (w->blocks % 2) {
      const Quad4 quad = read_quad4(w, n, w->blocks - 1, 1);
      for (size_t r = 0; r < rows; r++) sums[r] = add_quad4(sums[r], &quad, x->blocks + r * x->pairs + whole);
    }
    for (size_t r = 0; r < rows; r++) store_quad4(y + r * w->outputs + n, sums[r]);
  }
}

static void few_rows4(const Weights4* w, const Activations* x, size_t rows, float* y, size_t begin, size_t end) {
  if (rows == 1) few_rows(w, x, 1, y, begin, end);
  if (rows == 2) few_rows(w, x, 2, y, begin, end);
  if (rows == 3) few_rows(w, x, 3, y, begin, end);
}

// Sixteen outputs of one block laid for `tile4`: in each 32-bit lane of a vector four channels of one output.
typedef struct {
  __m256i even[4][2], odd[4][2];
  __m256 scales[2], offsets[2];
} Panel4;

static inline void transpose8(const uint8_t* from, size_t stride, __m256i to[4]) {
  __m256i r[4];
  for (size_t i = 0; i < 4; i++) {
    __m128i upper = _mm_loadu_si128((const __m128i*)(from + i * stride));
    __m128i lower = _mm_loadu_si128((const __m128i*)(from + (i + 4) * stride));
    r[i] = _mm256_inserti128_si256(_mm256_castsi128_si256(upper), lower, 1);
  }
  __m256i a = _mm256_unpacklo_epi32(r[0], r[1]), b = _mm256_unpackhi_epi32(r[0], r[1]);
  __m256i c = _mm256_unpacklo_epi32(r[2], r[3]), d = _mm256_unpackhi_epi32(r[2], r[3]);
  to[0] = _mm256_unpacklo_epi64(a, c);
  to[1] = _mm256_unpackhi_epi64(a, c);
  to[2] = _mm256_unpacklo_epi64(b, d);
  to[3] = _mm256_unpackhi_epi64(b, d);
}

enum { TILE_ROWS = 4, TILE_OUTPUTS = 16 };

// Eight of the panel's outputs, from n on, of block b.
static inline void lay_values4(const Weights4* w, size_t n, size_t b, size_t which, Panel4* panel) {
  __m256i packed[4];
  transpose8(w->values + (n * w->blocks + b) * 16, w->blocks * 16, packed);
  for (int j = 0; j < 4; j++) {
    panel->even[j][which] = _mm256_and_si256(packed[j], NIBBLES);
    panel->odd[j][which] = _mm256_and_si256(_mm256_srli_epi16(packed[j], 4), NIBBLES);
  }
  panel->offsets[which] = _mm256_loadu_ps(w->offsets + b * w->outputs + n);
}

// Two blocks' scales of two outputs that have `stride` between them.
static inline __m128 two_scales(const float* at, size_t stride) {
  return _mm_castpd_ps(_mm_loadh_pd(_mm_load_sd((const double*)at), (const double*)(at + stride)));
}

// Two blocks' scales of four outputs, of which two have four outputs between them.
static inline __m256 four_scales(const float* at, size_t stride) {
  return _mm256_insertf128_ps(_mm256_castps128_ps256(two_scales(at, stride)), two_scales(at + 4 * stride, stride), 1);
}

// Outputs n to n + 16: the even blocks, and behind them the odd ones.
static void lay_panel4(const Weights4* w, size_t n, Panel4* laid) {
  const size_t k = w->blocks, half = (k + 1) / 2;
  for (size_t i = 0; i < 2; i++, n += 8) {
    const float* s = w->scales + n * k;
    for (size_t p = 0; p < k / 2; p++, s += 2) {
      Panel4 *even = laid + p, *odd = laid + half + p;
      lay_values4(w, n, 2 * p, i, even);
      lay_values4(w, n, 2 * p + 1, i, odd);
      const __m256 first = four_scales(s, k), second = four_scales(s + 2 * k, k);
      even->scales[i] = _mm256_shuffle_ps(first, second, 0x88);
      odd->scales[i] = _mm256_shuffle_ps(first, second, 0xDD);
    }
    if (k % 2) {
      lay_values4(w, n, k - 1, i, laid + half - 1);
      laid[half - 1].scales[i] = _mm256_setr_ps(s[0], s[k], s[2 * k], s[3 * k], s[4 * k], s[5 * k], s[6 * k], s[7 * k]);
    }
  }
}

// Asks for a share of the next panel: as much as one block of it. Asked for at once, a panel would be more lines than a core
// can wait for.
static inline void ask_for4(const Weights4* next, size_t share) {
  for (size_t line = 0; line < 4; line++) _mm_prefetch((const char*)(next->values + (share * 4 + line) * 64), _MM_HINT_T0);
  _mm_prefetch((const char*)(next->scales + share * TILE_OUTPUTS), _MM_HINT_T0);
  _mm_prefetch((const char*)(next->offsets + share * next->outputs), _MM_HINT_T0);
}

// The even or the odd blocks of a panel.
typedef struct {
  const Panel4* panel;
  size_t odd, first, blocks;  // `first`: how many of the panel's blocks lie before them
} Half4;

// Up to TILE_ROWS rows times the panel's sixteen outputs: arithmetic sets the pace. y has the sums of the even blocks
// when those of the odd ones are added. `next`: weights to ask for meanwhile, or null.
static inline __attribute__((always_inline)) void tile4(const Half4* half, const Weights4* next, const Pair* x, size_t pairs,
                                                        const size_t rows, float* y, size_t stride) {
  const size_t odd = half->odd;
  const Panel4* panel = half->panel + half->first;
  __m256 sums[TILE_ROWS][2];
  for (size_t r = 0; r < rows; r++) sums[r][0] = sums[r][1] = _mm256_setzero_ps();
  for (size_t b = 0; b < half->blocks; b++, panel++) {
    if (next) ask_for4(next, half->first + b);
    __m256i d[TILE_ROWS][2];
    for (size_t r = 0; r < rows; r++) d[r][0] = d[r][1] = _mm256_setzero_si256();
    // Not unrolled: eight sums and what one turn works on are all the registers that there are.
#pragma GCC unroll 1
    for (int j = 0; j < 4; j++) {
      __m256i even0 = panel->even[j][0], even1 = panel->even[j][1], odd0 = panel->odd[j][0], odd1 = panel->odd[j][1];
#pragma GCC unroll 4
      for (size_t r = 0; r < rows; r++) {
        const Pair* pair = x + r * pairs + b;
        __m256i even4 = broadcast4(pair->even[odd] + 4 * j), odd4 = broadcast4(pair->odd[odd] + 4 * j);
        // Sixteen products in each 16 bits at the end: 16 · 15 · 127 fits.
        d[r][0] = _mm256_add_epi16(d[r][0], _mm256_maddubs_epi16(even0, even4));
        d[r][1] = _mm256_add_epi16(d[r][1], _mm256_maddubs_epi16(even1, even4));
        d[r][0] = _mm256_add_epi16(d[r][0], _mm256_maddubs_epi16(odd0, odd4));
        d[r][1] = _mm256_add_epi16(d[r][1], _mm256_maddubs_epi16(odd1, odd4));
      }
    }
#pragma GCC unroll 4
    for (size_t r = 0; r < rows; r++) {
      const Pair* pair = x + r * pairs + b;
      __m256i eights = _mm256_set1_epi32(pair->eights[odd]);
      __m256 step = _mm256_set1_ps(pair->steps[odd]), total = _mm256_set1_ps(pair->sums[odd]);
#pragma GCC unroll 2
      for (int i = 0; i < 2; i++) {
        __m256 integers = _mm256_cvtepi32_ps(_mm256_sub_epi32(_mm256_madd_epi16(d[r][i], ONES), eights));
        sums[r][i] = _mm256_fmadd_ps(integers, _mm256_mul_ps(panel->scales[i], step), sums[r][i]);
        sums[r][i] = _mm256_fmadd_ps(panel->offsets[i], total, sums[r][i]);
      }
    }
  }
  for (size_t r = 0; r < rows; r++)
    for (size_t i = 0; i < 2; i++) {
      float* to = y + r * stride + 8 * i;
      _mm256_storeu_ps(to, odd ? _mm256_add_ps(_mm256_loadu_ps(to), sums[r][i]) : sums[r][i]);
    }
}

// Outputs [begin, end) of all rows; both ends are multiples of sixteen. `laid` has room for the blocks.
static void many_rows4(const Weights4* w, const Activations* x, size_t rows, float* y, size_t begin, size_t end, Panel4* laid) {
  const size_t even = (w->blocks + 1) / 2, pairs = x->pairs, stride = w->outputs;
  for (size_t n = begin; n < end; n += TILE_OUTPUTS) {
    lay_panel4(w, n, laid);
    const size_t after = n + TILE_OUTPUTS, start = after * w->blocks;
    const Weights4 next = {w->values + start * 16, w->scales + start, w->offsets + after, w->outputs, w->blocks};
    for (size_t odd = 0; odd < 2; odd++) {
      const Half4 half = {laid, odd, odd ? even : 0, odd ? w->blocks - even : even};
      for (size_t row = 0; row < rows; row += TILE_ROWS) {
        const Pair* from = x->blocks + row * pairs;
        const Weights4* ask = row ? NULL : &next;
        float* to = y + row * stride + n;
        switch (rows - row) {
          case 1: tile4(&half, ask, from, pairs, 1, to, stride); break;
          case 2: tile4(&half, ask, from, pairs, 2, to, stride); break;
          case 3: tile4(&half, ask, from, pairs, 3, to, stride); break;
          default: tile4(&half, ask, from, pairs, TILE_ROWS, to, stride);
        }
      }
    }
  }
}
