"""The HTTP edge: OpenAI's API over ASGI. The only importer of fastapi; knows nothing of AWS."""
