#include "replication/strong/commit_notices.h"

#include <algorithm>

namespace kvstore::replication {
namespace {

bool is_notice(const raft::Message& message) {
    return message.kind == raft::MessageKind::kAppend && message.entries.empty();
}

// Whether who hears `later` learns all that `held` says.
bool says_as_much(const raft::Message& later, const raft::Message& held) {
    const bool tells_commit =
        later.kind == raft::MessageKind::kAppend || later.kind == raft::MessageKind::kHeartbeat;
    return tells_commit && later.term >= held.term && later.commit >= held.commit;
}

}  // namespace

void CommitNotices::send(const raft::Message& message) {
    if (is_notice(message) && !is_stopped_) {
        hold(message);
        return;
    }
    const auto found = held_.empty() ? held_.end() : held_.find(Way(message.group, message.to));
    if (found != held_.end()) {
        const bool is_for_read = message.kind == raft::MessageKind::kReadIndexReply;
        if (is_for_read) {
            sink_.send_now(found->second.message);
        }
        if (is_for_read || says_as_much(message, found->second.message)) {
            held_.erase(found);
        }
    }
    sink_.send_now(message);
}

void CommitNotices::hold(const raft::Message& message) {
    const MonotonicTime now = clock_.now();
    const auto [place, is_new] = held_.try_emplace(Way(message.group, message.to));
    place->second.message = message;
    if (is_new) {
        place->second.since = now;
    }
    if (timer_ == env::TimerId()) {
        timer_ = clock_.start_timer(now + kHold, [this] { let_go(); });
    }
}

void CommitNotices::let_go() {
    timer_ = env::TimerId();
    const MonotonicTime now = clock_.now();
    MonotonicTime oldest = MonotonicTime::max();
    std::erase_if(held_, [&](const auto& entry) {
        const Held& held = entry.second;
        if (now - held.since < kHold) {
            oldest = std::min(oldest, held.since);
            return false;
        }
        sink_.send_now(held.message);
        return true;
    });
    if (!held_.empty()) {
        timer_ = clock_.start_timer(oldest + kHold, [this] { let_go(); });
    }
}

void CommitNotices::stop() {
    is_stopped_ = true;
    held_.clear();
    clock_.cancel_timer(timer_);
    timer_ = env::TimerId();
}

}  // namespace kvstore::replication
