// The operators that ONNX Runtime finds in this library, in the domain "lambda_llm".
#include <stdlib.h>
#include <string.h>

#include "onnxruntime_abi.h"

#include "activations.h"
#include "blocks4.h"
#include "blocks8.h"

typedef struct {
  Api api;
} Kernel;

// A tensor as the kernels see it: rows of its last dimension.
typedef struct {
  void* data;
  size_t rows, width;
  int64_t dimensions[8];
  size_t count;
} Tensor;

static Status* read_tensor(Api api, const Value* value, Tensor* to) {
  Shape* shape = NULL;
  Status* failed = SHAPE(api)(value, &shape);
  if (failed) return failed;
  failed = DIMENSIONS_COUNT(api)(shape, &to->count);
  if (!failed && (to->count < 1 || to->count > 8)) failed = CREATE_STATUS(api)(ERROR_INVALID_ARGUMENT, "one to eight dimensions");
  if (!failed) failed = DIMENSIONS(api)(shape, to->dimensions, to->count);
  RELEASE_SHAPE(api)(shape);
  if (failed) return failed;
  to->width = (size_t)to->dimensions[to->count - 1];
  to->rows = 1;
  for (size_t i = 0; i + 1 < to->count; i++) to->rows *= (size_t)to->dimensions[i];
  return TENSOR_DATA(api)((Value*)value, &to->data);
}

static Status* input(Api api, const Context* context, size_t index, Tensor* to) {
  const Value* value = NULL;
  Status* failed = INPUT(api)(context, index, &value);
  return failed ? failed : read_tensor(api, value, to);
}

// The output: x with another last dimension.
static Status* output(Api api, Context* context, const Tensor* x, size_t width, float** to) {
  Value* value = NULL;
  int64_t dimensions[8];
  memcpy(dimensions, x->dimensions, sizeof dimensions);
  dimensions[x->count - 1] = (int64_t)width;
  Status* failed = OUTPUT(api)(context, 0, dimensions, x->count, &value);
  return failed ? failed : TENSOR_DATA(api)(value, (void**)to);
}

// ---- products

typedef struct {
  Weights4 four;
  Weights8 eight;
  const float* input;
  Activations x;
  size_t rows, blocks;
  float* y;
} Product;

// Outputs that one call computes: whole tiles, few enough that threads end together.
enum { SPAN = 64 };
// So much of activations lies on the stack.
enum { STACK_BYTES = 16384 };
// Of the largest panel on the stack: 32,768 inputs.
enum { LARGEST_BLOCKS = 1024 };

static void round_row(void* argument, size_t row) {
  const Product* p = argument;
  quantize_row(p->input + row * p->blocks * BLOCK, p->blocks, p->x.blocks + row * p->x.pairs);
}

static void span4(void* argument, size_t index) {
  const Product* p = argument;
  const size_t outputs = p->four.outputs, begin = index * SPAN, end = begin + SPAN < outputs ? begin + SPAN : outputs;
  if (p->rows >= TILE_ROWS) {
    Panel4 panel[(p->blocks + 1) / 2];
    many_rows4(&p->four, &p->x, p->rows, p->y, begin, end, panel);
  } else if (p->rows == 1) {
    one_row4(&p->four, p->x.blocks, p->y, begin, end);
  } else {
    for (size_t n = begin; n < end; n += 4)
      for (size_t row = 0; row < p->rows; row++)
        one_row4(&p->four, p->x.blocks + row * p->x.pairs, p->y + row * outputs, n, n + 4);
  }
}

static void span8(void* argument, size_t index) {
  const Product* p = argument;
  const size_t begin = index * SPAN, end = begin + SPAN < p->eight.outputs ? begin + SPAN : p->eight.outputs;
  some_rows8(&p->eight, &p->x, p->rows, p->y, begin, end);
}

static Status* multiply(Api api, Context* context, const Tensor* x, Product* product, size_t outputs,
                        void (*span)(void*, size_t)) {
  Status* failed = output(api, context, x, outputs, &product->y);
  if (failed || !x->rows) return failed;
  product->input = x->data;
  product->rows = x->rows;
  product->blocks = x->width / BLOCK;
  product->x.pairs = (product->blocks + 1) / 2;
  const size_t bytes = x->rows * product->x.pairs * sizeof(Pair);
  _Alignas(64) char small[STACK_BYTES];
  char* memory = bytes <= STACK_BYTES ? small : aligned_alloc(64, (bytes + 63) & ~(size_t)63);
  if (!memory) return CREATE_STATUS(api)(ERROR_INVALID_ARGUMENT, "no memory for the activations");
  product->x.blocks = (Pair*)memory;
  if (x->rows < TILE_ROWS)
    for (size_t row = 0; row < x->rows; row++) round_row(product, row);
  else
    failed = PARALLEL_FOR(api)(context, round_row, x->rows, 0, product);
  if (!failed) failed = PARALLEL_FOR(api)(context, span, (outputs + SPAN - 1) / SPAN, 0, product);
  if (memory != small) free(memory);
  return failed;
}

