// When a leader gives its place to another member because of its own disk, and to whom.
//
// It does when its log has no room left, so that writes go on elsewhere; and when its log is
// persistently much slower than those of a majority of the others. The leader can tell by itself:
// an entry that the others have made durable is committed before the leader's own log has it. One
// write is measured at a time; only when every measured one of the last seconds was so, does the
// leader go.
//
// Whoever gave its place away refuses it for a while when another hands it over: it would be the
// same again. Elections by timeout are not its business: a group with any leader is better than one
// with none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/id.h"
#include "base/time.h"
#include "raft/node_status.h"

namespace kvstore::replication {

// Lifetime  Owned by its group.
// Runs on   One core.
class HandOver {
public:
    // The leader's log was given its newest entries, up to `last`.
    void on_append(Index last, MonotonicTime now);
    void on_committed(Index commit, MonotonicTime now);
    void on_durable(Index durable, MonotonicTime now);
    // It leads no more, or anew.
    void forget();

    // Nullopt: there is no reason, or the last attempt is not over. Words for people otherwise.
    [[nodiscard]] std::optional<std::string_view> reason(bool is_disk_full, MonotonicTime now);
    // To whom the leader whose state this is hands over now; 0: there is nobody. For reason(),
    // once.
    [[nodiscard]] NodeId choose_heir(const raft::NodeStatus& leader, MonotonicTime now);
    // Nobody took it; what the leader's log refuses is refused.
    [[nodiscard]] bool is_resting(MonotonicTime now) const {
        return is_resting_ && now < next_attempt_;
    }
    // Whether it gave its place away a while ago because it was slow.
    [[nodiscard]] bool gave_up_slow(MonotonicTime now) const {
        return gave_up_slow_at_ && now - *gave_up_slow_at_ < kRefusal;
    }
    // Whether this member refuses to be the heir of another.
    [[nodiscard]] bool refuses(bool is_disk_full, MonotonicTime now) const;

private:
    // Each heir gets the time that a transfer has, and a little more.
    static constexpr Duration kAttempt = std::chrono::milliseconds(1500);
    // When all refused, they are asked again after so long.
    static constexpr Duration kRest = std::chrono::seconds(10);
    static constexpr Duration kSlowFor = std::chrono::seconds(3);
    static constexpr std::size_t kSlowSamples = 3;
    // Slower than the others by this, and several times: less is worth no change of leader.
    static constexpr Duration kSlowBy = std::chrono::milliseconds(50);
    static constexpr int kSlowTimes = 4;
    static constexpr Duration kRefusal = std::chrono::seconds(60);

    struct Sample {
        Index last;
        MonotonicTime began;
        std::optional<MonotonicTime> committed;
    };

    [[nodiscard]] bool is_slow(MonotonicTime now) const;
    [[nodiscard]] static bool was_slow(const Sample& sample, MonotonicTime now);

    std::optional<Sample> sample_;
    std::optional<MonotonicTime> slow_since_;
    std::size_t slow_samples_ = 0;
    MonotonicTime next_attempt_{};
    NodeId last_heir_;
    bool is_resting_ = false;
    std::optional<MonotonicTime> gave_up_slow_at_;
};

}  // namespace kvstore::replication
