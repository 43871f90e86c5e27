// The operators over weights in rows: products, products behind a norm, and the gated MLP behind one.
#pragma once

#include <unistd.h>

#include "norm_inputs.h"
#include "rows_many.h"
#include "rows_some.h"
#include "tensors.h"

// Of the largest panels on a thread's stack: 1 MiB.
enum { LARGEST_INPUTS = 16384 };
// The most pieces into which few rows' inputs are shared out.
enum { MOST_SHARES = 8 };

// ---- rows of activations: read, normed perhaps, rounded

typedef struct {
  const float* input;  // null where the norm makes the rows
  const Norm* norm;
  size_t inputs;
  RowActivations to;
} BytesRounding;

static void round_row_to_bytes(void* argument, size_t row) {
  const BytesRounding* r = argument;
  uint8_t* to = r->to.integers + row * r->to.stride;
  if (r->norm) {
    float normed[r->inputs];
    norm_row(r->norm, row, r->inputs, normed);
    r->to.steps[row] = round_to_bytes(normed, r->inputs, to);
  } else {
    r->to.steps[row] = round_to_bytes(r->input + row * r->inputs, r->inputs, to);
  }
}

// Does what there is to do for each row.
static Status* each_row(Api api, const Context* context, void (*work)(void*, size_t), size_t rows, void* argument) {
  if (rows >= WORTH_SHARING) return PARALLEL_FOR(api)(context, work, rows, 0, argument);
  for (size_t row = 0; row < rows; row++) work(argument, row);
  return NULL;
}

// ---- products of one activation with a matrix, or with a gate and what it gates

typedef struct {
  RowWeights weights[2];
  size_t matrices;
  RowActivations x;
  size_t rows;
  float* y[2];  // [rows, outputs]; of two matrices the first has silu(gate) · up
  // Few rows: the inputs are shared out, and each share has sums of its own.
  size_t shares;
  int32_t* sums;  // [matrices, shares, rows, few_outputs]
  BytesRounding* then;      // of the product, where another one follows
  const RowWeights* after;  // with these
} RowsProduct;

static size_t sums_of_matrix(const RowsProduct* p) { return p->shares * p->rows * few_outputs(p->weights); }

// Where share `index` of so many begins.
static size_t share_begin(const RowWeights* w, size_t shares, size_t index) {
  const size_t begin = index * stride_of((w->inputs + shares - 1) / shares);
  return begin < w->inputs ? begin : w->inputs;
}

static void share_of_inputs(void* argument, size_t index) {
  const RowsProduct* p = argument;
  const size_t begin = share_begin(p->weights, p->shares, index), end = share_begin(p->weights, p->shares, index + 1);
  for (size_t i = 0; i < p->matrices; i++) {
    const RowWeights *w = p->weights + i, *next = i + 1 < p->matrices ? w + 1 : p->after ? p->after : w;
    int32_t* sums = p->sums + i * sums_of_matrix(p) + index * p->rows * few_outputs(w);
    const int8_t* from = next->values + share_begin(next, p->shares, index) * next->outputs;
    if (p->rows > FEW_ROWS)
      sum_some_rows(w, &p->x, p->rows, begin, end, from, sums);
    else
      sum_few_rows(w, &p->x, p->rows, begin, end, sums);
  }
}

static void gate(const RowsProduct* p, size_t row, size_t begin, size_t end) {
  const size_t at = row * p->weights->outputs + begin;
  if (p->matrices == 2) gate_row(p->y[0] + at, p->y[1] + at, end - begin);
}

static void finish_row(void* argument, size_t row) {
  const RowsProduct* p = argument;
  const size_t outputs = p->weights->outputs;
  for (size_t i = 0; i < p->matrices; i++)
    finish_few_outputs(p->weights + i, p->rows, row, p->sums + i * sums_of_matrix(p), p->shares, p->x.steps[row],
                       p->y[i] + row * outputs);
  gate(p, row, 0, outputs);
  if (p->then) round_row_to_bytes(p->then, row);
}

static void span_of_outputs(void* argument, size_t index) {
  const RowsProduct* p = argument;
  const size_t outputs = p->weights->outputs, begin = index * SPAN_OUTPUTS;
  const size_t end = begin + SPAN_OUTPUTS < outputs ? begin + SPAN_OUTPUTS : outputs;
  for (size_t i = 0; i < p->matrices; i++) many_rows_of_bytes(p->weights + i, &p->x, p->rows, p->y[i], begin, end);
  for (size_t row = 0; row < p->rows; row++) gate(p, row, begin, end);
}

static Status* multiply_rows(Api api, const Context* context, RowsProduct* p) {
  const size_t outputs = p->weights->outputs, few = few_outputs(p->weights);
  if (p->shares) {
    Status* failed = PARALLEL_FOR(api)(context, share_of_inputs, p->shares, 0, p);
    for (size_t i = 0; i < p->matrices && few < outputs && !failed; i++)
      many_rows_of_bytes(p->weights + i, &p->x, p->rows, p->y[i], few, outputs);
    return failed ? failed : each_row(api, context, finish_row, p->rows, p);
  }
  Status* failed = PARALLEL_FOR(api)(context, span_of_outputs, (outputs + SPAN_OUTPUTS - 1) / SPAN_OUTPUTS, 0, p);
  return failed || !p->then ? failed : each_row(api, context, round_row_to_bytes, p->rows, p->then);
}

// ---- what a product needs of memory, in lines: integers, steps, sums

