"""llama.cpp's own quantizer: FROM, TO, KIND. It turns 4-bit weights to float32 first, as our exporter does."""

import ctypes
import sys

import llama_cpp

_KINDS = {"Q8_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0, "Q4_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0}

if __name__ == "__main__":
    source, target, kind = sys.argv[1:]
    settings = llama_cpp.llama_model_quantize_default_params()
    settings.ftype, settings.allow_requantize = _KINDS[kind], True
    sys.exit(llama_cpp.llama_model_quantize(source.encode(), target.encode(), ctypes.byref(settings)))
