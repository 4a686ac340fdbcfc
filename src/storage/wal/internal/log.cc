#include "storage/wal/internal/log.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "base/planted_bug.h"

namespace kvstore::storage {
namespace {

// What stays free in the last segment of a full disk for states, which are tiny and must go on:
// without them a group can elect no leader.
constexpr std::uint64_t kStateRoomBytes = 64U << 10U;

// Each group has a place in every checkpoint, and a checkpoint is one record.
constexpr std::size_t kGroupCountMax = kCheckpointBytesMax / kCheckpointGroupBytesMax;

// Beyond so many times `buffer_bytes_max`, appends are refused even if nobody asks is_backed_up().
constexpr std::uint64_t kBufferHardFactor = 4;

// By how much at once a segment grows when the next is not ready in time.
constexpr std::uint64_t kGrowthBytes = 256U << 10U;

}  // namespace

Log::Log(Parts parts)
    : env_(parts.env),
      options_(parts.options),
      pool_(std::move(parts.pool)),
      ledger_(std::move(parts.ledger)),
      current_(std::move(parts.current)),
      end_(parts.end),
      gate_(parts.env->scheduler),
      not_writing_(parts.env->scheduler),
      space_asked_(parts.env->scheduler) {
    not_writing_.set();
    begin_gathering();
}

Log::~Log() {
    KVSTORE_ASSERT(gate_.is_closing() && gate_.count() == 0);
}

async::Task<Status> Log::start() {
    Status written;
    auto grown = co_await grow(&current_, checkpoint().size());
    if (!grown.ok()) {
        written = grown.status();
    } else if (*grown == Room::kDiskFull) {
        written = Status(Code::kDiskFull, "the disk has no space for the log's first record");
    } else {
        written = co_await write_checkpoint();
    }
    if (!written.ok()) {
        fail(written);
    }
    co_return written;
}

// ---- gathering ----

Status Log::check_open() const {
    if (!failure_.ok()) {
        return {Code::kUnavailable, "the log has failed: " + std::string(failure_.message())};
    }
    if (is_stopping_) {
        return {Code::kUnavailable, "the log is stopping"};
    }
    return {};
}

// Whether an entry of so many bytes will find its place.
Status Log::check_room(std::size_t bytes) const {
    const std::uint64_t gathered = full_bytes_ + filling_.buffer.size();
    if (gathered > options_.buffer_bytes_max * kBufferHardFactor) {
        return {Code::kUnavailable, "the log is far behind with its writes"};
    }
    if (is_stalled_) {
        return {Code::kDiskFull, "the disk has no space for what the log was given already"};
    }
    if (!is_disk_full_ || next_) {
        return {};
    }
    const std::uint64_t in_flight = is_writing_ ? writing_.buffer.size() : 0;
    const std::uint64_t needed =
        current_.offset + in_flight + gathered + bytes + kStateRoomBytes + kDirectAlignment;
    if (needed > current_.capacity) {
        return {Code::kDiskFull, "the disk has no space for another log segment"};
    }
    return {};
}

Result<Log::Member*> Log::enter(WalClient& client, GroupId group) {
    const auto found = members_.find(group);
    if (found != members_.end()) {
        Member& member = found->second;
        if (member.life == 0) {
            member = Member();
            member.life = next_life_++;
        }
        member.client = &client;
        return &member;
    }
    if (std::max(members_.size(), ledger_.groups().size()) >= kGroupCountMax) {
        return Status(Code::kUnavailable,
                      "a log holds at most " + std::to_string(kGroupCountMax) + " groups");
    }
    Member& member = members_[group];
    member.client = &client;
    member.life = next_life_++;
    if (const auto known = ledger_.find_group(group)) {
        member.last = known->last;
    }
    return &member;
}

Log::Effect& Log::effect_of(GroupId group, Member& member) {
    if (member.gathering_id != filling_.id) {
        member.gathering_id = filling_.id;
        member.effect_slot = filling_.effects.size();
        filling_.effects.push_back(Effect{.group = group,
                                          .life = member.life,
                                          .last = member.last,
                                          .highest = {},
                                          .state = {},
                                          .start = {}});
    }
    return filling_.effects[member.effect_slot];
}

void Log::begin_gathering() {
    filling_.id = next_gathering_id_++;
    filling_.entry_count = 0;
    filling_.effects.clear();
    filling_.buffer.clear();
}

// A place for one item. Begins another record when this one would grow beyond its bound.
char* Log::room(std::size_t bytes_max) {
    if (!filling_.is_empty() && filling_.buffer.payload_size() + bytes_max > kAppendPayloadMax) {
        full_bytes_ += filling_.buffer.size();
        full_.push_back(std::move(filling_));
        filling_ = Gathering();
        begin_gathering();
    }
    env_->scheduler.at_turn_end(*this, Phase::kSubmit);
    return filling_.buffer.room(bytes_max);
}

Status Log::check_append(std::size_t bytes, std::size_t ahead) const {
    KVSTORE_CHECK_OK(check_open());
    KVSTORE_CHECK_OK(check_size(bytes));
    return check_room(bytes + ahead + kEntryHeadBytesMax);
}

Status Log::check_size(std::size_t bytes) {
    if (kEntryHeadBytesMax + bytes > kAppendPayloadMax) {
        return {Code::kTooLarge,
                "an entry of " + std::to_string(bytes) + " bytes; at most " +
                    std::to_string(kAppendPayloadMax - kEntryHeadBytesMax)};
    }
    return {};
}

Status Log::append(WalClient& client, const LogEntry& entry) {
    KVSTORE_ASSERT(entry.index > Index());
    KVSTORE_CHECK_OK(check_open());
    KVSTORE_CHECK_OK(check_size(entry.data.size()));
    const std::size_t size = kEntryHeadBytesMax + entry.data.size();
    KVSTORE_CHECK_OK(check_room(size));
    KVSTORE_TRY(Member * member, enter(client, entry.group));
    KVSTORE_ASSERT(member->last == Index() || entry.index <= member->last.next());

    filling_.buffer.grown(store_entry(room(size), entry));
    filling_.entry_count += 1;
    member->last = entry.index;
    Effect& effect = effect_of(entry.group, *member);
    effect.last = entry.index;
    effect.highest = std::max(effect.highest, entry.index);
    return {};
}

Status Log::append_state(WalClient& client, const LogState& state) {
    KVSTORE_CHECK_OK(check_open());
    KVSTORE_TRY(Member * member, enter(client, state.group));
    filling_.buffer.grown(store_state(room(kStateBytesMax), state));
    effect_of(state.group, *member).state = state;
    return {};
}

Status Log::append_start(WalClient& client, GroupId group, Term term, Index index) {
    KVSTORE_CHECK_OK(check_open());
    KVSTORE_TRY(Member * member, enter(client, group));
    filling_.buffer.grown(store_start(room(kStartBytesMax), group, term, index));
    member->last = std::max(member->last, index);
    Effect& effect = effect_of(group, *member);
    effect.start = GroupCheckpoint::Start{.term = term, .index = index};
    effect.last = member->last;
    return {};
}

Status Log::drop(GroupId group) {
    KVSTORE_CHECK_OK(check_open());
    // Until the record is written the ledger still knows the old life, which a new one of the same
    // group must not take for its own.
    members_[group] = Member();
    filling_.buffer.grown(store_drop(room(kDropBytesMax), group));
    filling_.effects.push_back(
        Effect{.group = group, .life = 0, .last = {}, .highest = {}, .state = {}, .start = {}});
    return {};
}

bool Log::is_backed_up() const {
    return full_bytes_ + filling_.buffer.payload_size() > options_.buffer_bytes_max;
}

WalStatistics Log::statistics() const {
    WalStatistics statistics = statistics_;
    statistics.segment_count = ledger_.segment_count() + (next_ ? 1 : 0);
    statistics.last_sequence = end_.last;
    return statistics;
}

// ---- writing ----

void Log::run_at_turn_end() {
    if (!is_writing_ && has_gathered() && failure_.ok() && gate_.try_enter()) {
        is_writing_ = true;
        not_writing_.reset();
        async::spawn(write_next());
    }
}

// Writes the oldest gathering. Requires: is_writing_ was set for it, and the gate entered.
async::Task<void> Log::write_next() {
    const Status written = co_await write_gathered();
    is_writing_ = false;
    not_writing_.set();
    if (!written.ok() && !planted_bug(PlantedBug::kWalRetryAfterFailure)) {
        fail(written);
    }
    if (failure_.ok() && !planted_bug(PlantedBug::kWalAcknowledgeEarly)) {
        acknowledge();
    }
    if (failure_.ok()) {
        if (has_gathered()) {
            env_->scheduler.at_turn_end(*this, Phase::kSubmit);
        }
        prepare_ahead();
        recycle_released();
        start_sync_timer();
        start_quiet_timer();
    }
    gate_.leave();
}

async::Task<Status> Log::write_gathered() {
    if (full_.empty()) {
        std::swap(writing_, filling_);
        begin_gathering();
    } else {
        writing_ = std::move(full_.front());
        full_.pop_front();
        full_bytes_ -= writing_.buffer.size();
    }
    KVSTORE_CO_CHECK_OK(co_await wait_for_room(writing_.buffer.size()));
    if (planted_bug(PlantedBug::kWalAcknowledgeEarly)) {
        acknowledge();
    }
    KVSTORE_CO_CHECK_OK(co_await write_record(&writing_.buffer));
    ends_with_mark_ = false;
    last_write_ = env_->clock.now();
    take_effects();
    co_return Status();
}

// A record that finds the disk full is kept, since its groups count on it, and waits; what comes
// after it is refused.
async::Task<Status> Log::wait_for_room(std::size_t record_size) {
    for (;;) {
        auto made = co_await make_room(record_size);
        KVSTORE_CO_TRY(const Room room, std::move(made));
        if (room == Room::kThere) {
            if (std::exchange(is_stalled_, false)) {
                log_info("the log has room again, and goes on");
            }
            co_return Status();
        }
        if (is_stopping_ || !failure_.ok()) {
            co_return Status(Code::kDiskFull, "the disk has no space for the log's last record");
        }
        note_disk_full("a record finds no room");
        is_stalled_ = true;
        retry_later();
        space_asked_.reset();
        co_await space_asked_;
    }
}

// Goes to the next segment when this one has no room for the record and the next is ready. When it
// is not, this one grows: slower, but nobody waits for a whole segment to be prepared.
async::Task<Result<Log::Room>> Log::make_room(std::size_t record_size) {
    const std::uint64_t size = round_up(record_size, current_.header.alignment);
    if (current_.offset + size > current_.capacity && next_) {
        auto moved = co_await move_on();
        if (!moved.ok() || *moved == Room::kDiskFull) {
            co_return moved;
        }
    }
    co_return co_await grow(&current_, record_size);
}

async::Task<Result<Log::Room>> Log::move_on() {
    if (end_.durable < end_.last) {
        // A segment begins only when all before it is on the device; so what is missing there
        // was lost, never late.
        KVSTORE_CO_CHECK_OK(co_await sync_current());
    }
    // The checkpoint is the first record of its segment: without room for it there is no segment.
    auto grown = co_await grow(&*next_, checkpoint().size());
    if (!grown.ok() || *grown == Room::kDiskFull) {
        co_return grown;
    }
    current_ = *std::move(next_);
    next_.reset();
    ledger_.begin_segment(current_.header.number, GroupLedger::Opening::kCheckpoint);
    KVSTORE_CO_CHECK_OK(co_await write_checkpoint());
    co_return Room::kThere;
}

// Gives the segment room for a record before a byte of it is written, so that a full disk is met
// while the log is as it was. Not synced: what makes the record durable does so with the size.
async::Task<Result<Log::Room>> Log::grow(OpenSegment* segment, std::size_t record_size) {
    const std::uint64_t end = segment->offset + round_up(record_size, segment->header.alignment);
    if (end <= segment->capacity) {
        co_return Room::kThere;
    }
    // A piece at once; on a disk that has no room for a piece, what the record needs.
    Status grown = co_await pool_->extend(segment, round_up(end, kGrowthBytes));
    if (grown.code() == Code::kDiskFull) {
        grown = co_await pool_->extend(segment, round_up(end, env::kSectorSize));
    }
    if (grown.code() == Code::kDiskFull) {
        co_return Room::kDiskFull;
    }
    KVSTORE_CO_CHECK_OK(grown);
    co_return Room::kThere;
}

RecordBuffer Log::checkpoint() const {
    RecordBuffer buffer;
    if (ledger_.groups().empty()) {
        buffer.grown(store_no_groups(buffer.room(1)));
    }
    for (const auto& [group, checkpoint] : ledger_.groups()) {
        buffer.grown(store_checkpoint(buffer.room(kCheckpointGroupBytesMax), checkpoint));
    }
    return buffer;
}

async::Task<Status> Log::write_checkpoint() {
    // Set first: until this record is on the device, the checkpoint before it must stay.
    recycling_waits_for_ = end_.last.next();
    RecordBuffer buffer = checkpoint();
    co_return co_await write_record(&buffer);
}

async::Task<Status> Log::write_record(RecordBuffer* buffer) {
    RecordHeader header;
    header.sequence = end_.last.next();
    header.durable = end_.durable;
    header.length = static_cast<std::uint32_t>(buffer->payload_size());
    header.previous = end_.checksum;
    const RecordPlace place{
        .salt = current_.header.salt, .segment = current_.header.number, .offset = current_.offset};
    const ByteView bytes = buffer->padded(current_.header.alignment);
    seal_record(buffer->data(), header, place);

    const bool is_durable = options_.durability == Durability::kAlways;
    const std::shared_ptr<env::File> file = current_.file;
    if (is_durable && !planted_bug(PlantedBug::kWalSkipSync)) {
        KVSTORE_CO_CHECK_OK(co_await file->write_durable(current_.offset, bytes));
        statistics_.sync_count += 1;
    } else {
        KVSTORE_CO_CHECK_OK(co_await file->write(current_.offset, bytes));
    }
    KVSTORE_ASSERT(end_.last.next() == header.sequence);
    current_.offset += bytes.size();
    end_.last = header.sequence;
    end_.checksum = header.checksum;
    end_.durable = is_durable ? header.sequence : end_.durable;
    statistics_.record_count += 1;
    statistics_.bytes_written += bytes.size();
    co_return Status();
}

// Brings the ledger to the end of the record that was written.
void Log::take_effects() {
    statistics_.entry_count += writing_.entry_count;
    for (const Effect& effect : writing_.effects) {
        if (effect.life == 0) {
            ledger_.note_drop(effect.group);
            recycling_waits_for_ = end_.last;
            const auto member = members_.find(effect.group);
            if (member != members_.end() && member->second.life == 0) {
                members_.erase(member);
            }
            continue;
        }
        if (effect.highest > Index()) {
            ledger_.note_entry(effect.group, effect.highest);
        }
        if (effect.state) {
            ledger_.note_state(*effect.state);
        }
        if (effect.start) {
            ledger_.note_start(effect.group, effect.start->term, effect.start->index);
        }
        ledger_.note_last(effect.group, effect.last);
    }
}

void Log::acknowledge() {
    durable_write_ = writing_.id;
    for (const Effect& effect : writing_.effects) {
        const auto member = members_.find(effect.group);
        // The group may have been dropped meanwhile, and even begun again.
        if (member != members_.end() && effect.life != 0 && member->second.life == effect.life) {
            member->second.client->on_durable(effect.last);
        }
    }
}

void Log::fail(const Status& why) {
    if (!failure_.ok()) {
        return;
    }
    failure_ = why.with_unknown_effect();
    log_error("write-ahead log failed", {{"reason", failure_.to_string()}});
    cancel_timers();
    pool_->stop();
    space_asked_.set();
    // A client may drop its group while it is told.
    std::vector<GroupId> groups;
    for (const auto& [group, member] : members_) {
        groups.push_back(group);
    }
    std::sort(groups.begin(), groups.end());
    for (const GroupId group : groups) {
        const auto member = members_.find(group);
        if (member != members_.end() && member->second.client != nullptr) {
            member->second.client->on_log_failed(failure_);
        }
    }
}

}  // namespace kvstore::storage
