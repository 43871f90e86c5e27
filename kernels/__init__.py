"""Operators in C for ONNX Runtime, of the domain `lambda_llm`, and what compiles them: `python -m kernels.build`.

For x86-64 with AVX2 and FMA; handler/ort/kernels.py decides where they are used.
"""
