// What the log does beside writing: syncs at intervals, marks its end when it is quiet, prepares
// and recycles segments, stops.
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "base/planted_bug.h"
#include "storage/wal/internal/log.h"

namespace kvstore::storage {
namespace {

// A log that has been quiet for so long gets a mark behind its last record, which then can no
// longer be taken for a torn tail when it is damaged.
constexpr Duration kQuietSpan = std::chrono::milliseconds(100);

// How often a segment that found no space is tried again.
constexpr Duration kSpaceRetrySpan = std::chrono::seconds(1);

}  // namespace

// ---- syncing ----

void Log::start_sync_timer() {
    const bool is_behind = end_.durable < end_.last && !ends_with_mark_;
    if (options_.durability != Durability::kInterval || !is_behind ||
        sync_timer_ != env::TimerId() || is_stopping_) {
        return;
    }
    sync_timer_ = env_->clock.start_timer(env_->clock.now() + options_.sync_interval,
                                          [this] { on_sync_timer(); });
}

void Log::on_sync_timer() {
    sync_timer_ = env::TimerId();
    if (failure_.ok() && gate_.try_enter()) {
        async::spawn(sync_in_time());
    }
}

async::Task<void> Log::sync_in_time() {
    const Status synced = co_await sync_current();
    if (!synced.ok()) {
        fail(synced);
    } else if (failure_.ok()) {
        recycle_released();
        start_sync_timer();
    }
    gate_.leave();
}

async::Task<Status> Log::sync_current() {
    // The file is held: the log may move on to the next segment meanwhile.
    const std::shared_ptr<env::File> file = current_.file;
    const Sequence reached = end_.last;
    if (!planted_bug(PlantedBug::kWalSkipSync)) {
        KVSTORE_CO_CHECK_OK(co_await file->sync());
    }
    statistics_.sync_count += 1;
    end_.durable = std::max(end_.durable, reached);
    co_return Status();
}

// ---- marking the end ----

void Log::start_quiet_timer() {
    if (quiet_timer_ == env::TimerId() && !is_stopping_) {
        quiet_timer_ =
            env_->clock.start_timer(last_write_ + kQuietSpan, [this] { on_quiet_timer(); });
    }
}

void Log::on_quiet_timer() {
    quiet_timer_ = env::TimerId();
    if (!failure_.ok() || ends_with_mark_ || is_stopping_) {
        return;
    }
    // One timer serves any number of records: it asks when it fires whether it was quiet.
    const bool is_quiet = env_->clock.now() >= last_write_ + kQuietSpan;
    if (is_writing_ || has_gathered() || !is_quiet || end_.durable < end_.last) {
        last_write_ = std::max(last_write_, env_->clock.now() - kQuietSpan / 2);
        start_quiet_timer();
        return;
    }
    if (gate_.try_enter()) {
        is_writing_ = true;
        not_writing_.reset();
        async::spawn(write_quiet_mark());
    }
}

// An empty record: it says that everything before it is on the device. On a full disk there is none
// until there is room, and damage to the last record would look like a torn tail.
async::Task<Status> Log::write_mark() {
    RecordBuffer buffer;
    auto grown = co_await grow(&current_, buffer.size());
    KVSTORE_CO_TRY(const Room room, std::move(grown));
    if (room == Room::kDiskFull) {
        note_disk_full("the mark of a quiet log finds no room");
        retry_later();
        co_return Status();
    }
    KVSTORE_CO_CHECK_OK(co_await write_record(&buffer));
    ends_with_mark_ = true;
    co_return Status();
}

async::Task<void> Log::write_quiet_mark() {
    const Status written = co_await write_mark();
    is_writing_ = false;
    not_writing_.set();
    if (!written.ok()) {
        fail(written);
    } else if (failure_.ok() && has_gathered()) {
        env_->scheduler.at_turn_end(*this, Phase::kSubmit);
    }
    gate_.leave();
}

// ---- segments ----

void Log::prepare_ahead() {
    const bool is_time = current_.offset >= current_.capacity / 4;
    if (!is_time || next_ || is_preparing_ || is_stopping_ || retry_timer_ != env::TimerId()) {
        return;
    }
    if (gate_.try_enter()) {
        is_preparing_ = true;
        async::spawn(prepare_next());
    }
}

async::Task<void> Log::prepare_next() {
    SegmentPool::Wanted wanted;
    wanted.number = current_.header.number + 1;
    wanted.first_sequence = end_.last.next();
    wanted.size = std::min(options_.segment_bytes, current_.capacity * 2);
    auto prepared = co_await pool_->prepare(wanted);
    is_preparing_ = false;
    if (prepared.ok()) {
        KVSTORE_ASSERT(!next_ && wanted.number == current_.header.number + 1);
        next_ = *std::move(prepared);
        is_disk_full_ = false;
        space_asked_.set();
    } else if (prepared.status().code() == Code::kDiskFull) {
        note_disk_full(prepared.status().message());
        retry_later();
    } else if (prepared.status().code() != Code::kUnavailable) {
        fail(prepared.status());
    }
    gate_.leave();
}

void Log::note_disk_full(std::string_view reason) {
    if (!std::exchange(is_disk_full_, true)) {
        log_warning("the disk has no space for the log", {{"reason", reason}});
    }
}

void Log::retry_later() {
    if (is_stopping_ || !failure_.ok() || retry_timer_ != env::TimerId()) {
        return;
    }
    retry_timer_ =
        env_->clock.start_timer(env_->clock.now() + kSpaceRetrySpan, [this] { retry_now(); });
}

void Log::retry_now() {
    if (retry_timer_ != env::TimerId()) {
        env_->clock.cancel_timer(std::exchange(retry_timer_, env::TimerId()));
    }
    if (failure_.ok()) {
        space_asked_.set();
        prepare_ahead();
        if (!is_writing_) {
            start_quiet_timer();
        }
    }
}

void Log::release(GroupId group, Index index) {
    ledger_.release(group, index);
    recycle_released();
}

void Log::recycle_released() {
    if (recycling_waits_for_ > end_.durable || is_recycling_ || is_stopping_ || !failure_.ok() ||
        !ledger_.find_released_segment()) {
        return;
    }
    if (gate_.try_enter()) {
        is_recycling_ = true;
        async::spawn(run_recycling());
    }
}

async::Task<void> Log::run_recycling() {
    Status recycled;
    while (recycled.ok() && failure_.ok() && !is_stopping_ &&
           recycling_waits_for_ <= end_.durable) {
        const std::optional<std::uint64_t> number = ledger_.find_released_segment();
        if (!number) {
            break;
        }
        ledger_.remove_oldest();
        recycled = co_await pool_->recycle(*number);
    }
    is_recycling_ = false;
    if (!recycled.ok()) {
        fail(recycled);
    } else if (is_disk_full_) {
        retry_now();
    }
    gate_.leave();
}

// ---- the end ----

void Log::cancel_timers() {
    for (env::TimerId* timer : {&sync_timer_, &quiet_timer_, &retry_timer_}) {
        if (*timer != env::TimerId()) {
            env_->clock.cancel_timer(std::exchange(*timer, env::TimerId()));
        }
    }
}

async::Task<Status> Log::stop() {
    KVSTORE_ASSERT(!is_stopping_);
    is_stopping_ = true;
    cancel_timers();
    pool_->stop();
    space_asked_.set();
    const Status finished = co_await finish();
    if (!finished.ok()) {
        fail(finished);
    }
    co_await gate_.close();
    cancel_timers();
    co_return failure_;
}

// Writes what was gathered, syncs, and marks the end.
async::Task<Status> Log::finish() {
    while (is_writing_ || (has_gathered() && failure_.ok())) {
        run_at_turn_end();
        co_await not_writing_;
    }
    if (!failure_.ok() || ends_with_mark_) {
        co_return Status();
    }
    if (end_.durable < end_.last) {
        KVSTORE_CO_CHECK_OK(co_await sync_current());
    }
    is_writing_ = true;
    const Status marked = co_await write_mark();
    is_writing_ = false;
    co_return marked;
}

}  // namespace kvstore::storage
