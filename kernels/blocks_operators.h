// The operators over weights in blocks: products, products behind a norm, and the gated MLP behind one.
#pragma once

#include "blocks4.h"
#include "blocks8.h"
#include "norm_inputs.h"
#include "tensors.h"

// Outputs that one call computes: whole tiles, few enough that threads end together.
enum { SPAN = 64 };
// So much of activations lies on the stack.
enum { STACK_BYTES = 16384 };
// Of the largest panel on a thread's stack: 16,384 inputs, 320 KiB.
enum { LARGEST_BLOCKS = 512 };

// ---- rows of activations: read, normed perhaps, rounded

typedef struct {
  const float* input;  // null where the norm makes the rows
  const Norm* norm;
  size_t blocks;
  Lie lie;
  Activations to;
} Rounding;

static void round_row(void* argument, size_t row) {
  const Rounding* r = argument;
  const size_t width = r->blocks * BLOCK;
  Pair* to = r->to.blocks + row * r->to.pairs;
  if (r->norm) {
    float normed[width];
    norm_row(r->norm, row, width, normed);
    quantize_row(normed, r->blocks, r->lie, to);
  } else {
    quantize_row(r->input + row * width, r->blocks, r->lie, to);
  }
}

static size_t pairs_of(size_t blocks) { return (blocks + 1) / 2; }

static Status* round_rows(Api api, const Context* context, Rounding* rounding, size_t rows) {
  if (rows >= WORTH_SHARING) return PARALLEL_FOR(api)(context, round_row, rows, 0, rounding);
  for (size_t row = 0; row < rows; row++) round_row(rounding, row);
  return NULL;
}

// ---- spans of outputs

static void multiply4(const Weights4* w, const Activations* x, size_t rows, float* y, size_t begin, size_t end) {
  if (rows <= FEW_ROWS4) {
    few_rows4(w, x, rows, y, begin, end);
  } else {
    Panel4 laid[w->blocks];
    many_rows4(w, x, rows, y, begin, end, laid);
  }
}

typedef struct {
  const Weights4* four;  // or
  const Weights8* eight;
  Activations x;
  size_t rows;
  float* y;
} Product;

static size_t span_end(size_t begin, size_t outputs) { return begin + SPAN < outputs ? begin + SPAN : outputs; }

static void span4(void* argument, size_t index) {
  const Product* p = argument;
  multiply4(p->four, &p->x, p->rows, p->y, index * SPAN, span_end(index * SPAN, p->four->outputs));
}

static void span8(void* argument, size_t index) {
  const Product* p = argument;
  Panel8 laid[p->eight->blocks];
  some_rows8(p->eight, &p->x, p->rows, p->y, index * SPAN, span_end(index * SPAN, p->eight->outputs), laid);
}

static Status* multiply(Api api, const Context* context, Product* product) {
  const size_t outputs = product->four ? product->four->outputs : product->eight->outputs;
  return PARALLEL_FOR(api)(context, product->four ? span4 : span8, (outputs + SPAN - 1) / SPAN, 0, product);
}

typedef struct {
  const Weights4 *gate, *up;
  Activations x;
  size_t rows;
  float *gated, *raised;  // [rows, outputs]
} Gating;

static void span_gated(void* argument, size_t index) {
  const Gating* g = argument;
  const size_t outputs = g->gate->outputs, begin = index * SPAN, end = span_end(begin, outputs);
  multiply4(g->gate, &g->x, g->rows, g->gated, begin, end);
  multiply4(g->up, &g->x, g->rows, g->raised, begin, end);
  for (size_t row = 0; row < g->rows; row++)
    gate_row(g->gated + row * outputs + begin, g->raised + row * outputs + begin, end - begin);
}

// ---- weights

static Status* weights4(Api api, const Tensor tensors[3], size_t width, Weights4* to) {
  const Tensor *values = tensors, *scales = tensors + 1, *offsets = tensors + 2;
  *to = (Weights4){values->data, scales->data, offsets->data, offsets->width, offsets->rows};
  const size_t blocks = to->outputs * to->blocks;
  if (!to->blocks || width != to->blocks * BLOCK || to->blocks > LARGEST_BLOCKS || !to->outputs || to->outputs % TILE_OUTPUTS ||
      values->rows * values->width != blocks * (BLOCK / 2) || scales->rows * scales->width != blocks)
    return invalid(api, "weights in blocks of 32, for a multiple of 16 outputs, that fit the activations, please");
  return NULL;
}

static Status* weights8(Api api, const Tensor tensors[2], size_t width, Weights8* to) {
  const Tensor *values = tensors, *scales = tensors + 1;
  const size_t blocks = width / BLOCK, outputs = blocks ? values->rows * values->width / width : 0;
  *to = (Weights8){values->data, scales->data, outputs, blocks};
  if (!blocks || width % BLOCK || blocks > LARGEST_BLOCKS || !outputs || outputs % 4 ||
      values->rows * values->width != outputs * width || scales->rows * scales->width != outputs * blocks)
    return invalid(api, "weights in blocks of 32, for a multiple of 4 outputs, that fit the activations, please");
  return NULL;
}

