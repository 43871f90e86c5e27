"""optimum-intel's export to OpenVINO with compressed weights: CHECKPOINT, TO, int8 or int4."""

import sys

from optimum.intel import OVModelForCausalLM, OVWeightQuantizationConfig

if __name__ == "__main__":
    source, target, kind = sys.argv[1:]
    # Defaults but for the groups in 4 bits: 576 columns are no multiple of 128.
    config = OVWeightQuantizationConfig(bits=8) if kind == "int8" else OVWeightQuantizationConfig(bits=4, group_size=64)
    OVModelForCausalLM.from_pretrained(source, export=True, compile=False, quantization_config=config).save_pretrained(
        target
    )
