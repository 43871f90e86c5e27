"""Models in S3, read into memory: nothing of them serves that is not what the manifest says, byte for byte."""
