"""An OpenAI-compatible endpoint around one quantized ONNX decoder, for AWS Lambda and for a laptop."""

__version__ = "0.1.0"
