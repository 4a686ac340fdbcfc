#include "kv/testing/kv_fixture.h"

#include <algorithm>

#include "base/log.h"

namespace kvstore::kv::testing {

mvcc::Operation operation_of(mvcc::OperationKind kind, ByteView key) {
    mvcc::Operation operation;
    operation.kind = kind;
    operation.key = key;
    return operation;
}

mvcc::Operation put_of(ByteView key, ByteView value) {
    mvcc::Operation operation = operation_of(mvcc::OperationKind::kPut, key);
    operation.argument = value;
    return operation;
}

KvFixture::KvFixture() {
    set_log_level(LogLevel::kOff);
    host_options_.wal.segment_bytes = 256U << 10U;
    host_options_.wal.disk_reserve_bytes = 1U << 20U;
    host_options_.snapshot_interval = Duration(0);
    options_.defaults = memory_options();
}

KvFixture::~KvFixture() {
    keyspace_.reset();
    if (machine_.is_up()) {
        if (host_ != nullptr) {
            (void)stop();
        }
    } else {
        sim::bury(std::move(kv_));
        sim::bury(std::move(host_));
    }
    set_log_level(LogLevel::kInfo);
}

// ---- the process ----

Status KvFixture::open() {
    auto host = world_.try_block_on(
        machine_,
        replication::Host::open(&machine_.env(), replication::HostOptions{host_options_}));
    if (!host.has_value()) {
        return {Code::kUnavailable, "the machine went down"};
    }
    KVSTORE_CHECK_OK(host->status());
    host_ = *std::move(*host);
    auto kv = world_.try_block_on(machine_, Kv::open(&machine_.env(), host_.get(), options_));
    if (!kv.has_value()) {
        return {Code::kUnavailable, "the machine went down"};
    }
    if (!kv->ok()) {
        (void)run(host_->stop());
        host_.reset();
        return kv->status();
    }
    kv_ = *std::move(*kv);
    return {};
}

void KvFixture::must_open() {
    const Status opened = open();
    ASSERT_TRUE(opened.ok()) << opened.to_string();
}

Status KvFixture::stop() {
    if (kv_ != nullptr) {
        world_.block_on(machine_, kv_->stop());
        kv_.reset();
    }
    Status stopped = run(host_->stop());
    host_.reset();
    return stopped;
}

void KvFixture::reopen() {
    const Status stopped = stop();
    ASSERT_TRUE(stopped.ok()) << stopped.to_string();
    must_open();
}

void KvFixture::crash(sim::CrashKind kind) {
    if (machine_.is_up()) {
        world_.crash(machine_, kind);
    }
    if (kv_ != nullptr) {
        sim::bury(std::move(kv_));
    }
    if (host_ != nullptr) {
        sim::bury(std::move(host_));
    }
    world_.restart(machine_);
}

// ---- keyspaces ----

KeyspaceOptions KvFixture::memory_options(Duration history) {
    KeyspaceOptions options;
    options.engine = replication::EngineKind::kMemory;
    options.history = history;
    return options;
}

KeyspaceHandle KvFixture::create(std::string name, Duration history) {
    auto created = run(kv_->create_keyspace({}, std::move(name), memory_options(history)));
    EXPECT_TRUE(created.ok()) << created.status().to_string();
    return created.ok() ? *created : nullptr;
}

std::vector<std::string> KvFixture::names() {
    std::vector<std::string> found;
    for (const KeyspaceInfo& info : kv_->keyspaces()) {
        found.push_back(info.name);
    }
    return found;
}

std::vector<std::string> KvFixture::shard_folders() {
    std::vector<std::string> found;
    const auto listed = run(machine_.env().disk.list("shards"));
    for (const env::DirectoryEntry& entry : *listed) {
        found.push_back(entry.name);
    }
    std::ranges::sort(found);
    return found;
}

// ---- operations ----

Result<CommandOutcome> KvFixture::execute(const mvcc::Command& command, CallContext context) {
    return run(kv_->execute(std::move(context), keyspace(), &command));
}

Result<CommandOutcome> KvFixture::execute(const mvcc::Operation& operation, CallContext context) {
    mvcc::Command command;
    command.operations.push_back(operation);
    return execute(command, std::move(context));
}

OperationOutcome KvFixture::done(const mvcc::Operation& operation) {
    auto outcome = execute(operation);
    EXPECT_TRUE(outcome.ok()) << outcome.status().to_string();
    return outcome.ok() ? outcome->operations.front() : OperationOutcome();
}

void KvFixture::put(ByteView key, ByteView value) {
    EXPECT_EQ(done(put_of(key, value)).code, Code::kOk);
}

void KvFixture::erase(ByteView key) {
    EXPECT_EQ(done(operation_of(mvcc::OperationKind::kDelete, key)).code, Code::kOk);
}

Result<std::optional<OwnedRecord>> KvFixture::get(ByteView key, Revision as_of) {
    return run(kv_->get({}, keyspace(), Bytes(key), as_of));
}

std::optional<Bytes> KvFixture::value(ByteView key, Revision as_of) {
    auto found = get(key, as_of);
    EXPECT_TRUE(found.ok()) << found.status().to_string();
    return found.ok() && found->has_value() ? std::optional<Bytes>((*found)->value) : std::nullopt;
}

Result<mvcc::ScanPage> KvFixture::scan(const mvcc::ScanRequest& request) {
    return run(kv_->scan({}, keyspace(), request));
}

std::string KvFixture::keys(const mvcc::ScanRequest& request) {
    const auto page = scan(request);
    EXPECT_TRUE(page.ok()) << page.status().to_string();
    std::string joined;
    if (page.ok()) {
        for (const mvcc::ScanRow& row : page->rows) {
            joined += (joined.empty() ? "" : " ") + row.key;
        }
    }
    return joined;
}

}  // namespace kvstore::kv::testing
