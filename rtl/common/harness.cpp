// Drives one Verilated model beat by beat. Compiled together with `streams.h`, which is written for each
// design: it includes the model and tells, for each stream, how to drive and read its ports.
//
// One cycle: the clock falls and inputs change, the logic settles, handshakes are read, the clock rises. An
// input that was offered stays offered until it is accepted, as the protocol asks; ready may come and go.

#include <cstdint>
#include <cstring>
#include <memory>

#include "streams.h"
#if VM_TRACE
#include "verilated_vcd_c.h"
#endif

namespace {

struct Model {
  VerilatedContext context;
  std::unique_ptr<Vtop> top;
#if VM_TRACE
  VerilatedVcdC waveform;
#endif
};

// Writes the signals at `time`, of which a cycle takes ten; nothing where none are recorded.
void record(Model& model, uint64_t time) {
#if VM_TRACE
  if (model.waveform.isOpen()) model.waveform.dump(time);
#endif
}

bool stalls(const StreamState& s, uint64_t cycle) {
  return s.stall_length != 0 && s.stall[cycle % s.stall_length] != 0;
}

// Puts this cycle's inputs on the ports; true where a stream with work left is held back from outside.
bool drive(Vtop& top, StreamState* states, uint64_t cycle) {
  bool held = false;
  for (int i = 0; i < kStreams; i++) {
    StreamState& s = states[i];
    const bool left = s.done < s.beats;
    const bool willing = left && (s.offered || !stalls(s, cycle));
    held |= left && !willing;
    if (kInput[i]) s.offered = willing;
    put(top, i, willing, willing && kInput[i] ? s.data + s.done * kBeatBytes[i] : nullptr);
  }
  return held;
}

void accept(Vtop& top, StreamState* states, uint64_t cycle) {
  for (int i = 0; i < kStreams; i++) {
    StreamState& s = states[i];
    if (!handshake(top, i)) continue;
    if (!kInput[i]) get(top, i, s.data + s.done * kBeatBytes[i]);
    if (s.done == 0) s.first_cycle = cycle;
    s.last_cycle = cycle;
    s.offered = 0;
    s.done++;
  }
}

bool finished(const StreamState* states) {
  for (int i = 0; i < kStreams; i++)
    if (states[i].done < states[i].beats) return false;
  return true;
}

void rise(Vtop& top) {
  top.clk_i = 1;
  top.eval();
}

}  // namespace

extern "C" {

// A model whose registers without a reset hold noise drawn from `seed` (1 or more).
void* model_new(int seed) {
  auto* model = new Model;
  model->context.randReset(2);
  model->context.randSeed(seed);
#if VM_TRACE
  model->context.traceEverOn(true);
#endif
  model->top = std::make_unique<Vtop>(&model->context);
  Vtop& top = *model->top;
  top.clk_i = 0;
  top.rst_ni = 1;
  for (int i = 0; i < kStreams; i++) put(top, i, false, nullptr);
  top.eval();
  top.rst_ni = 0;
  top.eval();
  rise(top);
  top.clk_i = 0;
  top.rst_ni = 1;
  top.eval();
  return model;
}

#if VM_TRACE
// From here on, what every signal does goes to a file.
void model_record(void* handle, const char* path) {
  Model& model = *static_cast<Model*>(handle);
  model.top->trace(&model.waveform, 99);
  model.waveform.open(path);
}
#endif

void model_free(void* handle) { delete static_cast<Model*>(handle); }

// Runs until every stream has moved its beats, `limit` cycles at most; returns the cycles run. `held`
// becomes the number of cycles in which some stream was held back from outside.
uint64_t model_run(void* handle, StreamState* states, uint64_t limit, uint64_t* held) {
  Model& model = *static_cast<Model*>(handle);
  Vtop& top = *model.top;
  uint64_t cycle = 0;
  *held = 0;
  for (; cycle < limit && !finished(states); cycle++) {
    top.clk_i = 0;
    *held += drive(top, states, cycle);
    top.eval();
    record(model, 10 * cycle);  // the inputs of this cycle, settled
    accept(top, states, cycle);
    rise(top);
    record(model, 10 * cycle + 5);  // behind the rising edge that ends it
  }
  return cycle;
}

}  // extern "C"
