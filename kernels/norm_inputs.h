// What an operator behind a norm takes and gives for it: inputs base, added and weight; its second output is their sum.
#pragma once

#include "norms.h"
#include "tensors.h"

static Status* read_norm(const Kernel* kernel, Context* context, const Tensor inputs[3], Norm* norm) {
  const Tensor *base = inputs, *added = inputs + 1, *weight = inputs + 2;
  if (added->rows != base->rows || added->width != base->width || weight->rows * weight->width != base->width)
    return invalid(kernel->api, "a norm's inputs of one width, please");
  *norm = (Norm){base->data, added->data, weight->data, NULL, kernel->epsilon};
  return write_output(kernel->api, context, 1, base, base->width, &norm->sum);
}
