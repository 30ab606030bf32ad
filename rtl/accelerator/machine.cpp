// Runs a Verilated accelerator against a model of DRAM: a latency before the first word of a read, a number of
// bytes a cycle for reads and writes together, answers in order. The host sees DRAM before and after, only.

#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>

#include "Vtop.h"
#if VM_TRACE
#include "verilated_vcd_c.h"
#endif

namespace {

constexpr int kEngines = 8;  // at most: `finished_o` has a bit for each that there is

struct Read {
  uint64_t word, left, ready_cycle;
};

struct Machine {
  VerilatedContext context;
  std::unique_ptr<Vtop> top;
#if VM_TRACE
  VerilatedVcdC waveform;
#endif
};

struct Dram {
  uint8_t* bytes;
  uint64_t words;
  uint64_t word_bytes;
  uint64_t latency_cycles;
  uint64_t bytes_per_cycle;
};

struct Finish {
  uint64_t cycle;
  uint64_t engine;
};

void record(Machine& machine, uint64_t time) {
#if VM_TRACE
  if (machine.waveform.isOpen()) machine.waveform.dump(time);
#endif
}

// What DRAM does in one cycle: its ports are set, the design settles, handshakes are read.
class DramModel {
 public:
  explicit DramModel(const Dram& dram) : dram_(dram) {}

  void offer(Vtop& top, uint64_t cycle) {
    credit_ += dram_.bytes_per_cycle;
    const uint64_t most = dram_.bytes_per_cycle > dram_.word_bytes ? dram_.bytes_per_cycle : dram_.word_bytes;
    if (credit_ > most) credit_ = most;
    const bool can_move = credit_ >= dram_.word_bytes;
    const bool can_answer = can_move && !reads_.empty() && reads_.front().ready_cycle <= cycle;
    // Where both are there, reads and writes take turns; a write that is not there leaves the turn.
    answer_ = can_answer && !(write_turn_ && top.write_valid_o);
    take_ = can_move && !answer_;
    top.read_ready_i = 1;
    top.data_valid_i = answer_;
    if (answer_) {
      const Read& read = reads_.front();
      top.data_last_i = read.left == 1;
      std::memcpy(&top.data_i, dram_.bytes + (read.word % dram_.words) * dram_.word_bytes, dram_.word_bytes);
    }
    top.write_ready_i = take_;
  }

  void accept(Vtop& top, uint64_t cycle) {
    if (top.data_valid_i && top.data_ready_o) {
      Read& read = reads_.front();
      read.word++;
      if (--read.left == 0) reads_.pop_front();
      moved();
      write_turn_ = true;
      read_words++;
    }
    if (top.write_valid_o && top.write_ready_i) {
      if (top.write_address_o < dram_.words)
        std::memcpy(dram_.bytes + uint64_t{top.write_address_o} * dram_.word_bytes, &top.write_o, dram_.word_bytes);
      else
        outside++;
      moved();
      write_turn_ = false;
      written_words++;
    }
    if (top.read_valid_o && top.read_ready_i)
      reads_.push_back({top.read_address_o, top.read_words_o, cycle + dram_.latency_cycles});
  }

  uint64_t read_words = 0, written_words = 0, outside = 0;

 private:
  void moved() { credit_ -= dram_.word_bytes; }

  Dram dram_;
  std::deque<Read> reads_;
  uint64_t credit_ = 0;
  bool answer_ = false, take_ = false, write_turn_ = false;
};

}  // namespace

extern "C" {

void* machine_new(int seed) {
  auto* machine = new Machine;
  machine->context.randReset(2);
  machine->context.randSeed(seed);
  machine->top = std::make_unique<Vtop>(&machine->context);
  Vtop& top = *machine->top;
  top.clk_i = 0;
  top.start_i = 0;
  top.read_ready_i = top.data_valid_i = top.write_ready_i = 0;
  top.rst_ni = 1;
  top.eval();
  top.rst_ni = 0;
  top.eval();
  top.clk_i = 1;
  top.eval();
  top.clk_i = 0;
  top.rst_ni = 1;
  top.eval();
  return machine;
}

void machine_free(void* handle) { delete static_cast<Machine*>(handle); }

// Starts at `program` and runs until done, `limit` cycles at most; returns the cycles from start to done. The
// first `room` finished commands are logged, `counts` become: commands finished, words read, words written,
// writes outside of DRAM.
uint64_t machine_run(void* handle, const Dram* dram, uint64_t program, uint64_t limit, Finish* log, uint64_t room,
                     uint64_t* counts, const char* waveform) {
  Machine& machine = *static_cast<Machine*>(handle);
  Vtop& top = *machine.top;
#if VM_TRACE
  if (waveform) {
    machine.context.traceEverOn(true);
    top.trace(&machine.waveform, 99);
    machine.waveform.open(waveform);
  }
#endif
  DramModel model(*dram);
  uint64_t cycle = 0, finished = 0;
  top.program_i = program;
  for (; cycle < limit; cycle++) {
    top.start_i = cycle == 0;
    model.offer(top, cycle);
    top.eval();
    record(machine, 10 * cycle);
    if (cycle > 1 && top.done_o) break;
    model.accept(top, cycle);
    for (int e = 0; e < kEngines; e++) {
      if (!(top.finished_o >> e & 1)) continue;
      if (finished < room) log[finished] = {cycle, static_cast<uint64_t>(e)};
      finished++;
    }
    top.clk_i = 1;
    top.eval();
    record(machine, 10 * cycle + 5);
    top.clk_i = 0;
  }
  counts[0] = finished;
  counts[1] = model.read_words;
  counts[2] = model.written_words;
  counts[3] = model.outside;
#if VM_TRACE
  if (machine.waveform.isOpen()) machine.waveform.close();
#endif
  return cycle;
}

}  // extern "C"
