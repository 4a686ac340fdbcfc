// Whatever bytes stand in a log: a command or kCorruption. A command is the same when it is encoded
// again, and whatever it asks for leaves a sound shard.
#include <cstddef>
#include <cstdint>

#include "base/assert.h"
#include "mvcc/command.h"
#include "mvcc/shard.h"
#include "mvcc/testing/map_engine.h"
#include "mvcc/testing/run_now.h"

namespace {

using kvstore::Bytes;
using kvstore::ByteView;
using kvstore::mvcc::Command;
using kvstore::mvcc::Operation;

// Keeps one input from asking for gigabytes.
bool is_small(const std::vector<Operation>& operations) {
    for (const Operation& operation : operations) {
        if (operation.kind == kvstore::mvcc::OperationKind::kSetRange && operation.delta > 4096) {
            return false;
        }
    }
    return true;
}

void apply_twice(ByteView input, std::uint64_t history_ms) {
    using kvstore::Index;
    kvstore::mvcc::testing::MapEngine engine;
    auto shard =
        kvstore::mvcc::testing::run_now(kvstore::mvcc::Shard::open(&engine, history_ms)).value();
    KVSTORE_ASSERT(shard->apply(Index(1), input, nullptr).ok());
    KVSTORE_ASSERT(shard->apply(Index(2), input, nullptr).ok());
    while (shard->has_compaction_due()) {
        KVSTORE_ASSERT(shard->sweep_compacted(3).ok());
    }
    const auto view = shard->view();
    KVSTORE_ASSERT(kvstore::mvcc::Shard::verify(view.get()).ok());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): libFuzzer's bytes are unsigned
    const ByteView input(reinterpret_cast<const char*>(data), size);
    Command command;
    if (!kvstore::mvcc::decode_command(input, command).ok()) {
        return 0;
    }
    Bytes encoded;
    kvstore::mvcc::encode_command(command, encoded);
    Command again;
    KVSTORE_ASSERT(kvstore::mvcc::decode_command(encoded, again).ok());
    Bytes encoded_again;
    kvstore::mvcc::encode_command(again, encoded_again);
    KVSTORE_ASSERT(encoded == encoded_again);
    if (is_small(command.operations) && is_small(command.else_operations)) {
        apply_twice(input, 0);
        apply_twice(input, 1000);
    }
    return 0;
}
