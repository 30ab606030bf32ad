// The harness with counters: for each net of a netlist, how often it settled to another value than in the
// cycle before. The netlist calls `count_toggles` at every rising edge of its clock. One model at a time.

#include <vector>

#include "../common/harness.cpp"
#include "svdpi.h"

namespace {
std::vector<uint32_t> before;
std::vector<uint64_t> toggles;
uint64_t cycles;
bool fresh;
}  // namespace

extern "C" {

// Forgets all; what follows is of `nets` nets.
void toggles_begin(uint64_t nets) {
  toggles.assign(nets, 0);
  before.assign((nets + 31) / 32, 0);
  cycles = 0;
  fresh = true;
}

// What comes next follows nothing: another model begins.
void toggles_restart() { fresh = true; }

void count_toggles(const svBitVecVal* nets) {
  for (size_t word = 0; word < before.size(); word++) {
    if (!fresh)
      for (uint32_t changed = nets[word] ^ before[word]; changed; changed &= changed - 1)
        toggles[32 * word + __builtin_ctz(changed)]++;
    before[word] = nets[word];
  }
  cycles += !fresh;
  fresh = false;
}

// The counters to `counts`; how many cycles they are of.
uint64_t toggles_end(uint64_t* counts) {
  if (!toggles.empty()) std::memcpy(counts, toggles.data(), 8 * toggles.size());
  return cycles;
}

}  // extern "C"
