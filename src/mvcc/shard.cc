#include "mvcc/shard.h"

#include <utility>

#include "base/assert.h"
#include "base/planted_bug.h"
#include "mvcc/internal/applier.h"
#include "mvcc/internal/entries.h"
#include "mvcc/internal/keys.h"

namespace kvstore::mvcc {

using storage::Lookup;
using storage::Table;

Shard::Shard(OnlyByOpen /*key*/, storage::Engine& engine, const ShardState& state, Index applied)
    : engine_(engine),
      state_(state),
      applied_(applied),
      applier_(std::make_unique<internal::Applier>(engine, state_)) {}

Shard::~Shard() = default;

async::Task<Result<std::unique_ptr<Shard>>> Shard::open(storage::Engine* engine,
                                                        std::uint64_t history_ms) {
    KVSTORE_CO_TRY(const auto stored_state,
                   co_await engine->load(Table::kMeta, Bytes(internal::kStateKey)));
    KVSTORE_CO_TRY(const auto stored_sweep,
                   co_await engine->load(Table::kMeta, Bytes(internal::kSweepKey)));
    ShardState state;
    state.history_ms = history_ms;
    if (stored_state) {
        const auto decoded = internal::decode_state(*stored_state);
        if (!decoded) {
            co_return Status(Code::kCorruption, "the shard's stored state is unreadable");
        }
        if (decoded->applied > engine->applied_index()) {
            co_return Status(
                Code::kCorruption,
                "the shard's state is of index " + std::to_string(decoded->applied.value()) +
                    ", the engine's of index " + std::to_string(engine->applied_index().value()));
        }
        state = decoded->state;
    }
    auto shard = std::make_unique<Shard>(OnlyByOpen(), *engine, state, engine->applied_index());
    if (stored_sweep) {
        const auto position = internal::parse_log_key(*stored_sweep);
        if (!position || position->revision == Revision()) {
            co_return Status(Code::kCorruption, "the shard's compaction position is unreadable");
        }
        shard->swept_ = Revision(position->revision.value() - 1);
        shard->sweep_from_ = *stored_sweep;
    }
    co_return shard;
}

Status Shard::apply(Index index, ByteView encoded, ApplySink* sink) {
    KVSTORE_ASSERT(index > applied_);
    if (!failure_.ok()) {
        return failure_;
    }
    stored_ = false;  // at once: `sink` may take a view
    return note_applied(index, applier_->apply(encoded, sink));
}

Status Shard::apply(Index index, Version stamp, const Operation& operation, ApplySink* sink) {
    KVSTORE_ASSERT(index > applied_);
    if (!failure_.ok()) {
        return failure_;
    }
    stored_ = false;  // at once: `sink` may take a view
    return note_applied(index, applier_->apply(stamp, operation, sink));
}

Status Shard::note_applied(Index index, const Status& applied) {
    if (!applied.ok()) {
        return fail(applied.with_context("index " + std::to_string(index.value())));
    }
    applied_ = index;
    stored_ = false;
    return {};
}

void Shard::apply_nothing(Index index) {
    KVSTORE_ASSERT(index > applied_);
    applied_ = index;
    stored_ = false;
}

Status Shard::finish_batch() {
    if (!failure_.ok()) {
        return failure_;
    }
    store_state();
    if (planted_bug(PlantedBug::kMvccForgetAppliedIndex) &&
        applied_ > engine_.applied_index().next()) {
        return engine_.commit(Index(applied_.value() - 1));
    }
    return engine_.commit(applied_);
}

async::Task<Status> Shard::finish_batch_when_ready() {
    if (!failure_.ok()) {
        co_return failure_;
    }
    store_state();
    Status committed = co_await engine_.commit_when_ready(applied_);
    co_return committed;
}

void Shard::store_state() {
    if (stored_) {
        return;
    }
    const auto raw = internal::encode_state(state_, applied_);
    engine_.put(Table::kMeta, internal::kStateKey, ByteView(raw.data(), raw.size()));
    stored_ = true;
}

Status Shard::fail(Status failure) {
    failure_ = std::move(failure);
    return failure_;
}

Lookup Shard::find(ByteView key, std::uint64_t now_ms, Record* record) {
    ByteView stored;
    const Lookup found = engine_.find(Table::kCurrent, key, &stored);
    if (found != Lookup::kFound) {
        return found;
    }
    const auto decoded = decode_record(stored);
    if (!decoded) {
        return Lookup::kMustLoad;
    }
    if (decoded->has_expired(now_ms)) {
        return Lookup::kAbsent;
    }
    *record = *decoded;
    return Lookup::kFound;
}

async::Task<Result<std::optional<Record>>> Shard::load(storage::Engine* engine,
                                                       Bytes key,
                                                       std::uint64_t now_ms,
                                                       Bytes* stored) {
    KVSTORE_CO_TRY(auto loaded, co_await engine->load(Table::kCurrent, key));
    if (!loaded) {
        co_return std::optional<Record>();
    }
    *stored = *std::move(loaded);
    const auto decoded = decode_record(*stored);
    if (!decoded) {
        co_return internal::corruption("unreadable record of key", key);
    }
    if (decoded->has_expired(now_ms)) {
        co_return std::optional<Record>();
    }
    co_return decoded;
}

std::unique_ptr<storage::View> Shard::view() {
    store_state();
    return engine_.view();
}

}  // namespace kvstore::mvcc
