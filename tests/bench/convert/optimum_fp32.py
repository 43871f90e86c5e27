"""optimum's own ONNX export of a decoder: CHECKPOINT, TO."""

import sys

from optimum.onnxruntime import ORTModelForCausalLM

if __name__ == "__main__":
    source, target = sys.argv[1:]
    ORTModelForCausalLM.from_pretrained(source, export=True).save_pretrained(target)
