"""An OpenAI-compatible endpoint around one quantized ONNX decoder, for AWS Lambda and for a laptop."""
