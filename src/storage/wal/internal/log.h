// The write-ahead log at work: gathers a turn's items, writes them as one record, tells the groups.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "async/scheduler.h"
#include "async/sync.h"
#include "async/task.h"
#include "base/id.h"
#include "base/status.h"
#include "env/env.h"
#include "storage/wal/internal/group_ledger.h"
#include "storage/wal/internal/record_buffer.h"
#include "storage/wal/internal/segment_pool.h"
#include "storage/wal/wal.h"

namespace kvstore::storage {

// Where the written log ends.
struct LogEnd {
    Sequence last;
    Sequence durable;
    std::uint32_t checksum = 0;
};

// Lifetime    As Wal.
// Runs on     One core.
//
// Invariants  at most one record is in flight
//             what was appended is in exactly one of `full_`, `filling_`, `writing_`, or written
//             after the first failure nothing is written, and nobody is told of success
//             a record begins only where the segment has room for all of it
class Log final : public Wal, private async::TurnEndHook {
public:
    struct Parts {
        env::Env* env;
        WalOptions options;
        std::unique_ptr<SegmentPool> pool;
        GroupLedger ledger;
        OpenSegment current;
        LogEnd end;
    };
    explicit Log(Parts parts);
    ~Log() override;

    // The first thing that a log does: writes what it holds of every group. When this fails the log
    // has failed, and is to be stopped like any other.
    async::Task<Status> start();

    Status append(WalClient& client, const LogEntry& entry) override;
    Status append_state(WalClient& client, const LogState& state) override;
    Status append_start(WalClient& client, GroupId group, Term term, Index index) override;
    Status drop(GroupId group) override;
    void release(GroupId group, Index index) override;
    [[nodiscard]] std::optional<GroupId> find_laggard() override { return ledger_.find_laggard(); }
    [[nodiscard]] bool is_backed_up() const override;
    [[nodiscard]] bool is_stalled() const override { return is_stalled_; }
    [[nodiscard]] Status check_append(std::size_t bytes, std::size_t ahead) const override;
    [[nodiscard]] std::uint64_t gathering_write() const override { return filling_.id; }
    [[nodiscard]] std::uint64_t durable_write() const override { return durable_write_; }
    [[nodiscard]] WalStatistics statistics() const override;
    async::Task<Status> stop() override;

private:
    // What a record does to one group, in the order of its items.
    struct Effect {
        GroupId group;
        // Which life of the group's client it belongs to; 0: the group is dropped.
        std::uint64_t life = 0;
        Index last;
        Index highest;  // of its entries; 0: there are none
        std::optional<LogState> state;
        std::optional<GroupCheckpoint::Start> start;
    };

    // Items that will be one record.
    struct Gathering {
        RecordBuffer buffer;
        std::vector<Effect> effects;
        std::uint64_t entry_count = 0;
        // Rises with each; groups find by it whether they have an effect here.
        std::uint64_t id = 0;

        [[nodiscard]] bool is_empty() const { return buffer.payload_size() == 0; }
    };

    // A group that appends, or has been dropped by a record that is not written yet.
    struct Member {
        WalClient* client = nullptr;
        std::uint64_t life = 0;  // 0: dropped
        Index last;
        // Its effect in the gathering of that id.
        std::uint64_t gathering_id = 0;
        std::size_t effect_slot = 0;
    };

    // ---- gathering ----
    [[nodiscard]] Status check_open() const;
    static Status check_size(std::size_t bytes);
    [[nodiscard]] Status check_room(std::size_t bytes) const;
    Result<Member*> enter(WalClient& client, GroupId group);
    Effect& effect_of(GroupId group, Member& member);
    char* room(std::size_t bytes_max);
    void begin_gathering();
    [[nodiscard]] bool has_gathered() const { return !full_.empty() || !filling_.is_empty(); }

    // ---- writing ----
    void run_at_turn_end() override;
    async::Task<void> write_next();
    async::Task<Status> write_gathered();
    // Whether a segment has room for a record. The disk being full is not an error: nothing was
    // written, and there may be room later.
    enum class Room : std::uint8_t { kThere, kDiskFull };
    // Suspends: until there is room for the record, for as long as the disk is full.
    // Errors:   kDiskFull: there is none, and the log stops or has failed.
    async::Task<Status> wait_for_room(std::size_t record_size);
    async::Task<Result<Room>> make_room(std::size_t record_size);
    async::Task<Result<Room>> move_on();
    async::Task<Result<Room>> grow(OpenSegment* segment, std::size_t record_size);
    // What the log as it stands says of every group; written once in each segment.
    [[nodiscard]] RecordBuffer checkpoint() const;
    async::Task<Status> write_checkpoint();
    // Writes one record; it is in the log when this returns.
    async::Task<Status> write_record(RecordBuffer* buffer);
    void take_effects();
    void acknowledge();
    void fail(const Status& why);

    // ---- syncing, for Durability::kInterval ----
    void start_sync_timer();
    void on_sync_timer();
    async::Task<void> sync_in_time();
    async::Task<Status> sync_current();

    // ---- marking the end of a quiet log ----
    void start_quiet_timer();
    void on_quiet_timer();
    async::Task<Status> write_mark();
    async::Task<void> write_quiet_mark();

    // ---- segments ----
    void prepare_ahead();
    async::Task<void> prepare_next();
    void note_disk_full(std::string_view reason);
    void retry_later();
    void retry_now();
    void recycle_released();
    async::Task<void> run_recycling();
    void cancel_timers();
    async::Task<Status> finish();

    env::Env* env_;
    WalOptions options_;
    std::unique_ptr<SegmentPool> pool_;
    // Of everything that has been written.
    GroupLedger ledger_;
    OpenSegment current_;
    std::optional<OpenSegment> next_;
    LogEnd end_;

    std::unordered_map<GroupId, Member> members_;
    std::uint64_t next_life_ = 1;
    std::uint64_t next_gathering_id_ = 1;
    Gathering filling_;
    std::deque<Gathering> full_;
    std::uint64_t full_bytes_ = 0;
    Gathering writing_;
    std::uint64_t durable_write_ = 0;  // the id of the last gathering that was acknowledged

    async::Gate gate_;
    async::Event not_writing_;
    bool is_writing_ = false;
    bool is_preparing_ = false;
    bool is_recycling_ = false;
    bool is_disk_full_ = false;
    // The record in flight waits for room; entries are refused meanwhile.
    bool is_stalled_ = false;
    async::Event space_asked_;
    bool is_stopping_ = false;
    bool ends_with_mark_ = false;
    Status failure_;
    // Older segments may go once this record is on the device: the checkpoint of the current one,
    // or a drop, which made entries needless.
    Sequence recycling_waits_for_;

    env::TimerId sync_timer_;
    env::TimerId quiet_timer_;
    env::TimerId retry_timer_;
    MonotonicTime last_write_;

    WalStatistics statistics_;
};

}  // namespace kvstore::storage
