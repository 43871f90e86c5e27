"""optimum's dynamic int8 quantization of its own export: FROM, TO."""

import shutil
import sys
from pathlib import Path

from optimum.onnxruntime import ORTQuantizer
from optimum.onnxruntime.configuration import AutoQuantizationConfig

if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    recipe = AutoQuantizationConfig.avx512_vnni(is_static=False, per_channel=True)
    ORTQuantizer.from_pretrained(source).quantize(save_dir=target, quantization_config=recipe)
    (target / "model_quantized.onnx").rename(target / "model.onnx")
    for name in ("config.json", "generation_config.json"):
        shutil.copy(source / name, target)
