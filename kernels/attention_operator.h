// GroupedAttention(qkv [sequences, step, (heads + 2 · groups) · width], past keys and values [sequences, groups, capacity, width],
// last position of each sequence int32 [sequences], cosines and sines [positions, width / 2])
// → context [sequences, step, heads · width], present keys and values
//
// Past and present are one buffer each: a step writes its own positions into it, and nothing is copied.
#pragma once

#include "attention.h"
#include "tensors.h"

typedef struct {
  const float *qkv, *cosines, *sines;
  const int32_t* last;
  float *keys, *values, *queries, *context;
  size_t step, heads, groups, width, capacity, tile, tiles, chunks;
  Seen parts;  // [sequences, groups, chunks, step, heads of the group], where chunks are shared out
} Attending;

static size_t past_of(const Attending* a, size_t sequence) { return (size_t)a->last[sequence] + 1 - a->step; }

// One row of one sequence: its keys and values into the buffers, its queries rotated.
static void place_row(void* argument, size_t index) {
  const Attending* a = argument;
  const size_t sequence = index / a->step, row = index % a->step, position = past_of(a, sequence) + row, width = a->width;
  const size_t shared = a->heads / a->groups;
  const float *cosines = a->cosines + position * width / 2, *sines = a->sines + position * width / 2;
  const float* from = a->qkv + index * (a->heads + 2 * a->groups) * width;
  for (size_t h = 0; h < a->heads; h++, from += width) {
    // [sequence, group, row, head of the group]
    size_t place = ((sequence * a->groups + h / shared) * a->step + row) * shared + h % shared;
    rotate(from, cosines, sines, width, LOG2_E / sqrtf((float)width), a->queries + place * width);
  }
  for (size_t g = 0; g < a->groups; g++, from += width)
    rotate(from, cosines, sines, width, 1.0f, a->keys + ((sequence * a->groups + g) * a->capacity + position) * width);
  for (size_t g = 0; g < a->groups; g++, from += width)
    memcpy(a->values + ((sequence * a->groups + g) * a->capacity + position) * width, from, width * sizeof(float));
}

static Heads heads_of(const Attending* a, size_t head) {
  const size_t sequence = head / a->groups, group = head % a->groups, shared = a->heads / a->groups;
  return (Heads){
      .queries = a->queries + head * a->step * shared * a->width,
      .keys = a->keys + head * a->capacity * a->width,
      .values = a->values + head * a->capacity * a->width,
      .context = a->context + sequence * a->step * a->heads * a->width + group * shared * a->width,
      .heads = shared,
      .width = a->width,
      .past = past_of(a, sequence),
      .stride = a->heads * a->width,
  };
}

static void attend_tile(void* argument, size_t index) {
  const Attending* a = argument;
  // The last rows, which see most, first: so threads end together.
  const size_t tile = a->tiles - 1 - index / a->groups % a->tiles, begin = tile * a->tile;
  const Heads heads = heads_of(a, index / a->groups / a->tiles * a->groups + index % a->groups);
  attend(&heads, begin, begin + a->tile < a->step ? begin + a->tile : a->step);
}

static Seen part_of(const Attending* a, size_t head, size_t chunk) {
  const size_t first = (head * a->chunks + chunk) * a->step * (a->heads / a->groups);
  return (Seen){a->parts.largest + first, a->parts.totals + first, a->parts.sums + first * a->width};
}

// All rows, and one chunk of their keys.
static void attend_part(void* argument, size_t index) {
  const Attending* a = argument;
  const size_t head = index / a->chunks, chunk = index % a->chunks;
  const Heads heads = heads_of(a, head);
  const Seen part = part_of(a, head, chunk);
  if (chunk * CHUNK_KEYS < heads.past + a->step) attend_chunk(&heads, 0, a->step, chunk * CHUNK_KEYS, &part);
}

// One row of one sequence, of whose keys every chunk has been seen: in their order, as by `attend`.
static void join_row(void* argument, size_t index) {
  const Attending* a = argument;
  const size_t sequence = index / a->step, row = index % a->step, shared = a->heads / a->groups;
  for (size_t head = sequence * a->groups; head < (sequence + 1) * a->groups; head++) {
    const Heads heads = heads_of(a, head);
    const Seen seen = part_of(a, head, 0);
    for (size_t chunk = 1; chunk * CHUNK_KEYS <= heads.past + row; chunk++) {
      const Seen more = part_of(a, head, chunk);
      for (size_t q = row * shared; q < (row + 1) * shared; q++) see_more(&seen, &more, q, a->width);
    }
    write_row(&heads, row, &seen, row * shared);
  }
}

// The largest head whose tile fits a thread's stack (of 96 queries and 128 keys: 260 KiB), and more heads than models have.
enum { LARGEST_WIDTH = 256, MOST_HEADS = 65536 };

