"""The harness that checks GPU kernels and times them, beside what libraries offer, on the GPU that is there.

``python -m siliform.kernels.bench`` needs torch, triton, numpy, ml_dtypes and safetensors alone; ``siliform
gpu bench`` is the same with the command line's manners. What is run is data (`cases.toml`), what comes out is
one JSON object a line (`measurement`), told of in kernels/measurements/README.md.
"""
