// The operators that ONNX Runtime finds in this library, in the domain "lambda_llm".
#include "attention_operator.h"
#include "blocks_operators.h"
#include "rows_operators.h"

typedef struct {
  Operator operator;  // first: ONNX Runtime hands it back
  const char* called;
  size_t inputs, outputs;
  int types[12];
} Described;

static const Described* described(const Operator* op) { return (const Described*)op; }
static const char* name(const Operator* op) { return described(op)->called; }
static const char* provider(const Operator* op) { return (void)op, "CPUExecutionProvider"; }
static int input_type(const Operator* op, size_t index) { return described(op)->types[index]; }
static size_t input_count(const Operator* op) { return described(op)->inputs; }
static int output_type(const Operator* op, size_t index) { return (void)op, (void)index, TYPE_FLOAT; }
static size_t output_count(const Operator* op) { return described(op)->outputs; }
static int required(const Operator* op, size_t index) { return (void)op, (void)index, 0; }
static int one(const Operator* op) { return (void)op, 1; }
static int newest(const Operator* op) { return (void)op, INT32_MAX; }

static Status* create_kernel(const Operator* op, Api api, const void* info, void** kernel) {
  Kernel* made = calloc(1, sizeof(Kernel));
  if (!made) return invalid(api, "no memory for a kernel");
  made->api = api;
  *kernel = made;
  Status* failed = NULL;
  // Two outputs are a product and the sum that was normed before it; three are attention's.
  if (described(op)->outputs == 2) failed = FLOAT_ATTRIBUTE(api)(info, "epsilon", &made->epsilon);
  if (described(op)->outputs == 3) failed = INT_ATTRIBUTE(api)(info, "num_heads", &made->heads);
  if (described(op)->outputs == 3 && !failed) failed = INT_ATTRIBUTE(api)(info, "kv_num_heads", &made->groups);
  if (failed) free(made);
  return failed;
}

#define OPERATOR(compute)                                                                                               \
  {                                                                                                                     \
    .version = API_VERSION, .name = name, .provider = provider, .input_type = input_type, .input_count = input_count,   \
    .output_type = output_type, .output_count = output_count, .destroy = free, .input_kind = required,                  \
    .output_kind = required, .input_memory = required, .variadic_input_least = one, .variadic_input_same = one,         \
    .variadic_output_least = one, .variadic_output_same = one, .create_kernel_v2 = create_kernel,                       \
    .compute_v2 = compute, .start_version = one, .end_version = newest                                                  \
  }
#define OFFSET_BLOCKS TYPE_UINT8, TYPE_FLOAT, TYPE_FLOAT
#define ROWS TYPE_INT8, TYPE_FLOAT
#define THREE_FLOATS TYPE_FLOAT, TYPE_FLOAT, TYPE_FLOAT

static const Described OPERATORS[] = {
    {OPERATOR(grouped_attention), "GroupedAttention", 6, 3, {THREE_FLOATS, TYPE_INT32, TYPE_FLOAT, TYPE_FLOAT}},
    {OPERATOR(blocks_linear), "BlocksLinear", 3, 1, {TYPE_FLOAT, TYPE_UINT8, TYPE_FLOAT}},
    {OPERATOR(offset_blocks_linear), "OffsetBlocksLinear", 4, 1, {TYPE_FLOAT, OFFSET_BLOCKS}},
    {OPERATOR(norm_offset_blocks_linear), "NormOffsetBlocksLinear", 6, 2, {THREE_FLOATS, OFFSET_BLOCKS}},
    {OPERATOR(norm_offset_blocks_mlp), "NormOffsetBlocksMLP", 12, 2, {THREE_FLOATS, OFFSET_BLOCKS, OFFSET_BLOCKS, OFFSET_BLOCKS}},
    {OPERATOR(rows_linear), "RowsLinear", 3, 1, {TYPE_FLOAT, ROWS}},
    {OPERATOR(norm_rows_linear), "NormRowsLinear", 5, 2, {THREE_FLOATS, ROWS}},
    {OPERATOR(norm_rows_mlp), "NormRowsMLP", 9, 2, {THREE_FLOATS, ROWS, ROWS, ROWS}},
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