static Status* check_attention(const Kernel* kernel, const Tensor in[6]) {
  Api api = kernel->api;
  const Tensor *qkv = in, *keys = in + 1, *values = in + 2, *last = in + 3, *cosines = in + 4, *sines = in + 5;
  const size_t heads = (size_t)kernel->heads, groups = (size_t)kernel->groups;
  if (kernel->heads < 1 || kernel->groups < 1 || kernel->groups > kernel->heads || kernel->heads > MOST_HEADS ||
      heads % groups || heads / groups > QUERIES || qkv->count != 3 || keys->count != 4 || values->count != 4)
    return invalid(api, "queries [sequences, step, all heads] over keys [sequences, groups, capacity, width], please");
  const size_t sequences = (size_t)qkv->dimensions[0], step = (size_t)qkv->dimensions[1], width = keys->width;
  const size_t capacity = (size_t)keys->dimensions[2];
  if (!width || width % 16 || width > LARGEST_WIDTH || qkv->width != (heads + 2 * groups) * width ||
      last->rows * last->width != sequences || keys->dimensions[0] != qkv->dimensions[0] ||
      keys->dimensions[1] != kernel->groups || memcmp(keys->dimensions, values->dimensions, 4 * sizeof(int64_t)) ||
      cosines->width * 2 != width || sines->rows != cosines->rows || sines->width != cosines->width)
    return invalid(api, "tensors of one attention: its heads, positions and sequences must agree");
  for (size_t i = 0; i < sequences; i++) {
    const int64_t end = (int64_t)((const int32_t*)last->data)[i] + 1;
    if (end < (int64_t)step || end > (int64_t)capacity || end > (int64_t)cosines->rows)
      return invalid(api, "a step that ends within its buffers, and within the positions that have angles, please");
  }
  return NULL;
}

// Output `index`, which is the past's own buffer wherever the caller bound it so.
static Status* present(Api api, Context* context, size_t index, const Tensor* past, float** to) {
  Status* failed = write_output(api, context, index, past, past->width, to);
  if (!failed && *to != past->data) memcpy(*to, past->data, past->rows * past->width * sizeof(float));
  return failed;
}

static Status* for_each_row(Api api, const Context* context, void (*of_row)(void*, size_t), size_t rows, Attending* a) {
  if (rows >= WORTH_SHARING) return PARALLEL_FOR(api)(context, of_row, rows, 0, a);
  for (size_t row = 0; row < rows; row++) of_row(a, row);
  return NULL;
}

// As many batches as units: they differ in length, and a thread that is done takes the next.
static Status* attend_shared(Api api, const Context* context, size_t sequences, Attending* a) {
  const size_t heads = sequences * a->groups, tiles = heads * a->tiles, parts = heads * a->chunks;
  if (!a->chunks) return PARALLEL_FOR(api)(context, attend_tile, tiles, tiles, a);
  Status* failed = PARALLEL_FOR(api)(context, attend_part, parts, parts, a);
  return failed ? failed : for_each_row(api, context, join_row, sequences * a->step, a);
}

static Status* grouped_attention(void* kernel, Context* context) {
  const Kernel* k = kernel;
  Api api = k->api;
  Tensor in[6];
  Status* failed = read_inputs(api, context, 0, 6, in);
  if (!failed) failed = check_attention(k, in);
  if (failed) return failed;
  const size_t shared = (size_t)(k->heads / k->groups), step = (size_t)in->dimensions[1], rows = in->rows;
  Attending a = {
      .qkv = in[0].data, .cosines = in[4].data, .sines = in[5].data, .last = in[3].data, .step = step,
      .heads = (size_t)k->heads, .groups = (size_t)k->groups, .width = in[1].width, .capacity = (size_t)in[1].dimensions[2],
  };
  failed = write_output(api, context, 0, in, a.heads * a.width, &a.context);
  if (!failed) failed = present(api, context, 1, in + 1, &a.keys);
  if (!failed) failed = present(api, context, 2, in + 2, &a.values);
  if (failed || !rows) return failed;
  const size_t sequences = rows / step;
  const size_t most = QUERIES / shared;
  a.tiles = (step + most - 1) / most;
  a.tile = (step + a.tiles - 1) / a.tiles;
  // Rows of one tile share their keys' chunks out: there are fewer groups than would divide well among threads.
  if (a.tiles == 1)
    for (size_t sequence = 0; sequence < sequences; sequence++) {
      const size_t chunks = (size_t)a.last[sequence] / CHUNK_KEYS + 1;
      a.chunks = chunks > a.chunks ? chunks : a.chunks;
    }
  const size_t queries = rows * a.heads, parts = queries * a.chunks;
  Scratch scratch;
  char* memory;
  failed = borrow(api, context, (queries * a.width + parts * (a.width + 2)) * sizeof(float), &scratch, &memory);
  if (!failed) {
    a.queries = (float*)memory;
    a.parts.sums = a.queries + queries * a.width;
    a.parts.largest = a.parts.sums + parts * a.width;
    a.parts.totals = a.parts.largest + parts;
    failed = for_each_row(api, context, place_row, rows, &a);
    if (!failed) failed = attend_shared(api, context, sequences, &a);
  }
  give_back(&scratch);
  return failed;
}
