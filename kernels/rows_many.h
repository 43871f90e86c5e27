// Any number of rows times 8-bit weights: arithmetic sets the pace, so weights are laid for it, sixteen outputs at a time.
#pragma once

#include "rows.h"

enum { BYTES_ROWS = 4, BYTES_OUTPUTS = 16, BYTES_INPUTS = 4 };
// Panels that are laid together: their outputs are a line of each row of weights, which is read once.
enum { PANELS = 4, SPAN_OUTPUTS = PANELS * BYTES_OUTPUTS };
// Rows of weights between what is laid and what is asked for.
enum { ROWS_AHEAD = 16 };

// Sixteen outputs laid for `tile_of_bytes`: in each 32-bit lane of a vector four inputs of one output.
typedef struct {
  size_t begin, count;  // of outputs
  __m256 scales[2];
  __m256i starts[2];  // −128 · Σ w, which takes out the activations' zero
  __m256i (*inputs)[2];
  size_t steps;
} BytesPanel;

static inline size_t panel_steps(size_t inputs) { return (inputs + BYTES_INPUTS - 1) / BYTES_INPUTS; }

// The panel's outputs of input k, and zeros where there are none.
static inline __m128i read_outputs(const RowWeights* w, size_t k, const BytesPanel* panel) {
  if (k >= w->inputs) return _mm_setzero_si128();
  const int8_t* at = w->values + k * w->outputs + panel->begin;
  if (panel->count == BYTES_OUTPUTS) return _mm_loadu_si128((const __m128i*)at);
  int8_t some[BYTES_OUTPUTS] = {0};
  memcpy(some, at, panel->count);
  return _mm_loadu_si128((const __m128i*)some);
}

static inline void lay_step(const RowWeights* w, size_t step, BytesPanel* panel) {
  __m128i row[BYTES_INPUTS];
  for (size_t i = 0; i < BYTES_INPUTS; i++) row[i] = read_outputs(w, step * BYTES_INPUTS + i, panel);
  __m128i low01 = _mm_unpacklo_epi8(row[0], row[1]), low23 = _mm_unpacklo_epi8(row[2], row[3]);
  __m128i high01 = _mm_unpackhi_epi8(row[0], row[1]), high23 = _mm_unpackhi_epi8(row[2], row[3]);
  __m256i* to = panel->inputs[step];
  to[0] = _mm256_set_m128i(_mm_unpackhi_epi16(low01, low23), _mm_unpacklo_epi16(low01, low23));
  to[1] = _mm256_set_m128i(_mm_unpackhi_epi16(high01, high23), _mm_unpacklo_epi16(high01, high23));
  for (size_t i = 0; i < 2; i++) {
    __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi8((char)128), to[i]);
    panel->starts[i] = _mm256_sub_epi32(panel->starts[i], _mm256_madd_epi16(pairs, ONES));
  }
}

// Lays the outputs [begin, end), SPAN_OUTPUTS at most, into `inputs` [PANELS · steps]; returns how many panels they are.
static size_t lay_panels(const RowWeights* w, size_t begin, size_t end, __m256i (*inputs)[2], BytesPanel panels[PANELS]) {
  const size_t steps = panel_steps(w->inputs);
  size_t count = 0;
  for (size_t n = begin; n < end; n += BYTES_OUTPUTS, count++) {
    BytesPanel* panel = panels + count;
    *panel = (BytesPanel){.begin = n, .count = end - n < BYTES_OUTPUTS ? end - n : BYTES_OUTPUTS, .steps = steps};
    panel->inputs = inputs + count * steps;
    float scales[BYTES_OUTPUTS] = {0};
    memcpy(scales, w->scales + n, sizeof(float) * panel->count);
    for (size_t i = 0; i < 2; i++) panel->scales[i] = _mm256_loadu_ps(scales + 8 * i);
  }
  for (size_t step = 0; step < steps; step++) {
    const char* ahead = (const char*)(w->values + (step * BYTES_INPUTS + ROWS_AHEAD) * w->outputs + begin);
    for (size_t i = 0; i < BYTES_INPUTS; i++) _mm_prefetch(ahead + i * w->outputs, _MM_HINT_T0);
    for (size_t i = 0; i < count; i++) lay_step(w, step, panels + i);
  }
  return count;
}

// BYTES_ROWS rows from `row` on times the panel's outputs; beyond the last row it is the last one again.
static inline void tile_of_bytes(const BytesPanel* panel, const RowActivations* x, size_t row, size_t rows,
                                 __m256 to[BYTES_ROWS][2]) {
  const uint8_t* at[BYTES_ROWS];
  __m256i sums[BYTES_ROWS][2];
  for (size_t r = 0; r < BYTES_ROWS; r++) {
    at[r] = x->integers + (row + r < rows ? row + r : rows - 1) * x->stride;
    for (size_t i = 0; i < 2; i++) sums[r][i] = panel->starts[i];
  }
  for (size_t s = 0; s < panel->steps; s++)
#pragma GCC unroll 4
    for (size_t r = 0; r < BYTES_ROWS; r++) {
      __m256i four = broadcast4(at[r] + s * BYTES_INPUTS);
#pragma GCC unroll 2
      for (size_t i = 0; i < 2; i++) {
        __m256i pairs = _mm256_maddubs_epi16(four, panel->inputs[s][i]);
        sums[r][i] = _mm256_add_epi32(sums[r][i], _mm256_madd_epi16(pairs, ONES));
      }
    }
  for (size_t r = 0; r < BYTES_ROWS && row + r < rows; r++)
    for (size_t i = 0; i < 2; i++) to[r][i] = scaled(sums[r][i], panel->scales[i], x->steps[row + r]);
}

// Outputs [begin, end) of all rows, SPAN_OUTPUTS at most.
static void many_rows_of_bytes(const RowWeights* w, const RowActivations* x, size_t rows, float* y, size_t begin, size_t end) {
  __m256i inputs[PANELS * panel_steps(w->inputs)][2];
  BytesPanel panels[PANELS];
  const size_t count = lay_panels(w, begin, end, inputs, panels);
  for (const BytesPanel* panel = panels; panel < panels + count; panel++)
    for (size_t row = 0; row < rows; row += BYTES_ROWS) {
      __m256 tile[BYTES_ROWS][2];
      tile_of_bytes(panel, x, row, rows, tile);
      for (size_t r = 0; r < BYTES_ROWS && row + r < rows; r++)
        memcpy(y + (row + r) * w->outputs + panel->begin, tile[r], sizeof(float) * panel->count);
    }
}
