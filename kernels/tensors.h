// What an operator takes from ONNX Runtime and gives back: tensors, attributes, memory for the while.
#pragma once

#include <stdlib.h>
#include <string.h>

#include "onnxruntime_abi.h"

typedef struct {
  Api api;
  float epsilon;           // of the norm before the product, where there is one
  int64_t heads, groups;  // of attention: query heads, and heads of keys and values
} Kernel;

enum { MOST_DIMENSIONS = 8 };
// So many rows are worth sharing out among threads, whatever is done to each.
enum { WORTH_SHARING = 4 };

// A tensor as the kernels see it: rows of its last dimension.
typedef struct {
  void* data;
  size_t rows, width;
  int64_t dimensions[MOST_DIMENSIONS];
  size_t count;
} Tensor;

static Status* invalid(Api api, const char* why) { return CREATE_STATUS(api)(ERROR_INVALID_ARGUMENT, why); }

static Status* read_tensor(Api api, const Value* value, Tensor* to) {
  Shape* shape = NULL;
  Status* failed = SHAPE(api)(value, &shape);
  if (failed) return failed;
  failed = DIMENSIONS_COUNT(api)(shape, &to->count);
  if (!failed && (to->count < 1 || to->count > MOST_DIMENSIONS)) failed = invalid(api, "one to eight dimensions, please");
  if (!failed) failed = DIMENSIONS(api)(shape, to->dimensions, to->count);
  RELEASE_SHAPE(api)(shape);
  if (failed) return failed;
  to->width = (size_t)to->dimensions[to->count - 1];
  to->rows = 1;
  for (size_t i = 0; i + 1 < to->count; i++) to->rows *= (size_t)to->dimensions[i];
  return TENSOR_DATA(api)((Value*)value, &to->data);
}

// The inputs from `first` on, `count` of them.
static Status* read_inputs(Api api, const Context* context, size_t first, size_t count, Tensor* to) {
  Status* failed = NULL;
  for (size_t i = 0; i < count && !failed; i++) {
    const Value* value = NULL;
    failed = INPUT(api)(context, first + i, &value);
    if (!failed) failed = read_tensor(api, value, to + i);
  }
  return failed;
}

// Output `index`: as x, but for the last dimension.
static Status* write_output(Api api, Context* context, size_t index, const Tensor* x, size_t width, float** to) {
  Value* value = NULL;
  int64_t dimensions[MOST_DIMENSIONS];
  memcpy(dimensions, x->dimensions, sizeof dimensions);
  dimensions[x->count - 1] = (int64_t)width;
  Status* failed = OUTPUT(api)(context, index, dimensions, x->count, &value);
  return failed ? failed : TENSOR_DATA(api)(value, (void**)to);
}

// Memory for one call, from the session's arena, which keeps it for the next.
typedef struct {
  Api api;
  Allocator* allocator;
  void* memory;
} Scratch;

enum { LINE_BYTES = 64 };

static inline size_t lines(size_t bytes) { return (bytes + LINE_BYTES - 1) / LINE_BYTES * LINE_BYTES; }

static Status* borrow(Api api, const Context* context, size_t bytes, Scratch* scratch, char** to) {
  *scratch = (Scratch){.api = api};
  MemoryInfo* where = NULL;
  Status* failed = CPU_MEMORY(api)(ARENA_ALLOCATOR, DEFAULT_MEMORY, &where);
  if (failed) return failed;
  failed = CONTEXT_ALLOCATOR(api)(context, where, &scratch->allocator);
  RELEASE_MEMORY_INFO(api)(where);
  if (!failed) failed = ALLOCATE(api)(scratch->allocator, bytes + LINE_BYTES, &scratch->memory);
  if (!failed && !scratch->memory) failed = invalid(api, "Failed to allocate memory for a step's activations");
  *to = (char*)lines((size_t)scratch->memory);
  return failed;
}

static void give_back(const Scratch* scratch) {
  Status* ignored = NULL;
  if (scratch->memory) ignored = FREE(scratch->api)(scratch->allocator, scratch->memory);
  if (ignored) RELEASE_STATUS(scratch->api)(ignored);
  if (scratch->allocator) RELEASE_ALLOCATOR(scratch->api)(scratch->allocator);
}
