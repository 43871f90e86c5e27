"""optimum's dynamic int8 quantization of its own export, as its guide has it for this processor: FROM, TO."""

import shutil
import sys
from pathlib import Path

from optimum.onnxruntime import ORTQuantizer
from optimum.onnxruntime.configuration import AutoQuantizationConfig

from tests.bench.machine import this_machine

if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    # Without VNNI, products of 8 bits saturate in 16: its recipe for AVX2 keeps the weights to 7 bits.
    vnni = {"avx512_vnni", "avx_vnni"} & set(this_machine().cpu_features)
    recipe = AutoQuantizationConfig.avx512_vnni if vnni else AutoQuantizationConfig.avx2
    quantizer = ORTQuantizer.from_pretrained(source)
    quantizer.quantize(save_dir=target, quantization_config=recipe(is_static=False, per_channel=True))
    (target / "model_quantized.onnx").rename(target / "model.onnx")
    for name in ("config.json", "generation_config.json"):
        shutil.copy(source / name, target)
