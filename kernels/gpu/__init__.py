"""GPU kernels in Triton, one file per op: functions with the signature of the op's reference.

``from siliform.kernels.gpu.binary_matmul import binary_matmul``. They run on CUDA tensors, and on CPU tensors
under Triton's interpreter (``TRITON_INTERPRET=1`` before triton is imported). Importing this package loads
neither torch nor triton. The folder is one deeper than the op's torch face, because a submodule
``siliform.kernels.attention`` would take the place of the operator of that name.
"""
