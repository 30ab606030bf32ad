"""The elementwise adder: sums of two narrow integers at a scale each."""
