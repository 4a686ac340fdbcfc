#include "replication/testing/host_fixture.h"

#include "base/log.h"

namespace kvstore::replication::testing {

HostFixture::HostFixture() {
    // Damage and failures by the dozen would each be logged.
    set_log_level(LogLevel::kOff);
    options_.wal.segment_bytes = 64U << 10U;
    options_.wal.disk_reserve_bytes = 0;
    options_.snapshot_interval = Duration(0);
}

HostFixture::~HostFixture() {
    if (host_ != nullptr && machine_.is_up()) {
        (void)stop();
    } else if (host_ != nullptr) {
        sim::bury(std::move(host_));
    }
    set_log_level(LogLevel::kInfo);
}

// ---- the process ----

Status HostFixture::open() {
    KVSTORE_ASSERT(host_ == nullptr);
    auto opened = world_.try_block_on(machine_, Host::open(&machine_.env(), HostOptions{options_}));
    if (!opened.has_value()) {
        return {Code::kUnavailable, "the machine went down"};
    }
    if (!opened->ok()) {
        return opened->status();
    }
    host_ = *std::move(*opened);
    return {};
}

void HostFixture::must_open() {
    const Status opened = open();
    ASSERT_TRUE(opened.ok()) << opened.to_string();
}

Status HostFixture::stop() {
    Status stopped = run(host_->stop());
    host_.reset();
    return stopped;
}

void HostFixture::crash(sim::CrashKind kind) {
    if (machine_.is_up()) {
        world_.crash(machine_, kind);
    }
    if (host_ != nullptr) {
        sim::bury(std::move(host_));
    }
    world_.restart(machine_);
}

// ---- shards ----

ShardDescription HostFixture::describe(std::uint64_t shard, std::uint64_t history_ms) {
    return {.id = ShardId(shard),
            .engine = EngineKind::kMemory,
            .history_ms = history_ms,
            .keyspace = "test"};
}

Group& HostFixture::create(std::uint64_t shard, std::uint64_t history_ms) {
    const auto created = run(host_->create_shard(describe(shard, history_ms)));
    KVSTORE_ASSERT(created.ok());
    return **created;
}

Group& HostFixture::group(std::uint64_t shard) {
    Group* const found = host_->find_group(ShardId(shard));
    KVSTORE_ASSERT(found != nullptr);
    return *found;
}

// ---- writes and reads ----

Told& HostFixture::propose(std::uint64_t shard, const mvcc::Operation& operation) {
    Told& told = told_.emplace_back();
    on_core([&] { told.refusal = group(shard).propose(operation, &told); });
    return told;
}

void HostFixture::wait(Told& told) {
    EXPECT_TRUE(world_.run_until([&told] { return told.is_over(); }, std::chrono::seconds(10)));
}

Told& HostFixture::put(std::uint64_t shard, ByteView key, ByteView value) {
    Told& told = propose(shard, put_of(key, value));
    wait(told);
    return told;
}

Told& HostFixture::increment(std::uint64_t shard, ByteView key) {
    Told& told = propose(shard, increment_of(key));
    wait(told);
    return told;
}

std::optional<Bytes> HostFixture::value(std::uint64_t shard, ByteView key) {
    std::optional<Bytes> found;
    on_core([&] {
        mvcc::Record record;
        if (group(shard).shard().find(key, host_->now_ms(), &record) == storage::Lookup::kFound) {
            found = Bytes(record.value);
        }
    });
    return found;
}

Status HostFixture::verify() {
    Status first;
    on_core([&] {
        for (const ShardDescription& description : host_->shards()) {
            const auto view = host_->find_group(description.id)->shard().view();
            const Status verified = mvcc::Shard::verify(view.get());
            if (first.ok() && !verified.ok()) {
                first = verified;
            }
        }
    });
    return first;
}

}  // namespace kvstore::replication::testing