// As many as there are processors. Asked once: the C library reads a file for it, which takes longer than some products.
static size_t shares_for(size_t rows, size_t inputs) {
  static long processors = 0;
  if (rows > SOME_ROWS || (rows > FEW_ROWS && inputs % STEP_INPUTS)) return 0;
  long known = __atomic_load_n(&processors, __ATOMIC_RELAXED);
  if (!known) {
    known = sysconf(_SC_NPROCESSORS_ONLN);
    known = known < 1 ? 1 : known > MOST_SHARES ? MOST_SHARES : known;
    __atomic_store_n(&processors, known, __ATOMIC_RELAXED);
  }
  return (size_t)known;
}

static size_t place_product(RowsProduct* p, char* memory) {
  const size_t stride = stride_of(p->weights->inputs), integers = lines(p->rows * stride), steps = lines(p->rows * sizeof(float));
  p->shares = shares_for(p->rows, p->weights->inputs);
  p->x = (RowActivations){(uint8_t*)memory, (float*)(memory + integers), stride};
  p->sums = (int32_t*)(memory + integers + steps);
  return integers + steps + lines(p->matrices * sums_of_matrix(p) * sizeof(int32_t));
}

// ---- weights

static Status* row_weights(Api api, const Tensor tensors[2], size_t width, RowWeights* to) {
  const Tensor *values = tensors, *scales = tensors + 1;
  *to = (RowWeights){values->data, scales->data, values->rows, values->width};
  if (!width || width != to->inputs || width > LARGEST_INPUTS || !to->outputs || scales->rows * scales->width != to->outputs)
    return invalid(api, "weights [inputs, outputs], with a scale per output, that fit the activations, please");
  return NULL;
}

// ---- operators

// The product of x, or of what the norm makes, into output 0.
static Status* rows_product(Api api, Context* context, const Tensor* x, const Norm* norm, const RowWeights* weights) {
  RowsProduct product = {.weights = {*weights}, .matrices = 1, .rows = x->rows};
  Status* failed = write_output(api, context, 0, x, weights->outputs, product.y);
  if (failed || !x->rows) return failed;
  Scratch scratch;
  char* memory;
  failed = borrow(api, context, place_product(&product, NULL), &scratch, &memory);
  if (!failed) {
    place_product(&product, memory);
    BytesRounding rounding = {x->data, norm, weights->inputs, product.x};
    failed = each_row(api, context, round_row_to_bytes, x->rows, &rounding);
  }
  if (!failed) failed = multiply_rows(api, context, &product);
  give_back(&scratch);
  return failed;
}

// RowsLinear(x [.., in], values int8 [in, out], scales [out])
static Status* rows_linear(void* kernel, Context* context) {
  Api api = ((Kernel*)kernel)->api;
  Tensor in[3];
  RowWeights weights;
  Status* failed = read_inputs(api, context, 0, 3, in);
  if (!failed) failed = row_weights(api, in + 1, in->width, &weights);
  return failed ? failed : rows_product(api, context, in, NULL, &weights);
}

// NormRowsLinear(base [.., in], added, norm [in], values, scales) → product, base + added
static Status* norm_rows_linear(void* kernel, Context* context) {
  Api api = ((Kernel*)kernel)->api;
  Tensor in[5];
  RowWeights weights;
  Norm norm;
  Status* failed = read_inputs(api, context, 0, 5, in);
  if (!failed) failed = row_weights(api, in + 3, in->width, &weights);
  if (!failed && in->width % 8) failed = invalid(api, "a norm over a multiple of 8 inputs, please");
  if (!failed) failed = read_norm(kernel, context, in, &norm);
  return failed ? failed : rows_product(api, context, in, &norm, &weights);
}

// NormRowsMLP(base [.., in], added, norm [in], gate: values, scales, up: …, down: …) → product, base + added
static Status* norm_rows_mlp(void* kernel, Context* context) {
  Api api = ((Kernel*)kernel)->api;
  Tensor in[9];
  RowsProduct gating = {.matrices = 2}, last = {.matrices = 1};
  const RowWeights *gate = gating.weights, *down = last.weights;
  Norm norm;
  Status* failed = read_inputs(api, context, 0, 9, in);
  for (size_t i = 0; i < 2 && !failed; i++) failed = row_weights(api, in + 3 + 2 * i, in->width, gating.weights + i);
  if (!failed) failed = row_weights(api, in + 7, gate->outputs, last.weights);
  if (!failed && (gating.weights[1].outputs != gate->outputs || gate->outputs % 8 || in->width % 8))
    failed = invalid(api, "a gate as wide as what it gates, and multiples of 8 inputs, please");
  if (!failed) failed = read_norm(kernel, context, in, &norm);
  if (!failed) failed = write_output(api, context, 0, in, down->outputs, last.y);
  const size_t rows = in->rows;
  if (failed || !rows) return failed;
  gating.rows = last.rows = rows;
  const size_t inner = lines(rows * gate->outputs * sizeof(float)), first = place_product(&gating, NULL);
  Scratch scratch;
  char* memory;
  failed = borrow(api, context, 2 * inner + first + place_product(&last, NULL), &scratch, &memory);
  if (!failed) {
    for (size_t i = 0; i < 2; i++) gating.y[i] = (float*)(memory + i * inner);
    place_product(&gating, memory + 2 * inner);
    place_product(&last, memory + 2 * inner + first);
    BytesRounding before = {NULL, &norm, gate->inputs, gating.x}, between = {gating.y[0], NULL, down->inputs, last.x};
    gating.then = &between;
    gating.after = down;
    failed = each_row(api, context, round_row_to_bytes, rows, &before);
    if (!failed) failed = multiply_rows(api, context, &gating);
    if (!failed) failed = multiply_rows(api, context, &last);
  }
  give_back(&scratch);
  return failed;
}
