// The reads of Kv that may have to wait for the disk.
#include <algorithm>
#include <optional>
#include <utility>

#include "base/planted_bug.h"
#include "kv/inside.h"
#include "kv/kv.h"
#include "kv/readable.h"
#include "kv/shard_records.h"
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
        case Consistency::kBounded:
            return group.staleness() <= context.max_staleness ||
                   planted_bug(PlantedBug::kKvBoundedReadsAreEventual);
        case Consistency::kCausal:
        case Consistency::kEventual: return true;
    }
    return false;
}

Revision seen_by(const CallContext& context, ShardId shard) {
    const bool is_session =
        context.session != nullptr && !planted_bug(PlantedBug::kKvIgnoresSession);
    return is_session ? context.session->seen(shard) : Revision();
}

void note_seen(const CallContext& context, ShardId shard, Revision revision) {
    if (context.session != nullptr) {
        context.session->note(shard, revision);
    }
}

// A replica may move away while a read waits for it.
Status check_is_here(const KeyspaceShard& shard) {
    KVSTORE_CHECK_OK(shard.check_not_gone());
    if (!shard.group().has_replica()) {
        return {Code::kUnavailable, "the shard has just left this node; read again"};
    }
    return {};
}

// Whether other nodes are to be asked. A replica that no record lists is about to go: its group
// tells it nothing any more.
bool is_elsewhere(const Kv& kv, const KeyspaceShard& shard) {
    if (shard.is_gone()) {
        return false;
    }
    if (!shard.group().has_replica()) {
        return true;
    }
    const cluster::Directory* const directory = kv.options().cluster.directory;
    const cluster::ShardRecord* const record =
        directory != nullptr ? directory->view()->map->find(shard.id()) : nullptr;
    return record != nullptr && !lists(record->voters, kv.self()) &&
           !lists(record->learners, kv.self());
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
// Suspends: until it is. Nothing that was known of the shard before still is.
async::Task<Status> begin_read(env::Env* env,
                               const CallContext* context,
                               ShardHandle shard,
                               Revision as_of = {}) {
    if (context->deadline.has_passed(env->clock.now())) {
        co_return Status(Code::kDeadlineExceeded, "the deadline has passed");
    }
    KVSTORE_CO_CHECK_OK(check_is_here(*shard));
    const bool is_ahead =
        as_of > shard->group().shard().state().revision && !shard->group().can_read_now();
    if (is_ahead || !suits_level(*context, shard->id(), shard->group())) {
        const Status barrier = co_await shard->group().read_barrier(context->deadline);
        KVSTORE_CO_CHECK_OK(shard->check_not_gone());
        KVSTORE_CO_CHECK_OK(unconfirmed(barrier, shard->group()));
        KVSTORE_CO_CHECK_OK(check_is_here(*shard));
    }
    if (seen_by(*context, shard->id()) > shard->group().shard().state().revision) {
        const Revision wanted = seen_by(*context, shard->id());
        const Status applied = co_await shard->group().wait_applied(wanted, context->deadline);
        KVSTORE_CO_CHECK_OK(shard->check_not_gone());
        KVSTORE_CO_CHECK_OK(applied);
        KVSTORE_CO_CHECK_OK(check_is_here(*shard));
    }
    co_return check_replica(shard->group());
}

enum class Place : std::uint8_t { kHere, kElsewhere };

// Where to read. A replica that leaves this node while it is waited for fails nobody, and neither
// does one that was made a moment ago: the others are asked then.
// Errors: as begin_read().
async::Task<Result<Place>> find_place(Kv* kv,
                                      const CallContext* context,
                                      ShardHandle shard,
                                      Revision as_of = {}) {
    if (!is_elsewhere(*kv, *shard)) {
        const Status ready = co_await begin_read(&kv->env(), context, shard, as_of);
        if (ready.ok()) {
            co_return Place::kHere;
        }
        if (!is_elsewhere(*kv, *shard) && (shard->is_gone() || !is_empty(shard->group()))) {
            co_return ready;
        }
    }
    co_return Place::kElsewhere;
}

using MaybeRecord = std::optional<OwnedRecord>;

// What had run out by then is hidden.
std::uint64_t hiding_time(Kv& kv, std::uint64_t began) {
    if (planted_bug(PlantedBug::kKvShowsExpired)) {
        return 0;
    }
    return planted_bug(PlantedBug::kKvExpiresByLaterClock) ? kv.now_ms() : began;
}

constexpr std::size_t kAnySize = ~std::size_t{0};

Status too_many_values(std::size_t bytes_max) {
    return {Code::kTooLarge,
            "the values have more than " + std::to_string(bytes_max) +
                " bytes together; ask for fewer keys"};
}

// Adds what a shard gave to the page of all, as far as there is room for: a shard gives one row
// whatever its size. Lowers `bytes_max`.
void add_rows(mvcc::ScanPage page, mvcc::ScanRequest& request, mvcc::ScanPage& all) {
    all.has_more = page.has_more;
    all.next = std::move(page.next);
    all.count += request.count_only ? page.count : 0;
    for (mvcc::ScanRow& row : page.rows) {
        const std::size_t size = row.key.size() + row.value.size();
        if (size > request.bytes_max && !all.rows.empty()) {
            all.has_more = true;
            all.next = std::move(row.key);
            if (request.reverse) {
                all.next.push_back('\0');
            }
            return;
        }
        request.bytes_max -= std::min(request.bytes_max, size);
        ++all.count;
        all.rows.push_back(std::move(row));
    }
}

}  // namespace

