"""Run networks on the processor: OpenVINO, and onnxruntime for ONNX files from anyone."""
