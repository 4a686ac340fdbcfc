// The reads of Kv that may have to wait for the disk.
#include <algorithm>
#include <optional>
#include <utility>

#include "kv/inside.h"
#include "kv/kv.h"
#include "replication/read_view.h"

namespace kvstore::kv {
namespace {

// Whether the newest that is here is new enough for the level, but for what the session has seen.
// One that is not asks the group for a barrier first.
bool suits_level(const CallContext& context, ShardId shard, const replication::Group& group) {
    if (group.can_read_now()) {
        return true;
    }
    if (context.session != nullptr && context.session->has_forgotten(shard)) {
        return false;
    }
    switch (context.consistency) {
        case Consistency::kLinearizable: return false;
        case Consistency::kBounded: return group.staleness() <= context.max_staleness;
        case Consistency::kCausal:
        case Consistency::kEventual: return true;
    }
    return false;
}

Revision seen_by(const CallContext& context, ShardId shard) {
    return context.session != nullptr ? context.session->seen(shard) : Revision();
}

void note_seen(const CallContext& context, ShardId shard, Revision revision) {
    if (context.session != nullptr) {
        context.session->note(shard, revision);
    }
}

// Whether there is a state here to show, however old. A replica that has failed may hold anything;
// one that has applied nothing was made a moment ago and waits for its leader.
Status check_replica(replication::Group& group) {
    if (group.can_read_now()) {
        return {};
    }
    KVSTORE_CHECK_OK(group.health());
    if (group.shard().applied_index() == Index()) {
        return {Code::kUnavailable, "this replica was not sent the shard's state yet"};
    }
    return {};
}

Status check_keyspace(const Keyspace& keyspace) {
    if (keyspace.is_dropped()) {
        return {Code::kNotFound, "keyspace '" + keyspace.info().name + "' was dropped"};
    }
    return {};
}

// A replica may move away while a read waits for it.
Status check_is_here(Keyspace& keyspace) {
    if (!keyspace.group().has_replica()) {
        return {Code::kUnavailable, "the shard has just left this node; read again"};
    }
    return {};
}

// Whether other nodes are to be asked.
bool is_elsewhere(Keyspace& keyspace) {
    return !keyspace.is_dropped() && !keyspace.group().has_replica();
}

// A read that cannot be made sure of is told what it may do instead.
Status unconfirmed(const Status& why, const replication::Group& group) {
    const bool is_lonely =
        why.code() == Code::kUnavailable || why.code() == Code::kDeadlineExceeded;
    if (!is_lonely || !group.health().ok()) {
        return why;
    }
    return {why.code(),
            std::string(why.message()) +
                "; to see what this node holds, however old, read with ?consistency=eventual "
                "(Redis: CLIENT CONSISTENCY eventual)"};
}

// What every read asks first: that the replica here is as fresh as the level and the session want.
// `as_of` counts as seen: whether it exists is not for a replica that is behind to say.
//
// Suspends: until it is. Nothing that was known of the keyspace before still is.
async::Task<Status> begin_read(env::Env* env,
                               const CallContext* context,
                               KeyspaceHandle keyspace,
                               Revision as_of = {}) {
    if (context->deadline.has_passed(env->clock.now())) {
        co_return Status(Code::kDeadlineExceeded, "the deadline has passed");
    }
    KVSTORE_CO_CHECK_OK(check_keyspace(*keyspace));
    KVSTORE_CO_CHECK_OK(check_is_here(*keyspace));
    const ShardId shard = keyspace->info().shard;
    const bool is_ahead =
        as_of > keyspace->group().shard().state().revision && !keyspace->group().can_read_now();
    if (is_ahead || !suits_level(*context, shard, keyspace->group())) {
        const Status barrier = co_await keyspace->group().read_barrier(context->deadline);
        KVSTORE_CO_CHECK_OK(check_keyspace(*keyspace));
        KVSTORE_CO_CHECK_OK(unconfirmed(barrier, keyspace->group()));
        KVSTORE_CO_CHECK_OK(check_is_here(*keyspace));
    }
    if (seen_by(*context, shard) > keyspace->group().shard().state().revision) {
        const Revision wanted = seen_by(*context, shard);
        const Status applied = co_await keyspace->group().wait_applied(wanted, context->deadline);
        KVSTORE_CO_CHECK_OK(check_keyspace(*keyspace));
        KVSTORE_CO_CHECK_OK(applied);
        KVSTORE_CO_CHECK_OK(check_is_here(*keyspace));
    }
    co_return check_replica(keyspace->group());
}

using MaybeRecord = std::optional<OwnedRecord>;

}  // namespace

storage::Lookup Kv::find(const CallContext& context,
                         Keyspace& keyspace,
                         ByteView key,
                         mvcc::Record* record) {
    // What does not answer is told by get().
    if (keyspace.is_dropped() || gate_.is_closing()) {
        return storage::Lookup::kMustLoad;
    }
    if (!keyspace.group().has_replica()) {
        return storage::Lookup::kMustLoad;
    }
    const ShardId id = keyspace.info().shard;
    replication::Group& group = keyspace.group();
    mvcc::Shard& shard = group.shard();
    const Revision revision = shard.state().revision;
    if (!suits_level(context, id, group) || seen_by(context, id) > revision ||
        group.gate().is_closing() || !check_replica(group).ok()) {
        return storage::Lookup::kMustLoad;
    }
    const storage::Lookup found = shard.find(key, host_.now_ms(), record);
    if (found != storage::Lookup::kMustLoad) {
        note_seen(context, id, revision);
    }
    return found;
}

async::Task<Result<std::optional<OwnedRecord>>> Kv::get(CallContext context,
                                                        KeyspaceHandle keyspace,
                                                        Bytes key,
                                                        Revision as_of) {
    const Inside inside(gate_);
    KVSTORE_CO_CHECK_OK(inside.status());
    if (is_elsewhere(*keyspace)) {
        std::vector<Bytes> keys;
        keys.push_back(std::move(key));
        constexpr std::size_t kAnySize = ~std::size_t{0};
        auto asked = co_await ask_for_keys(
            std::move(context), std::move(keyspace), std::move(keys), as_of, kAnySize);
        KVSTORE_CO_TRY(std::vector<MaybeRecord> records, std::move(asked));
        co_return std::move(records.front());
    }
    KVSTORE_CO_CHECK_OK(co_await begin_read(&env_, &context, keyspace, as_of));
    const ShardId id = keyspace->info().shard;
    if (as_of != Revision()) {
        auto find = [&key, as_of](storage::View* view) -> Result<MaybeRecord> {
            Bytes value;
            auto found = mvcc::Shard::find_as_of(view, key, as_of, &value);
            if (!found.ok()) {
                return found.status();
            }
            if (!found->has_value()) {
                return MaybeRecord();
            }
            OwnedRecord owned{.value = std::move(value), .record = **found};
            owned.record.value = {};
            return MaybeRecord(std::move(owned));
        };
        auto found = co_await replication::read_view<MaybeRecord>(&env_, &keyspace->group(), find);
        if (found.ok()) {
            note_seen(context, id, as_of);
        }
        co_return found;
    }
    async::Gate& gate = keyspace->group().gate();
    if (!gate.try_enter()) {
        co_return Status(Code::kUnavailable, "the shard is closing");
    }
    mvcc::Record record;
    mvcc::Shard& shard = keyspace->group().shard();
    const std::uint64_t now = now_ms();
    const storage::Lookup lookup = shard.find(key, now, &record);
    if (lookup != storage::Lookup::kMustLoad) {
        gate.leave();
        note_seen(context, id, shard.state().revision);
        co_return lookup == storage::Lookup::kFound ? MaybeRecord(OwnedRecord::copy_of(record))
                                                    : MaybeRecord();
    }
    Bytes stored;
    auto loaded = co_await mvcc::Shard::load(&shard.engine(), std::move(key), now, &stored);
    // The record may be newer than the state was before.
    const Revision revision = shard.state().revision;
    gate.leave();
    if (!loaded.ok()) {
        co_return loaded.status();
    }
    note_seen(context, id, revision);
    co_return loaded->has_value() ? MaybeRecord(OwnedRecord::copy_of(**loaded)) : MaybeRecord();
}

async::Task<Result<std::vector<std::optional<OwnedRecord>>>> Kv::get_many(
    CallContext context,
    KeyspaceHandle keyspace,
    std::vector<Bytes> keys,
    std::size_t values_bytes_max) {
    using Records = std::vector<MaybeRecord>;
    const Inside inside(gate_);
    KVSTORE_CO_CHECK_OK(inside.status());
    if (is_elsewhere(*keyspace)) {
        co_return co_await ask_for_keys(
            std::move(context), std::move(keyspace), std::move(keys), Revision(), values_bytes_max);
    }
    KVSTORE_CO_CHECK_OK(co_await begin_read(&env_, &context, keyspace));
    const std::uint64_t now = now_ms();
    auto find = [&keys, now, values_bytes_max](storage::View* view) -> Result<Records> {
        Records records;
        records.reserve(keys.size());
        std::size_t bytes = 0;
        for (const Bytes& key : keys) {
            ByteView stored;
            KVSTORE_TRY(const bool found, view->find(storage::Table::kCurrent, key, &stored));
            if (!found) {
                records.emplace_back();
                continue;
            }
            const auto record = mvcc::decode_record(stored);
            if (!record) {
                return Status(Code::kCorruption, "unreadable record");
            }
            bytes += record->value.size();
            if (bytes > values_bytes_max) {
                return Status(Code::kTooLarge,
                              "the values have more than " + std::to_string(values_bytes_max) +
                                  " bytes together; ask for fewer keys");
            }
            records.push_back(record->has_expired(now)
                                  ? MaybeRecord()
                                  : MaybeRecord(OwnedRecord::copy_of(*record)));
        }
        return records;
    };
    // The view is taken before anything else can happen.
    const Revision revision = keyspace->group().shard().state().revision;
    auto found = co_await replication::read_view<Records>(&env_, &keyspace->group(), find);
    if (found.ok()) {
        note_seen(context, keyspace->info().shard, revision);
    }
    co_return found;
}

async::Task<Result<mvcc::ScanPage>> Kv::scan(CallContext context,
                                             KeyspaceHandle keyspace,
                                             mvcc::ScanRequest request) {
    const Inside inside(gate_);
    KVSTORE_CO_CHECK_OK(inside.status());
    if (is_elsewhere(*keyspace)) {
        co_return co_await ask_for_page(
            std::move(context), std::move(keyspace), std::move(request));
    }
    KVSTORE_CO_CHECK_OK(co_await begin_read(&env_, &context, keyspace, request.as_of));
    if (request.now_ms == 0) {
        request.now_ms = now_ms();
    }
    const std::size_t rows_max = options_.limits.scan_rows_max;
    request.limit = request.limit == 0 ? rows_max : std::min(request.limit, rows_max);
    auto find = [&request](storage::View* view) {
        return mvcc::Shard::scan(view, request);
    };
    auto page = co_await replication::read_view<mvcc::ScanPage>(&env_, &keyspace->group(), find);
    if (page.ok()) {
        note_seen(context, keyspace->info().shard, page->revision);
    }
    co_return page;
}

std::vector<KeyspaceStatistics> Kv::statistics() {
    std::vector<replication::ShardStatistics> shards = host_.statistics();
    std::vector<KeyspaceStatistics> all;
    for (KeyspaceInfo& info : keyspaces()) {
        for (replication::ShardStatistics& shard : shards) {
            if (shard.description.id == info.shard) {
                all.push_back({.info = std::move(info), .shard = std::move(shard)});
                break;
            }
        }
    }
    return all;
}

}  // namespace kvstore::kv