storage::Lookup Kv::find(const CallContext& context,
                         Keyspace& keyspace,
                         ByteView key,
                         mvcc::Record* record) {
    // What does not answer is told by get().
    if (keyspace.is_dropped() || gate_.is_closing() || !exclusion_.ok()) {
        return storage::Lookup::kMustLoad;
    }
    const ShardId id = keyspace.shard_of(key)->id();
    replication::Group& group = keyspace.shard_of(key)->group();
    if (!group.has_replica()) {
        return storage::Lookup::kMustLoad;
    }
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

// ---- one shard ----

async::Task<Result<std::optional<OwnedRecord>>> Kv::get_in(CallContext context,
                                                           ShardHandle shard,
                                                           Bytes key,
                                                           Revision as_of) {
    // Before it waits: what the replica shows then may have been replaced meanwhile, before its
    // time was up.
    const std::uint64_t began = now_ms();
    KVSTORE_CO_TRY(const Place place, co_await find_place(this, &context, shard, as_of));
    if (place == Place::kElsewhere) {
        std::vector<Bytes> keys;
        keys.push_back(std::move(key));
        auto asked = co_await ask_for_keys(
            std::move(context), std::move(shard), std::move(keys), as_of, kAnySize);
        KVSTORE_CO_TRY(Records records, std::move(asked));
        co_return std::move(records.front());
    }
    const ShardId id = shard->id();
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
        auto found = co_await replication::read_view<MaybeRecord>(&env_, &shard->group(), find);
        if (found.ok()) {
            note_seen(context, id, as_of);
        }
        co_return found;
    }
    async::Gate& gate = shard->group().gate();
    if (!gate.try_enter()) {
        co_return Status(Code::kUnavailable, "the shard is closing");
    }
    mvcc::Record record;
    mvcc::Shard& state = shard->group().shard();
    const std::uint64_t now = hiding_time(*this, began);
    const storage::Lookup lookup = state.find(key, now, &record);
    if (lookup != storage::Lookup::kMustLoad) {
        gate.leave();
        note_seen(context, id, state.state().revision);
        co_return lookup == storage::Lookup::kFound ? MaybeRecord(OwnedRecord::copy_of(record))
                                                    : MaybeRecord();
    }
    Bytes stored;
    auto loaded = co_await mvcc::Shard::load(&state.engine(), std::move(key), now, &stored);
    // The record may be newer than the state was before.
    const Revision revision = state.state().revision;
    gate.leave();
    if (!loaded.ok()) {
        if (loaded.status().code() == Code::kCorruption && !shard->is_gone()) {
            shard->group().note_damage(loaded.status());
        }
        co_return loaded.status();
    }
    note_seen(context, id, revision);
    co_return loaded->has_value() ? MaybeRecord(OwnedRecord::copy_of(**loaded)) : MaybeRecord();
}

async::Task<Result<Kv::Records>> Kv::get_many_in(CallContext context,
                                                 ShardHandle shard,
                                                 std::vector<Bytes> keys,
                                                 std::size_t values_bytes_max) {
    const std::uint64_t now = now_ms();  // as get_in()
    KVSTORE_CO_TRY(const Place place, co_await find_place(this, &context, shard));
    if (place == Place::kElsewhere) {
        co_return co_await ask_for_keys(
            std::move(context), std::move(shard), std::move(keys), Revision(), values_bytes_max);
    }
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
                return too_many_values(values_bytes_max);
            }
            records.push_back(record->has_expired(now)
                                  ? MaybeRecord()
                                  : MaybeRecord(OwnedRecord::copy_of(*record)));
        }
        return records;
    };
    // The view is taken before anything else can happen.
    const Revision revision = shard->group().shard().state().revision;
    auto found = co_await replication::read_view<Records>(&env_, &shard->group(), find);
    if (found.ok()) {
        note_seen(context, shard->id(), revision);
    }
    co_return found;
}

