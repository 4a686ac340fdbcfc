// Drives a write-ahead log with random appends and keeps what a crash may leave of it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/callback.h"
#include "base/random.h"
#include "env/clock.h"
#include "storage/wal/testing/log_model.h"
#include "storage/wal/wal.h"

namespace kvstore::storage::testing {

class RecordingClient : public WalClient {
public:
    void on_durable(Index last) override {
        durable.push_back(last);
        if (told) {
            told(last);
        }
    }
    void on_log_failed(const Status& why) override {
        failures.push_back(why.to_string());
        failed_effect = why.effect();
    }

    std::vector<Index> durable;
    std::vector<std::string> failures;
    Effect failed_effect = Effect::kNone;
    Callback<void(Index)> told;
};

// Appends to one log through several groups.
//
// Every append is one step of a global order; a log that is recovered must hold exactly the first k
// of them, with k between what was acknowledged and what was appended.
class LogDriver {
public:
    LogDriver(Wal* wal, const env::Clock* clock, LogModel begin, std::uint64_t seed)
        : wal_(wal), clock_(clock), model_(begin), begin_(std::move(begin)), random_(seed) {}

    Status append(GroupId group, Index index, Term term, Bytes data) {
        const LogEntry entry{.group = group, .term = term, .index = index, .kind = 3, .data = data};
        return take(group, wal_->append(client(group), entry), [=](LogModel& model) {
            LogEntry again = entry;
            again.data = data;
            return model.on_entry(again);
        });
    }
    // Appends behind the last entry.
    Status append_next(GroupId group, Bytes data) {
        return append(group, last(group).next(), Term(1), std::move(data));
    }
    Status append_state(const LogState& state) {
        return take(state.group,
                    wal_->append_state(client(state.group), state),
                    [=](LogModel& model) { return model.on_state(state); });
    }
    Status append_start(GroupId group, Term term, Index index) {
        return take(group,
                    wal_->append_start(client(group), group, term, index),
                    [=](LogModel& model) { return model.on_start(group, term, index); });
    }
    Status drop(GroupId group) {
        const Status dropped =
            take(group, wal_->drop(group), [=](LogModel& model) { return model.on_drop(group); });
        // Its client is told nothing any more; another one comes with the next append.
        clients_.erase(group);
        waiting_.erase(group);
        return dropped;
    }
    void release(GroupId group, Index index) {
        Index& known = released[group];
        known = std::max(known, index);
        wal_->release(group, index);
    }

    // A random step over groups 1 to `group_count`.
    Status random_step(std::uint64_t group_count) {
        const GroupId group(1 + random_.below(group_count));
        const std::uint64_t dice = random_.below(100);
        if (dice < 70) {
            return append_next(group, random_data());
        }
        if (dice < 78 && last(group) > Index(3)) {
            const Index index(last(group).value() - random_.below(3));
            const auto freed = released.find(group);
            if (freed == released.end() || index > freed->second) {
                return append(group, index, Term(2 + random_.below(5)), random_data());
            }
        }
        if (dice < 90) {
            return append_state({.group = group,
                                 .term = Term(random_.below(1000)),
                                 .vote = NodeId(random_.below(5)),
                                 .commit = last(group)});
        }
        if (dice < 93) {
            release(group, last(group));
            return append_start(group, Term(1), last(group));
        }
        if (dice < 94) {
            return drop(group);
        }
        release(group, Index(last(group).value() * 3 / 4));
        return {};
    }

    [[nodiscard]] Index last(GroupId group) const {
        const auto found = model_.groups.find(group);
        return found == model_.groups.end() ? Index() : found->second.last;
    }
    [[nodiscard]] RecordingClient& client(GroupId group) {
        std::shared_ptr<RecordingClient>& client = clients_[group];
        if (client == nullptr) {
            client = std::make_shared<RecordingClient>();
            client->told = [this, group](Index index) {
                acknowledge(group, index);
            };
            kept_.push_back(client);
        }
        return *client;
    }

    [[nodiscard]] const LogModel& model() const { return model_; }
    [[nodiscard]] std::size_t step_count() const { return steps_.size(); }
    // How many steps were told to be durable; with a time: by then.
    [[nodiscard]] std::size_t acknowledged_count() const { return acknowledged_; }
    [[nodiscard]] std::size_t acknowledged_count(MonotonicTime by) const {
        const auto after = history_.upper_bound(by);
        return after == history_.begin() ? 0 : std::prev(after)->second;
    }

    // Whether `recovered` is what a crash may leave that keeps the first `count_min` steps.
    [[nodiscard]] bool allows(const LogModel& recovered, std::size_t count_min) {
        const LogModel seen = recovered.without_released(released);
        LogModel model = begin_;
        for (std::size_t k = 0; k <= steps_.size(); ++k) {
            if (k >= count_min && model.without_released(released) == seen) {
                return true;
            }
            if (k < steps_.size() && !steps_[k](model).ok()) {
                return false;
            }
        }
        return false;
    }

    // Highest of all lives of a group: what is not compared.
    std::map<GroupId, Index> released;

private:
    using Step = Callback<Status(LogModel&)>;

    Status take(GroupId group, Status appended, Step step) {
        if (appended.ok()) {
            const Status applied = step(model_);
            if (!applied.ok()) {
                return applied;
            }
            steps_.push_back(std::move(step));
            waiting_[group].push_back({.step = steps_.size(), .last = last(group)});
        }
        return appended;
    }

    // Everything up to the first waiting step that left the log with this last index is durable.
    void acknowledge(GroupId group, Index index) {
        std::vector<Waiting>& waiting = waiting_[group];
        for (std::size_t i = 0; i < waiting.size(); ++i) {
            if (waiting[i].last == index) {
                acknowledged_ = std::max(acknowledged_, waiting[i].step);
                history_[clock_->now()] = acknowledged_;
                waiting.erase(waiting.begin(),
                              waiting.begin() + static_cast<std::ptrdiff_t>(i) + 1);
                return;
            }
        }
    }

    Bytes random_data() {
        const std::uint64_t dice = random_.below(100);
        const std::uint64_t size_max = dice < 80 ? 200 : dice < 98 ? 9000 : 60'000;
        Bytes data(random_.below(size_max), '\0');
        for (char& byte : data) {
            byte = static_cast<char>(random_.below(256));
        }
        return data;
    }

    struct Waiting {
        std::size_t step;
        Index last;
    };

    Wal* wal_;
    const env::Clock* clock_;
    LogModel model_;
    LogModel begin_;
    Random random_;
    std::vector<Step> steps_;
    std::size_t acknowledged_ = 0;
    std::map<MonotonicTime, std::size_t> history_;
    std::map<GroupId, std::vector<Waiting>> waiting_;
    std::map<GroupId, std::shared_ptr<RecordingClient>> clients_;
    std::vector<std::shared_ptr<RecordingClient>> kept_;
};

}  // namespace kvstore::storage::testing