// ---- operators

// The product of x, or of what the norm makes, into output 0.
static Status* product_of(Api api, Context* context, const Tensor* x, const Norm* norm, Product product, size_t outputs) {
  Status* failed = write_output(api, context, 0, x, outputs, &product.y);
  if (failed || !x->rows) return failed;
  const size_t blocks = x->width / BLOCK, bytes = x->rows * pairs_of(blocks) * sizeof(Pair);
  _Alignas(LINE_BYTES) char small[STACK_BYTES];
  Scratch scratch = {0};
  char* memory = small;
  if (bytes > STACK_BYTES) failed = borrow(api, context, bytes, &scratch, &memory);
  if (!failed) {
    product.x = (Activations){(Pair*)memory, pairs_of(blocks)};
    product.rows = x->rows;
    Rounding rounding = {x->data, norm, blocks, product.eight ? IN_ORDER : APART, product.x};
    failed = round_rows(api, context, &rounding, x->rows);
  }
  if (!failed) failed = multiply(api, context, &product);
  give_back(&scratch);
  return failed;
}

// OffsetBlocksLinear(x [.., in], values uint8 [out, in / 32, 16], scales [out, in / 32], offsets [in / 32, out])
static Status* offset_blocks_linear(void* kernel, Context* context) {
  Api api = ((Kernel*)kernel)->api;
  Tensor in[4];
  Weights4 weights;
  Status* failed = read_inputs(api, context, 0, 4, in);
  if (!failed) failed = weights4(api, in + 1, in->width, &weights);
  return failed ? failed : product_of(api, context, in, NULL, (Product){.four = &weights}, weights.outputs);
}

// BlocksLinear(x [.., in], values uint8 [out, in / 32, 32], scales [out, in / 32])
static Status* blocks_linear(void* kernel, Context* context) {
  Api api = ((Kernel*)kernel)->api;
  Tensor in[3];
  Weights8 weights;
  Status* failed = read_inputs(api, context, 0, 3, in);
  if (!failed) failed = weights8(api, in + 1, in->width, &weights);
  return failed ? failed : product_of(api, context, in, NULL, (Product){.eight = &weights}, weights.outputs);
}

// NormOffsetBlocksLinear(base [.., in], added, norm [in], values, scales, offsets) → product, base + added
static Status* norm_offset_blocks_linear(void* kernel, Context* context) {
  Api api = ((Kernel*)kernel)->api;
  Tensor in[6];
  Weights4 weights;
  Norm norm;
  Status* failed = read_inputs(api, context, 0, 6, in);
  if (!failed) failed = weights4(api, in + 3, in->width, &weights);
  if (!failed) failed = read_norm(kernel, context, in, &norm);
  return failed ? failed : product_of(api, context, in, &norm, (Product){.four = &weights}, weights.outputs);
}

// NormOffsetBlocksMLP(base [.., in], added, norm [in], gate: values, scales, offsets, up: …, down: …) → product, base + added
static Status* norm_offset_blocks_mlp(void* kernel, Context* context) {
  Api api = ((Kernel*)kernel)->api;
  Tensor in[12];
  Weights4 gate, up, down;
  Norm norm;
  float* y;
  Status* failed = read_inputs(api, context, 0, 12, in);
  if (!failed) failed = weights4(api, in + 3, in->width, &gate);
  if (!failed) failed = weights4(api, in + 6, in->width, &up);
  if (!failed) failed = weights4(api, in + 9, gate.outputs, &down);
  if (!failed && up.outputs != gate.outputs) failed = invalid(api, "a gate as wide as what it gates, please");
  if (!failed) failed = read_norm(kernel, context, in, &norm);
  if (!failed) failed = write_output(api, context, 0, in, down.outputs, &y);
  const size_t rows = in->rows;
  if (failed || !rows) return failed;
  const size_t inner = lines(rows * gate.outputs * sizeof(float));
  const size_t first = lines(rows * pairs_of(gate.blocks) * sizeof(Pair));
  const size_t second = lines(rows * pairs_of(down.blocks) * sizeof(Pair));
  Scratch scratch;
  char* memory;
  failed = borrow(api, context, 2 * inner + first + second, &scratch, &memory);
  if (!failed) {
    Activations narrow = {(Pair*)(memory + 2 * inner), pairs_of(gate.blocks)};
    Activations wide = {(Pair*)(memory + 2 * inner + first), pairs_of(down.blocks)};
    Gating gating = {&gate, &up, narrow, rows, (float*)memory, (float*)(memory + inner)};
    Rounding before = {NULL, &norm, gate.blocks, APART, narrow}, between = {gating.gated, NULL, down.blocks, APART, wide};
    Product last = {.four = &down, .x = wide, .rows = rows, .y = y};
    failed = round_rows(api, context, &before, rows);
    if (!failed) failed = PARALLEL_FOR(api)(context, span_gated, (gate.outputs + SPAN - 1) / SPAN, 0, &gating);
    if (!failed) failed = round_rows(api, context, &between, rows);
    if (!failed) failed = multiply(api, context, &last);
  }
  give_back(&scratch);
  return failed;
}
