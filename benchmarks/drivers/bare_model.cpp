// Clocks a Verilated model with nothing around it: what `benchmarks.rtl_speed` holds the harness against.
//
//   bare CYCLES BEATS    BEATS holds two beats of each input stream, one after the other
//
// Every cycle each input stream offers the other one of its two beats and each output stream is ready;
// nothing is read back. Prints seconds.

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <vector>

#include "streams.h"

int main(int, char** arguments) {
  const uint64_t cycles = std::strtoull(arguments[1], nullptr, 10);
  std::ifstream file(arguments[2], std::ios::binary);
  const std::vector<uint8_t> beats{std::istreambuf_iterator<char>(file), {}};
  VerilatedContext context;
  Vtop top(&context);
  top.clk_i = 0;
  top.rst_ni = 0;
  top.eval();
  top.rst_ni = 1;
  top.eval();
  const auto start = std::chrono::steady_clock::now();
  for (uint64_t cycle = 0; cycle < cycles; cycle++) {
    top.clk_i = 0;
    const uint8_t* pair = beats.data();
    for (int i = 0; i < kStreams; i++) {
      put(top, i, true, kInput[i] ? pair + (cycle & 1) * kBeatBytes[i] : nullptr);
      if (kInput[i]) pair += 2 * kBeatBytes[i];
    }
    top.eval();
    top.clk_i = 1;
    top.eval();
  }
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
  std::printf("%.9f\n", spent.count());
}