async::Task<Result<mvcc::ScanPage>> Kv::scan_in(CallContext context,
                                                ShardHandle shard,
                                                mvcc::ScanRequest request) {
    const std::uint64_t now = now_ms();  // as get_in()
    KVSTORE_CO_TRY(const Place place, co_await find_place(this, &context, shard, request.as_of));
    if (place == Place::kElsewhere) {
        co_return co_await ask_for_page(std::move(context), std::move(shard), std::move(request));
    }
    if (request.now_ms == 0) {
        request.now_ms = now;
    }
    const std::size_t rows_max = options_.limits.scan_rows_max;
    request.limit = request.limit == 0 ? rows_max : std::min(request.limit, rows_max);
    auto find = [&request](storage::View* view) {
        return mvcc::Shard::scan(view, request);
    };
    auto page = co_await replication::read_view<mvcc::ScanPage>(&env_, &shard->group(), find);
    if (page.ok()) {
        note_seen(context, shard->id(), page->revision);
    }
    co_return page;
}

// ---- all shards of a keyspace ----

async::Task<Result<std::optional<OwnedRecord>>> Kv::get(CallContext context,
                                                        KeyspaceHandle keyspace,
                                                        Bytes key,
                                                        Revision as_of) {
    const Inside inside(gate_, exclusion_);
    KVSTORE_CO_CHECK_OK(inside.status());
    KVSTORE_CO_CHECK_OK(keyspace->check_not_dropped());
    ShardHandle shard = keyspace->shard_of(key);
    co_return co_await get_in(std::move(context), std::move(shard), std::move(key), as_of);
}

// The keys of a read that one shard holds, and then what they hold.
struct Kv::ReadPart {
    ShardHandle shard;
    std::vector<Bytes> keys;
    std::vector<std::size_t> places;  // in the answer
    Result<Records> records = Records();
};

struct Kv::DividedRead {
    explicit DividedRead(async::Scheduler& scheduler) : done(scheduler) {}

    std::vector<ReadPart> parts;
    std::size_t unanswered = 0;
    async::OneShot<bool> done;
};

async::Task<void> Kv::read_part(CallContext context,
                                std::shared_ptr<DividedRead> read,
                                std::size_t at,
                                std::size_t values_bytes_max) {
    ShardHandle shard = read->parts[at].shard;
    std::vector<Bytes> keys = std::move(read->parts[at].keys);
    auto records = co_await get_many_in(
        std::move(context), std::move(shard), std::move(keys), values_bytes_max);
    read->parts[at].records = std::move(records);
    if (--read->unanswered == 0) {
        read->done.set(true);
    }
}

async::Task<Result<std::vector<std::optional<OwnedRecord>>>> Kv::get_many(
    CallContext context,
    KeyspaceHandle keyspace,
    std::vector<Bytes> keys,
    std::size_t values_bytes_max) {
    const Inside inside(gate_, exclusion_);
    KVSTORE_CO_CHECK_OK(inside.status());
    KVSTORE_CO_CHECK_OK(keyspace->check_not_dropped());
    if (keyspace->shards().size() == 1) {
        ShardHandle shard = keyspace->shards().front();
        co_return co_await get_many_in(
            std::move(context), std::move(shard), std::move(keys), values_bytes_max);
    }
    const auto read = std::make_shared<DividedRead>(env_.scheduler);
    for (std::size_t i = 0; i < keys.size(); ++i) {
        const ShardHandle& shard = keyspace->shard_of(keys[i]);
        auto part = std::ranges::find(read->parts, shard, &ReadPart::shard);
        if (part == read->parts.end()) {
            read->parts.emplace_back().shard = shard;
            part = std::prev(read->parts.end());
        }
        part->keys.push_back(std::move(keys[i]));
        part->places.push_back(i);
    }
    Records records(keys.size());
    if (records.empty()) {
        co_return records;
    }
    read->unanswered = read->parts.size();
    for (std::size_t at = 0; at < read->parts.size(); ++at) {
        async::spawn(read_part(context, read, at, values_bytes_max));
    }
    co_await read->done;
    std::size_t bytes = 0;
    std::size_t next = 0;
    for (ReadPart& part : read->parts) {
        if (!part.records.ok()) {
            co_return part.records.status();
        }
        for (std::size_t i = 0; i < part.places.size(); ++i) {
            std::optional<OwnedRecord>& record = (*part.records)[i];
            bytes += record.has_value() ? record->value.size() : 0;
            const bool is_mixed = planted_bug(PlantedBug::kKvReadManyMixesShards);
            records[is_mixed ? next++ : part.places[i]] = std::move(record);
        }
    }
    if (bytes > values_bytes_max) {
        co_return too_many_values(values_bytes_max);
    }
    co_return records;
}

