// What applying a command costs beyond the engine: puts of 100-byte values to 100,000 keys, through
// a shard and straight into the same engine. The difference is this module's own time.
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "base/random.h"
#include "mvcc/command.h"
#include "mvcc/shard.h"
#include "mvcc/testing/map_engine.h"
#include "mvcc/testing/one_record_engine.h"
#include "mvcc/testing/run_now.h"

namespace kvstore::mvcc {
namespace {

using storage::Table;
using testing::MapEngine;
using testing::OneRecordEngine;

constexpr std::size_t kKeyCount = 1024;
constexpr std::size_t kValueBytes = 100;
constexpr std::size_t kBatch = 64;

std::vector<Bytes> make_keys() {
    std::vector<Bytes> keys;
    for (std::size_t i = 0; i < kKeyCount; ++i) {
        keys.push_back("key:" + std::to_string(1'000'000'000 + i));
    }
    return keys;
}

std::vector<Bytes> make_puts(const std::vector<Bytes>& keys) {
    const Bytes value(kValueBytes, 'v');
    std::vector<Bytes> commands(keys.size());
    for (std::size_t i = 0; i < keys.size(); ++i) {
        const Operation operation{.kind = OperationKind::kPut, .key = keys[i], .argument = value};
        encode_command(Version(1'000'000, 0), operation, commands[i]);
    }
    return commands;
}

class CountingSink final : public ApplySink {
public:
    void on_operation(std::size_t /*at*/, const OperationResult& result) override {
        changed += result.changed ? 1 : 0;
    }
    void on_command(const CommandResult& /*result*/) override {}
    std::uint64_t changed = 0;
};

// One put a turn, a batch for every kBatch of them.
void apply_puts(benchmark::State& state, storage::Engine& engine, std::uint64_t history_ms) {
    const auto commands = make_puts(make_keys());
    auto shard = testing::run_now(Shard::open(&engine, history_ms)).value();
    CountingSink sink;
    Index index;
    for (auto _ : state) {
        index = index.next();
        const Bytes& command = commands[index.value() % commands.size()];
        benchmark::DoNotOptimize(shard->apply(index, command, &sink).ok());
        if (index.value() % kBatch == 0) {
            benchmark::DoNotOptimize(shard->finish_batch().ok());
        }
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(sink.changed));
}

void engine_alone(benchmark::State& state) {
    const auto keys = make_keys();
    const Bytes head(16, 'h');
    const Bytes value(kValueBytes, 'v');
    MapEngine engine;
    std::size_t at = 0;
    std::uint64_t count = 0;
    for (auto _ : state) {
        ByteView found;
        benchmark::DoNotOptimize(engine.find(Table::kCurrent, keys[at], &found));
        engine.put(Table::kCurrent, keys[at], head, value);
        at = (at + 1) % keys.size();
        if (++count % kBatch == 0) {
            engine.put(Table::kMeta, "shard", value);
            benchmark::DoNotOptimize(engine.commit(Index(count)).ok());
        }
    }
}

void put_over_nothing(benchmark::State& state) {
    OneRecordEngine engine;
    apply_puts(state, engine, static_cast<std::uint64_t>(state.range(0)));
}

void put_over_map(benchmark::State& state) {
    MapEngine engine;
    apply_puts(state, engine, 0);
}

void encode_put(benchmark::State& state) {
    const Bytes key = "key:1000000000";
    const Bytes value(kValueBytes, 'v');
    const Operation operation{.kind = OperationKind::kPut, .key = key, .argument = value};
    Bytes encoded;
    for (auto _ : state) {
        encoded.clear();
        encode_command(Version(1'000'000, 0), operation, encoded);
        benchmark::DoNotOptimize(encoded.data());
    }
}

void decode_put(benchmark::State& state) {
    const auto commands = make_puts(make_keys());
    Command command;
    for (auto _ : state) {
        benchmark::DoNotOptimize(decode_command(commands[0], command).ok());
    }
}

BENCHMARK(encode_put);
BENCHMARK(decode_put);
BENCHMARK(put_over_nothing)->Arg(0)->Arg(1000);
BENCHMARK(engine_alone);
BENCHMARK(put_over_map);

}  // namespace
}  // namespace kvstore::mvcc

BENCHMARK_MAIN();
