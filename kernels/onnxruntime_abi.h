// The few entries of ONNX Runtime's C API that the operators here use.
//
// The API is a table of functions in which entries are only ever added at the end, so that a library works with every
// later version of onnxruntime. Source: onnxruntime_c_api.h (OrtApi, OrtCustomOp), whose order this follows; the
// numbers are places in the table. They are the same in all versions from 1.17 on.
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef void Status;  // null: all is well
typedef void SessionOptions;
typedef void Context;
typedef void Value;
typedef void Shape;
typedef void Domain;
typedef void Allocator;
typedef void MemoryInfo;

// Function i of the table.
typedef const void* const* Api;

typedef struct {
  Api (*get_api)(uint32_t version);
  const char* (*get_version)(void);
} ApiBase;

enum { API_VERSION = 17 };

typedef Status* (*CreateStatusFn)(int code, const char* message);
typedef Status* (*CreateDomainFn)(const char* name, Domain** domain);
typedef Status* (*AddOperatorFn)(Domain* domain, const void* op);
typedef Status* (*AddDomainFn)(SessionOptions* options, Domain* domain);
typedef Status* (*TensorDataFn)(Value* value, void** data);
typedef Status* (*DimensionsCountFn)(const Shape* shape, size_t* count);
typedef Status* (*DimensionsFn)(const Shape* shape, int64_t* dimensions, size_t count);
typedef Status* (*ShapeFn)(const Value* value, Shape** shape);
typedef Status* (*InputFn)(const Context* context, size_t index, const Value** value);
typedef Status* (*OutputFn)(Context* context, size_t index, const int64_t* dimensions, size_t count, Value** value);
typedef Status* (*ParallelForFn)(const Context* context, void (*work)(void* argument, size_t index), size_t count,
                                 size_t batches, void* argument);
typedef Status* (*CpuMemoryFn)(int allocator, int memory, MemoryInfo** info);
typedef Status* (*ContextAllocatorFn)(const Context* context, const MemoryInfo* where, Allocator** allocator);
typedef Status* (*AllocateFn)(Allocator* allocator, size_t bytes, void** memory);
typedef Status* (*FreeFn)(Allocator* allocator, void* memory);
typedef void (*ReleaseFn)(void* released);
typedef Status* (*FloatAttributeFn)(const void* info, const char* name, float* value);
typedef Status* (*IntAttributeFn)(const void* info, const char* name, int64_t* value);

#define CREATE_STATUS(api) ((CreateStatusFn)(api)[0])
#define CREATE_DOMAIN(api) ((CreateDomainFn)(api)[26])
#define ADD_OPERATOR(api) ((AddOperatorFn)(api)[27])
#define ADD_DOMAIN(api) ((AddDomainFn)(api)[28])
#define TENSOR_DATA(api) ((TensorDataFn)(api)[51])
#define DIMENSIONS_COUNT(api) ((DimensionsCountFn)(api)[61])
#define DIMENSIONS(api) ((DimensionsFn)(api)[62])
#define SHAPE(api) ((ShapeFn)(api)[65])
#define CPU_MEMORY(api) ((CpuMemoryFn)(api)[69])
#define ALLOCATE(api) ((AllocateFn)(api)[75])
#define FREE(api) ((FreeFn)(api)[76])
#define FLOAT_ATTRIBUTE(api) ((FloatAttributeFn)(api)[85])
#define INT_ATTRIBUTE(api) ((IntAttributeFn)(api)[86])
#define INPUT(api) ((InputFn)(api)[90])
#define OUTPUT(api) ((OutputFn)(api)[91])
#define RELEASE_STATUS(api) ((ReleaseFn)(api)[93])
#define RELEASE_MEMORY_INFO(api) ((ReleaseFn)(api)[94])
#define RELEASE_SHAPE(api) ((ReleaseFn)(api)[99])
#define RELEASE_ALLOCATOR(api) ((ReleaseFn)(api)[132])
#define CONTEXT_ALLOCATOR(api) ((ContextAllocatorFn)(api)[253])
#define PARALLEL_FOR(api) ((ParallelForFn)(api)[274])

enum { ERROR_INVALID_ARGUMENT = 2 };
enum { ARENA_ALLOCATOR = 1, DEFAULT_MEMORY = 0 };
enum { TYPE_FLOAT = 1, TYPE_UINT8 = 2, TYPE_INT8 = 3, TYPE_INT32 = 6 };

// One operator: what it is called, what it takes and gives, and how it computes. Fields in the API's order.
typedef struct Operator {
  uint32_t version;
  void* (*create_kernel)(const struct Operator*, Api, const void* info);
  const char* (*name)(const struct Operator*);
  const char* (*provider)(const struct Operator*);
  int (*input_type)(const struct Operator*, size_t index);
  size_t (*input_count)(const struct Operator*);
  int (*output_type)(const struct Operator*, size_t index);
  size_t (*output_count)(const struct Operator*);
  void (*compute)(void* kernel, Context* context);
  void (*destroy)(void* kernel);
  int (*input_kind)(const struct Operator*, size_t index);
  int (*output_kind)(const struct Operator*, size_t index);
  int (*input_memory)(const struct Operator*, size_t index);
  int (*variadic_input_least)(const struct Operator*);
  int (*variadic_input_same)(const struct Operator*);
  int (*variadic_output_least)(const struct Operator*);
  int (*variadic_output_same)(const struct Operator*);
  Status* (*create_kernel_v2)(const struct Operator*, Api, const void* info, void** kernel);
  Status* (*compute_v2)(void* kernel, Context* context);
  Status* (*infer_shape)(const struct Operator*, void* context);
  int (*start_version)(const struct Operator*);
  int (*end_version)(const struct Operator*);
} Operator;
