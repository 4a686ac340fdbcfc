// The reads of Kv that may have to wait for the disk.
#include <algorithm>
#include <optional>
#include <utility>

#include "kv/inside.h"
#include "kv/kv.h"
#include "replication/read_view.h"

namespace kvstore::kv {
namespace {

// What every read asks first. Linearizable reads wait for the group; the other levels read what is
// here, which on the only replica is the same.
async::Task<Status> begin_read(env::Env* env, CallContext context, KeyspaceHandle keyspace) {
    if (context.deadline.has_passed(env->clock.now())) {
        co_return Status(Code::kDeadlineExceeded, "the deadline has passed");
    }
    if (keyspace->is_dropped()) {
        co_return Status(Code::kNotFound, "keyspace '" + keyspace->info().name + "' was dropped");
    }
    if (keyspace->group().can_read_now()) {
        co_return Status();
    }
    const Status barrier = co_await keyspace->group().read_barrier(context.deadline);
    if (barrier.ok() && keyspace->is_dropped()) {
        co_return Status(Code::kNotFound, "keyspace '" + keyspace->info().name + "' was dropped");
    }
    co_return barrier;
}

using MaybeRecord = std::optional<OwnedRecord>;

}  // namespace

async::Task<Result<std::optional<OwnedRecord>>> Kv::get(CallContext context,
                                                        KeyspaceHandle keyspace,
                                                        Bytes key,
                                                        Revision as_of) {
    const Inside inside(gate_);
    KVSTORE_CO_CHECK_OK(inside.status());
    KVSTORE_CO_CHECK_OK(co_await begin_read(&env_, context, keyspace));
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
        co_return co_await replication::read_view<MaybeRecord>(&env_, &keyspace->group(), find);
    }
    mvcc::Record record;
    mvcc::Shard& shard = keyspace->group().shard();
    const std::uint64_t now = now_ms();
    switch (shard.find(key, now, &record)) {
        case storage::Lookup::kFound: co_return MaybeRecord(OwnedRecord::copy_of(record));
        case storage::Lookup::kAbsent: co_return MaybeRecord();
        case storage::Lookup::kMustLoad: break;
    }
    async::Gate& gate = keyspace->group().gate();
    if (!gate.try_enter()) {
        co_return Status(Code::kUnavailable, "the shard is closing");
    }
    Bytes stored;
    auto loaded = co_await mvcc::Shard::load(&shard.engine(), std::move(key), now, &stored);
    gate.leave();
    if (!loaded.ok()) {
        co_return loaded.status();
    }
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
    KVSTORE_CO_CHECK_OK(co_await begin_read(&env_, context, keyspace));
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
    co_return co_await replication::read_view<Records>(&env_, &keyspace->group(), find);
}

async::Task<Result<mvcc::ScanPage>> Kv::scan(CallContext context,
                                             KeyspaceHandle keyspace,
                                             mvcc::ScanRequest request) {
    const Inside inside(gate_);
    KVSTORE_CO_CHECK_OK(inside.status());
    KVSTORE_CO_CHECK_OK(co_await begin_read(&env_, context, keyspace));
    if (request.now_ms == 0) {
        request.now_ms = now_ms();
    }
    const std::size_t rows_max = options_.limits.scan_rows_max;
    request.limit = request.limit == 0 ? rows_max : std::min(request.limit, rows_max);
    auto find = [&request](storage::View* view) {
        return mvcc::Shard::scan(view, request);
    };
    co_return co_await replication::read_view<mvcc::ScanPage>(&env_, &keyspace->group(), find);
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
