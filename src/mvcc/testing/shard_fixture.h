// A shard over a MapEngine, and commands that are short to write.
#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "mvcc/shard.h"
#include "mvcc/testing/map_engine.h"
#include "mvcc/testing/run_now.h"

namespace kvstore::mvcc::testing {

// What a sink was told, with copies of what would not last.
class Outcome final : public ApplySink {
public:
    struct Told {
        OperationResult result;
        bool has_record = false;
        Record record;  // of result.previous, without its value
        Bytes value;
        Bytes text;
    };

    void on_operation(std::size_t at, const OperationResult& result) override {
        KVSTORE_ASSERT(at == operations.size());
        Told& told = operations.emplace_back();
        told.result = result;
        told.text = Bytes(result.text);
        if (result.previous) {
            told.has_record = true;
            told.record = *result.previous;
            told.value = Bytes(result.previous->value);
        }
        told.result.previous.reset();
        told.result.text = {};
        told.record.value = {};
    }
    void on_command(const CommandResult& result) override { command = result; }

    [[nodiscard]] const Told& only() const {
        KVSTORE_ASSERT(operations.size() == 1);
        return operations.front();
    }

    std::vector<Told> operations;
    CommandResult command;
};

class ShardFixture {
public:
    explicit ShardFixture(std::uint64_t history_ms = 600'000,
                          std::unique_ptr<MapEngine> engine = std::make_unique<MapEngine>())
        : history_ms_(history_ms) {
        replace(std::move(engine));
    }

    [[nodiscard]] Shard& shard() { return *shard_; }
    [[nodiscard]] MapEngine& engine() { return *engine_; }
    [[nodiscard]] const ShardState& state() const { return shard_->state(); }
    [[nodiscard]] Revision revision() const { return shard_->state().revision; }

    // The time of the commands to come.
    void set_now_ms(std::uint64_t now_ms) { now_ms_ = now_ms; }
    [[nodiscard]] std::uint64_t now_ms() const { return now_ms_; }

    // Applies a command at the next index, in a batch of its own.
    Outcome run(Command command) {
        Outcome outcome = run_in_batch(std::move(command));
        KVSTORE_ASSERT(shard_->finish_batch().ok());
        return outcome;
    }
    // The same, and leaves the batch open.
    Outcome run_in_batch(Command command) {
        if (command.stamp == Version()) {
            command.stamp = Version(now_ms_, 0);
        }
        Bytes encoded;
        encode_command(command, encoded);
        Outcome outcome;
        const Status applied = shard_->apply(shard_->applied_index().next(), encoded, &outcome);
        KVSTORE_ASSERT(applied.ok());
        return outcome;
    }
    // As run_in_batch(), for one operation that is not encoded.
    Outcome run_plain_in_batch(Version stamp, const Operation& operation) {
        Outcome outcome;
        const Status applied =
            shard_->apply(shard_->applied_index().next(), stamp, operation, &outcome);
        KVSTORE_ASSERT(applied.ok());
        return outcome;
    }
    Outcome run(const Operation& operation) {
        Command command;
        command.operations.push_back(operation);
        return run(std::move(command));
    }
    Outcome::Told run_one(const Operation& operation) { return run(operation).only(); }

    Outcome::Told put(ByteView key, ByteView value) {
        return run_one({.kind = OperationKind::kPut, .key = key, .argument = value});
    }
    Outcome::Told put_until(ByteView key, ByteView value, std::uint64_t expires_at_ms) {
        return run_one({.kind = OperationKind::kPut,
                        .expiry_mode = ExpiryMode::kAt,
                        .key = key,
                        .argument = value,
                        .expires_at_ms = expires_at_ms});
    }
    Outcome::Told erase(ByteView key) {
        return run_one({.kind = OperationKind::kDelete, .key = key});
    }
    Outcome::Told erase_range(ByteView from, ByteView to) {
        return run_one({.kind = OperationKind::kDeleteRange, .key = from, .argument = to});
    }
    Outcome::Told compact(Revision upto) {
        return run_one({.kind = OperationKind::kCompact,
                        .key = {},
                        .delta = static_cast<std::int64_t>(upto.value())});
    }
    void sweep() {
        while (shard_->has_compaction_due()) {
            KVSTORE_ASSERT(shard_->sweep_compacted(3).ok());
        }
        KVSTORE_ASSERT(shard_->finish_batch().ok());
    }

    // The value now; nullopt: absent.
    std::optional<Bytes> value(ByteView key) {
        const auto record = find(key);
        return record ? std::optional<Bytes>(record->value) : std::nullopt;
    }
    // The value's view lasts until the next call.
    std::optional<Record> find(ByteView key) {
        Record record;
        switch (shard_->find(key, now_ms_, &record)) {
            case storage::Lookup::kFound: return record;
            case storage::Lookup::kAbsent: return std::nullopt;
            case storage::Lookup::kMustLoad: break;
        }
        auto loaded = run_now(Shard::load(engine_.get(), Bytes(key), now_ms_, &loaded_));
        KVSTORE_ASSERT(loaded.ok());
        return *loaded;
    }
    std::optional<Bytes> value_at(ByteView key, Revision revision) {
        Bytes value;
        const auto view = shard_->view();
        const auto found = Shard::find_as_of(view.get(), key, revision, &value);
        KVSTORE_ASSERT(found.ok());
        return found->has_value() ? std::optional<Bytes>(value) : std::nullopt;
    }
    Result<ScanPage> scan(const ScanRequest& request) {
        const auto view = shard_->view();
        return Shard::scan(view.get(), request);
    }
    Status verify() {
        const auto view = shard_->view();
        return Shard::verify(view.get());
    }

    // Stops and starts again.
    void reopen() { replace(engine_->reopen()); }
    void crash() { replace(engine_->reopen_after_crash()); }

private:
    void replace(std::unique_ptr<MapEngine> engine) {
        shard_.reset();
        engine_ = std::move(engine);
        auto opened = run_now(Shard::open(engine_.get(), history_ms_));
        KVSTORE_ASSERT(opened.ok());
        shard_ = std::move(opened).value();
    }

    std::uint64_t history_ms_;
    std::unique_ptr<MapEngine> engine_;
    std::unique_ptr<Shard> shard_;
    std::uint64_t now_ms_ = 1'000'000;
    Bytes loaded_;
};

}  // namespace kvstore::mvcc::testing
