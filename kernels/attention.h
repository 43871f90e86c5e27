// Attention of one sequence's queries to its keys, a group of heads at a time.
//
// Keys are taken in chunks that begin at fixed positions, and what a query sees of a chunk is added up in one order, so a row
// comes out the same to the bit whichever other rows share its step, and whichever steps came before, where values are finite.
#pragma once

#include <math.h>
#include <string.h>

#include "activations.h"
#include "attention_tiles.h"

enum { CHUNK_KEYS = 128 };
// Query rows of one call: rows of the step times heads of the group, at least one row.
enum { QUERIES = 96 };
// Queries are multiplied by it, and weights are powers of two.
#define LOG2_E 1.44269504f
// So few queries read values where they lie.
enum { FEW_QUERIES = 12 };

// One sequence and one group: `heads` query heads that share a head of keys and values.
typedef struct {
  const float* queries;        // [step, heads, width], rotated and times log2(e) / √width
  const float *keys, *values;  // [positions, width]
  float* context;              // [step, heads, width] with `stride` from row to row
  size_t heads, width, past, stride;
} Heads;

// What queries have seen of some keys: weights are 2^(score − largest), and `sums` of the values by their weights.
typedef struct {
  float *largest, *totals;  // [queries]
  float* sums;              // [queries, width]
} Seen;

// 2^x for x <= 0, to about one unit in the last place; what is below -125 counts as that.
static inline __m256 power_of_two(__m256 x) {
  x = _mm256_max_ps(_mm256_set1_ps(-125.0f), x);
  const __m256 n = _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC), r = _mm256_sub_ps(x, n);
  __m256 p = _mm256_set1_ps(1.54035304e-4f);
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.33335581e-3f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(9.61812911e-3f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(5.55041087e-2f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(2.40226507e-1f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(6.93147181e-1f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f));
  const __m256i exponent = _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23);
  return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p), exponent));
}

// Scores of `seen` keys → their weights 2^(score − largest), zeros behind them up to `count`; returns the weights' sum. `count`
// is a multiple of 8.
static inline float weigh(float* scores, size_t seen, size_t count, float largest) {
  const __m256 most = _mm256_set1_ps(largest);
  __m256 sum = _mm256_setzero_ps();
  size_t i = 0;
  for (; i + 8 <= seen; i += 8) {
    __m256 weight = power_of_two(_mm256_sub_ps(_mm256_loadu_ps(scores + i), most));
    _mm256_storeu_ps(scores + i, weight);
    sum = _mm256_add_ps(sum, weight);
  }
  if (i < seen) {
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), left = _mm256_set1_epi32((int)(seen - i));
    const __m256 some = _mm256_castsi256_ps(_mm256_cmpgt_epi32(left, lanes));
    __m256 weight = _mm256_and_ps(some, power_of_two(_mm256_sub_ps(_mm256_loadu_ps(scores + i), most)));
    _mm256_storeu_ps(scores + i, weight);
    sum = _mm256_add_ps(sum, weight);
    i += 8;
  }
  for (; i < count; i += 8) _mm256_storeu_ps(scores + i, _mm256_setzero_ps());
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

static inline float power_of_two1(float x) { return _mm256_cvtss_f32(power_of_two(_mm256_set1_ps(x))); }

// The first of the rows from `begin` on that sees any of the keys from `start` on.
static inline size_t first_row(const Heads* h, size_t begin, size_t start) {
  return start > h->past + begin ? start - h->past : begin;
}

// Rows [begin, end) of the step, and of their keys the chunk from `start` on, of which the last row sees some.
static void attend_chunk(const Heads* h, size_t begin, size_t end, size_t start, const Seen* to) {
  const size_t width = h->width, last = h->past + end, row = first_row(h, begin, start), first = (row - begin) * h->heads;
  const size_t queries = (end - row) * h->heads, count = last - start < CHUNK_KEYS ? last - start : CHUNK_KEYS;
  const float *keys = h->keys + start * width, *values = h->values + start * width;
  float scores[queries][CHUNK_KEYS], laid[(width > CHUNK_KEYS ? width : CHUNK_KEYS) * PANEL];
  for (size_t k = 0; k < count; k += PANEL) {
    lay_keys(keys + k * width, count - k < PANEL ? count - k : PANEL, width, laid);
    panel_product(h->queries + row * h->heads * width, width, laid, PANEL, &scores[0][k], CHUNK_KEYS, queries, width,
                  values + k * width);
  }
  for (size_t q = 0; q < queries; q++) {
    const size_t limit = h->past + row + q / h->heads + 1 - start, seen = limit < count ? limit : count;
    to->largest[first + q] = largest_score(scores[q], seen);
    to->totals[first + q] = weigh(scores[q], seen, (count + 7) / 8 * 8, to->largest[first + q]);
  }
  for (size_t n = 0; n < width; n += PANEL) {
    const float* panel = values + n;
    const int laid_out = queries > FEW_QUERIES;
    if (laid_out) lay_values(panel, count, width, laid);
    panel_product(scores[0], CHUNK_KEYS, laid_out ? laid : panel, laid_out ? PANEL : width, to->sums + first * width + n,
                  width, queries, count, keys + CHUNK_KEYS * width + n * count);
  }
}

// Adds to what query `q` has seen what it has seen of a chunk behind that.
static inline void see_more(const Seen* seen, const Seen* more, size_t q, size_t width) {
  const float before = seen->largest[q], now = more->largest[q], largest = before > now ? before : now;
  const float fade = power_of_two1(before - largest), by = power_of_two1(now - largest);
  const __m256 fades = _mm256_set1_ps(fade), bys = _mm256_set1_ps(by);
  seen->largest[q] = largest;
  seen->totals[q] = fmaf(seen->totals[q], fade, more->totals[q] * by);
  for (size_t d = 0; d < width; d += 8) {
    __m256 added = _mm256_mul_ps(_mm256_loadu_ps(more->sums + q * width + d), bys);
    float* sum = seen->sums + q * width + d;
    _mm256_storeu_ps(sum, _mm256_fmadd_ps(_mm256_loadu_ps(sum), fades, added));
  }
}

// What the queries of one row have seen, those from `first` on, is what comes of the row.
static inline void write_row(const Heads* h, size_t row, const Seen* seen, size_t first) {
  for (size_t head = 0; head < h->heads; head++) {
    const __m256 by = _mm256_set1_ps(1.0f / seen->totals[first + head]);
    const float* sums = seen->sums + (first + head) * h->width;
    float* to = h->context + row * h->stride + head * h->width;
    for (size_t d = 0; d < h->width; d += 8) _mm256_storeu_ps(to + d, _mm256_mul_ps(_mm256_loadu_ps(sums + d), by));
  }
}

// Rows [begin, end) of the step, and all their keys.
static void attend(const Heads* h, size_t begin, size_t end) {
  const size_t queries = (end - begin) * h->heads;
  float largest[2][queries], totals[2][queries], sums[2][queries][h->width];
  const Seen seen = {largest[0], totals[0], sums[0][0]}, more = {largest[1], totals[1], sums[1][0]};
  attend_chunk(h, begin, end, 0, &seen);
  for (size_t start = CHUNK_KEYS; start < h->past + end; start += CHUNK_KEYS) {
    attend_chunk(h, begin, end, start, &more);
    for (size_t q = (first_row(h, begin, start) - begin) * h->heads; q < queries; q++) see_more(&seen, &more, q, h->width);
  }
  for (size_t row = begin; row < end; row++) write_row(h, row, &seen, (row - begin) * h->heads);
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