async::Task<Result<mvcc::ScanPage>> Kv::scan(CallContext context,
                                             KeyspaceHandle keyspace,
                                             mvcc::ScanRequest request) {
    const Inside inside(gate_, exclusion_);
    KVSTORE_CO_CHECK_OK(inside.status());
    KVSTORE_CO_CHECK_OK(keyspace->check_not_dropped());
    if (keyspace->shards().size() == 1) {
        ShardHandle shard = keyspace->shards().front();
        co_return co_await scan_in(std::move(context), std::move(shard), std::move(request));
    }
    if (request.as_of != Revision()) {
        co_return Status(Code::kInvalidArgument,
                         "keyspace '" + keyspace->info().name +
                             "' has several shards, each with revisions of its own; a scan of the "
                             "past reads one shard");
    }
    const std::size_t rows_max = options_.limits.scan_rows_max;
    std::size_t limit = request.limit == 0 ? rows_max : std::min(request.limit, rows_max);
    std::vector<ShardHandle> shards = keyspace->overlapping(request.from, request.to);
    if (request.reverse) {
        std::ranges::reverse(shards);
    }
    mvcc::ScanPage all;
    for (std::size_t at = 0; at < shards.size(); ++at) {
        const ShardHandle shard = shards[at];
        if (at > 0 && !request.count_only && (limit == 0 || request.bytes_max == 0)) {
            all.has_more = true;
            all.next = request.reverse ? shards[at - 1]->range_start() : shard->range_start();
            if (planted_bug(PlantedBug::kKvScanSkipsBorderKey) && !request.reverse) {
                all.next.push_back('\0');
            }
            break;
        }
        const std::size_t before = all.rows.size();
        mvcc::ScanRequest part = request;
        part.limit = limit;
        auto read = co_await scan_in(context, shard, std::move(part));
        KVSTORE_CO_TRY(mvcc::ScanPage page, std::move(read));
        add_rows(std::move(page), request, all);
        if (all.has_more) {
            break;
        }
        limit -= std::min(limit, all.rows.size() - before);
    }
    co_return all;
}

async::Task<Result<std::uint64_t>> Kv::count_keys(CallContext context, KeyspaceHandle keyspace) {
    const Inside inside(gate_, exclusion_);
    KVSTORE_CO_CHECK_OK(inside.status());
    KVSTORE_CO_CHECK_OK(keyspace->check_not_dropped());
    const std::vector<ShardHandle> shards = keyspace->shards();
    std::uint64_t count = 0;
    for (std::size_t at = 0; at < shards.size(); ++at) {
        const ShardHandle shard = shards[at];
        KVSTORE_CO_TRY(const Place place, co_await find_place(this, &context, shard));
        if (place == Place::kElsewhere) {
            mvcc::ScanRequest request;
            request.count_only = true;
            auto asked = co_await ask_for_page(context, shard, std::move(request));
            KVSTORE_CO_TRY(const mvcc::ScanPage page, std::move(asked));
            count += page.count;
            continue;
        }
        count += shard->group().shard().state().key_count;
    }
    co_return count;
}

std::vector<KeyspaceStatistics> Kv::statistics() {
    std::vector<replication::ShardStatistics> shards = host_.statistics();
    std::vector<KeyspaceStatistics> all;
    for (const KeyspaceInfo& info : keyspaces()) {
        for (const ShardHandle& part : find_keyspace(info.name)->shards()) {
            const auto here = std::ranges::find(
                shards, part->id(), [](const auto& shard) { return shard.description.id; });
            if (here != shards.end()) {
                all.push_back({.info = info, .shard = std::move(*here)});
            }
        }
    }
    return all;
}

}  // namespace kvstore::kv