// OffsetBlocksLinear(x [.., in], values uint8 [out, in / 32, 16], scales [out · in / 32], offsets [in / 32, out])
static Status* compute4(void* kernel, Context* context) {
  Api api = ((Kernel*)kernel)->api;
  Tensor x, values, scales, offsets;
  Status* failed = input(api, context, 0, &x);
  if (!failed) failed = input(api, context, 1, &values);
  if (!failed) failed = input(api, context, 2, &scales);
  if (!failed) failed = input(api, context, 3, &offsets);
  if (failed) return failed;
  const size_t outputs = offsets.width, blocks = offsets.rows;
  if (x.width != blocks * BLOCK || values.rows * values.width != outputs * blocks * 16 || outputs % TILE_OUTPUTS ||
      blocks > LARGEST_BLOCKS || scales.rows * scales.width != outputs * blocks)
    return CREATE_STATUS(api)(ERROR_INVALID_ARGUMENT, "weights that do not fit their activations");
  Product product = {.four = {values.data, scales.data, offsets.data, outputs, blocks}};
  return multiply(api, context, &x, &product, outputs, span4);
}

// BlocksLinear(x [.., in], values uint8 [out, in / 32, 32], scales [out · in / 32])
static Status* compute8(void* kernel, Context* context) {
  Api api = ((Kernel*)kernel)->api;
  Tensor x, values, scales;
  Status* failed = input(api, context, 0, &x);
  if (!failed) failed = input(api, context, 1, &values);
  if (!failed) failed = input(api, context, 2, &scales);
  if (failed) return failed;
  const size_t blocks = x.width / BLOCK, outputs = values.rows * values.width / (blocks * BLOCK);
  if (x.width % BLOCK || outputs % 4 || scales.rows * scales.width != outputs * blocks)
    return CREATE_STATUS(api)(ERROR_INVALID_ARGUMENT, "weights that do not fit their activations");
  Product product = {.eight = {values.data, scales.data, outputs, blocks}};
  return multiply(api, context, &x, &product, outputs, span8);
}

// ---- what ONNX Runtime asks of an operator

typedef struct {
  Operator operator;  // first: ONNX Runtime hands it back
  const char* called;
  size_t inputs;
  int types[8];
} Described;

static const Described* described(const Operator* op) { return (const Described*)op; }
static const char* name(const Operator* op) { return described(op)->called; }
static const char* provider(const Operator* op) { return (void)op, "CPUExecutionProvider"; }
static int input_type(const Operator* op, size_t index) { return described(op)->types[index]; }
static size_t input_count(const Operator* op) { return described(op)->inputs; }
static int output_type(const Operator* op, size_t index) { return (void)op, (void)index, TYPE_FLOAT; }
static size_t output_count(const Operator* op) { return (void)op, (size_t)1; }
static int none(const Operator* op, size_t index) { return (void)op, (void)index, 0; }
static int one(const Operator* op) { return (void)op, 1; }
static int newest(const Operator* op) { return (void)op, INT32_MAX; }

static Status* create_kernel(const Operator* op, Api api, const void* info, void** kernel) {
  (void)op, (void)info;
  Kernel* made = calloc(1, sizeof(Kernel));
  if (!made) return CREATE_STATUS(api)(ERROR_INVALID_ARGUMENT, "no memory for a kernel");
  made->api = api;
  *kernel = made;
  return NULL;
}

#define OPERATOR(compute)                                                                                               \
  {                                                                                                                     \
    .version = API_VERSION, .name = name, .provider = provider, .input_type = input_type, .input_count = input_count,   \
    .output_type = output_type, .output_count = output_count, .destroy = free, .input_kind = none, .output_kind = none, \
    .input_memory = none, .variadic_input_least = one, .variadic_input_same = one, .variadic_output_least = one,        \
    .variadic_output_same = one, .create_kernel_v2 = create_kernel, .compute_v2 = compute, .start_version = one,        \
    .end_version = newest                                                                                               \
  }

static const Described OPERATORS[] = {
    {OPERATOR(compute4), "OffsetBlocksLinear", 4, {TYPE_FLOAT, TYPE_UINT8, TYPE_FLOAT, TYPE_FLOAT}},
    {OPERATOR(compute8), "BlocksLinear", 3, {TYPE_FLOAT, TYPE_UINT8, TYPE_FLOAT}},
};

// What ONNX Runtime calls when it loads the library.
__attribute__((visibility("default"))) Status* RegisterCustomOps(SessionOptions* options, const ApiBase* base) {
  Api api = base->get_api(API_VERSION);
  if (!api) return NULL;  // an onnxruntime older than 1.17: the session then says which operator it lacks
  Domain* domain = NULL;
  Status* failed = CREATE_DOMAIN(api)("lambda_llm", &domain);
  for (size_t i = 0; !failed && i < sizeof OPERATORS / sizeof *OPERATORS; i++)
    failed = ADD_OPERATOR(api)(domain, &OPERATORS[i].operator);
  return failed ? failed : ADD_DOMAIN(api)(options, domain);
}
