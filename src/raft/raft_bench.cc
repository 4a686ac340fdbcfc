// Three members in one thread, in memory: what the core itself costs. Entries per second,
// allocations per entry, and memory, which must stay flat.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <deque>
#include <memory>
#include <new>
#include <vector>

#include <benchmark/benchmark.h>

#include "raft/node.h"

namespace {

std::uint64_t allocations = 0;
std::uint64_t live_bytes = 0;

}  // namespace

// Counting only; sizes are kept in front of each block.
void* operator new(std::size_t size) {
    ++allocations;
    live_bytes += size;
    auto* block = static_cast<std::size_t*>(std::malloc(size + 16));
    if (block == nullptr) {
        std::abort();
    }
    *block = size;
    return block + 2;
}
void operator delete(void* pointer) noexcept {
    if (pointer != nullptr) {
        std::size_t* block = static_cast<std::size_t*>(pointer) - 2;
        live_bytes -= *block;
        std::free(block);
    }
}
void operator delete(void* pointer, std::size_t) noexcept {
    operator delete(pointer);
}

namespace kvstore::raft {

namespace {

// Holds the last few thousand entries, as a cache over a write-ahead log would.
class WindowLog : public LogView {
public:
    [[nodiscard]] Index first_index() const override { return first_; }
    [[nodiscard]] Index last_index() const override {
        return Index(first_.value() + entries_.size() - 1);
    }
    [[nodiscard]] std::optional<Term> term(Index index) const override {
        if (index < first_) {
            return index == previous(first_) ? std::optional<Term>(base_term_) : std::nullopt;
        }
        const std::size_t at = count_between(first_, index);
        return at < entries_.size() ? std::optional<Term>(entries_[at].term) : std::nullopt;
    }
    LogAnswer entries(Index low,
                      Index high,
                      std::size_t bytes_max,
                      std::vector<Entry>& out) const override {
        if (low < first_) {
            return LogAnswer::kCompacted;
        }
        std::size_t used = 0;
        for (Index index = low; index < high; index = index.next()) {
            const Entry& entry = entries_[count_between(first_, index)];
            used += entry_bytes(entry);
            if (used > bytes_max && index > low) {
                break;
            }
            out.push_back(entry);
        }
        return LogAnswer::kOk;
    }
    [[nodiscard]] SnapshotRef snapshot() const override { return nullptr; }

    void write(std::vector<Entry> entries) {
        for (Entry& entry : entries) {
            const std::size_t at = count_between(first_, entry.index);
            if (at < entries_.size()) {
                entries_.resize(at);
            }
            entries_.push_back(std::move(entry));
        }
        constexpr std::size_t kWindow = 4096;
        while (entries_.size() > 2 * kWindow) {
            base_term_ = entries_.front().term;
            entries_.pop_front();
            first_ = first_.next();
        }
    }

private:
    Index first_{1};
    Term base_term_;
    std::deque<Entry> entries_;
};

class Bench {
public:
    Bench() {
        const ConfState conf{.voters = {NodeId(1), NodeId(2), NodeId(3)},
                             .voters_outgoing = {},
                             .learners = {},
                             .learners_next = {},
                             .auto_leave = false};
        for (std::uint64_t id = 1; id <= 3; ++id) {
            Config config;
            config.id = NodeId(id);
            config.seed = id;
            nodes_.emplace_back(config, logs_[id - 1], Recovered{{}, conf, {}});
        }
        nodes_[0].campaign();
        settle();
    }

    // Proposals of `batch` entries each. What arrives in a turn of the driver's loop leaves
    // in one message.
    void run(std::uint64_t entries, std::size_t batch, std::size_t proposals_per_turn) {
        std::size_t turn = 0;
        for (std::uint64_t done = 0; done < entries; done += batch) {
            if (!nodes_[0].propose(commands(batch)).ok()) {
                std::abort();
            }
            if (++turn % proposals_per_turn == 0) {
                settle();
            }
        }
        settle();
    }

    [[nodiscard]] Index applied() const { return applied_; }

private:
    // Commands of 100 bytes, windows into one frame as it would come from a client.
    static std::vector<Payload> commands(std::size_t count) {
        constexpr std::size_t kCommandBytes = 100;
        const auto frame = std::make_shared<Bytes>(count * kCommandBytes, 'x');
        std::vector<Payload> commands;
        commands.reserve(count);
        for (std::size_t i = 0; i < count; ++i) {
            commands.emplace_back(frame, ByteView(*frame).substr(i * kCommandBytes, kCommandBytes));
        }
        return commands;
    }

    void settle() {
        bool busy = true;
        while (busy) {
            busy = false;
            for (std::size_t i = 0; i < nodes_.size(); ++i) {
                if (nodes_[i].has_ready()) {
                    carry_out(i);
                    busy = true;
                }
            }
        }
    }

    void carry_out(std::size_t i) {
        Ready ready = nodes_[i].ready();
        deliver(ready.send_now);
        logs_[i].write(std::move(ready.append));
        nodes_[i].on_persisted(ready.seq);
        deliver(ready.send_after_persist);
        if (!ready.committed.empty()) {
            applied_ = std::max(applied_, ready.committed.back().index);
            nodes_[i].on_applied(ready.committed.back().index);
        }
    }

    void deliver(std::vector<Message>& messages) {
        for (Message& message : messages) {
            nodes_[message.to.value() - 1].step(std::move(message));
        }
    }

    std::array<WindowLog, 3> logs_;
    std::vector<Node> nodes_;
    Index applied_;
};

// Arguments: entries a proposal, proposals a turn of the loop.
void replicate(benchmark::State& state) {
    const auto batch = static_cast<std::size_t>(state.range(0));
    const auto per_turn = static_cast<std::size_t>(state.range(1));
    constexpr std::uint64_t kEntries = 1U << 16U;
    Bench bench;
    bench.run(kEntries, batch, per_turn);
    const std::uint64_t allocated = allocations;
    for (auto _ : state) {
        bench.run(kEntries, batch, per_turn);
    }
    const auto entries = static_cast<double>(state.iterations()) * kEntries;
    state.SetItemsProcessed(static_cast<std::int64_t>(entries));
    state.counters["allocations_per_entry"] =
        static_cast<double>(allocations - allocated) / entries;
    state.counters["live_megabytes"] = static_cast<double>(live_bytes) / 1e6;
}
BENCHMARK(replicate)
    ->ArgNames({"batch", "per_turn"})
    ->Args({1, 1})
    ->Args({1, 16})
    ->Args({64, 1})
    ->Unit(benchmark::kMillisecond);

// Live memory after each of ten million entries: the largest over the smallest.
void memory_over_ten_million_entries(benchmark::State& state) {
    const auto batch = static_cast<std::size_t>(state.range(0));
    for (auto _ : state) {
        Bench bench;
        std::uint64_t least = UINT64_MAX;
        std::uint64_t most = 0;
        for (int million = 0; million < 10; ++million) {
            bench.run(1'000'000, batch, batch == 1 ? 16 : 1);
            least = std::min(least, live_bytes);
            most = std::max(most, live_bytes);
        }
        state.counters["most_over_least"] = static_cast<double>(most) / static_cast<double>(least);
        state.counters["live_megabytes"] = static_cast<double>(live_bytes) / 1e6;
    }
}
BENCHMARK(memory_over_ten_million_entries)
    ->ArgName("batch")
    ->Arg(1)
    ->Arg(64)
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

}  // namespace

}  // namespace kvstore::raft

BENCHMARK_MAIN();
