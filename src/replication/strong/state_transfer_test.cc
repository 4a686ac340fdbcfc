#include "replication/strong/state_transfer.h"

#include <deque>
#include <map>

#include <gtest/gtest.h>

#include "mvcc/testing/map_engine.h"
#include "sim/world.h"

namespace kvstore::replication {
namespace {

using mvcc::testing::MapEngine;
using storage::Table;

// Both ends of a stream without a network between them.
class Chunks final : public rpc::OutgoingStream, public rpc::IncomingStream {
public:
    async::Task<Status> write(Bytes chunk) override {
        chunks.push_back(std::move(chunk));
        co_return Status();
    }
    async::Task<Result<Bytes>> finish(async::Deadline /*deadline*/) override { co_return Bytes(); }
    async::Task<Result<Bytes>> read() override {
        if (chunks.empty()) {
            co_return Bytes();
        }
        Bytes chunk = std::move(chunks.front());
        chunks.pop_front();
        co_return chunk;
    }

    std::deque<Bytes> chunks;
};

class StateTransfer : public ::testing::Test {
protected:
    StateTransfer() {
        for (int i = 0; i < 2'000; ++i) {
            from_.put(Table::kCurrent, "key" + std::to_string(i), std::string(500, 'v'));
        }
        from_.put(Table::kMeta, "group", "g");
        EXPECT_TRUE(from_.commit(Index(42)).ok());
    }
    Status send() {
        const auto source = from_.snapshot_source();
        return world_.block_on(machine_, send_state(source.get(), &stream_));
    }
    Status receive() { return world_.block_on(machine_, receive_state(&stream_, &to_, Index(42))); }
    static std::size_t count(MapEngine& engine) {
        const auto view = engine.view();
        const auto cursor = view->cursor(Table::kCurrent);
        std::size_t rows = 0;
        for (cursor->seek(""); cursor->valid(); cursor->next()) {
            ++rows;
        }
        return rows;
    }

    sim::World world_{1};
    sim::Host& machine_ = world_.add_host("n1");
    MapEngine from_;
    MapEngine to_;
    Chunks stream_;
};

TEST_F(StateTransfer, BringsEveryRowAndTheIndex) {
    ASSERT_TRUE(send().ok());
    EXPECT_GT(stream_.chunks.size(), 3U);
    ASSERT_TRUE(receive().ok());
    EXPECT_EQ(count(to_), 2'000U);
    EXPECT_EQ(to_.applied_index(), Index(42));
    ByteView value;
    EXPECT_EQ(to_.find(Table::kMeta, "group", &value), storage::Lookup::kFound);
}

TEST_F(StateTransfer, FindsAChunkThatIsMissingDoubledOrOutOfItsPlace) {
    for (const int damage : {0, 1, 2}) {
        stream_.chunks.clear();
        ASSERT_TRUE(send().ok());
        if (damage == 0) {
            stream_.chunks.erase(stream_.chunks.begin() + 1);
        } else if (damage == 1) {
            stream_.chunks.insert(stream_.chunks.begin(), stream_.chunks.front());
        } else {
            std::swap(stream_.chunks[0], stream_.chunks[1]);
        }
        EXPECT_EQ(receive().code(), Code::kCorruption) << damage;
    }
}

TEST_F(StateTransfer, AStateThatEndsEarlyIsNone) {
    ASSERT_TRUE(send().ok());
    stream_.chunks.pop_back();
    EXPECT_EQ(receive().code(), Code::kCorruption);
}

TEST_F(StateTransfer, WhatFollowsTheEndIsAnError) {
    ASSERT_TRUE(send().ok());
    stream_.chunks.push_back(stream_.chunks.back());
    EXPECT_EQ(receive().code(), Code::kCorruption);
}

TEST_F(StateTransfer, ChunksThatAreNoneAreRefusedWhereverTheyAreCut) {
    ASSERT_TRUE(send().ok());
    const Bytes chunk = stream_.chunks.back();
    for (std::size_t size = 0; size < chunk.size(); ++size) {
        StateReceiver receiver(&to_);
        EXPECT_EQ(receiver.take(ByteView(chunk).substr(0, size)).code(), Code::kCorruption) << size;
    }
    StateReceiver receiver(&to_);
    EXPECT_EQ(receiver.take(Bytes("\x01\x09", 2)).code(), Code::kCorruption);
    EXPECT_EQ(receiver.take("\x07").code(), Code::kCorruption);
}

TEST(StateTransferHeader, ComesBackAsItWas) {
    const TransferHeader header{.shard = {.id = ShardId(7),
                                          .engine = EngineKind::kMemory,
                                          .history_ms = 60'000,
                                          .keyspace = "redis/1",
                                          .founders = {NodeId(1), NodeId(3)}},
                                .from = NodeId(3),
                                .term = Term(9),
                                .applied = Index(1'000)};
    const Bytes bytes = encode_transfer_header(header);
    const auto read = decode_transfer_header(bytes);
    ASSERT_TRUE(read.ok());
    EXPECT_EQ(read->shard.id, header.shard.id);
    EXPECT_EQ(read->shard.keyspace, header.shard.keyspace);
    EXPECT_EQ(read->shard.founders, header.shard.founders);
    EXPECT_EQ(read->from, header.from);
    EXPECT_EQ(read->term, header.term);
    EXPECT_EQ(read->applied, header.applied);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        EXPECT_EQ(decode_transfer_header(ByteView(bytes).substr(0, size)).status().code(),
                  Code::kCorruption)
            << size;
    }
}

}  // namespace
}  // namespace kvstore::replication
